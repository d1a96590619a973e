"""Hostile files through real decoder processes, and the whole way: each ends with an answer or a code."""

from __future__ import annotations

import hashlib
import itertools
import os
import stat
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from pipeline.errors import CODES
from pipeline.locators import Picture
from pipeline.store import Store
from tests import house as houses
from tests.hostile import by_kind, corpus, rooms, sample
from tests.hostile.bombs import bombs
from tests.hostile.sizes import LIMIT
from tests.hostile.sound import SOUND
from tests.hostile.specimen import ANSWERED, TIMEOUT, Data, Specimen
from tests.house import House
from workers.child import Refused
from workers.decoders import GRACE, Decoded, Decoders
from workers.limits import COPIES, OWN_MEMORY
from workers.pixels import CHANNELS, Pixels

FEW = 200
AT_ONCE = 1000
"""files on the disk at a time"""
LIMITS = replace(houses.LIMITS, max_pixels=LIMIT, seconds=3.0, memory=OWN_MEMORY + COPIES * CHANNELS * LIMIT)
RESTING = 100 << 20
"""Bytes a decoder may hold between pictures: it begins with some 40 MB."""
BUSY_MACHINE = 10.0
"""seconds that a machine with other things to do may add to the time allowed"""

full = pytest.mark.parametrize("count", [FEW, pytest.param(None, marks=pytest.mark.soak)], ids=["few", "all"])


def chosen(count: int | None) -> Iterable[Specimen]:
    return corpus() if count is None else sample(count)


@dataclass(frozen=True)
class Seen:
    """How asking a decoder for one file ended."""

    end: str
    shown: tuple[int, int, str] | None
    message: str
    seconds: float


@dataclass
class Look:
    """Decoders as a worker has them, each with one picture at a time; what they were seen to need."""

    decoders: Decoders
    pixels: Pixels
    peaks: dict[int, int] = field(default_factory=dict)
    """process -> the most memory it had"""

    def at(self, paths: Iterable[Path]) -> Iterator[tuple[Path, Seen]]:
        waiting = iter(paths)
        pending: dict[int, tuple[Path, Future[Decoded], float]] = {}
        while True:
            for path in itertools.islice(waiting, len(self.decoders.children) - len(pending)):
                offset = self.pixels.take()
                assert offset is not None
                future = self.decoders.decode(str(path), offset, self.pixels.room)
                pending[offset] = (path, future, time.monotonic())
            if not pending:
                return
            self._turn()
            for offset, (path, future, begun) in list(pending.items()):
                if future.done():
                    yield path, self._seen(offset, future, time.monotonic() - begun)
                    del pending[offset]

    def one(self, path: Path) -> Seen:
        ((_, seen),) = self.at([path])
        return seen

    def until_ready(self) -> None:
        while any(child.ready is None for child in self.decoders.children):
            self._turn()

    def _turn(self) -> None:
        self.decoders.tend()
        for child in self.decoders.children:
            if child.wire:
                child.wire.wait(0.002)
                self.peaks[child.pid or 0] = memory_of(child.pid, "VmHWM")
        self.decoders.receive()

    def _seen(self, offset: int, future: Future[Decoded], seconds: float) -> Seen:
        error = future.exception()
        self.pixels.free(offset)
        if isinstance(error, Refused):
            return Seen(error.code, None, error.message, seconds)
        found = future.result()
        shown = os.pread(self.pixels.fd, found.width * found.height * CHANNELS, offset)
        return Seen(ANSWERED, (found.width, found.height, hashlib.sha256(shown).hexdigest()), "", seconds)


@contextmanager
def looking() -> Iterator[Look]:
    pixels = Pixels(2, LIMIT, budget=2 * LIMIT * CHANNELS)
    decoders = Decoders(2, LIMITS, pixels.fd)
    try:
        yield Look(decoders, pixels)
    finally:
        decoders.close()
        pixels.close()


def memory_of(pid: int | None, what: str) -> int:
    with suppress(FileNotFoundError):
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith(what):
                return int(line.split()[1]) * 1024
    return 0


def in_parts(specimens: Iterable[Specimen]) -> Iterator[list[Specimen]]:
    waiting = iter(specimens)
    while part := list(itertools.islice(waiting, AT_ONCE)):
        yield part


def test_the_corpus_is_large_and_the_few_are_spread_over_it() -> None:
    assert len(corpus()) > 2000
    assert len({specimen.place for specimen in corpus()}) == len(corpus())
    few = sample(FEW)
    assert len(few) == len({specimen.place for specimen in few}) == FEW
    assert by_kind(few).keys() == by_kind(corpus()).keys()
    assert all(set(room) & set(few) for room in rooms())


def test_another_process_draws_the_same_bytes(tmp_path: Path) -> None:
    here, there = tmp_path / "here", tmp_path / "there"
    for specimen in sample(FEW):
        specimen.write(here)
    script = f"from tests.hostile import sample\nfor each in sample({FEW}): each.write({str(there)!r})"
    subprocess.run([sys.executable, "-c", script], check=True, cwd=Path(__file__).parents[2])
    first, second = ({path.relative_to(folder): digest(path) for path in folder.rglob("*")} for folder in (here, there))
    assert first == second and len(first) > FEW


def digest(path: Path) -> str:
    """Of what a file holds that a decoder would read."""
    if not stat.S_ISREG(path.lstat().st_mode) or path.stat().st_size > LIMITS.max_bytes:
        return ""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_the_sound_files_are_sound(tmp_path: Path) -> None:
    with looking() as look:
        for name, data in SOUND.items():
            (tmp_path / name).write_bytes(data())
            assert look.one(tmp_path / name).end == ANSWERED, name


@full
def test_each_file_ends_as_it_should(count: int | None, tmp_path: Path) -> None:
    wrong = []
    with looking() as look:
        like: dict[Data, Seen] = {}
        for part in in_parts(chosen(count)):
            files = {specimen.write(tmp_path): specimen for specimen in part}
            for path, seen in look.at(files):
                specimen = files[path]
                if specimen.like and specimen.like not in like:
                    (tmp_path / "like").write_bytes(specimen.like())
                    like[specimen.like] = look.one(tmp_path / "like")
                if why := _wrong(specimen, seen, like):
                    wrong.append((specimen.place, why))
                if path.is_file() and not path.is_symlink():
                    path.unlink()
        assert wrong == []
        assert max(look.peaks.values()) < LIMITS.memory
        assert all(memory_of(child.pid, "VmRSS") < RESTING for child in look.decoders.children)


def _wrong(specimen: Specimen, seen: Seen, like: dict[Data, Seen]) -> str | None:
    """What is wrong with how a file ended."""
    if seen.end not in specimen.ends:
        return f"{seen.end} ({seen.message}) instead of {', '.join(sorted(specimen.ends))}"
    if seen.shown and specimen.like and seen.shown != like[specimen.like].shown:
        return "another picture is seen than the sound file's"
    if seen.seconds > LIMITS.seconds + GRACE + BUSY_MACHINE:
        return f"it took {seen.seconds:.1f} s"
    if not (seen.message.isprintable() and len(seen.message) < 300):
        return f"nobody can read {seen.message!r}"
    return None


def test_a_file_that_hangs_its_decoder_costs_itself_alone(tmp_path: Path) -> None:
    """What libtiff does in one call no alarm interrupts: the decoder is ended and started again."""
    (culprit,) = (specimen for specimen in bombs() if specimen.name == b"strips of many scans.tif")
    hanging = culprit.write(tmp_path)
    others = houses.draw_many(tmp_path / "in", 20)
    with looking() as look:
        look.one(others[0])
        before = {child.pid for child in look.decoders.children}
        ends = dict(look.at([*others[:10], hanging, *others[10:]]))
        look.until_ready()
        after = {child.pid for child in look.decoders.children}
    assert ends.pop(hanging).end == TIMEOUT
    assert {seen.end for seen in ends.values()} == {ANSWERED}
    assert len(before & after) == 1


@full
def test_the_whole_way(count: int | None, sqlite_store: Store, tmp_path: Path) -> None:
    """Every file a job, in one batch, with one worker: nobody dies, and the batch ends."""
    specimens = list(chosen(count))
    files = {Picture.at(path, None): specimen for specimen in specimens for path in (specimen.write(tmp_path),)}
    house = House(sqlite_store, limits=LIMITS)
    outcome = house.run(files)
    assert (outcome.counts.total, outcome.counts.done + outcome.counts.failed) == (len(files), len(files))
    assert outcome.tally.get("crashes", 0) == 0, "the engine lives"
    ends = {row.pictures[0].locator: ANSWERED for row in sqlite_store.views.answers()}
    ends |= {row.pictures[0].locator: row.error_code or "" for row in sqlite_store.views.failed()}
    assert set(ends.values()) <= {ANSWERED, *CODES}
    assert ends.keys() == {picture.locator for picture in files}
    wrong = [(each.place, ends[at.locator]) for at, each in files.items() if ends[at.locator] not in each.ends]
    assert wrong == []
