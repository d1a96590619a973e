"""The bricks of a graph: inputs, products, norms, attention, and saving one under its tensor names."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import openvino as ov
from openvino import PartialShape, Type
from openvino import opset13 as op

if TYPE_CHECKING:
    from tests.models.weights import Weights

Value = Any
"""an `ov.Output` or `ov.Node`: openvino's operators take both and carry no types"""

EPSILON = np.float32(1e-5)


def given(name: str, shape: Sequence[int], kind: Type = Type.f32) -> Value:
    """An input; -1 is a free dimension."""
    made = op.parameter(PartialShape(list(shape)), kind, name=name)
    made.output(0).get_tensor().set_names({name})
    return made


def integers(*values: int) -> Value:
    return op.constant(np.array(values, np.int64))


def scalar(value: int) -> Value:
    return op.constant(np.int64(value))


def numbers(values: Any) -> Value:
    return op.constant(np.asarray(values, np.float32))


def length(value: Value, axis: int) -> Value:
    """The size of one dimension, as a vector of one element."""
    return op.gather(op.shape_of(value), integers(axis), scalar(0))


def linear(value: Value, weight: Value) -> Value:
    return op.matmul(value, weight, False, True)


def norm(value: Value, scales: Value) -> Value:
    """A root mean square norm over the last axis."""
    square = op.reduce_mean(op.multiply(value, value), integers(-1), True)
    return op.multiply(op.divide(value, op.sqrt(op.add(square, EPSILON))), scales)


def split(value: Value, heads: int, size: int) -> Value:
    """[batch, tokens, heads * size] -> [batch, heads, tokens, size]"""
    return op.transpose(op.reshape(value, integers(0, 0, heads, size), True), integers(0, 2, 1, 3))


def join(value: Value, width: int) -> Value:
    """[batch, heads, tokens, size] -> [batch, tokens, heads * size]"""
    return op.reshape(op.transpose(value, integers(0, 2, 1, 3)), integers(0, 0, width), True)


def rotate(value: Value, angles: Value, size: int) -> Value:
    """Rotary positions: the two halves of each head are turned by their angles."""
    first, second = op.split(value, scalar(-1), 2).outputs()
    cos, sin = op.cos(angles), op.sin(angles)
    turned = (
        op.subtract(op.multiply(first, cos), op.multiply(second, sin)),
        op.add(op.multiply(second, cos), op.multiply(first, sin)),
    )
    return op.concat(list(turned), -1)


def perceptron(value: Value, weights: Weights, width: int, inner: int, out: int | None = None) -> Value:
    """Two products with a GELU between them."""
    wide = op.gelu(linear(value, weights.matrix(inner, width)), "tanh")
    return linear(wide, weights.matrix(out or width, inner, gain=1.5))


def save(
    path: Path, outputs: Mapping[str, Value], inputs: Sequence[Value], *, sinks: Sequence[Value] = (), f16: bool = False
) -> None:
    results = []
    for name, value in outputs.items():
        result = op.result(value)
        result.output(0).get_tensor().set_names({name})
        results.append(result)
    model = ov.Model(results, list(sinks), list(inputs), path.stem)
    _number(model)
    ov.save_model(model, path, compress_to_fp16=f16)


def _number(model: ov.Model) -> None:
    """Name the operations by their place, since the names they get by themselves count up over the whole process."""
    for place, node in enumerate(model.get_ordered_ops()):
        if node.get_type_name() != "Parameter":
            node.set_friendly_name(f"{node.get_type_name()}_{place}")
