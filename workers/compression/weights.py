"""One part of a build, read, compressed by NNCF and written: weights only, computed with in floating point."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pipeline.errors import ModelUnreadable, PartUnwritable, RecipeUnfit
from pipeline.models.recipes import Weights
from workers.compression.layers import candidates, fallen_back, fits, fitting, layers
from workers.compression.quiet import last_line, quiet_nncf


def compress_part(xml: Path, out: Path, recipe: str, weights: Weights, *, exact: bool) -> list[dict[str, Any]]:
    """Write the part `xml` to `out`; the layers that are not stored as the recipe says. Nothing of it stays loaded."""
    model = read(xml)
    check_groups(xml, model, recipe, weights, exact=exact)
    with quiet_nncf(xml.stem) as nncf:
        compressed = nncf.compress_weights(model, **_options(nncf, weights))
    write(compressed, out)
    return [layer.document() for layer in fallen_back(layers(compressed), weights)]


def read(xml: Path) -> Any:
    """The model in a file; its weights stay in the .bin file until they are looked at."""
    import openvino

    try:
        return openvino.Core().read_model(xml)
    except RuntimeError as error:
        raise ModelUnreadable(path=xml, version=_release(openvino.__version__), why=last_line(error)) from error


def write(model: Any, out: Path) -> None:
    """What is not compressed stays as wide as it was."""
    import openvino

    try:
        openvino.save_model(model, out, compress_to_fp16=False)
    except RuntimeError as error:
        raise PartUnwritable(path=out.with_suffix(".bin"), why=last_line(error)) from error


def check_groups(xml: Path, model: Any, recipe: str, weights: Weights, *, exact: bool) -> None:
    """Before minutes of work: a recipe that does not fit, with the group sizes that would."""
    found = candidates(layers(model), weights)
    if not fits(found, weights, exact=exact):
        wide = sorted({layer.width for layer in found if layer.width % weights.group_size})
        sym = " --sym" if weights.mode == "int4_sym" else ""
        sizes = " or ".join(map(str, fitting(found, exact=exact)))
        raise RecipeUnfit(
            recipe=recipe,
            part=xml.stem,
            group_size=weights.group_size,
            widths=", ".join(map(str, wide)),
            fitting=f"--weight-format int4{sym} --group-size {sizes}",
        )


def _options(nncf: Any, weights: Weights) -> dict[str, Any]:
    """NNCF's names for what a recipe says."""
    mode = nncf.CompressWeightsMode(weights.mode)
    if weights.bits != 4:
        return {"mode": mode}
    adjust = nncf.GroupSizeFallbackMode.ADJUST
    return {
        "mode": mode,
        "group_size": weights.group_size,
        "ratio": weights.ratio,
        "all_layers": weights.all_layers,
        "advanced_parameters": nncf.AdvancedCompressionParameters(group_size_fallback_mode=adjust),
    }


def _release(version: str) -> str:
    return version.partition("-")[0]
