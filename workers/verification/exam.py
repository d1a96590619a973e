"""The exam: pictures and questions that are the same each time, drawn here and laid into shared memory."""

from __future__ import annotations

import os
from types import TracebackType
from typing import TYPE_CHECKING, Self

from pipeline.prompts import CAPTION, Sampling
from workers.engine.requests import Frame, Request
from workers.pixels import Pixels

if TYPE_CHECKING:
    from PIL.Image import Image

PICTURES = 2
SIDE = 256
"""Small and square: cut into tiles, a wide picture costs some families thirteen times as much."""
# The first two ask the same about two pictures of one size: what is said must not be the same to the last digit.
ASKED = ((0, CAPTION), (1, CAPTION), (0, "Which colors are there, and how many things?"))
SAMPLING = Sampling(max_tokens=24)


class Exam:
    """The pictures in shared memory and the questions about them, as long as the block lasts."""

    def __enter__(self) -> Self:
        from workers.demo.drawing import draw
        from workers.demo.scenes import scene

        self._pixels = Pixels(PICTURES, SIDE * SIDE, budget=1 << 30)
        frames = [self._laid(draw(scene("verify", number, form="square"))) for number in range(PICTURES)]
        self.questions = [
            Request(id=id, frames=(frames[place],), messages=(("user", text),), sampling=SAMPLING)
            for id, (place, text) in enumerate(ASKED)
        ]
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._pixels.close()

    @property
    def fd(self) -> int:
        return self._pixels.fd

    def _laid(self, picture: Image) -> Frame:
        offset = self._pixels.take()
        assert offset is not None
        os.pwrite(self._pixels.fd, picture.resize((SIDE, SIDE)).tobytes(), offset)
        return Frame(offset=offset, width=SIDE, height=SIDE)
