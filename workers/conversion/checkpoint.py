"""A checkpoint to convert: a directory, or a repository on the hub at one commit."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from pipeline.display import size
from pipeline.errors import CodeUntrusted, UsageError
from pipeline.models.builds import read_json, spelled
from pipeline.models.catalogue import Family, find
from pipeline.models.hub import CHECKPOINT, Hub, Snapshot
from pipeline.models.recipes import LANGUAGE
from workers.conversion.export import Tell

WEIGHTS = (".safetensors", ".bin")


@dataclass(frozen=True, kw_only=True)
class Checkpoint:
    """Where it lies on this machine, and where it comes from."""

    path: Path
    name: str
    """for a build of it"""
    source: str
    snapshot: Snapshot | None = None
    """of a repository; there is only its config.json in `path` before `fetch`"""
    pinned: bool = True
    """whether a person chose this very state of it"""

    @property
    def revision(self) -> str | None:
        return self.snapshot.commit if self.snapshot else None

    @property
    def licence(self) -> str | None:
        return self.snapshot.licence if self.snapshot else None

    @property
    def weights(self) -> int:
        """Bytes."""
        if self.snapshot:
            return sum(file.size for file in self.snapshot.files if file.name.endswith(WEIGHTS))
        return sum(file.stat().st_size for file in self.path.iterdir() if file.name.endswith(WEIGHTS))

    def check_weights(self) -> None:
        """Refuse what there is nothing to convert of, before minutes are spent on it."""
        if (self.path / f"{LANGUAGE}.xml").exists():
            raise UsageError(
                detail=f"{self.source} is an OpenVINO build already. `pixmill models compress` makes it narrower."
            )
        if not self.weights:
            raise UsageError(detail=f"{self.source} is no checkpoint: it has no weights ({' or '.join(WEIGHTS)}).")

    def fetch(self, tell: Tell) -> None:
        """Bring what conversion reads: it runs cut off from the hub."""
        if self.snapshot:
            for file in self.snapshot.files:
                tell(f"Fetching {file.name}, {size(file.size)}.")
                Hub().keep(self.snapshot, file.name)
        # Phi-3-vision names the configuration of its tower by a repository of somebody else's.
        tower = read_json(self.path / "config.json").get("img_processor") or {}
        if (name := tower.get("model_name")) and not Path(name).exists():
            Hub().remember(name, "config.json")

    def check_code(self, family: Family, *, trusted: bool) -> None:
        """Refuse to run code that comes with it unless a person said so, of this very state."""
        if not family.own_code or (trusted and self.pinned):
            return
        pin = f" --revision {self.revision}" if self.revision else ""
        place = f"{Hub().endpoint}/{self.source}/tree/{self.revision}" if self.revision else self.path
        raise CodeUntrusted(title=family.title, place=place, flags=f"--trust-remote-code{pin}")


def find_checkpoint(what: str, revision: str | None) -> Checkpoint:
    """What a person named: a directory, a name of the catalogue, or a repository."""
    if not Path(what).is_dir():
        return _repository(what, revision)
    if revision:
        raise UsageError(detail="--revision is for repositories on the hub; a directory is what it is.")
    path = Path(what).resolve()
    return Checkpoint(path=path, name=path.name, source=spelled(path))


def _repository(what: str, revision: str | None) -> Checkpoint:
    known, hub = find(what), Hub()
    repo = known.repo if known else what
    if "/" not in repo or Path(repo).is_absolute():
        raise UsageError(detail=f"{what!r} is no directory, no name of the catalogue and no repository (ORG/NAME).")
    snapshot = hub.look(repo, revision, needed=CHECKPOINT)
    return Checkpoint(
        path=hub.keep(snapshot, "config.json").parent,
        name=known.name if known else repo.rpartition("/")[2],
        source=repo,
        snapshot=snapshot,
        pinned=revision == snapshot.commit,
    )
