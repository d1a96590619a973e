"""A hub of our own on loopback: what huggingface_hub asks of the real one, with its ways to fail."""

from __future__ import annotations

import hashlib
import json
import socket
import struct
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

LARGE = 100_000
"""files above it are kept apart from git, known by their SHA-256 and fetched from another host"""


RESET = -1
"""no answer: the connection breaks off"""


@dataclass
class Repo:
    """A repository: each commit is a folder, branches and tags are names of commits."""

    commits: dict[str, Path]
    branches: dict[str, str]
    licence: str = "apache-2.0"
    gated: bool = False
    names: list[str] = field(default_factory=list)
    """names the listing tells besides, whatever they are"""
    sizes: dict[str, int] = field(default_factory=dict)
    """sizes the listing tells in place of the true ones"""

    def commit(self, revision: str) -> str | None:
        return revision if revision in self.commits else self.branches.get(revision)


@dataclass
class Hold:
    """A file whose bytes stop coming for a while."""

    after: int
    reached: threading.Event = field(default_factory=threading.Event)
    onward: threading.Event = field(default_factory=threading.Event)


@dataclass
class HubServer:
    """The hub and what it saw."""

    url: str = ""
    store: str = ""
    """where large files are"""
    repos: dict[str, Repo] = field(default_factory=dict)
    served: Counter[str] = field(default_factory=Counter)
    """bytes that were sent, by file"""
    tokens: dict[str, set[str | None]] = field(default_factory=dict)
    """what asked with which authorization: the hub, its store"""
    cuts: dict[str, list[int]] = field(default_factory=dict)
    """for each coming request of a file, after how many bytes the connection ends; or RESET"""
    holds: dict[str, Hold] = field(default_factory=dict)
    wrong: set[str] = field(default_factory=set)
    """files that are sent with other bytes"""
    down: int | None = None
    """the status that all requests are answered with"""
    ranges: bool = True
    """whether parts of files are served"""

    def add(self, name: str, folder: Path, commit: str = "a" * 40) -> Repo:
        self.repos[name] = Repo(commits={commit: folder}, branches={"main": commit})
        return self.repos[name]


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    hub: HubServer
    is_store: bool

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing: the test's output is the test's."""

    def do_GET(self) -> None:
        seen = self.hub.tokens.setdefault("store" if self.is_store else "hub", set())
        seen.add(self.headers.get("Authorization"))
        path = unquote(urlsplit(self.path).path).strip("/")
        if self.hub.down:
            self.answer(self.hub.down)
        elif self.is_store:
            self.send_file(Path("/" + path))
        elif path.startswith("api/models/"):
            self.tell(*_parted(path.removeprefix("api/models/"), "/revision/"))
        else:
            repo, rest = _parted(path, "/resolve/")
            self.resolve(repo, *rest.split("/", 1))

    def do_HEAD(self) -> None:
        """What the library's own cache asks of a file before it fetches it."""
        name, rest = _parted(unquote(urlsplit(self.path).path).strip("/"), "/resolve/")
        revision, file = rest.split("/", 1)
        repo = self.hub.repos[name]
        commit = repo.commit(revision)
        data = (repo.commits[str(commit)] / file).read_bytes()
        known = _sibling(file, data)
        etag = known["lfs"]["sha256"] if "lfs" in known else known["blobId"]
        self.head(200, len(data), **{"X-Repo-Commit": str(commit), "ETag": f'"{etag}"'})

    def tell(self, name: str, revision: str) -> None:
        """What a repository holds."""
        repo = self.hub.repos.get(name)
        if repo is None:
            return self.answer(401, "RepoNotFound")
        commit = repo.commit(revision or "main")
        if commit is None:
            return self.answer(404, "RevisionNotFound")
        files = sorted(path for path in repo.commits[commit].rglob("*") if path.is_file())
        siblings = [_sibling(path.relative_to(repo.commits[commit]).as_posix(), path.read_bytes()) for path in files]
        siblings += [_sibling(name, b"evil") for name in repo.names]
        for sibling in siblings:
            sibling["size"] = repo.sizes.get(sibling["rfilename"], sibling["size"])
        told = {"id": name, "sha": commit, "siblings": siblings, "cardData": {"license": repo.licence}}
        return self.answer(200, body=json.dumps(told).encode())

    def resolve(self, name: str, revision: str, file: str) -> None:
        repo = self.hub.repos[name]
        commit = str(repo.commit(revision))
        if repo.gated and self.headers.get("Authorization") != "Bearer hf_accepted":
            return self.answer(403 if self.headers.get("Authorization") else 401, "GatedRepo")
        path = repo.commits[commit] / file
        if path.stat().st_size > LARGE:
            return self.answer(302, Location=f"{self.hub.store}{path}")
        return self.send_file(path)

    def send_file(self, path: Path) -> None:
        if self.hub.cuts.get(path.name, [])[:1] == [RESET]:
            self.hub.cuts[path.name].pop(0)
            return self.reset()
        data = path.read_bytes()
        if path.name in self.hub.wrong:
            data = data[:-1] + bytes([data[-1] ^ 1])
        start = int((self.headers.get("Range") or "bytes=0-").removeprefix("bytes=").rstrip("-"))
        if start and self.hub.ranges:
            self.head(206, len(data) - start, **{"Content-Range": f"bytes {start}-{len(data) - 1}/{len(data)}"})
            return self.send(path.name, data[start:])
        self.head(200, len(data))
        return self.send(path.name, data)

    def send(self, name: str, data: bytes) -> None:
        cuts, hold = self.hub.cuts.get(name), self.hub.holds.pop(name, None)
        stop = cuts.pop(0) if cuts else hold.after if hold else len(data)
        self.wfile.write(data[:stop])
        self.hub.served[name] += len(data[:stop])
        if hold:
            hold.reached.set()
            hold.onward.wait()
        self.close_connection = stop < len(data)

    def reset(self) -> None:
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.connection.close()
        self.close_connection = True

    def answer(self, status: int, error: str = "", body: bytes = b"", **headers: str) -> None:
        if error:
            headers["X-Error-Code"] = error
        self.head(status, len(body), **headers)
        self.wfile.write(body)

    def head(self, status: int, length: int, **headers: str) -> None:
        self.send_response(status)
        for name, value in {"Content-Length": str(length), **headers}.items():
            self.send_header(name, value)
        self.end_headers()


def _parted(path: str, by: str) -> tuple[str, str]:
    before, _, after = path.partition(by)
    return before, after


def _sibling(name: str, data: bytes) -> dict[str, Any]:
    blob = hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()
    told: dict[str, Any] = {"rfilename": name, "size": len(data), "blobId": blob}
    if len(data) > LARGE:
        told["lfs"] = {"sha256": hashlib.sha256(data).hexdigest(), "size": len(data), "pointerSize": 134}
    return told


@contextmanager
def hub_server() -> Iterator[HubServer]:
    """A hub without repositories."""
    hub = HubServer()
    with ExitStack() as stack:
        hub.url = stack.enter_context(_served(hub, is_store=False))
        hub.store = stack.enter_context(_served(hub, is_store=True))
        yield hub


@contextmanager
def _served(hub: HubServer, *, is_store: bool) -> Iterator[str]:
    handler = type("Handler", (_Handler,), {"hub": hub, "is_store": is_store})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()
