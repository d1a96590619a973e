"""The truth about pictures: right answers by picture and question, and when an answer counts as right."""

from __future__ import annotations

import csv
import json
import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pipeline.display import printable
from pipeline.errors import UsageError
from pipeline.locators import display

Row = Mapping[str, Any]

FIELDS = ("picture", "question", "answer")
SHOWN = 5
"""broken lines that are named"""


@dataclass(frozen=True, slots=True)
class Truth:
    """Right answers. A picture is found by its name, with as many of its folders as the truth names."""

    _by_name: dict[tuple[str, str], list[tuple[list[str], str]]] = field(default_factory=dict)

    def add(self, picture: str, question: str, answer: str) -> None:
        *folders, name = picture.removeprefix("./").split("/")
        self._by_name.setdefault((name, question), []).append((folders, answer))

    def about(self, locator: str, question: str) -> str | None:
        """The right answer, if it is known."""
        *folders, name = display(locator).split("/")
        found = self._by_name.get((name, question), ())
        return next((answer for named, answer in found if folders[len(folders) - len(named) :] == named), None)


def is_right(said: str, truth: str) -> bool:
    """Whether both are the same words: case, blanks and the punctuation around them do not count."""
    return _normalised(said) == _normalised(truth)


def _normalised(text: str) -> str:
    words = unicodedata.normalize("NFKC", text).casefold().split()
    return " ".join(words).strip(" .,;:!?\"'")


def read(path: Path) -> Truth:
    """The truth in a file of JSON lines or CSV. Raises UsageError, which names the lines that cannot be used."""
    truth, broken = Truth(), []
    try:
        with path.open(encoding="utf-8-sig", newline="") as lines:
            rows = _of_csv(lines) if path.suffix.lower() == ".csv" else _of_json_lines(lines)
            for number, row in rows:
                if complaint := _complaint(row):
                    broken.append(f"line {number} {complaint}")
                elif row:
                    truth.add(*(str(row[name]) for name in FIELDS))
    except OSError as error:
        raise UsageError(detail=f"--gt {path}: {(error.strerror or str(error)).lower()}") from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise UsageError(detail=f"--gt {path}: this is no text that can be read ({error})") from error
    if broken:
        more = f", and {len(broken) - SHOWN:,} more" if len(broken) > SHOWN else ""
        raise UsageError(detail=f"--gt {path}: {'; '.join(broken[:SHOWN])}{more}. {EXPECTED}")
    return truth


EXPECTED = "Each line has a picture's name, a question and the right answer (picture, question, answer)."


def _of_json_lines(lines: Iterator[str]) -> Iterator[tuple[int, Row | None]]:
    for number, line in enumerate(lines, 1):
        if line.strip():
            try:
                row = json.loads(line)
            except ValueError:
                row = None
            yield number, row if isinstance(row, dict) else None


def _of_csv(lines: Iterator[str]) -> Iterator[tuple[int, Row | None]]:
    reader = csv.DictReader(lines)
    for row in reader:
        yield reader.line_num, row


def _complaint(row: Row | None) -> str:
    if row is None:
        return "is no JSON object"
    missing = [name for name in FIELDS if not isinstance(row.get(name), str | int | float) or row[name] == ""]
    return f"has no {printable(' and no '.join(missing))}" if missing else ""
