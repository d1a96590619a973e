"""Random weights, as constants of a graph, in the forms that compressed builds store them in."""

from __future__ import annotations

import zlib

import numpy as np
import numpy.typing as npt
import openvino as ov
from openvino import Type
from openvino import opset13 as op

from tests.models.graph import Value, integers

_GROUP = 128


class Weights:
    """A seeded source of constants for one sub-model.

    Each sub-model draws from its own stream, so that changing one does not change the others. `gain` is
    the standard deviation of a product's elements where its inputs have one of 1.
    """

    def __init__(self, seed: int, name: str, storage: str) -> None:
        self._random = np.random.default_rng([seed, zlib.crc32(name.encode())])
        self._matrix = {"f32": self._plain, "f16": self._plain, "i8": self._bytes, "i4": self._halves}[storage]
        self.as_f16 = storage != "f32"
        """whether the floats that remain are to be saved in half precision, as every exported build has them"""

    def matrix(self, rows: int, columns: int, *, gain: float = 1.0, silent: int = 0) -> Value:
        """A weight matrix; its first `silent` rows are zero."""
        return self._matrix(rows, columns, gain / columns**0.5, silent)

    def kernel(self, channels: int, patch: int) -> Value:
        """A convolution's kernel, which compression leaves as it is."""
        return op.constant(self._normal((channels, 3, patch, patch), 1 / (3 * patch * patch) ** 0.5)).output(0)

    def table(self, rows: int, columns: int, *, deviation: float = 1.0) -> npt.NDArray[np.float32]:
        return self._normal((rows, columns), deviation)

    def scales(self, width: int) -> Value:
        """What a norm multiplies with: around one, never zero."""
        return op.constant(self._random.uniform(0.5, 1.5, width).astype(np.float32)).output(0)

    def _normal(self, shape: tuple[int, ...], deviation: float) -> npt.NDArray[np.float32]:
        return self._random.standard_normal(shape, np.float32) * np.float32(deviation)

    def _plain(self, rows: int, columns: int, deviation: float, silent: int) -> Value:
        values = self._normal((rows, columns), deviation)
        values[:silent] = 0
        return op.constant(values).output(0)

    def _bytes(self, rows: int, columns: int, deviation: float, silent: int) -> Value:
        """INT8_SYM: bytes with a scale a row."""
        values = self._random.integers(-127, 128, (rows, columns), np.int8)
        values[:silent] = 0
        return _scaled(op.constant(values), (rows, 1), deviation / 73.6)

    def _halves(self, rows: int, columns: int, deviation: float, silent: int) -> Value:
        """INT4_SYM: two values a byte, with a scale a group."""
        group = min(_GROUP, columns)
        shape = (rows, columns // group, group)
        packed = self._random.integers(0, 256, (rows, columns // 2), np.uint8)
        packed[:silent] = 0
        # Copied, since the tensor does not keep the array alive.
        stored = op.constant(ov.Tensor(packed, ov.Shape(shape), Type.i4), shared_memory=False)
        whole = _scaled(stored, (*shape[:2], 1), deviation / 4.64)
        return op.reshape(whole, integers(rows, columns), False).output(0)


def _scaled(stored: ov.Node, shape: tuple[int, ...], scale: float) -> Value:
    """Decompression as NNCF writes it, which the plugins know and run without unpacking the weights."""
    scales = op.constant(np.full(shape, scale, np.float16))
    return op.convert(op.multiply(op.convert(stored, Type.f16), scales), Type.f32).output(0)
