"""A build's manifest: where it comes from, how it was made, how wide its weights are, the hash of each file."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from pipeline.errors import ModelBroken
from pipeline.models import builds, ir
from pipeline.models.builds import MANIFEST

FORMAT = 1


def write(build: Path, facts: Mapping[str, Any]) -> Path:
    """Write what the maker tells of a build, with what its files say. The file is whole or not there."""
    hashes = builds.hashes(build)
    told = {
        "format": FORMAT,
        **facts,
        "family": builds.check_files(build),
        "bits": bits(build),
        "size": builds.size(build),
        "hash": builds.digest(hashes).hex(),
        "files": hashes,
    }
    path, half = build / MANIFEST, build / f".{MANIFEST}"
    half.write_text(json.dumps(told, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    return half.replace(path)


def bits(build: Path) -> dict[str, dict[str, dict[str, int]]]:
    """Layers and parameters of each width, by model."""
    return {name: {kind: asdict(width) for kind, width in widths.items()} for name, widths in ir.widths(build).items()}


def check(build: Path, hashes: Mapping[str, str]) -> None:
    """Refuse a build whose files are not those of its manifest. One without a manifest promises nothing."""
    told = builds.manifest(build)
    if told and (found := list(differences(told.get("files", {}), hashes))):
        more = f", and {len(found) - 1} more differ" if len(found) > 1 else ""
        raise ModelBroken(path=build, why=f"it is not what its manifest says: {found[0]}{more}. Make or pull it again")


def differences(told: Mapping[str, str], found: Mapping[str, str]) -> Iterator[str]:
    """What in a build is not as its manifest says."""
    for name in sorted(told.keys() | found.keys()):
        if name not in found:
            yield f"{name} is missing"
        elif name not in told:
            yield f"{name} is not in the manifest"
        elif told[name] != found[name]:
            yield f"{name} has changed"
