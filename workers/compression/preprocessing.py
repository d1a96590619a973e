"""From a picture to what a vision tower receives, as openvino-genai does it for each family.

Only what openvino-genai reads of preprocessor_config.json counts, with its defaults (seen in 2026.4). It resizes by
a copy of Pillow's own filter, so Pillow gives the same pixels.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

Config = Mapping[str, Any]
Tiles = npt.NDArray[np.float32]
"""[tiles, 3, height, width]"""

SIDE = 336
MOST_TILES = 12


def llava(picture: Image.Image, config: Config) -> Tiles:
    """The shortest edge as the config says but no side below the crop's, and the crop from the middle."""
    edge = _number(config, "size", "shortest_edge")
    crop = _number(config, "crop_size", "width"), _number(config, "crop_size", "height")
    scale = np.float32(edge) / np.float32(min(picture.size))
    width, height = (max(int(np.float32(side) * scale), least) for side, least in zip(picture.size, crop, strict=True))
    left, top = (width - crop[0]) // 2, (height - crop[1]) // 2
    resized = _resized(picture, width, height)
    return _normalised([resized.crop((left, top, left + crop[0], top + crop[1]))], config)


def internvl(picture: Image.Image, config: Config) -> Tiles:
    """Square tiles in the grid whose form is nearest the picture's, and the whole picture after them."""
    side = _number(config, "size", "shortest_edge")
    columns, rows = _grid(*picture.size, side)
    resized = _resized(picture, columns * side, rows * side)
    corners = [(column * side, row * side) for row in range(rows) for column in range(columns)]
    tiles = [resized.crop((left, top, left + side, top + side)) for left, top in corners]
    if len(tiles) > 1:
        tiles.append(_resized(picture, side, side))
    return _normalised(tiles, config)


def _resized(picture: Image.Image, width: int, height: int) -> Image.Image:
    """First across, then down: Pillow 13 begins with what shrinks more, and what is rounded between then differs."""
    across = picture.resize((width, picture.height), Image.Resampling.BICUBIC)
    return across.resize((width, height), Image.Resampling.BICUBIC)


def _grid(width: int, height: int, side: int) -> tuple[int, int]:
    """Columns and rows; of two grids of one form the larger, if the picture has half as many pixels at least."""
    counts = range(1, MOST_TILES + 1)
    grids = sorted(((x, y) for x in counts for y in counts if x * y <= MOST_TILES), key=lambda grid: grid[0] * grid[1])
    form = np.float32(width) / np.float32(height)
    best, least = (1, 1), np.float32(np.inf)
    for grid in grids:
        distance = abs(form - np.float32(grid[0]) / np.float32(grid[1]))
        if distance < least or (distance == least and width * height > 0.5 * side * side * grid[0] * grid[1]):
            best, least = grid, distance
    return best


def _normalised(tiles: list[Image.Image], config: Config) -> Tiles:
    pixels = np.stack([np.asarray(tile, np.float32) for tile in tiles]) / np.float32(255)
    mean, deviation = (np.asarray(config.get(f"image_{name}") or default, np.float32) for name, default in _NEUTRAL)
    return np.ascontiguousarray(((pixels - mean) / deviation).transpose(0, 3, 1, 2), np.float32)


_NEUTRAL = (("mean", 0.0), ("std", 1.0))


def _number(config: Config, name: str, part: str) -> int:
    """A side; some configs have a bare number where openvino-genai looks for a part of an object, and are not read."""
    place = config.get(name)
    value = place.get(part) if isinstance(place, Mapping) else None
    return SIDE if value is None else int(value)


PREPARE: Mapping[str, Callable[[Image.Image, Config], Tiles]] = {"llava": llava, "internvl_chat": internvl}
"""by family, those whose towers take nothing but pixels"""
