"""A build: a directory with a model's OpenVINO files, and what those files say about themselves.

Nothing is taken from names: precision is counted in the weights, recipe and tools are read from what
NNCF and optimum-intel wrote into the IR. Neither OpenVINO nor the weights are loaded for it.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import Any

from pipeline.errors import ModelBroken, ModelMissing, ModelNameOther, ModelNotGiven, NoModelYet
from pipeline.models import catalogue, ir
from pipeline.models.ir import Widths
from pipeline.models.staging import restore
from pipeline.store.values import BuildFacts

MANIFEST = "pixmill.json"
TABLES = ("files", "tools", "bits", "accuracy", "defaults")
"""what of it is an object, where it is there"""
LANGUAGE = "openvino_language_model.xml"

BUNDLED = {"demo": Path(__file__).parents[2] / "workers" / "demo" / "int4"}
"""models that ship with Pixmill, by their names; places only, since nothing of `workers` is imported here"""

PARTS = (
    "openvino_language_model",
    "openvino_text_embeddings_model",
    "openvino_vision_embeddings_model",
    "openvino_tokenizer",
    "openvino_detokenizer",
)
FAMILY_PARTS = {
    "qwen2_vl": ("openvino_vision_embeddings_merger_model",),
    "minicpmv": ("openvino_resampler_model",),
    "phi3_v": ("openvino_vision_projection_model",),
}
NEEDED_JSON = (
    "config.json",
    # Without it openvino-genai (2026.4) takes picture sizes of its own, and answers wrongly.
    "preprocessor_config.json",
)


@dataclass(frozen=True, kw_only=True)
class ModelPlace:
    """A model as a person named it: the alias jobs carry (none for a bare directory) and the directory."""

    alias: str | None
    path: Path


def find_model(name: str | None, home: Path) -> ModelPlace:
    """The place of a model given by its name or as a directory."""
    models = home / "models"
    if not name:
        known = _known(models)
        raise ModelNotGiven(models=models, known=known) if known else NoModelYet(models=models)
    if place := named(name, home):
        return place
    if os.path.isdir(name):  # unlike Path.is_dir, False for a name that is too long
        return ModelPlace(alias=None, path=Path(name).resolve())
    raise ModelMissing(name=name, models=models, known=_known(models) + _shipped() + _way(name))


def named(name: str, home: Path) -> ModelPlace | None:
    """The place of a model that goes by its name: a folder in `home/models`, else one that ships with Pixmill."""
    if Path(name).name != name:
        return None
    folder = home / "models" / name
    restore(home / "models", name)
    if os.path.isfile(folder / "config.json"):
        return ModelPlace(alias=name, path=folder.resolve())
    return ModelPlace(alias=name, path=BUNDLED[name]) if name in BUNDLED else None


def _known(models: Path) -> str:
    names = sorted(entry.parent.name for entry in models.glob("*/config.json"))
    return f" There are: {', '.join(names)}." if names else ""


def _shipped() -> str:
    return f" With Pixmill comes: {', '.join(BUNDLED)}."


def _way(name: str) -> str:
    return f" To get {name}: pixmill models {way} {name}" if (way := catalogue.way(name)) else ""


def check_files(path: Path) -> str:
    """Refuse a directory in which something is missing; the family it belongs to otherwise."""
    if not path.is_dir():
        raise ModelBroken(path=path, why="there is no such directory")
    config = read_json(path / "config.json")
    family = config.get("model_type")
    if not isinstance(family, str):
        raise ModelBroken(path=path, why="its config.json names no model_type")
    missing = [name for name in needed(family) if not _has(path / name)]
    if missing:
        raise ModelBroken(path=path, why=_other(path) or f"{listed(missing)} missing. Convert or pull the model again")
    return family


def needed(family: str | None = None) -> Iterator[str]:
    """The files that builds of a family have at least, or those of every family."""
    for part in (*PARTS, *FAMILY_PARTS.get(family or "", ())):
        yield from (f"{part}.xml", f"{part}.bin")
    yield from NEEDED_JSON


def listed(names: list[str]) -> str:
    """The first of some names, with the verb."""
    shown = ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
    return f"{shown} {'is' if len(names) == 1 else 'are'}"


def _other(path: Path) -> str | None:
    """What a folder is that is no build of a model that sees, if that can be told."""
    if (path / LANGUAGE).exists():
        return None
    if (path / "openvino_model.xml").exists():
        return "it has one model, openvino_model.xml, as those have that see no pictures"
    if any(path.glob("*.safetensors")):
        return f"it is a checkpoint. Make a build of it: pixmill models convert {path}"
    return None


def files(path: Path) -> Iterator[tuple[str, Path]]:
    """A build's files by name, without what is hidden: git and the hub's tools keep there what ever changes."""
    found = (file for file in path.rglob("*") if file.is_file())
    named = sorted((file.relative_to(path).as_posix(), file) for file in found)
    return ((name, file) for name, file in named if name != MANIFEST and not name.startswith(".") and "/." not in name)


def stamp(path: Path) -> str:
    """Names, sizes and mtimes of a build's files: equal means there is no need to hash them again."""
    facts = [(name, file.stat().st_size, file.stat().st_mtime_ns) for name, file in files(path)]
    return blake2b(repr(facts).encode(), digest_size=16).hexdigest()


def spelled(path: Path) -> str:
    """A path as text that any database can keep, also when its name is no UTF-8."""
    return os.fsencode(path).decode("utf-8", "backslashreplace")


def hashes(path: Path) -> dict[str, str]:
    """SHA-256 of each file but the manifest, by name."""
    found = {}
    for name, file in files(path):
        with file.open("rb") as stream:
            found[name] = hashlib.file_digest(stream, "sha256").hexdigest()
    return found


def digest(hashes: Mapping[str, str]) -> bytes:
    """The hash over all files but the manifest, names included: the build's identity."""
    whole = hashlib.sha256()
    for name, one in sorted(hashes.items()):
        whole.update(name.encode() + b"\0" + bytes.fromhex(one))
    return whole.digest()


def size(path: Path) -> int:
    """Bytes of all files but the manifest."""
    return sum(file.stat().st_size for _, file in files(path))


def describe(path: Path, digest: bytes) -> BuildFacts:
    """What the files of a build say about where it comes from and how it was made."""
    family = check_files(path)
    told = manifest(path)
    language = ir.read(path / LANGUAGE)
    return BuildFacts(
        digest=digest,
        family=family,
        source=source(path),
        revision=told.get("revision"),
        precision=_precision(language.widths),
        recipe=told.get("recipe") or language.notes.get("nncf", {}).get("weight_compression"),
        tools=told.get("tools") or tools(language.notes),
        licence=told.get("licence"),
        path=spelled(path),
        stamp=stamp(path),
    )


def source(path: Path) -> str | None:
    """Where a build comes from, as its manifest or its config tells."""
    return manifest(path).get("source") or read_json(path / "config.json").get("_name_or_path")


def check_free(models: Path, name: str, wanted: str | None) -> None:
    """Refuse a name that a model from elsewhere has: it may have taken hours. One from the same place is renewed."""
    try:
        known = source(models / name)
    except ModelBroken:
        return  # nothing to keep, or nothing to know it by
    if known != wanted:
        raise ModelNameOther(name=name, known=known or "elsewhere", source=wanted or "elsewhere")


def manifest(path: Path) -> dict[str, Any]:
    """What those who made a build say about it; nothing where there is no manifest."""
    told = read_json(path / MANIFEST) if (path / MANIFEST).is_file() else {}
    for name in TABLES:
        if not isinstance(told.get(name) or {}, dict):
            raise ModelBroken(path=path, why=f"{name} in its {MANIFEST} is no object")
    return told


def _has(file: Path) -> bool:
    return file.is_file() and file.stat().st_size > 0


def read_json(file: Path) -> dict[str, Any]:
    """The object in one of a build's JSON files."""
    try:
        value = json.loads(file.read_text("utf-8"))
    except FileNotFoundError as error:
        raise ModelBroken(path=file.parent, why=f"{file.name} is missing; is this a model's folder?") from error
    except (OSError, ValueError) as error:
        raise ModelBroken(path=file.parent, why=f"{file.name} cannot be read ({error})") from error
    if not isinstance(value, dict):
        raise ModelBroken(path=file.parent, why=f"{file.name} does not hold an object")
    return value


def _precision(widths: Widths) -> str:
    """The kind that most parameters of the language model are of."""
    return max(widths, key=lambda kind: widths[kind].parameters) if widths else "unknown"


def tools(notes: Mapping[str, Any]) -> dict[str, str]:
    """Versions of what made an IR, as its notes tell."""
    made = {name.removesuffix("_version"): value for name, value in notes.get("optimum", {}).items()}
    if version := notes.get("nncf", {}).get("version"):
        made["nncf"] = version
    if version := notes.get("Runtime_version"):
        made["openvino"] = version
    return made
