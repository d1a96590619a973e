"""A model that is ready to be used: its alias and the registered build behind it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from pipeline.errors import ModelBroken, ModelChanged
from pipeline.models import builds
from pipeline.store import Store


@dataclass(frozen=True, kw_only=True)
class Model:
    """What jobs name (the alias) and what answers name (the build)."""

    alias: str
    build: int
    digest: bytes
    path: Path


def register(
    store: Store,
    place: builds.ModelPlace,
    *,
    alias: str | None = None,
    tell: Callable[[str], None] = lambda text: None,
) -> Model:
    """Register the build in a directory, hashing it only when its files are new or have changed.

    With an `alias` that name stands for the build from now on. Otherwise the model's own name must not
    stand for another build already: its answers would change their origin silently.
    """
    builds.check_files(place.path)
    try:
        digest = store.find_build(builds.spelled(place.path), builds.stamp(place.path))
        if digest is None:
            tell(f"Reading the model in {place.path}, once.")
            digest = builds.digest(place.path)
        facts = builds.describe(place.path, digest)
    except OSError as error:
        name = Path(error.filename or "").name
        raise ModelBroken(path=place.path, why=f"{name} cannot be read ({(error.strerror or '').lower()})") from error
    build = store.register_build(facts)
    name = alias or place.alias or f"local-{digest.hex()[:8]}"
    row = store.alias(name)
    if alias or row is None:
        store.point_alias(name, build)
    elif row.digest != digest:
        raise ModelChanged(alias=name, path=place.path, found=digest.hex()[:12], known=row.digest.hex()[:12])
    return Model(alias=name, build=build, digest=digest, path=place.path)
