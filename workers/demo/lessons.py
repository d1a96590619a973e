"""Lessons: batches of pictures with what is to be said about them, each a function of seed and number."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional
from torch.utils.data import Dataset

from workers.demo import perception
from workers.demo.architecture import PATCHES, SIDE
from workers.demo.drawing import draw
from workers.demo.perception import IGNORED, Labels
from workers.demo.plan import Plan
from workers.demo.questions import KINDS, Question, ask, describe
from workers.demo.scenes import scene
from workers.demo.tokenizer import ASSISTANT, IMAGE, USER
from workers.demo.world import Scene

Pixels = npt.NDArray[np.uint8]
Tokens = list[int]

OFTEN = {
    "color": 1.0,
    "shape": 1.0,
    "count": 1.8,
    "presence": 1.3,
    "relation": 2.2,
    "neighbour": 2.4,
    "size": 0.8,
    "place": 1.8,
    "background": 0.3,
    "reading": 1.2,
}
"""how often a kind is asked about: the harder, the more"""
NARROW, NARROW_SHARE = ("panorama", "tall"), 0.25
"""formats that are hardest to see, squeezed into a square, and how often one is taken on purpose"""
ROOM = 160
"""tokens for the caption and the questions behind one picture"""


@dataclass(frozen=True, slots=True)
class Lesson:
    """One batch. The questions about a picture are packed one after the other behind it.

    The pictures at the end, beyond those asked about, are there for their patches alone.
    """

    pixels: Tensor
    """uint8, pictures x side x side x RGB"""
    patches: Tensor
    tokens: Tensor
    positions: Tensor
    segments: Tensor
    """0 for the picture, then 1, 2, ... for its questions, -1 for padding"""
    targets: Tensor


class Lessons(Dataset[Lesson]):
    """Lesson number n of a seed: no scene is ever shown twice."""

    def __init__(self, tokenizer: Any, plan: Plan) -> None:
        self._packer, self._plan = Packer(tokenizer), plan

    def __getitem__(self, number: int) -> Lesson:
        rng = random.Random(f"lesson {self._plan.seed} {number}")
        named, strange = self._scenes("lesson", number, rng), self._scenes("strange", number, rng)
        pixels = [_seen(draw(one), rng) for one in named] + [_seen(draw(one, strange=True), rng) for one in strange]
        patches = [perception.labels(one) for one in named] + [perception.labels(one, colors=False) for one in strange]
        return self._packer.lesson(pixels, patches, [self._questions(one, rng) for one in named])

    def _scenes(self, series: str, number: int, rng: random.Random) -> list[Scene]:
        """Their things get colors with a name, or, in the strange series, without, so that a shape is known in any.

        Without those a shape was told wrong in 19 of 100 cases where its color never came with it in training,
        and in 1 of 100 otherwise.
        """
        first = number * self._plan.pictures
        forms = [rng.choice(NARROW) if rng.random() < NARROW_SHARE else None for _ in range(self._plan.pictures)]
        return [scene(f"{series} {self._plan.seed}", first + place, form=form) for place, form in enumerate(forms)]

    def _questions(self, scene: Scene, rng: random.Random) -> list[tuple[Tokens, Tokens]]:
        """A caption, then questions by lot for as long as there is room."""
        said = [self._packer.turn(describe(scene, rng))]
        seen: set[str] = set()
        for kind in rng.choices(KINDS, [OFTEN[kind] for kind in KINDS], k=40):
            question = ask(scene, kind, rng)
            if question is None or question.text in seen:
                continue
            seen.add(question.text)
            said.append(self._packer.turn(_carelessly(question, rng)))
            if sum(len(asked) + len(answer) for asked, answer in said) > ROOM:
                return said[:-1]
        return said


def _seen(picture: Image.Image, rng: random.Random) -> Pixels:
    return _lit(warp(picture, sharp=rng.random() < 0.1), rng)


def _lit(pixels: Pixels, rng: random.Random) -> Pixels:
    """In a slightly other light."""
    gain, lift = rng.uniform(0.93, 1.07), rng.uniform(-8, 8)
    lit: Pixels = np.clip(pixels.astype(np.float32) * np.float32(gain) + np.float32(lift), 0, 255).astype(np.uint8)
    return lit


def _carelessly(question: Question, rng: random.Random) -> Question:
    """As people type: sometimes without capitals, sometimes without the mark at the end."""
    text = question.text
    if rng.random() < 0.15:
        text = text.lower()
    if rng.random() < 0.08:
        text = text.rstrip("?.")
    return Question(question.kind, text, question.answer)


class Packer:
    """Writes questions and answers as the tokens that the chat template would give."""

    def __init__(self, tokenizer: Any) -> None:
        self._tokenizer = tokenizer
        self._known: dict[str, Tokens] = {}
        self._before, self._picture, self._after = (self.tokens(text) for text in (USER, IMAGE, "\n"))
        self.head = len(self._before) + PATCHES + len(self._after)

    def tokens(self, text: str) -> Tokens:
        if text not in self._known:
            self._known[text] = self._tokenizer(text, add_special_tokens=False)["input_ids"]
        return self._known[text]

    def turn(self, question: Question) -> tuple[Tokens, Tokens]:
        """What is read, and what is to be said."""
        asked = self.tokens(question.text) + self.tokens(ASSISTANT)
        return asked, [*self.tokens(question.answer), self._tokenizer.eos_token_id]

    def lesson(
        self, pixels: Sequence[Pixels], patches: Sequence[Labels], turns: Sequence[Sequence[tuple[Tokens, Tokens]]]
    ) -> Lesson:
        longest = max(sum(len(asked) + len(answer) - 1 for asked, answer in said) for said in turns)
        shape = (len(turns), self.head + longest)
        tokens, positions = np.full(shape, self._tokenizer.pad_token_id), np.zeros(shape, np.int64)
        segments, targets = np.full(shape, -1), np.full(shape, IGNORED)
        tokens[:, : self.head] = self._before + self._picture * PATCHES + self._after
        positions[:, : self.head] = np.arange(self.head)
        segments[:, : self.head] = 0
        for row, said in enumerate(turns):
            start = self.head
            for number, (asked, answer) in enumerate(said, 1):
                end = start + len(asked) + len(answer) - 1
                tokens[row, start:end] = (asked + answer)[:-1]
                positions[row, start:end] = np.arange(self.head, self.head + end - start)
                segments[row, start:end] = number
                targets[row, start + len(asked) - 1 : end] = answer
                start = end
        arrays = (np.stack(pixels), np.stack(patches), tokens, positions, segments, targets)
        return Lesson(*(torch.from_numpy(array) for array in arrays))


def warp(picture: Image.Image, *, sharp: bool = False) -> Pixels:
    """A picture as the square the model sees.

    `sharp` leaves out the smoothing that Pillow does when it makes pictures smaller: engines differ in it.
    """
    if not sharp:
        return np.asarray(picture.resize((SIDE, SIDE), Image.Resampling.BICUBIC))
    planes = torch.from_numpy(np.array(picture)).permute(2, 0, 1)[None].float()
    small = functional.interpolate(planes, (SIDE, SIDE), mode="bicubic", align_corners=False, antialias=False)
    square: Pixels = small[0].clamp(0, 255).round().to(torch.uint8).permute(1, 2, 0).numpy()
    return square
