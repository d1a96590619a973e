from __future__ import annotations

import logging
import sys

from pipeline.logs import KeyValue


def line(text: str, *arguments: object, error: bool = False) -> str:
    record = logging.LogRecord("celery.worker", logging.WARNING, "file", 1, text, arguments, None)
    if error:
        try:
            raise ValueError("two\nlines")
        except ValueError:
            record.exc_info = sys.exc_info()
    return KeyValue().format(record)


def test_our_own_lines_are_pairs_already() -> None:
    assert line("action=ready model=%s", "x").endswith("Z level=warning action=ready model=x")


def test_other_words_are_one_quoted_message() -> None:
    assert line('say "%s"', "no").endswith(r'action=log logger=celery.worker message="say \"no\""')


def test_nothing_breaks_a_line() -> None:
    assert len(line("first\nlevel=info action=forged", error=True).splitlines()) == 1
    assert len(line("action=x reason=%s", "one\ntwo").splitlines()) == 1


def test_passwords_are_hidden() -> None:
    for url in ("redis://:geheim@host:1/0", "postgresql://me:geheim@host/db", "rediss://me:geheim@host"):
        assert "geheim" not in line("action=x url=%s", url)
        assert "geheim" not in line("Connected to %s", url)
