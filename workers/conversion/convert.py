"""A conversion: a checkpoint on this machine becomes a build, by a recipe."""

from __future__ import annotations

import platform
import shutil
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

from pipeline.errors import FamilyUnsupported
from pipeline.models.builds import read_json
from pipeline.models.catalogue import FAMILIES, Family
from pipeline.models.recipes import Recipe, Weights
from workers.compression import compress
from workers.conversion.export import Tell, export
from workers.conversion.mending import mend

TOOLS = ("optimum-intel", "transformers", "torch", "nncf", "openvino", "openvino-genai", "openvino-tokenizers")


def family_of(checkpoint: Path) -> Family:
    """The family of a checkpoint. Refuses one that there is no recipe for."""
    name = str(read_json(checkpoint / "config.json").get("model_type"))
    if name not in FAMILIES:
        raise FamilyUnsupported(path=checkpoint, family=name, known=", ".join(FAMILIES))
    return FAMILIES[name]


def convert(
    checkpoint: Path, out: Path, recipe: Recipe, *, log: Path, tell: Tell, trust_remote_code: bool = False
) -> dict[str, Any]:
    """Make a build in the folder `out`; what the manifest is to say about how.

    optimum-intel exports, and what it exported is compressed as any other IR is. Only where weights are chosen by
    looking at data does it compress too, since that needs the checkpoint.
    """
    trust = ["--trust-remote-code"] if trust_remote_code else []
    family = family_of(checkpoint)
    made: dict[str, Any] = {"recipe": recipe.document()}
    if recipe.language.is_data_aware:
        export(checkpoint, out, [*_flags(recipe.language), *trust], log=log, tell=tell)
    elif not recipe.compresses:
        export(checkpoint, out, ["--weight-format", recipe.floats, *trust], log=log, tell=tell)
    else:
        plain = out / ".export"
        export(checkpoint, plain, ["--weight-format", recipe.floats, *trust], log=log, tell=tell)
        made = compress(plain, out, recipe, tell=tell)
        shutil.rmtree(plain)
    mend(out, family.model_type)
    return made | {"tools": tools()}


def tools() -> dict[str, str]:
    """Versions of what conversion is made of."""
    return {tool: version(tool) for tool in TOOLS} | {"python": platform.python_version()}


def _flags(weights: Weights) -> Iterator[str]:
    """A recipe as optimum's command line spells it."""
    yield from ("--weight-format", f"int{weights.bits}")
    yield from ("--group-size", str(weights.group_size), "--ratio", str(weights.ratio))
    yield from (["--dataset", weights.dataset] if weights.dataset else [])
    switches = {
        "--sym": weights.mode == "int4_sym",
        "--all-layers": weights.all_layers,
        "--awq": weights.awq,
        "--scale-estimation": weights.scale_estimation,
    }
    yield from (flag for flag, given in switches.items() if given)
