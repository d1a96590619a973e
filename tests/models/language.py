"""The language model of a build, with its text embeddings: a small decoder with rotary positions and a KV cache.

Not all of it is random. The last product has a bias that lets the model say whole words, full stops and
its end token only. And the first channel of the residual stream is a wire: no layer writes to it, the
embeddings set it to plus for a full stop, to nothing for a word and to minus for all else, and the last
product reads it so that a full stop can only follow a word, and the end token only, and always, a full stop.
So an answer reads like a sentence, and none is empty.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
from openvino import PartialShape, Type
from openvino import opset13 as op
from openvino.op.util import Variable, VariableInfo

from tests.models.graph import Value, given, integers, join, length, linear, norm, numbers, rotate, save, scalar, split
from tests.models.size import Size
from tests.models.vocabulary import FULL_STOP_ID, TOKENS, WORD_IDS
from tests.models.weights import Weights

_NEVER = -1000.0
_WIRE = 2.0
"""how strong the wire is beside all other channels: enough to be read at the end, not so much as to drown them"""
_LOGITS = 3.0
"""standard deviation of a word's logit: sure enough that few choices are near-ties"""


def write_language(folder: Path, seed: int, size: Size, *, end: int, ending: float | None, mrope: bool) -> None:
    """Write the text embeddings and the language model.

    `end` is the end token. `ending` raises the full stop's logit, in standard deviations; with none,
    nothing ends an answer but its length. `mrope`: positions come in three rows, as Qwen2-VL's do.
    """
    _write_embeddings(folder, Weights(seed, "text_embeddings", size.storage), size)
    _write_decoder(folder, Weights(seed, "language", size.storage), size, end, ending, mrope)


def _write_embeddings(folder: Path, weights: Weights, size: Size) -> None:
    ids = given("input", (-1, -1), Type.i64)
    table = weights.table(len(TOKENS), size.hidden)
    table[:, 0] = -_WIRE * size.hidden**0.5
    table[list(WORD_IDS), 0] = 0
    table[FULL_STOP_ID, 0] = _WIRE * size.hidden**0.5
    embeds = op.gather(op.constant(table), ids, scalar(0))
    path = folder / "openvino_text_embeddings_model.xml"
    save(path, {"inputs_embeds": embeds}, [ids], f16=weights.as_f16)


def _write_decoder(folder: Path, weights: Weights, size: Size, end: int, ending: float | None, mrope: bool) -> None:
    embeds = given("inputs_embeds", (-1, -1, size.hidden))
    mask = given("attention_mask", (-1, -1), Type.i64)
    positions = given("position_ids", (3, -1, -1) if mrope else (-1, -1), Type.i64)
    beams = given("beam_idx", (-1,), Type.i32)
    angles = _angles(positions, size.hidden // size.heads, mrope)
    visible = _visible(embeds, mask)
    cache = _Cache(embeds, beams, size)
    value: Value = embeds
    for layer in range(size.layers):
        normed = norm(value, weights.scales(size.hidden))
        value = op.add(value, _attention(normed, weights, size, angles, visible, cache, layer))
        value = op.add(value, _feed_forward(norm(value, weights.scales(size.hidden)), weights, size))
    logits = _head(norm(value, weights.scales(size.hidden)), weights, size, end, ending)
    path = folder / "openvino_language_model.xml"
    inputs = [mask, positions, embeds, beams]
    save(path, {"logits": logits}, inputs, sinks=cache.assigned, f16=weights.as_f16)


def _angles(positions: Value, head: int, mrope: bool) -> Value:
    """[batch, 1, tokens, head / 2]: how far each pair of channels is turned at each position.

    With three rows of positions (time, height, width), each row turns its own share of the channels.
    """
    speeds = 10000.0 ** (-np.arange(head // 2) / (head // 2))
    places = op.unsqueeze(op.convert(positions, Type.f32), integers(-1))
    if mrope:
        shares = np.array_split(np.arange(head // 2), 3)
        rows = np.stack([np.isin(np.arange(head // 2), share) * speeds for share in shares])
        turned = op.reduce_sum(op.multiply(places, numbers(rows[:, None, None])), integers(0), False)
    else:
        turned = op.multiply(places, numbers(speeds[None, None]))
    return op.unsqueeze(turned, integers(1))


def _visible(embeds: Value, mask: Value) -> Value:
    """The causal mask with padding left out: 0 where a token may look, a large negative number elsewhere."""
    new, known = (op.squeeze(length(value, 1), integers(0)) for value in (embeds, mask))
    keys = op.range(scalar(0), known, scalar(1), Type.i64)
    queries = op.add(op.range(scalar(0), new, scalar(1), Type.i64), op.subtract(known, new))
    causal = op.less_equal(op.unsqueeze(keys, integers(0)), op.unsqueeze(queries, integers(1)))
    real = op.unsqueeze(op.not_equal(mask, scalar(0)), integers(1, 2))
    allowed = op.logical_and(op.unsqueeze(causal, integers(0, 1)), real)
    return op.select(allowed, numbers(0), numbers(-65504))


class _Cache:
    """The keys and values of earlier tokens, in variables named as the exporters name them."""

    def __init__(self, embeds: Value, beams: Value, size: Size) -> None:
        self._heads, self._head = size.heads, size.hidden // size.heads
        batch = length(embeds, 0)
        self._empty = op.broadcast(numbers(0), op.concat([batch, integers(self._heads, 0, self._head)], 0))
        self._beams = beams
        self.assigned: list[Value] = []

    def extend(self, layer: int, kind: str, new: Value) -> Value:
        variable = Variable(self._info(f"past_key_values.{layer}.{kind}present.{layer}.{kind}"))
        past = op.gather(op.read_value(self._empty, variable), self._beams, scalar(0))
        whole = op.concat([past, new], -2)
        self.assigned.append(op.assign(whole, variable))
        return whole

    def _info(self, name: str) -> VariableInfo:
        info = VariableInfo()
        info.data_shape = PartialShape([-1, self._heads, -1, self._head])
        info.data_type = Type.f32
        info.variable_id = name
        return info


def _attention(
    value: Value, weights: Weights, size: Size, angles: Value, visible: Value, cache: _Cache, layer: int
) -> Value:
    head = size.hidden // size.heads
    # Sharp attention: with flat attention a picture's few tokens are averaged away.
    query, key, content = (
        split(linear(value, weights.matrix(size.hidden, size.hidden, gain=gain)), size.heads, head)
        for gain in (2.5, 2.5, 1.0)
    )
    keys = cache.extend(layer, "key", rotate(key, angles, head))
    contents = cache.extend(layer, "value", content)
    seen = op.scaled_dot_product_attention(rotate(query, angles, head), keys, contents, visible, causal=False)
    return linear(join(seen, size.hidden), weights.matrix(size.hidden, size.hidden, gain=3.0, silent=1))


def _feed_forward(value: Value, weights: Weights, size: Size) -> Value:
    gate, up = (linear(value, weights.matrix(size.ffn, size.hidden)) for _ in range(2))
    return linear(op.multiply(op.swish(gate), up), weights.matrix(size.hidden, size.ffn, gain=2.0, silent=1))


def _head(value: Value, weights: Weights, size: Size, end: int, ending: float | None) -> Value:
    table = weights.table(len(TOKENS), size.hidden, deviation=_LOGITS / size.hidden**0.5)
    table[:, 0] = 0
    table[FULL_STOP_ID, 0] = -2 * _NEVER
    table[end] = 0
    table[end, 0] = -4 * _NEVER
    return op.add(linear(value, op.constant(table)), numbers(_bias(WORD_IDS, end, ending)[None, None]))


def _bias(words: Sequence[int], end: int, ending: float | None) -> npt.NDArray[np.float32]:
    bias = np.full(len(TOKENS), _NEVER, np.float32)
    bias[list(words)] = 0
    if ending is not None:
        bias[FULL_STOP_ID] = ending * _LOGITS
    return bias
