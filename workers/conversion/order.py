"""An order: what a person wants made of a checkpoint, from the first look at it to the build's name."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from pipeline.models import manifest
from pipeline.models.builds import check_free
from pipeline.models.choosing import AskedOfCheckpoint
from pipeline.models.recipes import Recipe
from pipeline.models.staging import STAGING, staged
from workers.conversion.checkpoint import Checkpoint, find_checkpoint
from workers.conversion.convert import convert, family_of
from workers.conversion.export import Tell, check_extra

SHARES = {"fp16": 1.0, "fp32": 2.0}
"""what an export takes, in the checkpoint's own size: published ones have 16 bits a weight"""
COMPRESSED = 0.7
"""what the build takes beside it at most"""


@dataclass(frozen=True, kw_only=True)
class Order:
    checkpoint: str
    revision: str | None
    asked: AskedOfCheckpoint
    name: str | None
    trust_remote_code: bool


def fulfil(order: Order, models: Path, tell: Tell) -> str:
    """Convert as ordered; the name of the build."""
    check_extra()
    checkpoint = find_checkpoint(order.checkpoint, order.revision)
    family = family_of(checkpoint.path)
    checkpoint.check_weights()
    checkpoint.check_code(family, trusted=order.trust_remote_code)
    recipe = order.asked.choose(family.model_type)
    name = order.name or "-".join(filter(None, (checkpoint.name, order.asked.ending)))
    check_free(models, name, checkpoint.source)
    log = models / STAGING / f"{name}.log"
    with staged(models, name, needs=_needs(checkpoint, recipe)) as folder:
        checkpoint.fetch(tell)
        tell(f"Converting {checkpoint.source} to {name} by the recipe {recipe.name}.")
        trust = order.trust_remote_code
        made = convert(checkpoint.path, folder, recipe, log=log, tell=tell, trust_remote_code=trust)
        known = {"source": checkpoint.source, "revision": checkpoint.revision, "licence": checkpoint.licence}
        manifest.write(folder, {"name": name, **known, **made})
    return name


def _needs(checkpoint: Checkpoint, recipe: Recipe) -> int:
    return round(checkpoint.weights * (SHARES[recipe.floats] + (COMPRESSED if recipe.compresses else 0)))
