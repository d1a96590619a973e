"""Pictures on their way to the engine: opened once for all the jobs that ask about them at the time."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field
from pathlib import Path

from pipeline.errors import ForbiddenUrl, ImageMissing
from pipeline.jobs import PictureRead
from pipeline.locators import Picture, open_member, open_path
from pipeline.remote.cache import Kept
from pipeline.remote.urls import is_remote
from workers.child import Refused
from workers.decoders import Decoded, Decoders
from workers.engine.requests import Frame
from workers.fetching import Fetching
from workers.pixels import Pixels


@dataclass(eq=False, slots=True)
class Loaded:
    """A picture that some jobs want: being fetched, waiting, being decoded, in memory, or refused."""

    picture: Picture
    users: int = 0
    fetch: Future[Kept] | None = None
    kept: Kept | None = None
    """the file that was fetched, until it has been decoded"""
    offset: int | None = None
    frame: Frame | None = None
    read: PictureRead | None = None
    seconds: float = 0.0
    refusal: Refused | None = None
    whenever: list[Callable[[], None]] = field(default_factory=list)

    @property
    def settled(self) -> bool:
        return self.frame is not None or self.refusal is not None

    def unkeep(self) -> None:
        """Let the cache have its file back."""
        if self.kept:
            self.kept.close()
            self.kept = None


class Pictures:
    """The shelf. `want` takes a picture down for a job, `release` puts it back."""

    def __init__(
        self,
        decoders: Decoders,
        pixels: Pixels,
        media_root: Path | None,
        blobs: Path | None = None,
        fetching: Fetching | None = None,
    ) -> None:
        self._decoders, self._pixels, self._media_root, self._blobs = decoders, pixels, media_root, blobs
        self._fetching = fetching
        self._ring: Callable[[], None] = lambda: None
        self._shelf: dict[Picture, Loaded] = {}
        self._waiting: deque[Loaded] = deque()
        self._away: set[Loaded] = set()
        self._fetched: deque[tuple[Loaded, Future[Kept]]] = deque()
        self._decoded: deque[tuple[Loaded, Future[Decoded]]] = deque()

    @property
    def fetching(self) -> int:
        """How many pictures are being fetched from elsewhere, or wait for that."""
        return len(self._away)

    def wake_with(self, ring: Callable[[], None]) -> None:
        """`ring` is called from other threads once a picture has been fetched: then `tend` has something to do."""
        self._ring = ring

    def want(self, picture: Picture, then: Callable[[], None]) -> Loaded:
        """The picture, shared with other jobs; `then` is called once it is settled, at once if it is."""
        loaded = self._shelf.get(picture)
        if loaded is None:
            loaded = self._shelf[picture] = Loaded(picture)
            self._line_up(loaded)
        loaded.users += 1
        if loaded.settled:
            then()
        else:
            loaded.whenever.append(then)
        return loaded

    def release(self, loaded: Loaded) -> None:
        """One job less wants the picture; its memory is free when none does."""
        loaded.users -= 1
        if loaded.users:
            return
        del self._shelf[loaded.picture]
        if loaded.fetch:
            loaded.fetch.cancel()
        if loaded.settled and loaded.offset is not None:
            self._pixels.free(loaded.offset)

    def tend(self, *, standing_still: bool) -> None:
        """Hand waiting pictures to the decoders, in order, while there is room for their pixels.

        No more than the decoders take at once: how large a picture is, is only known once it is decoded.
        When nothing else moves the budget does not count: a job whose pictures exceed it must still run.
        """
        self._take_fetched()
        while self._waiting and not self._decoders.full:
            loaded = self._waiting[0]
            if not loaded.users:
                self._waiting.popleft().unkeep()
                continue
            offset = self._pixels.take(beyond_budget=standing_still and not self._decoders.busy)
            if offset is None:
                break
            self._waiting.popleft()
            self._open(loaded, offset)
        self._decoders.tend()
        self._take_decoded()

    def receive(self) -> None:
        """Settle the pictures that the decoders have finished."""
        self._decoders.receive()
        self._take_decoded()

    def _line_up(self, loaded: Loaded) -> None:
        """For a decoder, or first for being fetched: a slow server holds up nobody in the line of the decoders."""
        if self._fetching is None or not is_remote(loaded.picture.locator):
            self._waiting.append(loaded)
            return
        self._away.add(loaded)
        loaded.fetch = self._fetching.bring(loaded.picture.locator)
        loaded.fetch.add_done_callback(lambda done: self._note_fetched(loaded, done))

    def _note_fetched(self, loaded: Loaded, done: Future[Kept]) -> None:
        # Only noted here: this is another thread.
        self._fetched.append((loaded, done))
        self._ring()

    def _take_fetched(self) -> None:
        while self._fetched:
            loaded, done = self._fetched.popleft()
            self._away.discard(loaded)
            if done.cancelled():
                continue
            if isinstance(error := done.exception(), Refused):
                self._settle(loaded, refusal=error)
            else:
                loaded.kept = done.result()
                self._waiting.append(loaded)

    def _take_decoded(self) -> None:
        while self._decoded:
            self._take(*self._decoded.popleft())

    def _open(self, loaded: Loaded, offset: int) -> None:
        path = self._path(loaded)
        if path is None:
            self._pixels.free(offset)
            self._settle(loaded, refusal=_unopenable(loaded.picture.locator))
            return
        loaded.offset = offset
        member = open_member(loaded.picture.locator)
        future = self._decoders.decode(path, offset, self._pixels.room, member)
        # Only noted here: an exception in a future's callback would be swallowed.
        future.add_done_callback(lambda done: self._decoded.append((loaded, done)))

    def _path(self, loaded: Loaded) -> str | None:
        if loaded.kept:
            return str(loaded.kept.path)
        return open_path(loaded.picture.locator, self._media_root, self._blobs)

    def _take(self, loaded: Loaded, done: Future[Decoded]) -> None:
        loaded.unkeep()
        error = done.exception()
        if isinstance(error, Refused):
            self._settle(loaded, refusal=error)
            return
        decoded = done.result()
        assert loaded.offset is not None
        self._pixels.filled(loaded.offset, decoded.width, decoded.height)
        loaded.frame = Frame(offset=loaded.offset, width=decoded.width, height=decoded.height)
        loaded.seconds = decoded.seconds
        loaded.read = PictureRead(
            sha256=decoded.sha256,
            bytes=decoded.bytes,
            width=decoded.width,
            height=decoded.height,
            format=decoded.format,
            changed=_changed(loaded.picture, decoded),
        )
        self._settle(loaded)

    def _settle(self, loaded: Loaded, refusal: Refused | None = None) -> None:
        loaded.refusal = refusal
        if not loaded.users:  # nobody waits any more: given up while it was decoded
            if loaded.offset is not None:
                self._pixels.free(loaded.offset)
            return
        whenever, loaded.whenever = loaded.whenever, []
        for then in whenever:
            then()


def _changed(picture: Picture, decoded: Decoded) -> bool:
    return picture.size is not None and (picture.size, picture.mtime_ns) != (decoded.size, decoded.mtime_ns)


def _unopenable(locator: str) -> Refused:
    if locator.startswith("media:"):
        missing = ImageMissing()
        return Refused(missing.code, f"{missing}: PIXMILL_MEDIA_ROOT is not set here")
    forbidden = ForbiddenUrl(why="only files can be read")
    return Refused(forbidden.code, str(forbidden))
