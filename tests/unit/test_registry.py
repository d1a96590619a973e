from __future__ import annotations

from typing import Any

import numpy as np
import openvino as ov
import pytest

from workers.engine.registry import are_the_same, face

Pixels = np.ndarray[Any, Any]


def noise(seed: int, width: int = 640, height: int = 480) -> Pixels:
    return np.random.default_rng(seed).integers(0, 256, (1, height, width, 3), np.uint8)


def tensor(pixels: Pixels) -> ov.Tensor:
    return ov.Tensor(np.ascontiguousarray(pixels))


def changed(pixels: Pixels, place: int) -> Pixels:
    other = pixels.copy()
    other.reshape(-1)[place] ^= 1
    return other


def test_equal_pictures_have_one_face() -> None:
    one, other = tensor(noise(1)), tensor(noise(1))
    assert face(one) == face(other)
    assert are_the_same(one, other)


def test_the_shape_is_part_of_the_face() -> None:
    pixels = noise(1)
    assert face(tensor(pixels)) != face(tensor(pixels.reshape(1, 640, 480, 3)))


@pytest.mark.parametrize(("size", "place", "seen"), [
    ((640, 480), 0, True),
    ((640, 480), 8, False),
    ((640, 480), 64, True),
    ((640, 480), -1, True),
    ((100, 100), 12_345, True),  # small: looked at as it is
    ((101, 101), 12_345, True),
    ((2000, 1500), 64, False),
    ((2000, 1500), 32 * 8, True),
])  # fmt: skip
def test_only_some_bytes_are_looked_at(size: tuple[int, int], place: int, seen: bool) -> None:
    pixels = noise(1, *size)
    one, other = tensor(pixels), tensor(changed(pixels, place))
    assert (face(one) != face(other)) is seen
    assert not are_the_same(one, other)
