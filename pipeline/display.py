"""Values as people and programs read them: durations, moments, one-line texts, tables, JSON."""

from __future__ import annotations

import functools
import json
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import fields, is_dataclass
from datetime import datetime
from typing import Any

import click

_WIDE = 160
"""columns that a line has where stdout is no terminal"""
_SHORTEST = 12
_FIGURE = 16
"""columns for a figure before long texts, with what is between them"""


def duration(seconds: float) -> str:
    """0.4 s, 12 s, 3 min 20 s, 5 h 02 min, 2 d 03 h."""
    if seconds < 9.95:
        return f"{max(seconds, 0.0):.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02} s"
    minutes = round(seconds / 60)
    if minutes < 24 * 60:
        return f"{minutes // 60} h {minutes % 60:02} min"
    hours = round(seconds / 3600)
    return f"{hours // 24} d {hours % 24:02} h"


def moment(timestamp: float | None) -> str:
    """Local time, to the minute."""
    return "-" if timestamp is None else datetime.fromtimestamp(timestamp).astimezone().strftime("%Y-%m-%d %H:%M")


def number(value: int) -> str:
    return f"{value:,}"


def things(count: int, name: str) -> str:
    """1 job, 2 jobs."""
    return f"{number(count)} {name}{'' if count == 1 else 's'}"


def size(count: int) -> str:
    """Bytes, as disks are sold: 820 B, 1.4 MB, 512 MB, 3.1 GB."""
    value, unit = float(count), "B"
    for larger in ("kB", "MB", "GB", "TB"):
        if value < 999.5:
            break
        value, unit = value / 1000, larger
    return f"{value:.1f} {unit}" if value < 9.95 and unit != "B" else f"{value:,.0f} {unit}"


def printable(text: str) -> str:
    """The text on one line, with nothing in it that could steer a terminal."""
    return "".join(c if c.isprintable() else " " if c.isspace() else "\N{REPLACEMENT CHARACTER}" for c in text)


def note(text: str) -> None:
    """A line for the person at the terminal: stdout is for data."""
    click.echo(text, err=True)


def counted(by_name: Mapping[str, int]) -> str:
    """`12 queued, 3 done`: what there is, or `none`."""
    return ", ".join(f"{number(count)} {name.replace('_', ' ')}" for name, count in by_name.items() if count) or "none"


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    """Aligned lines. Only what is printed is cut to a terminal's width: piped into a file, nothing is."""
    cells = [tuple(head), *(tuple(printable(cell) for cell in row) for row in rows)]
    widths = [max(_width(row[column]) for row in cells) for column in range(len(head))]
    for row in cells:
        padded = (cell + " " * (width - _width(cell)) for cell, width in zip(row, widths, strict=True))
        yield clip("  ".join(padded).rstrip())


def clip(line: str) -> str:
    """A line cut to the terminal's width, if stdout is one."""
    width = terminal_width()
    if width is None or _width(line) <= width:
        return line
    from rich.cells import set_cell_size

    return set_cell_size(line, width - 1) + "…"


def shortened(text: str, texts: int) -> str:
    """One of the long texts of a table's line, cut so that all of them find room behind a short figure."""
    room = max(_SHORTEST, ((terminal_width() or _WIDE) - _FIGURE) // texts)
    return text if len(text) <= room else f"{text[: room - 1]}…"


def terminal_width() -> int | None:
    import shutil

    return shutil.get_terminal_size().columns if sys.stdout.isatty() else None


def _width(text: str) -> int:
    if text.isascii():
        return len(text)
    from rich.cells import cell_len

    return cell_len(text)


# --- JSON ----------------------------------------------------------------------------------------


def to_json(value: Any, *, ascii_only: bool = False, indent: int | None = None) -> str:
    """JSON of plain values and of rows: a frozen dataclass is an object of its fields."""
    return json.dumps(value, default=_plain, ensure_ascii=ascii_only, indent=indent)


def rounded(value: float | None, digits: int = 4) -> float | None:
    return None if value is None else round(value, digits)


def echo_lines(rows: Iterable[Any]) -> None:
    """JSON lines on stdout: one object a line, written as it comes."""
    for row in rows:
        click.echo(to_json(row, ascii_only=_ascii_only()))


def echo_json(value: Any) -> None:
    """One JSON document on stdout."""
    click.echo(to_json(value, ascii_only=_ascii_only(), indent=2))


def _plain(value: Any) -> Any:
    if is_dataclass(value) and not isinstance(value, type):
        return {name: getattr(value, name) for name in _names(type(value))}
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, bytes):
        return value.hex()
    raise TypeError(f"{type(value).__name__} has no JSON form")


@functools.cache
def _names(cls: type) -> tuple[str, ...]:
    return tuple(field.name for field in fields(cls))


def _ascii_only() -> bool:
    # Escaped by JSON itself where stdout cannot hold everything: the stream's own escapes are not JSON.
    return (sys.stdout.encoding or "ascii").lower().replace("-", "") != "utf8"
