"""Pulling: a ready build goes from the hub to its name here."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from pipeline.errors import BuildIncomplete, ModelBroken, NoReadyBuild, NotInCatalogue, UsageError
from pipeline.models import builds, ir, manifest
from pipeline.models.builds import LANGUAGE, MANIFEST
from pipeline.models.catalogue import CHECKPOINTS
from pipeline.models.hub import Hub, Snapshot
from pipeline.models.staging import check_name, clear, left, staged, sweep
from pipeline.settings import nearest

USUAL = "int4"

Tell = Callable[[int, int], None]
"""told how many bytes are there, and of how many"""


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """A repository on the hub, and the name that its build shall have here."""

    name: str
    repo: str
    revision: str | None = None


def wanted(what: str, *, revision: str | None, name: str | None, weight_format: str | None) -> Wanted:
    """What a person means: a name of the catalogue, or a repository."""
    usual, repo = _repository(what, weight_format) if "/" in what else _ready(what, weight_format or USUAL)
    check_name(name or usual)
    return Wanted(name=name or usual, repo=repo, revision=revision)


def pull(models: Path, hub: Hub, wanted: Wanted, tell: Tell) -> tuple[Snapshot, bool]:
    """Bring the build to its name, unless it is there at that commit already; and whether it was."""
    snapshot = hub.look(wanted.repo, wanted.revision)
    if not snapshot.has(LANGUAGE):
        raise NoReadyBuild(name=wanted.repo, repo=wanted.repo, why=f": it has no {LANGUAGE}")
    if missing := [name for name in builds.needed() if not snapshot.has(name)]:
        raise BuildIncomplete(repo=wanted.repo, missing=builds.listed(missing))
    if _is_there(models / wanted.name, snapshot):
        sweep(models, wanted.name)
        return snapshot, True
    builds.check_free(models, wanted.name, wanted.repo)
    with staged(models, wanted.name, needs=snapshot.size, resume=True) as folder:
        _begin(folder, snapshot)
        hub.fetch(snapshot, folder, lambda done: tell(done, snapshot.size))
        _finish(folder, wanted.name, snapshot)
    return snapshot, False


def kept(models: Path, wanted: Wanted) -> int:
    """Bytes of a pull that has not ended, from which the next one goes on."""
    return left(models, wanted.name)


def _repository(repo: str, weight_format: str | None) -> tuple[str, str]:
    if weight_format:
        raise UsageError(detail="--weight-format chooses among the builds of a catalogue's model; a repository is one.")
    return repo.rpartition("/")[2], repo


def _ready(name: str, weight_format: str) -> tuple[str, str]:
    """A catalogue's model: its name here tells the format unless it is the usual one."""
    if name not in CHECKPOINTS:
        raise NotInCatalogue(name=name, known=", ".join(CHECKPOINTS), near=nearest(name, [*CHECKPOINTS]) or ".")
    checkpoint = CHECKPOINTS[name]
    if weight_format not in checkpoint.builds:
        raise NoReadyBuild(name=name, repo=checkpoint.repo, why=" on the hub")
    return name if weight_format == USUAL else f"{name}-{weight_format}", checkpoint.builds[weight_format]


def _is_there(build: Path, snapshot: Snapshot) -> bool:
    """Whether a name has this very snapshot, all of it: one that was damaged is pulled again."""
    if not _is_of(build, snapshot):
        return False
    try:
        manifest.check(build, builds.hashes(build))
    except ModelBroken:
        return False
    return True


def _is_of(folder: Path, snapshot: Snapshot) -> bool:
    try:
        told = builds.manifest(folder)
    except ModelBroken:
        return False
    return (told.get("source"), told.get("revision")) == (snapshot.repo, snapshot.commit)


def _begin(folder: Path, snapshot: Snapshot) -> None:
    """Keep what an earlier try brought of the same snapshot, and nothing else: a first manifest tells."""
    known = {MANIFEST, *(file.name for file in snapshot.files)} if _is_of(folder, snapshot) else set()
    for path in folder.iterdir():
        if path.name not in known:
            clear(path)
    if not known:
        half = folder / f".{MANIFEST}"
        half.write_text(json.dumps({"source": snapshot.repo, "revision": snapshot.commit}), encoding="utf-8")
        half.replace(folder / MANIFEST)


def _finish(folder: Path, name: str, snapshot: Snapshot) -> None:
    builds.check_files(folder)
    facts = {
        "name": name,
        "source": snapshot.repo,
        "revision": snapshot.commit,
        "licence": snapshot.licence,
        "tools": builds.tools(ir.read(folder / LANGUAGE).notes),
    }
    manifest.write(folder, facts)
