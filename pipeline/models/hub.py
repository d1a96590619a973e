"""A client of the Hugging Face hub: what a repository holds at a commit, and its files, bit for bit.

The library's own `hf_hub_download` is not used: huggingface_hub 1.33 removes what has come when a download
breaks off, and a build has files of gigabytes. Its sessions, tokens, retries and errors are.
"""

from __future__ import annotations

import hashlib
import io
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from huggingface_hub import HfApi, ModelInfo, constants, hf_hub_download, hf_hub_url
from huggingface_hub.errors import (
    GatedRepoError,
    HfHubHTTPError,
    HFValidationError,
    LocalEntryNotFoundError,
    OfflineModeIsEnabled,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)
from huggingface_hub.file_download import http_get
from huggingface_hub.utils import build_hf_headers, disable_progress_bars, enable_progress_bars, logging

from pipeline import __version__
from pipeline.display import printable, size
from pipeline.errors import (
    DownloadCut,
    DownloadWrong,
    HubFailed,
    HubOffline,
    HubRefused,
    HubUnreachable,
    RepoGated,
    RepoUnknown,
    RevisionUnknown,
    UsageError,
)

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

Tell = Callable[[int], None]
"""told how many bytes are there"""

TIMEOUT_S = 30.0

# What a build is made of, and a checkpoint. All else stays on the hub: pictures, other formats, folders; and no
# name from there can lead out of the folder.
_NAME = r"[A-Za-z0-9_][A-Za-z0-9_. -]*"
BUILD = re.compile(_NAME + r"\.(xml|bin|json|txt|jinja|model)")
CHECKPOINT = re.compile(_NAME + r"\.(safetensors|py|json|txt|jinja|model)")
_OURS = "pixmill.json"
_COMMIT = re.compile(r"[0-9a-f]{40}")


@dataclass(frozen=True, kw_only=True)
class RemoteFile:
    """A file of a repository. Large ones are known by their SHA-256, others by git's hash."""

    name: str
    size: int
    sha256: str | None
    blob: str | None


@dataclass(frozen=True, kw_only=True)
class Snapshot:
    """A repository at one commit: the files that a build needs of it."""

    repo: str
    commit: str
    licence: str | None
    files: tuple[RemoteFile, ...]

    @property
    def size(self) -> int:
        return sum(file.size for file in self.files)

    def has(self, name: str) -> bool:
        return any(file.name == name for file in self.files)


class Hub:
    """The hub that HF_ENDPOINT names, as whom HF_TOKEN says."""

    def __init__(self, endpoint: str | None = None) -> None:
        _quiet()
        self._api = HfApi(endpoint=endpoint, library_name="pixmill", library_version=__version__)
        self.endpoint = self._api.endpoint

    def look(self, repo: str, revision: str | None = None, needed: re.Pattern[str] = BUILD) -> Snapshot:
        """What a repository holds, pinned to the commit that the revision stands for now."""
        info = self._info(repo, revision)
        if not _COMMIT.fullmatch(info.sha or ""):
            raise HubFailed(hub=self.endpoint, why="it does not say which commit that is")
        found = (_remote(sibling, needed) for sibling in info.siblings or ())
        files = tuple(sorted((file for file in found if file), key=lambda file: (file.size, file.name)))
        licence = info.card_data.license if info.card_data else None
        return Snapshot(repo=repo, commit=str(info.sha), licence=licence and str(licence), files=files)

    def _info(self, repo: str, revision: str | None) -> ModelInfo:
        with self._complaining(repo, revision):
            try:
                return self._api.model_info(repo, revision=revision, files_metadata=True, timeout=TIMEOUT_S)
            except (HfHubHTTPError, HFValidationError, OfflineModeIsEnabled):
                raise
            except ValueError as error:
                raise HubFailed(hub=self.endpoint, why=f"it does not answer as a hub does ({_line(error)})") from error
            except _HTTP_ERROR as error:
                raise HubUnreachable(hub=self.endpoint, why=_line(error)) from error

    def fetch(self, snapshot: Snapshot, folder: Path, tell: Tell) -> None:
        """Bring the files that `folder` lacks, and what lacks of one that is there in part; check them all."""
        before = 0
        for file in snapshot.files:
            path = folder / file.name
            self._bring(snapshot, file, path, partial(_behind, tell, before))
            if not _is(path, file):
                path.unlink()
                raise DownloadWrong(file=file.name, repo=snapshot.repo)
            before += file.size
            tell(before)

    def keep(self, snapshot: Snapshot, file: str) -> Path:
        """One file in the hub's own cache (HF_HOME), which other tools fill and use too."""
        return self._cached(snapshot.repo, file, snapshot.commit)

    def remember(self, repo: str, file: str) -> Path:
        """One file of a repository as it is now, in the cache, for who asks for it by the repository's name."""
        return self._cached(repo, file, None)

    def _cached(self, repo: str, file: str, commit: str | None) -> Path:
        enable_progress_bars()  # the library's own: it fetches here, and files have gigabytes
        with self._complaining(repo, commit):
            try:
                return Path(hf_hub_download(repo, file, revision=commit, endpoint=self.endpoint))
            except LocalEntryNotFoundError as error:
                raise HubUnreachable(hub=self.endpoint, why=_line(error)) from error

    def _bring(self, snapshot: Snapshot, file: RemoteFile, path: Path, tell: Tell) -> None:
        """Append what is missing, again as long as each try brings something; then it is for the person to decide."""
        while (start := _length(path)) < file.size or not path.exists():
            try:
                self._append(snapshot, file, path, tell)
            except _HTTP_ERROR as error:
                self._unless_onward(start, file, path, error)
            except OSError as error:
                if error.errno is not None:
                    raise  # the disk's, not the connection's
                self._unless_onward(start, file, path, error)

    def _append(self, snapshot: Snapshot, file: RemoteFile, path: Path, tell: Tell) -> None:
        url = hf_hub_url(snapshot.repo, file.name, revision=snapshot.commit, endpoint=self.endpoint)
        headers = build_hf_headers(library_name="pixmill", library_version=__version__)
        headers["Accept-Encoding"] = "identity"  # of a packed file there is no part to go on from
        with self._complaining(snapshot.repo, snapshot.commit), _Growing(path, tell) as out:
            http_get(url, out, resume_size=_length(path), headers=headers, expected_size=file.size)

    def _unless_onward(self, start: int, file: RemoteFile, path: Path, error: Exception) -> None:
        done = _length(path)
        if not start < done:
            raise DownloadCut(file=file.name, done=size(done), total=size(file.size), why=_line(error)) from error

    @contextmanager
    def _complaining(self, repo: str, revision: str | None) -> Iterator[None]:
        """What the hub says, as a sentence."""
        try:
            yield
        except HFValidationError as error:
            raise UsageError(detail=f"{repo!r} is no repository's name on the hub, such as OpenVINO/NAME.") from error
        except OfflineModeIsEnabled as error:
            raise HubOffline(repo=repo) from error
        except GatedRepoError as error:
            raise RepoGated(repo=repo, hub=self.endpoint) from error
        except RevisionNotFoundError as error:
            raise RevisionUnknown(repo=repo, revision=revision, hub=self.endpoint) from error
        except RepositoryNotFoundError as error:
            raise RepoUnknown(repo=repo, hub=self.endpoint) from error
        except HfHubHTTPError as error:
            raise self._status(repo, error) from error

    def _status(self, repo: str, error: HfHubHTTPError) -> HubRefused | HubFailed:
        code = error.response.status_code
        why = f"it answered {code}" + (f" ({printable(error.server_message)})" if error.server_message else "")
        if code in (401, 403):
            return HubRefused(hub=self.endpoint, repo=repo, why=why)
        return HubFailed(hub=self.endpoint, why=why)


class _Growing(io.BufferedWriter):
    """A file that tells its length as it grows."""

    def __init__(self, path: Path, tell: Tell) -> None:
        super().__init__(io.FileIO(path, "ab"))
        self._tell = tell

    def write(self, data: ReadableBuffer, /) -> int:
        written = super().write(data)
        self._tell(self.tell())
        return written


def _behind(tell: Tell, before: int, done: int) -> None:
    tell(before + done)


def _quiet() -> None:
    disable_progress_bars()
    logging.set_verbosity(logging.ERROR)
    constants.HF_HUB_DISABLE_TELEMETRY = True
    # A piece that is cut is lost: 10 MB of it, and no progress to see meanwhile, with the library's own size.
    constants.DOWNLOAD_CHUNK_SIZE = 1 << 20


def _http_error() -> type[Exception]:
    """What all that goes wrong between here and the hub is a kind of, for the library's HTTP client.

    That is httpx since huggingface_hub 1.0, requests before; the library's own error is a child of theirs.
    """
    clients = ("httpx", "requests")
    kinds = [cls for cls in HfHubHTTPError.__mro__ if cls.__module__.partition(".")[0] in clients]
    return next(cls for cls in reversed(kinds) if issubclass(cls, Exception))


_HTTP_ERROR = _http_error()


def _remote(sibling: Any, needed: re.Pattern[str]) -> RemoteFile | None:
    name = sibling.rfilename
    if not needed.fullmatch(name) or name == _OURS or sibling.size is None:
        return None
    sha256 = sibling.lfs.sha256 if sibling.lfs else None
    return RemoteFile(name=name, size=sibling.size, sha256=sha256, blob=sibling.blob_id)


def _is(path: Path, file: RemoteFile) -> bool:
    """Whether a file holds what the hub names for it."""
    if _length(path) != file.size:
        return False
    if file.sha256:
        with path.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest() == file.sha256
    content = path.read_bytes()
    return hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest() == file.blob


def _length(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _line(error: Exception) -> str:
    return printable(str(error)).strip().rstrip(".") or type(error).__name__
