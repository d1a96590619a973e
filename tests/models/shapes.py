"""A language model with the layers of a published one: their names, their number, their shapes, random weights.

It is for compressing, not for answering: there is no attention between the products, and no KV cache.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import openvino as ov
from openvino import opset13 as op

from tests.models.graph import Value, given, integers, linear

_DEVIATION = 0.02


@dataclass(frozen=True, kw_only=True)
class Shape:
    """What decides the shapes of a Qwen2's layers."""

    layers: int = 24
    hidden: int = 896
    key_values: int = 128
    ffn: int = 4864
    vocabulary: int = 151_655


QWEN2_05B = Shape()
"""the language model of InternVL2-1B"""

NARROW = Shape(hidden=128, key_values=64, ffn=256, vocabulary=512)
"""as many layers, a two hundredth of the weights"""


def write_qwen2(path: Path, shape: Shape, seed: int = 0) -> Path:
    """Write its IR with weights in half precision, as exports have them."""
    embeds = given("inputs_embeds", (-1, -1, shape.hidden))
    source = _Source(seed)
    value: Value = embeds
    for layer in range(shape.layers):
        value = _layer(value, shape, source, f"__module.model.layers.{layer}")
    logits = source.product(value, shape.vocabulary, shape.hidden, "__module.lm_head")
    result = op.result(logits)
    result.output(0).get_tensor().set_names({"logits"})
    ov.save_model(ov.Model([result], [embeds], path.stem), path, compress_to_fp16=True)
    return path


def _layer(value: Value, shape: Shape, source: _Source, name: str) -> Value:
    query, key, content = (
        source.product(value, rows, shape.hidden, f"{name}.self_attn.{part}_proj")
        for part, rows in (("q", shape.hidden), ("k", shape.key_values), ("v", shape.key_values))
    )
    seen = op.multiply(query, op.reduce_mean(op.multiply(key, content), integers(-1), True))
    value = op.add(value, source.product(seen, shape.hidden, shape.hidden, f"{name}.self_attn.o_proj"))
    gate, up = (source.product(value, shape.ffn, shape.hidden, f"{name}.mlp.{part}_proj") for part in ("gate", "up"))
    inner = op.multiply(op.swish(gate), up)
    return op.add(value, source.product(inner, shape.hidden, shape.ffn, f"{name}.mlp.down_proj"))


class _Source:
    """Products with weights drawn by lot."""

    def __init__(self, seed: int) -> None:
        self._random = np.random.default_rng(seed)

    def product(self, value: Value, rows: int, columns: int, name: str) -> Value:
        drawn = self._random.standard_normal((rows, columns), np.float32) * np.float32(_DEVIATION)
        made = linear(value, op.constant(drawn))
        made.set_friendly_name(f"{name}/ov_ext::linear/MatMul")
        return made
