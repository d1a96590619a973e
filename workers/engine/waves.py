"""Waves: questions about the same pictures, answered together so that each picture is encoded once.

`add_request` of openvino-genai encodes the pictures of every request anew: 4 questions about a picture cost 3.9
times one. Its `generate` keeps what it has encoded, but it is a barrier: it starts when nothing runs, and nothing
joins it. So the loop lets the engine run empty, shows it some pictures, and has their questions answered at once.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import Protocol

from workers.engine.requests import Completion, Frame, Refusal, Request

WAVE_PICTURES = 8
"""More gained nothing in a wave of 32 questions."""
WAVE_S = 1.0
"""How long a wave may go on taking in pictures, if its answers are quick. It may go on for as long as the answers of
the wave before took: so a single question that comes meanwhile waits for about twice what the answers take. With one
picture in a wave instead of eight, questions cost 8 % more CPU where encoding is most of it, 40 % where answers are."""


class Broken(Exception):
    """The questions could not be answered together: which of them is at fault shows when they are asked singly."""


class Waves(Protocol):
    """How a core answers questions together. `answer` is called in a thread of its own, all else from the loop's."""

    @property
    def most(self) -> int:
        """How many questions a wave may have. Less than two: no waves for now."""

    @property
    def pulse(self) -> object:
        """Something that changes as long as `answer` gets on."""

    def fits(self, group: Sequence[Request]) -> bool:
        """Whether the pictures of this group can be in one wave with those that were shown."""

    def show(self, group: Sequence[Request]) -> list[Completion | Refusal]:
        """Encode the pictures of a group for the wave. The endings of those that can never run; raises `Broken`."""

    def answer(self) -> list[Completion | Refusal]:
        """Answer all questions about the pictures that were shown. Raises `Broken`."""


def together(waiting: Iterable[Request], apart: Collection[int]) -> list[list[Request]]:
    """Those that share their pictures with another one that waits, picture by picture, in the order they came in.

    Frames tell: the parent puts a picture into shared memory once. `apart` are to be asked singly.
    """
    groups: dict[tuple[Frame, ...], list[Request]] = {}
    for request in waiting:
        if request.frames and request.id not in apart:
            groups.setdefault(request.frames, []).append(request)
    return [group for group in groups.values() if len(group) > 1]
