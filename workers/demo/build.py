"""Makes the demo model's builds from a training run: `python -m workers.demo.build --run DIR --out DIR`.

Needs the `convert` extra. They are converted as any other model is. NNCF loads torch where there is one, and beside
torch the second pipeline of a process crashed (torch 2.13, openvino-genai 2026.4): each is examined in its own.
"""

from __future__ import annotations

import json
import logging
import shutil
import subprocess
import sys
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click
from safetensors import safe_open

from pipeline.models import manifest
from pipeline.models.recipes import RECIPES as FAMILY_RECIPES
from pipeline.models.recipes import Recipe, Weights
from pipeline.prompts import Defaults
from workers.conversion.convert import convert, tools
from workers.demo.plan import CHECKPOINT, STATE
from workers.demo.questions import KINDS
from workers.demo.world import BACKGROUNDS, COLORS, GLYPHS, MOST_THINGS, SHAPES, SIZES

# Widths are multiples of 64 but not of 128.
INT4 = Weights(mode="int4_asym", group_size=64)
RECIPES: Mapping[str, Recipe] = {
    "fp32": FAMILY_RECIPES["fp32"],
    "int8": FAMILY_RECIPES["int8"],
    "int4": Recipe(name="demo", language=INT4),
}
SOURCE = "trained from nothing by workers/demo/train.py"
LICENCE = "Apache-2.0"

log = logging.getLogger("pixmill.demo.build")


def make(checkpoint: Path, out: Path, recipe: str) -> Path:
    """Export and compress a checkpoint into the folder `out`, as any other model is."""
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir(parents=True)
    convert(checkpoint, out, RECIPES[recipe], log=out.with_name(f"{recipe}.log"), tell=log.info)
    return out


def examined(build: Path, scenes: int, precision: str) -> dict[str, dict[str, float]]:
    """The shares right of each part of the examination, held in a process of its own."""
    options = ["--scenes", str(scenes), "--precision", precision, "--json"]
    program = [sys.executable, "-m", "workers.demo.evaluate", str(build), *options]
    shares: dict[str, dict[str, float]] = json.loads(subprocess.run(program, check=True, stdout=subprocess.PIPE).stdout)
    return shares


def knowledge() -> list[str]:
    """What the model knows, in sentences for people."""
    return [
        f"Drawn scenes of one to {MOST_THINGS} shapes: {_listed(SHAPES)}.",
        f"Their colors: {_listed(COLORS)}. Their sizes: {_listed(SIZES)}.",
        f"Backgrounds: {_listed(BACKGROUNDS)}. A sign of one or two characters out of {GLYPHS}.",
        f"Captions, and questions of {len(KINDS)} kinds: {_listed(KINDS)}.",
        "Nothing else: about a photograph it talks nonsense.",
    ]


def _listed(words: Iterable[str]) -> str:
    *most, last = words
    return f"{', '.join(most)} and {last}"


def facts(run: Path, commit: str, figures: Mapping[str, Any]) -> dict[str, Any]:
    """What the manifest tells besides the files' hashes."""
    with safe_open(run / STATE, "np") as state:
        plan = json.loads(state.metadata()["plan"])
    return {
        "name": "demo",
        "defaults": asdict(Defaults()),
        "knows": knowledge(),
        "source": SOURCE,
        "revision": commit,
        "seed": plan["seed"],
        "plan": plan,
        "recipe": RECIPES["int4"].document(),
        "tools": tools(),
        "licence": LICENCE,
        **figures,
    }


def build_all(run: Path, out: Path, scenes: int, commit: str) -> Path:
    """All builds with their figures; the folder of the INT4 one, which is shipped."""
    shares = {}
    for recipe in RECIPES:
        build = make(run / CHECKPOINT, out / recipe, recipe)
        shares[recipe] = examined(build, scenes, "f32")
        log.info("%s: %s", recipe, json.dumps(shares[recipe]))
    shares["int4, bf16"] = examined(build, scenes, "bf16")
    command = f"python -m workers.demo.evaluate workers/demo/int4 --scenes {scenes} --precision f32"
    manifest.write(build, facts(run, commit, {"accuracy": shares, "measured with": command}))
    return build


def head() -> str:
    """The commit of this checkout."""
    git = ["git", "-C", str(Path(__file__).parent), "rev-parse", "HEAD"]
    return subprocess.run(git, check=True, capture_output=True, text=True).stdout.strip()


@click.command()
@click.option("--run", type=click.Path(exists=True, path_type=Path), required=True, help="Folder of a training run.")
@click.option("--out", type=click.Path(path_type=Path), required=True, help="Folder for the builds.")
@click.option("--scenes", default=1000, show_default=True, help="Scenes in each part of the examination.")
@click.option("--commit", help="Commit of the training code; by default this checkout's.")
def main(run: Path, out: Path, scenes: int, commit: str | None) -> None:
    """Export, compress and examine a trained demo model."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    click.echo(build_all(run, out, scenes, commit or head()))


if __name__ == "__main__":
    main()
