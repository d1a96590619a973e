"""Marked answers: what is listed on a terminal, and what the page's parts become."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice

import pytest

from tests.unit.test_comparison import Page
from workers.marked import LISTED, page, show

LEFT = "are odd."


@dataclass
class Report:
    parting: int

    def head(self) -> tuple[str, ...]:
        return ("", "<A>")

    def rows(self) -> Iterator[tuple[str, ...]]:
        yield "Ri<ght", "1 & 2"

    def sentences(self) -> Iterator[str]:
        yield "One."
        yield "Two < three."

    def worst_head(self) -> tuple[str, ...]:
        return ("WORST",)

    def worst(self, most: int) -> Iterator[tuple[str, ...]]:
        yield from islice(((f"answer {number}",) for number in range(self.parting)), most)

    def document(self) -> dict[str, object]:
        return {"parting": self.parting}


@pytest.mark.parametrize(
    ("parting", "listed", "end"),
    [
        (0, 0, "Two < three."),
        (LISTED, LISTED, "answer 9"),
        (LISTED + 2_000, LISTED, "... and 2,000 more that are odd."),
    ],
)
def test_the_worst_are_listed(parting: int, listed: int, end: str, capsys: pytest.CaptureFixture[str]) -> None:
    show(Report(parting), parting=parting, left=LEFT, as_json=False)
    lines = capsys.readouterr().out.splitlines()
    assert [line.split() for line in lines[:2]] == [["<A>"], ["Ri<ght", "1", "&", "2"]]
    assert sum(line.startswith("answer") for line in lines) == listed
    assert ("WORST" in lines) == bool(listed)
    assert lines[-1] == end


def test_a_document_is_all_there_is(capsys: pytest.CaptureFixture[str]) -> None:
    show(Report(99), parting=99, left=LEFT, as_json=True)
    assert json.loads(capsys.readouterr().out) == {"parting": 99}


def test_a_page_says_what_texts_are_and_shows_what_is_html() -> None:
    text = page(Report(1), name="a<b", title="b & c", figures=["<b>7</b>"], shown="1 > 0", cards=["<i>card</i>"])
    assert "<title>Pixmill: a&lt;b</title>" in text and "<h1>b &amp; c</h1>" in text
    assert "<p>One.</p><p>Two &lt; three.</p>" in text and "<tr><th>Ri&lt;ght</th><td>1 &amp; 2</td></tr>" in text
    words = Page(text).words
    assert {"7", "card", "1 > 0", "<A>"} <= set(words)
