"""The manifest of a demo build: where it comes from, how well it answers, and the hash of each of its files."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pipeline.models.builds import MANIFEST


def hashes(build: Path) -> dict[str, str]:
    """SHA-256 of each file but the manifest."""
    names = sorted(file.name for file in build.iterdir() if file.name != MANIFEST)
    return {name: hashlib.sha256((build / name).read_bytes()).hexdigest() for name in names}


def write(build: Path, facts: Mapping[str, Any]) -> Path:
    """Write the manifest with the given facts and the files' hashes."""
    path = build / MANIFEST
    path.write_text(json.dumps({**facts, "files": hashes(build)}, indent=2) + "\n", encoding="utf-8")
    return path


def read(build: Path) -> dict[str, Any]:
    manifest: dict[str, Any] = json.loads((build / MANIFEST).read_text(encoding="utf-8"))
    return manifest


def differences(build: Path) -> Iterator[str]:
    """What in a build is not as its manifest says."""
    told, found = read(build)["files"], hashes(build)
    for name in sorted(told.keys() | found.keys()):
        if name not in found:
            yield f"{name} is missing"
        elif name not in told:
            yield f"{name} is not in the manifest"
        elif told[name] != found[name]:
            yield f"{name} has changed"
