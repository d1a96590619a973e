"""Compression: a build in floating point becomes one of small integers, part by part, with NNCF alone."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Collection
from importlib.metadata import version
from pathlib import Path
from typing import Any

from pipeline.display import duration, size
from pipeline.errors import ModelCompressed, NothingToCompress, RecipeNeedsData
from pipeline.models import builds, ir
from pipeline.models.catalogue import FAMILIES
from pipeline.models.recipes import Recipe

FLOATS = {"fp16", "bf16", "fp32"}
TOOLS = ("nncf", "openvino")
SHARES = {4: 0.4, 8: 0.6, None: 1.0}
"""what is left of 16 bits at most, by the bits asked for: 4 come with layers in 8, with scales and zero points"""
EXACT = {family.npu_recipe for family in FAMILIES.values()}
"""recipes of which no layer may differ: an NPU takes nothing else"""

Tell = Callable[[str], None]


def compress(source: Path, out: Path, recipe: Recipe, *, made: Collection[str] = (), tell: Tell) -> dict[str, Any]:
    """Write the build in `source` into the folder `out` as the recipe says; the facts for its manifest.

    Layers whose width the recipe's groups do not divide get smaller groups, or 8 bit, and the facts name them.
    `made` names the parts that `out` holds already.
    """
    check_source(source)
    check_recipe(recipe)
    copy_rest(source, out)
    fallbacks = {}
    for xml in ir.parts(source):
        if xml.stem not in made and (layers := _part(xml, out, recipe, tell)):
            fallbacks[xml.stem] = layers
    return {"recipe": recipe.document(), "fallbacks": fallbacks, "tools": {tool: version(tool) for tool in TOOLS}}


def check_source(source: Path) -> None:
    """Refuse a build that was compressed before: its floats are gone."""
    kinds = {kind for widths in ir.widths(source).values() for kind in widths} - FLOATS
    if kinds:
        raise ModelCompressed(path=source, kinds=" and ".join(sorted(kinds)))


def check_recipe(recipe: Recipe) -> None:
    """Refuse what needs more than an IR, or does nothing to it."""
    if any(part.is_data_aware for part in (recipe.language, recipe.vision, recipe.others)):
        raise RecipeNeedsData(recipe=recipe.name)
    if not recipe.compresses:
        raise NothingToCompress(recipe=recipe.name)


def needs(source: Path, recipe: Recipe) -> int:
    """Bytes that the compressed build takes at most."""
    shares = {xml.with_suffix(".bin"): SHARES[recipe.part(xml.stem).bits] for xml in ir.parts(source)}
    return sum(round(file.stat().st_size * shares.get(file, 1.0)) for _, file in builds.files(source))


def copy_rest(source: Path, out: Path) -> None:
    """Copy what is no part: tokenizers, JSON, templates."""
    parts = {file for xml in ir.parts(source) for file in (xml, xml.with_suffix(".bin"))}
    for name, file in builds.files(source):
        if file not in parts:
            target = out / name
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(file, target)


def _part(xml: Path, out: Path, recipe: Recipe, tell: Tell) -> list[dict[str, Any]]:
    """One part, told of before and after: that of a large model takes minutes."""
    from workers.compression.weights import compress_part

    weights = recipe.part(xml.stem)
    before, begun = xml.with_suffix(".bin").stat().st_size, time.monotonic()
    if weights.bits is None:
        tell(f"{xml.stem}: {size(before)}, copied")
        for file in (xml, xml.with_suffix(".bin")):
            shutil.copyfile(file, out / file.name)
        return []
    tell(f"{xml.stem}: {size(before)} to {weights.mode}")
    fallen = compress_part(xml, out / xml.name, recipe.name, weights, exact=recipe.name in EXACT)
    after = (out / xml.name).with_suffix(".bin").stat().st_size
    tell(f"{xml.stem}: {size(after)} after {duration(time.monotonic() - begun)}")
    return fallen
