"""Members of archives, read without unpacking anything: of a few archives it is remembered where their members lie."""

from __future__ import annotations

import os
from collections import OrderedDict
from collections.abc import Sequence

from pipeline import archives
from pipeline.archives.contents import broken, read_member
from pipeline.archives.members import ArchiveBroken, Layout, Member
from pipeline.errors import ImageMissing
from pipeline.files import Contents, opened

REMEMBERED = 8
"""archives: a worker's jobs come from one or two at a time"""
MOST_PLACES = 1_000_000
"""in all remembered archives; one place takes some 120 bytes"""

Identity = tuple[int, int, int, int]


class Archives:
    """The archives read last. One that has changed since is looked through anew."""

    def __init__(self) -> None:
        self._known: OrderedDict[bytes, _Archive] = OrderedDict()

    def read(self, path: bytes, name: bytes, *, max_bytes: int, roots: Sequence[bytes] | None = None) -> Contents:
        """What a member holds, with the size and mtime of the archive. Raises a `JobError`."""
        with opened(path, roots) as (fd, facts):
            try:
                member = self._archive(path, fd, facts).find(fd, name)
            except ArchiveBroken as error:
                raise broken(error) from error
            if member is None:
                raise ImageMissing(what="member in the archive")
            return Contents(read_member(fd, member, max_bytes=max_bytes), facts.st_size, facts.st_mtime_ns)

    def _archive(self, path: bytes, fd: int, facts: os.stat_result) -> _Archive:
        identity = (facts.st_dev, facts.st_ino, facts.st_size, facts.st_mtime_ns)
        known = self._known.pop(path, None)
        archive = known if known and known.identity == identity else _Archive(identity, archives.layout(fd))
        self._known[path] = archive
        while len(self._known) > 1 and (len(self._known) > REMEMBERED or self._places > MOST_PLACES):
            self._known.popitem(last=False)
        return archive

    @property
    def _places(self) -> int:
        return sum(len(archive.places) for archive in self._known.values())


class _Archive:
    """Where the members of one archive lie, as far as anyone has asked: an archive is mostly read in its order.

    Headers are read once, and no further than to the member wanted. When time is up within them, the next
    picture goes on from there.
    """

    def __init__(self, identity: Identity, layout: Layout) -> None:
        self.identity = identity
        self.places: dict[int, int] = {}
        """hashes of names, of which there may be a million"""
        self._layout = layout
        self._place = layout.first
        self._complete = False

    def find(self, fd: int, name: bytes) -> Member | None:
        """The member of that name, the first if there are several. Raises ArchiveBroken where that cannot be said."""
        key = hash(name)
        while key not in self.places and not self._complete:
            self._look_further(fd)
        if key not in self.places:
            return None
        member, _ = self._layout.entry(fd, self.places[key])
        return member if member and member.name == name else None

    def _look_further(self, fd: int) -> None:
        member, following = self._layout.entry(fd, self._place)
        if member is None:
            self._complete = True
        else:
            self.places.setdefault(hash(member.name), self._place)
            self._place = following
