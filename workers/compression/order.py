"""An order: what a person wants compressed and how, and its way to a build that has its name."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pipeline.errors import UsageError
from pipeline.models import builds, ir, manifest
from pipeline.models.builds import ModelPlace
from pipeline.models.recipes import INT8, LANGUAGE, VISION, Recipe
from pipeline.models.staging import staged
from pipeline.settings import Settings
from workers.compression import Tell, check_recipe, check_source, compress, needs, pictures
from workers.compression.vision import check_family, quantise

FLOATS = ("-fp16", "-fp32", "-bf16")
W8A8 = "w8a8"
KEPT = ("source", "revision", "licence", "tools", "knows", "defaults")
"""of the source's manifest, what is as true of what is made from it"""


@dataclass(frozen=True, kw_only=True)
class Order:
    """Which build, by which recipe, under which name."""

    source: ModelPlace
    recipe: Recipe
    name: str
    quantises_vision: bool = False
    calibrate: Path | None = None
    """a folder of pictures; without it scenes are drawn"""


def default_name(source: ModelPlace, *endings: str | None) -> str:
    """What `internvl2-1b-fp16` becomes: `internvl2-1b-int4`."""
    name = source.alias or source.path.name
    for floats in FLOATS:
        name = name.removesuffix(floats)
    return "-".join([name, *filter(None, endings)])


def fulfil(order: Order, settings: Settings, tell: Tell) -> None:
    """Make the build and let it take its name; whatever goes wrong, whoever has that name keeps it."""
    source = order.source.path
    family = builds.check_files(source)
    if (settings.models / order.name).resolve() == source:
        raise UsageError(detail=f"{order.name} would replace the model it is made from. Choose another --name.")
    check_source(source)
    check_recipe(order.recipe)
    if order.quantises_vision:
        check_family(family)
    builds.check_free(settings.models, order.name, builds.source(source))
    largest = replace(order.recipe, vision=INT8) if order.quantises_vision else order.recipe
    with staged(settings.models, order.name, needs=needs(source, largest)) as out:
        manifest.write(out, _make(order, family, out, settings, tell))


def _make(order: Order, family: str, out: Path, settings: Settings, tell: Tell) -> dict[str, Any]:
    """The build in the folder, the tower first: if that is refused, little time is lost."""
    source = order.source.path
    origin = _origin(source, tell)
    vision = _vision(order, family, out, settings, tell) if order.quantises_vision else None
    facts = compress(source, out, order.recipe, made=[VISION] if vision else [], tell=tell)
    if vision:
        facts["recipe"]["vision"] = {"mode": W8A8}
        facts["vision"] = vision
    facts["tools"] = {**origin.pop("tools", {}), **facts["tools"]}
    return {"name": order.name, **origin, **facts}


def _origin(source: Path, tell: Tell) -> dict[str, Any]:
    """What the source tells of itself, and which build it is. One that is not what its manifest says is refused."""
    tell(f"Reading {source}")
    hashes = builds.hashes(source)
    manifest.check(source, hashes)
    told = builds.manifest(source)
    kept = {name: told[name] for name in KEPT if name in told}
    named = {"source": builds.source(source), "tools": _tools(source)}
    return {**named, **kept, "compressed_from": builds.digest(hashes).hex()}


def _tools(source: Path) -> dict[str, str]:
    return builds.tools(ir.read(source / f"{LANGUAGE}.xml").notes)


def _vision(order: Order, family: str, out: Path, settings: Settings, tell: Tell) -> dict[str, Any]:
    source = order.source.path
    given = order.calibrate
    shown = pictures.drawn() if given is None else pictures.found(given, settings, tell)
    agreement = quantise(source / f"{VISION}.xml", out / f"{VISION}.xml", family, shown, tell=tell)
    return {"mode": W8A8, "pictures": "drawn scenes" if given is None else "given", **agreement.document()}
