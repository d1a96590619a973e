from __future__ import annotations

import openvino_genai as genai

from pipeline import forms
from pipeline.forms import Spelling
from workers.demo import INT4
from workers.engine.vocabulary import blank, shadowed, spelling


class Closed:
    """A tokenizer whose vocabulary cannot be read."""

    def get_vocab(self) -> dict[bytes, int]:
        raise RuntimeError("Tokenizer vocab is empty.")


def test_how_spaces_are_spelled() -> None:
    assert blank([b" dog", b" a", "▁".encode(), b"cat"]) == " "
    assert blank(["▁dog".encode(), "▁a".encode(), b" ", b"cat"]) == "▁"


def test_tokens_that_are_passed_over_with_another() -> None:
    assert list(shadowed([b"p", b"pink", b"ple", b"purple", b"plenty", b"q"])) == [("purple", "ple")]
    assert list(shadowed([b"a", b"ab", b"abc", b"b", b"ba"])) == []
    assert list(shadowed([b"\xc3", b"b\xc3", b"\xc3\xa9"])) == []


def test_the_bundled_models_vocabulary() -> None:
    found = spelling(genai.Tokenizer(str(INT4)))
    assert found == Spelling(" ", (("purple", "ple"),))
    colors = forms.grammar({"kind": "choices", "choices": ["pink", "purple"]}, found)
    assert colors == 'root ::= (" ")? ("pink" | ("purple" | "ple") | "Pink" | "Purple")'


def test_a_closed_vocabulary_holds_no_form() -> None:
    closed: genai.Tokenizer = Closed()
    assert spelling(closed) is None
