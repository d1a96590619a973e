"""A model that is ready to be used: its alias and the registered build behind it."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from pipeline.errors import ModelBroken, ModelChanged
from pipeline.models import builds, manifest
from pipeline.models.catalogue import FAMILIES
from pipeline.prompts import Defaults
from pipeline.store import Store
from pipeline.store.values import KnownBuild


@dataclass(frozen=True, kw_only=True)
class Model:
    """What jobs name (the alias) and what answers name (the build)."""

    alias: str
    build: int
    digest: bytes
    path: Path
    family: str
    defaults: Defaults


def use(store: Store, name: str | None, home: Path, *, tell: Callable[[str], None] = lambda text: None) -> Model:
    """The model that a person named, registered: a name here, an alias of a directory, or a directory itself."""
    return register(store, _find(store, name, home), tell=tell)


def register(
    store: Store,
    place: builds.ModelPlace,
    *,
    alias: str | None = None,
    tell: Callable[[str], None] = lambda text: None,
) -> Model:
    """Register the build in a directory, reading it only when its files are new or have changed.

    With an `alias` that name stands for the build from now on. Otherwise the model's own name must not
    stand for another build already: its answers would change their origin silently.
    """
    family = builds.check_files(place.path)
    known = store.find_build(builds.spelled(place.path), builds.stamp(place.path)) or _read(store, place.path, tell)
    name = alias or place.alias or f"local-{known.digest.hex()[:8]}"
    row = store.alias(name)
    if alias or row is None:
        store.point_alias(name, known.id)
    elif row.digest != known.digest:
        raise ModelChanged(alias=name, path=place.path, found=known.digest.hex()[:12], known=row.digest.hex()[:12])
    return Model(
        alias=name,
        build=known.id,
        digest=known.digest,
        path=place.path,
        family=family,
        defaults=_defaults(place.path, family),
    )


def to_ask(
    store: Store, name: str | None, home: Path, *, tell: Callable[[str], None] = lambda text: None
) -> tuple[str, Defaults]:
    """The alias for jobs of a model that is here, or that workers elsewhere have used; and what suits it."""
    row = store.alias(name) if name and not builds.named(name, home) else None
    if row is None or name is None:
        model = use(store, name, home, tell=tell)
        return model.alias, model.defaults
    family = store.views.model(name).build.family
    return name, FAMILIES[family].defaults if family in FAMILIES else Defaults()


def _find(store: Store, name: str | None, home: Path) -> builds.ModelPlace:
    """An alias's build is looked for where it was last seen; `register` sees whether it is there still."""
    if name and not builds.named(name, home) and (row := store.alias(name)) and os.path.isdir(row.path):
        return builds.ModelPlace(alias=name, path=Path(row.path))
    return builds.find_model(name, home)


def _defaults(path: Path, family: str) -> Defaults:
    """What the build's manifest wants to be asked, else what suits its family."""
    usual = FAMILIES[family].defaults if family in FAMILIES else Defaults()
    try:
        return replace(usual, **builds.manifest(path).get("defaults") or {})
    except TypeError as error:
        raise ModelBroken(path=path, why=f"its {builds.MANIFEST} has defaults that are unknown here") from error


def _read(store: Store, path: Path, tell: Callable[[str], None]) -> KnownBuild:
    """Hash and describe a build that is new or has changed, and refuse it if it is not what its manifest says."""
    tell(f"Reading the model in {path}, once.")
    try:
        hashes = builds.hashes(path)
        manifest.check(path, hashes)
        facts = builds.describe(path, builds.digest(hashes))
    except OSError as error:
        name = Path(error.filename or "").name
        raise ModelBroken(path=path, why=f"{name} cannot be read ({(error.strerror or '').lower()})") from error
    return KnownBuild(store.register_build(facts), facts.digest)


def installed(store: Store, models: Path, name: str) -> Model:
    """A build that has just taken its name: from now on the name stands for it."""
    return register(store, builds.ModelPlace(alias=name, path=(models / name).resolve()), alias=name)
