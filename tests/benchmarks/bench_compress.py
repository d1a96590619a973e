"""How long compression takes at real shapes, and what it gives. The weights are random.

python -m tests.benchmarks.bench_compress [--parts language tower] [--build DIR]
"""

from __future__ import annotations

import argparse
import resource
import tempfile
import time
from pathlib import Path

from pipeline.models import ir
from pipeline.models.recipes import LANGUAGE, RECIPES, VISION
from tests.models import Size, make
from tests.models.shapes import QWEN2_05B, write_qwen2
from workers.compression import EXACT
from workers.compression.pictures import drawn
from workers.compression.vision import quantise
from workers.compression.weights import compress_part

TOWER = Size(vision_width=1024, vision_layers=24, vision_heads=16, vision_ffn=4096, grid=24, vision_storage="f16")
"""LLaVA 1.5's: 336 pixels a side, 577 tokens there, 576 here"""


def language(folder: Path) -> None:
    """The language model of InternVL2-1B by its two recipes."""
    xml = write_qwen2(folder / f"{LANGUAGE}.xml", QWEN2_05B)
    say(f"{LANGUAGE}, fp16", xml)
    for name in ("internvl2", "internvl2-npu"):
        out, recipe = folder / f"{name}.xml", RECIPES[name]
        start, cpu = time.perf_counter(), time.process_time()
        compress_part(xml, out, name, recipe.language, exact=name in EXACT)
        laps = f"{time.perf_counter() - start:.0f} s, {time.process_time() - cpu:.0f} CPU-s"
        say(f"{LANGUAGE}, {name}: {laps}", out)


def tower(folder: Path, pictures: int) -> None:
    """A vision tower of LLaVA 1.5's shapes in w8a8."""
    build = make("llava", folder / "llava", size=TOWER)
    full(build, "llava", pictures)


def full(build: Path, family: str, pictures: int) -> None:
    with tempfile.TemporaryDirectory() as out:
        quantise(build / f"{VISION}.xml", Path(out) / f"{VISION}.xml", family, drawn(pictures), tell=print)


def say(what: str, xml: Path) -> None:
    widths = ir.read(xml).widths
    layers, parameters = (sum(getattr(width, name) for width in widths.values()) for name in ("layers", "parameters"))
    shares = ", ".join(
        f"{width.layers} of {layers} layers {kind} ({width.parameters / parameters:.0%})"
        for kind, width in widths.items()
    )
    size = xml.with_suffix(".bin").stat().st_size
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    print(f"{what}: {shares}; {size / 1e6:,.0f} MB; peak of memory {peak:.1f} GB", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--parts", nargs="+", choices=("language", "tower"), default=["language", "tower"])
    parser.add_argument("--build", type=Path, help="a LLaVA build in floating point whose tower is quantised too")
    parser.add_argument("--pictures", type=int, default=40, help="to calibrate and compare on")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        if "language" in options.parts:
            language(Path(folder))
        if "tower" in options.parts:
            tower(Path(folder), options.pictures)
    if options.build:
        full(options.build, "llava", options.pictures)


if __name__ == "__main__":
    main()
