"""A job on its way through a worker, and how many may be where."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field

from pipeline.errors import Cancelled
from pipeline.jobs import Claim, PictureRead
from pipeline.prompts import MOST_PICTURES
from pipeline.queue import TICKET
from workers.child import Refused
from workers.pictures import Loaded
from workers.tray import Ticket


@dataclass(eq=False, slots=True)
class Work:
    """A claimed job and all that this worker holds for it."""

    claim: Claim
    ticket: Ticket
    begun: float
    crashes: int
    pictures: list[Loaded] = field(default_factory=list)
    unsettled: int = 0
    """pictures that are still being opened"""
    key: bytes | None = None
    """the content key, once the pictures have been read"""
    seed: int | None = None
    unwanted: bool = False
    """whether the last batch that wanted it was cancelled, or is past its deadline"""
    twins: list[Work] = field(default_factory=list)
    """jobs with the same content, which wait for this one's answer"""

    @property
    def id(self) -> int:
        return self.claim.id

    @property
    def reads(self) -> list[PictureRead]:
        """What was found in the pictures, up to the first that could not be read: the order tells whose it is."""
        reads = itertools.takewhile(bool, (picture.read for picture in self.pictures))
        return [read for read in reads if read]

    @property
    def refusal(self) -> Refused | None:
        """Why the engine is not to be asked."""
        if self.unwanted:
            return Refused(Cancelled.code, str(Cancelled()))
        return next((picture.refusal for picture in self.pictures if picture.refusal), None)


@dataclass(frozen=True, slots=True)
class Places:
    """How many jobs may be where, counted from how many the engine runs at once (`max_num_seqs`)."""

    running: int

    @property
    def in_flight(self) -> int:
        """Twice what runs keeps the engine full; three times gained nothing."""
        return 2 * self.running

    @property
    def held(self) -> int:
        """In flight, and as many again as run whose pictures are being opened. The last ticket may exceed it."""
        return 3 * self.running

    @property
    def fetching(self) -> int:
        """So many more while that many pictures are being fetched: a slow server is not to keep all others out."""
        return 8 * self.running

    @property
    def group(self) -> int:
        """So many free places make a claim worth its transaction."""
        return max(1, self.running // 2)

    @property
    def pictures(self) -> int:
        """Slots for pixels: so many that no job with several pictures waits for one that waits for it.

        They cost nothing until they are filled, which the budget bounds.
        """
        return (self.held + self.fetching + TICKET) * MOST_PICTURES

    @property
    def tickets(self) -> int:
        """Jobs whose tickets should be in hand, since a ticket waits for its slowest answer."""
        return 8 * self.running
