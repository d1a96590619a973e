"""The vision parts of a build: a transformer tower over patches, and what each family puts behind it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from openvino import Type
from openvino import opset13 as op

from tests.models.graph import Value, given, integers, join, linear, norm, numbers, perceptron, rotate, save, split
from tests.models.size import Size
from tests.models.weights import Weights

PATCH = 14
MERGE = 2
"""Qwen2-VL and InternVL2 make one token of 2 x 2 patches."""
QUERIES = 64
"""MiniCPM-V's tokens a slice"""
POSITIONS = 70
"""MiniCPM-V's table of positions is 70 x 70: its image_size of 980 in patches"""
PHI3_GRID, PHI3_WIDTH = 24, 1024
"""openvino-genai takes nothing else from Phi-3-vision's tower"""

_EMBEDDINGS = "openvino_vision_embeddings_model.xml"
_MERGER = "openvino_vision_embeddings_merger_model.xml"
_RESAMPLER = "openvino_resampler_model.xml"
_PROJECTION = "openvino_vision_projection_model.xml"


def write_vision(family: str, folder: Path, seed: int, size: Size) -> None:
    _WRITERS[family](folder, seed, size)


def _llava(folder: Path, seed: int, size: Size) -> None:
    weights = _weights(seed, "vision_embeddings", size)
    pixels = given("pixel_values", (-1, 3, -1, -1))
    seen = _tower(_placed(_patches(pixels, weights, size), weights, size, size.grid), weights, size)
    tokens = perceptron(seen, weights, size.vision_width, size.hidden, size.hidden)
    save(folder / _EMBEDDINGS, {"last_hidden_state": tokens}, [pixels], f16=weights.as_f16)


def _internvl(folder: Path, seed: int, size: Size) -> None:
    weights = _weights(seed, "vision_embeddings", size)
    pixels = given("pixel_values", (-1, 3, -1, -1))
    seen = _tower(_placed(_patches(pixels, weights, size), weights, size, size.grid), weights, size)
    merged = _shuffled(seen, size.grid, size.vision_width)
    tokens = perceptron(merged, weights, MERGE**2 * size.vision_width, size.hidden, size.hidden)
    save(folder / _EMBEDDINGS, {"last_hidden_state": tokens}, [pixels], f16=weights.as_f16)


def _phi3(folder: Path, seed: int, size: Size) -> None:
    weights = _weights(seed, "vision_embeddings", size)
    pixels = given("pixel_values", (-1, 3, -1, -1))
    seen = _tower(_placed(_patches(pixels, weights, size), weights, size, PHI3_GRID), weights, size)
    features = linear(seen, weights.matrix(PHI3_WIDTH, size.vision_width))
    save(folder / _EMBEDDINGS, {"last_hidden_state": features}, [pixels], f16=weights.as_f16)

    weights = _weights(seed, "vision_projection", size)
    merged = given("input", (-1, -1, MERGE**2 * PHI3_WIDTH))
    tokens = perceptron(merged, weights, MERGE**2 * PHI3_WIDTH, size.hidden, size.hidden)
    save(folder / _PROJECTION, {"last_hidden_state": tokens}, [merged], f16=weights.as_f16)


def _qwen2(folder: Path, seed: int, size: Size) -> None:
    """Only the patches are embedded alone; the tower is in the merger, over all pictures of a request at once."""
    weights = _weights(seed, "vision_embeddings", size)
    flat = given("hidden_states", (-1, 2 * 3 * PATCH * PATCH))
    embedded = linear(flat, weights.matrix(size.vision_width, 2 * 3 * PATCH * PATCH))
    save(folder / _EMBEDDINGS, {"last_hidden_state": embedded}, [flat], f16=weights.as_f16)

    weights = _weights(seed, "vision_embeddings_merger", size)
    states = given("hidden_states", (-1, size.vision_width))
    mask = given("attention_mask", (1, -1, -1))
    angles = given("rotary_pos_emb", (-1, size.vision_width // size.vision_heads // 2))
    batch = op.unsqueeze(states, integers(0))
    seen = _tower(batch, weights, size, mask=op.unsqueeze(mask, integers(0)), angles=angles)
    wide = MERGE**2 * size.vision_width
    tokens = perceptron(op.reshape(seen, integers(-1, wide), False), weights, wide, wide, size.hidden)
    save(folder / _MERGER, {"last_hidden_state": tokens}, [states, mask, angles], f16=weights.as_f16)


def _minicpm(folder: Path, seed: int, size: Size) -> None:
    weights = _weights(seed, "vision_embeddings", size)
    pixels = given("pixel_values", (-1, 3, -1, -1))
    real = given("patch_attention_mask", (-1, -1, -1))
    places = given("position_ids", (-1, -1), Type.i64)
    table = op.constant(weights.table(POSITIONS**2, size.vision_width, deviation=0.5))
    patches = op.add(_patches(pixels, weights, size), op.gather(table, places, integers(0)))
    seen = _tower(patches, weights, size, mask=_hidden(op.subtract(numbers(1), op.unsqueeze(real, integers(1)))))
    save(folder / _EMBEDDINGS, {"last_hidden_state": seen}, [pixels, real, places], f16=weights.as_f16)

    weights = _weights(seed, "resampler", size)
    inputs, tokens = _resampler(weights, size)
    save(folder / _RESAMPLER, {"last_hidden_state": tokens}, inputs, f16=weights.as_f16)


def _resampler(weights: Weights, size: Size) -> tuple[list[Value], Value]:
    """A fixed number of learned queries looks at a slice's patches, which brings each slice to as many tokens."""
    features = given("image_feature", (-1, -1, size.vision_width))
    places = given("pos_embed", (-1, -1, size.hidden))
    padding = given("key_padding_mask", (-1, -1))
    content = linear(features, weights.matrix(size.hidden, size.vision_width))
    placed = op.add(content, op.transpose(places, integers(1, 0, 2)))
    head = size.hidden // size.heads
    query, key, value = (
        split(linear(part, weights.matrix(size.hidden, size.hidden, gain=2.0)), size.heads, head)
        for part in (op.constant(weights.table(QUERIES, size.hidden)[None]), placed, content)
    )
    mask = _hidden(op.unsqueeze(padding, integers(1, 2)))
    seen = join(op.scaled_dot_product_attention(query, key, value, mask, causal=False), size.hidden)
    tokens = linear(norm(seen, weights.scales(size.hidden)), weights.matrix(size.hidden, size.hidden))
    return [features, places, padding], tokens


def _weights(seed: int, name: str, size: Size) -> Weights:
    return Weights(seed, name, size.vision_storage)


def _patches(pixels: Value, weights: Weights, size: Size) -> Value:
    """[pictures, 3, height, width] -> [pictures, patches, width of the tower]"""
    step = [PATCH, PATCH]
    grid = op.convolution(pixels, weights.kernel(size.vision_width, PATCH), step, [0, 0], [0, 0], [1, 1])
    return op.transpose(op.reshape(grid, integers(0, size.vision_width, -1), True), integers(0, 2, 1))


def _placed(patches: Value, weights: Weights, size: Size, grid: int) -> Value:
    return op.add(patches, op.constant(weights.table(grid * grid, size.vision_width, deviation=0.5)[None]))


def _hidden(flags: Value) -> Value:
    """An attention mask from flags that are 1 where nothing is to be seen."""
    return op.multiply(flags, numbers(-1e4))


def _tower(value: Value, weights: Weights, size: Size, *, mask: Value = None, angles: Value = None) -> Value:
    width = size.vision_width
    for _ in range(size.vision_layers):
        value = op.add(value, _attention(norm(value, weights.scales(width)), weights, size, mask, angles))
        value = op.add(value, perceptron(norm(value, weights.scales(width)), weights, width, size.vision_ffn))
    return norm(value, weights.scales(width))


def _attention(value: Value, weights: Weights, size: Size, mask: Value, angles: Value) -> Value:
    width, head = size.vision_width, size.vision_width // size.vision_heads
    query, key, content = (
        split(linear(value, weights.matrix(width, width, gain=gain)), size.vision_heads, head)
        for gain in (2.0, 2.0, 1.0)
    )
    if angles is not None:
        query, key = (rotate(part, angles, head) for part in (query, key))
    seen = op.scaled_dot_product_attention(query, key, content, mask, causal=False)
    return linear(join(seen, width), weights.matrix(width, width))


def _shuffled(seen: Value, grid: int, width: int) -> Value:
    """Pixel shuffle: 2 x 2 neighbouring patches become one wider one."""
    half = grid // MERGE
    tiles = op.reshape(seen, integers(0, half, MERGE, half, MERGE * width), True)
    return op.reshape(op.transpose(tiles, integers(0, 1, 3, 2, 4)), integers(0, half * half, MERGE**2 * width), True)


_WRITERS: dict[str, Callable[[Path, int, Size], None]] = {
    "llava": _llava,
    "qwen2_vl": _qwen2,
    "internvl_chat": _internvl,
    "minicpmv": _minicpm,
    "phi3_v": _phi3,
}
