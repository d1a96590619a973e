"""Reading what a person says about answers, from the file that was written for it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from itertools import islice
from typing import Any

from pipeline.display import number, printable
from pipeline.errors import UsageError
from pipeline.export.texts import utf8
from pipeline.jobs import LARGEST_ID
from pipeline.review import ANSWER, BY, TEXT, VERDICT
from pipeline.review.writing import unsafe
from pipeline.settings import Settings
from pipeline.sources.manifests.manifest import READERS
from pipeline.sources.manifests.records import Broken
from pipeline.sources.manifests.source import Source
from pipeline.store import Store
from pipeline.store.dialects import plain, plain_or_none
from pipeline.store.reviews import Outcome, Review, Verdict

CHUNK = 1_000
FORMATS = {".csv": "csv", ".tsv": "csv", ".jsonl": "jsonl", ".parquet": "parquet"}


@dataclass(slots=True)
class Read:
    """How many rows there were of each kind."""

    stored: int = 0
    known: int = 0
    """already stored"""
    silent: int = 0
    """nothing was said"""
    bad: int = 0


def read(store: Store, name: str, settings: Settings, *, by: str | None, complain: Callable[[str], None]) -> Read:
    """Store the reviews in a file; `complain` is told of each row that cannot be used. Raises UsageError."""
    source = Source(name, settings, "FILE")
    format = _format(source)
    table = READERS[format](source)
    if ANSWER not in table.names or not {VERDICT, TEXT} & set(table.names):
        detail = f"{source.shown} is no file of reviews: it takes the columns {ANSWER}, {VERDICT} and {TEXT},"
        raise UsageError(detail=f"{detail} as `pixmill review export` writes them.")
    count = Read()

    def tell(place: int, why: str) -> None:
        count.bad += 1
        complain(f"{table.unit} {number(place)}: {why}")

    seen: dict[int, Review] = {}
    # Only in a delimited file a text was made safe for spreadsheets.
    restored = unsafe if format == "csv" else str
    said = _said(table.records, partial(_review, by=by, restored=restored), count, tell)
    while chunk := list(islice(said, CHUNK)):
        outcomes = store.review([review for _, review in chunk], seen)
        for (place, review), outcome in zip(chunk, outcomes, strict=True):
            if outcome is Outcome.STORED:
                count.stored += 1
            elif outcome is Outcome.KNOWN:
                count.known += 1
            else:
                tell(place, _WHY[outcome].format(answer=review.answer))
    return count


_WHY = {
    Outcome.UNKNOWN: "there is no answer {answer}",
    Outcome.DOUBLED: "a line above says something else about answer {answer}, or about one that shares its review",
}


def _format(source: Source) -> str:
    if source.suffix not in FORMATS:
        raise UsageError(detail=f"{source.shown}: which format? Files of reviews end in {', '.join(FORMATS)}.")
    return FORMATS[source.suffix]


def _said(
    records: Iterator[tuple[int, dict[str, Any] | Broken]],
    review_of: Callable[[Mapping[str, Any]], Review | None],
    count: Read,
    tell: Callable[[int, str], None],
) -> Iterator[tuple[int, Review]]:
    for place, values in records:
        if isinstance(values, Broken):
            tell(place, values.why)
            continue
        try:
            review = review_of(values)
        except ValueError as error:
            tell(place, str(error))
            continue
        if review is None:
            count.silent += 1
        else:
            yield place, review


def _review(values: Mapping[str, Any], *, by: str | None, restored: Callable[[str], str]) -> Review | None:
    """What a row says, if anything. Raises ValueError."""
    verdict, text = _cell(values.get(VERDICT)).strip().lower(), restored(_cell(values.get(TEXT)))
    if not verdict and not text.strip():
        return None
    if verdict and verdict not in list(Verdict):
        raise ValueError(f"the verdict {verdict!r} is none of {', '.join(Verdict)}")
    if verdict == Verdict.CORRECTED and not text.strip():
        raise ValueError("it is corrected, but has no text")
    if verdict == Verdict.RIGHT and text.strip():
        raise ValueError("it is right, but has another text: leave one of them out")
    who = by or _cell(values.get(BY)).strip() or None
    kind = Verdict.CORRECTED if text.strip() else Verdict(verdict)
    words = plain(text) if text.strip() else None
    return Review(answer=_id(values.get(ANSWER)), verdict=kind, text=words, by=plain_or_none(who))


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, str):
        if utf8(value) != value:  # it would be stored as what nobody wrote
            raise ValueError(f"{printable(value)!r} is not UTF-8: save the file as UTF-8 and import it again")
        return value
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return str(value)
    raise ValueError(f"{value!r} is no text")


def _id(value: Any) -> int:
    # Spreadsheets and Parquet make 12.0 of a column with gaps.
    digits = re.fullmatch(r"\s*0*([1-9][0-9]{0,18})(?:\.0*)?\s*", _cell(value))
    if not digits or int(digits[1]) > LARGEST_ID:
        raise ValueError(f"{value!r} is no answer's number")
    return int(digits[1])
