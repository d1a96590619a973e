"""Telling: what a watcher does, as lines for a person or as events for a program."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from pipeline.display import echo_lines, note, printable
from pipeline.locators import printable as shown

Tell = Callable[..., None]
"""tell(event, text, **facts)"""


@dataclass(frozen=True)
class Telling:
    """Tells each event once: as a JSON line on standard output, or as text."""

    as_json: bool = False
    note: Callable[[str], None] = note

    def __call__(self, event: str, text: str | None, **facts: Any) -> None:
        if self.as_json:
            at = datetime.now(UTC).isoformat(timespec="milliseconds")
            known = {name: value for name, value in facts.items() if value is not None}
            echo_lines([{"event": event, "at": at, **({"text": text} if text else {}), **known}])
        elif event == "answered":
            self.note("\n".join(_answered(facts["path"], facts["answers"], facts["now"])))
        elif text:
            self.note(text)


def _answered(path: str, answers: Sequence[dict[str, str]], where: str | None) -> list[str]:
    head = shown(path) + (f" ({where})" if where else "")
    if len(answers) == 1:
        return [f"{head}: {printable(answers[0]['text'])}"]
    return [f"{head}:", *(f"  {printable(one['question'])} {printable(one['text'])}" for one in answers)]
