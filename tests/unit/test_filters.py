"""pipeline.sources.filters: what is taken of the rows that were found."""

from __future__ import annotations

from datetime import datetime

import pytest

from pipeline.errors import SinceUnfit
from pipeline.locators import Picture
from pipeline.sources.filters import Filters, parse_since
from pipeline.sources.rows import BadRow, Row


def row(name: str, size: int | None = 100, mtime: float = 0.0) -> Row:
    return Row(pictures=(Picture(f"file:///{name}", size, None if size is None else int(mtime * 1e9)),))


def taken(filters: Filters, *rows: Row | BadRow) -> list[str]:
    return [
        "bad" if isinstance(one, BadRow) else one.pictures[0].locator.removeprefix("file:///")
        for one in filters.rows(iter(rows), note=pytest.fail)
    ]


@pytest.mark.parametrize(
    ("include", "exclude", "wanted"),
    [
        ((), (), ["a.jpg", "sub/b.jpg", "sub/c.png"]),
        (("*.jpg",), (), ["a.jpg", "sub/b.jpg"]),
        (("sub/*",), ("*.png",), ["sub/b.jpg"]),
        (("[ab].*", "*.png"), (), ["a.jpg", "sub/b.jpg", "sub/c.png"]),
        ((), ("*",), []),
    ],
)
def test_names(include: tuple[str, ...], exclude: tuple[str, ...], wanted: list[str]) -> None:
    filters = Filters(include=include, exclude=exclude)
    assert [name for name in ("a.jpg", "sub/b.jpg", "sub/c.png") if filters.wanted(name)] == wanted


def test_sizes() -> None:
    files = [row("1", 1), row("10", 10), row("100", 100), row("unknown", None)]
    rows: tuple[Row | BadRow, ...] = (*files, BadRow(message="bad"))
    assert taken(Filters(min_size=10), *rows) == ["10", "100", "unknown", "bad"]
    assert taken(Filters(max_size=10), *rows) == ["1", "10", "unknown", "bad"]
    assert taken(Filters(min_size=2, max_size=99), *rows) == ["10", "unknown", "bad"]


def test_the_size_of_an_archive_is_not_that_of_a_member() -> None:
    member = row("shard.tar#a.jpg", 10**9)
    assert taken(Filters(max_size=10), member) == ["shard.tar#a.jpg"]


def test_one_picture_that_does_not_fit_takes_its_row_along() -> None:
    pair = Row(pictures=(Picture("file:///a", 1, 1), Picture("file:///b", 100, 1)))
    assert taken(Filters(min_size=10), pair, row("c")) == ["c"]


def test_since() -> None:
    rows = [row("old", mtime=100.0), row("new", mtime=200.0)]
    assert taken(Filters(since=150.0), *rows) == ["new"]
    assert taken(Filters(since=200.0), *rows) == ["new"]


@pytest.mark.parametrize(("text", "before"), [("24h", 86_400), ("90m", 5400), (" 2d ", 172_800), ("1.5h", 5400)])
def test_spans_before_now(text: str, before: float) -> None:
    assert parse_since(text, now=1e6) == 1e6 - before


def test_dates() -> None:
    assert parse_since("2026-11-20") == datetime.fromisoformat("2026-11-20").timestamp()
    assert parse_since("2026-11-20T08:00+01:00") == datetime.fromisoformat("2026-11-20T07:00+00:00").timestamp()


@pytest.mark.parametrize("text", ["", "yesterday", "24", "2026-13-01", "0001-01-01", "99999-01-01"])
def test_what_is_no_moment(text: str) -> None:
    with pytest.raises(SinceUnfit, match="neither a span nor a date"):
        parse_since(text)


def test_a_limit_counts_what_is_taken() -> None:
    rows = [row(str(number), number) for number in range(100)]
    assert taken(Filters(min_size=50, limit=3), *rows) == ["50", "51", "52"]
    sample = taken(Filters(min_size=50, limit=3, shuffle_seed=1), *rows)
    assert len(sample) == 3 and sample != ["50", "51", "52"]
    assert all(int(name) >= 50 for name in sample)


def test_nothing_is_read_beyond_the_limit() -> None:
    def rows() -> object:
        yield row("a")
        pytest.fail("nobody asked for a second")

    assert len(list(Filters(limit=1).rows(rows(), note=pytest.fail))) == 1  # type: ignore[arg-type]


def test_all_left_out_is_said() -> None:
    notes: list[str] = []
    assert list(Filters(min_size=1000).rows(iter([row("a"), row("b")]), notes.append)) == []
    assert notes == ["--min-size, --max-size or --since left out all that was found (2)"]
