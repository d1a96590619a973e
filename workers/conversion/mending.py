"""Mending: what openvino-genai needs in a build's JSON files that optimum-intel does not write."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

Json = dict[str, Any]


def mend(build: Path, family: str) -> None:
    for code in build.glob("*.py"):
        code.unlink()  # copied from the checkpoint; an engine never runs it
    for name, change in (*EVERYWHERE.items(), *BY_FAMILY.get(family, {}).items()):
        if (build / name).exists():
            _rewrite(build / name, change)


def _without_places(config: Json) -> Json:
    """Where the checkpoint lay on the machine that made the build is nobody's business."""
    places = ("processor", "tokenizer", "_name_or_path", "name_or_path", "model_name")
    kept = {name: _without_places(value) if isinstance(value, dict) else value for name, value in config.items()}
    return {name: None if name in places and _is_place(value) else value for name, value in kept.items()}


def _is_place(value: object) -> bool:
    return isinstance(value, str) and value.startswith(("/", "~", "."))


def _naming_the_size(config: Json) -> Json:
    """Make openvino-genai warp the whole picture where the checkpoint's processor does.

    It reads only `shortest_edge` and `crop_size` for LLaVA, makes each side at least the crop's, and crops:
    without the entry, 4:3 pictures lost their ends (43 % of the demo model's answers were right instead of 98 %).
    """
    size = config.get("size", {})
    return {**config, "size": {**size, "shortest_edge": 1}} if {"height", "width"} <= size.keys() else config


EVERYWHERE: Mapping[str, Callable[[Json], Json]] = {
    "config.json": _without_places,
    "openvino_config.json": _without_places,
    "tokenizer_config.json": _without_places,
}
BY_FAMILY: Mapping[str, Mapping[str, Callable[[Json], Json]]] = {
    "llava": {"preprocessor_config.json": _naming_the_size},
}


def _rewrite(path: Path, change: Callable[[Json], Json]) -> None:
    before = json.loads(path.read_text("utf-8"))
    if (after := change(before)) != before:
        path.write_text(json.dumps(after, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
