from __future__ import annotations

import gc
import mmap
import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import openvino_genai as genai
import pytest

from pipeline.errors import ImageUnsupported, PromptTooLong
from pipeline.prompts import Sampling
from tests.engine_child import CONTEXT, build
from workers.engine.folder import ModelFolder
from workers.engine.inputs import InputMaker, view
from workers.engine.requests import Frame, Request

PAGE = mmap.PAGESIZE


@pytest.fixture
def pixels() -> Iterator[int]:
    fd = os.memfd_create("pixels")
    os.pwrite(fd, bytes(range(24)), PAGE)
    yield fd
    os.close(fd)


@pytest.fixture
def maker(tmp_path: Path, pixels: int) -> InputMaker:
    path = build("llava", tmp_path)
    return InputMaker(ModelFolder.open(path), genai.Tokenizer(path), genai.GenerationConfig(), pixels, logprobs=True)


def ask(question: str, *frames: Frame, max_tokens: int = 100) -> Request:
    return Request(id=1, frames=frames, messages=(("user", question),), sampling=Sampling(max_tokens=max_tokens))


def test_pixels_are_seen_where_they_lie(pixels: int) -> None:
    picture = view(pixels, Frame(offset=PAGE, width=4, height=2))
    assert picture.shape == (1, 2, 4, 3)
    assert picture.ravel().tolist() == list(range(24))
    os.pwrite(pixels, bytes(24), PAGE)
    assert not picture.any()


def test_pixels_that_are_not_there_are_the_pictures_fault(pixels: int) -> None:
    with pytest.raises(ImageUnsupported):
        view(pixels, Frame(offset=PAGE, width=4, height=3))


def test_a_picture_becomes_a_tensor(maker: InputMaker) -> None:
    inputs = maker.make(ask("What?", Frame(offset=PAGE, width=4, height=2)))
    gc.collect()  # the tensor alone keeps the memory mapped
    (image,) = inputs.images
    assert np.asarray(image.data).ravel().tolist() == list(range(24))
    assert list(image.shape) == [1, 2, 4, 3]


def test_the_question_and_its_answer_must_fit_together(maker: InputMaker) -> None:
    room = CONTEXT - 100
    frame = len("USER:  ASSISTANT:")
    maker.make(ask("é" * ((room - frame) // 2)))
    with pytest.raises(PromptTooLong) as raised:
        maker.make(ask("é" * (room // 2)))
    assert raised.value.facts == {"tokens": 2 * (room // 2) + frame, "limit": room}


def test_tokens_count_not_characters(maker: InputMaker) -> None:
    words = CONTEXT // 2
    assert len(" house" * words) > CONTEXT
    maker.make(ask(" house" * words))


def test_no_room_is_left_when_the_answer_takes_it_all(maker: InputMaker) -> None:
    with pytest.raises(PromptTooLong):
        maker.make(ask("What?", max_tokens=CONTEXT + 1))
