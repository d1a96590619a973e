"""The options that say what form answers have; at most one of them is given."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import click

from pipeline.errors import SchemaInvalid, UsageError
from pipeline.forms import check_form
from pipeline.options import together
from pipeline.prompts import Form


@dataclass(frozen=True, kw_only=True)
class FormOptions:
    """What form the answers have, if any."""

    choices: tuple[str, ...]
    yes_no: bool
    number: bool
    regex: str | None
    schema: str | None

    def form(self) -> Form | None:
        """The form as prompts carry it. Raises UsageError."""
        given = {option: form for option, form in self._forms().items() if form is not None}
        if len(given) > 1:
            raise UsageError(detail=f"{' and '.join(given)} exclude each other: an answer has one form.")
        for option, form in given.items():
            try:
                check_form(form)
            except SchemaInvalid as error:
                raise UsageError(detail=f"{option}: {error}.") from error
            return form
        return None

    def _forms(self) -> dict[str, dict[str, Any] | None]:
        choices = [choice.strip() for part in self.choices for choice in part.split(",")]
        return {
            "--choices": {"kind": "choices", "choices": choices} if self.choices else None,
            "--yes-no": {"kind": "yes_no"} if self.yes_no else None,
            "--number": {"kind": "number", "integer": False} if self.number else None,
            "--regex": {"kind": "regex", "pattern": self.regex} if self.regex is not None else None,
            "--schema": {"kind": "schema", "schema": read_schema(self.schema)} if self.schema else None,
        }


def read_schema(file: str) -> Any:
    """The JSON in a file. Raises UsageError."""
    try:
        with click.open_file(file, encoding="utf-8-sig") as stream:
            return json.load(stream)
    except OSError as error:
        raise UsageError(detail=f"--schema {file}: {(error.strerror or str(error)).lower()}.") from error
    except (ValueError, RecursionError) as error:
        raise UsageError(detail=f"--schema {file}: this is no JSON ({error}).") from error


form_options = together(
    "form",
    FormOptions,
    click.option(
        "--choices",
        multiple=True,
        metavar="A,B,...",
        help="Answers are one of these. Repeatable; several are separated by commas.",
    ),
    click.option("--yes-no", is_flag=True, help="Answers are yes or no."),
    click.option("--number", is_flag=True, help="Answers are a number, in digits."),
    click.option("--regex", metavar="PATTERN", help="Answers fit this regular expression as a whole."),
    click.option("--schema", metavar="FILE", help="Answers are JSON that fits the JSON schema in FILE; - reads stdin."),
)
