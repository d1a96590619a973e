"""A request as openvino-genai takes it: prompt, tensors, generation settings."""

from __future__ import annotations

import mmap
import os
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import openvino as ov
import openvino_genai as genai

from pipeline.errors import ImageUnsupported, JobError, PromptTooLong, RowInvalid
from workers.engine.chat import PICTURE, Chat
from workers.engine.complaint import complaint
from workers.engine.folder import ModelFolder
from workers.engine.requests import Frame, Request
from workers.engine.sampling import generation
from workers.engine.vocabulary import spelling
from workers.pixels import CHANNELS

Pixels = np.ndarray[tuple[int, ...], np.dtype[np.uint8]]


@dataclass(frozen=True)
class Inputs:
    """What `add_request` and `generate` are called with."""

    prompt: str
    images: list[ov.Tensor]
    generation: genai.GenerationConfig


class InputMaker:
    """Makes inputs for one loaded model."""

    def __init__(
        self,
        folder: ModelFolder,
        tokenizer: genai.Tokenizer,
        own: genai.GenerationConfig,
        pixels: int,
        *,
        logprobs: bool,
    ) -> None:
        self._chat = Chat(tokenizer, folder.special_tokens)
        self._tokenizer, self._own, self._pixels = tokenizer, own, pixels
        self._context, self._logprobs = folder.context, logprobs
        self._spelling = spelling(tokenizer)

    @property
    def holds_forms(self) -> bool:
        """Whether an answer can be held to a form."""
        return self._spelling is not None

    def make(self, request: Request, images: list[ov.Tensor] | None = None) -> Inputs:
        """Raises `PromptTooLong` before any picture is looked at. `images`: the request's, when they are at hand."""
        prompt = self._chat.prompt(request.messages, len(request.frames))
        self._check_length(prompt, len(request.frames), request.sampling.max_tokens)
        images = self.images(request) if images is None else images
        form = request.form if self.holds_forms else None
        config = generation(self._own, request.sampling, logprobs=self._logprobs, form=form, spelling=self._spelling)
        return Inputs(prompt, images, config)

    def images(self, request: Request) -> list[ov.Tensor]:
        """The request's pictures, where they lie."""
        return [ov.Tensor(view(self._pixels, frame), shared_memory=True) for frame in request.frames]

    def _check_length(self, prompt: str, pictures: int, answer: int) -> None:
        """A picture's own tokens are only known when it is encoded, so each counts as one here."""
        if self._context is None:
            return
        limit = max(0, self._context - answer)
        for place in range(pictures):
            prompt = prompt.replace(PICTURE.format(place), "\n", 1)
        if len(prompt.encode()) <= limit:  # a token is at least a byte
            return
        tokens = self._tokenizer.encode(prompt).input_ids.shape[1]
        if tokens > limit:
            raise PromptTooLong(tokens=tokens, limit=limit)


def view(pixels: int, frame: Frame) -> Pixels:
    """A picture where it lies in shared memory, as height x width x RGB. It stays as long as the request is inside.

    Reading it into an array of our own, and OpenVINO copying that, cost 0.8 ms of 3.6 for 640x480 and a tiny model.
    """
    size = frame.height * frame.width * CHANNELS
    if os.fstat(pixels).st_size < frame.offset + size:
        raise ImageUnsupported(why="its pixels are not there")
    mapped = mmap.mmap(pixels, size, flags=mmap.MAP_SHARED | mmap.MAP_POPULATE, offset=frame.offset)
    return np.frombuffer(mapped, np.uint8).reshape(1, frame.height, frame.width, CHANNELS)


def blame(error: Exception, inputs: Inputs, accepts: Callable[[Inputs], bool]) -> JobError:
    """Whose fault a refused request is: the picture's, if the same question about a plain one is taken.

    openvino-genai has a text of its own for each family and each fault, so asking again is the one
    way to know that holds for all.
    """
    plain = ov.Tensor(np.full((1, 64, 64, 3), 128, np.uint8))
    if inputs.images and accepts(replace(inputs, images=[plain] * len(inputs.images))):
        return ImageUnsupported(why=complaint(error))
    return RowInvalid(why=complaint(error))
