"""Pictures from a web server, answered by a worker with real child processes."""

from __future__ import annotations

import logging
import sqlite3
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pipeline.locators import Picture
from pipeline.owner import Owner
from pipeline.remote.fetcher import FetchLimits
from pipeline.remote.policy import Policy
from pipeline.store import Store
from pipeline.store.values import Counts
from tests.house import LIMITS, House, draw, draw_many, saying
from tests.web import Hold, Page, Site, site
from workers.child import Refused
from workers.local import Stop
from workers.opener import Opener
from workers.work import Places
from workers.worker import Worker


@pytest.fixture
def house(sqlite_store: Store) -> House:
    return House(sqlite_store)


@pytest.fixture
def server() -> Iterator[Site]:
    with site() as made:
        yield made


@pytest.fixture
def fetch(tmp_path: Path) -> FetchLimits:
    return FetchLimits(
        policy=Policy(frozenset({"http://127.0.0.1"}), allow_private=True),
        folder=tmp_path / "cache",
        cache_bytes=1 << 20,
        max_bytes=LIMITS.max_bytes,
        seconds=20.0,
    )


@pytest.fixture
def worker(house: House, fetch: FetchLimits) -> Callable[..., Worker]:
    return lambda **changes: house.worker(fetch=fetch, **changes)


def bitmap(folder: Path, number: int) -> bytes:
    return draw(folder / "picture", number).read_bytes()


def serve(server: Site, folder: Path, count: int, **page: Any) -> list[Picture]:
    """So many pictures on the server, which tell their numbers."""
    return [Picture(server.add(f"/{number}.bmp", bitmap(folder, number), **page)) for number in range(count)]


def texts(house: House) -> Counter[str]:
    return Counter(row.text for row in house.store.views.answers())


def left(folder: Path) -> list[Path]:
    """What was begun and has not become a whole file."""
    return [path for path in (folder / "new").glob("*") if path.is_file()]


def test_pictures_of_a_server_are_answered_and_fetched_once(
    house: House, worker: Callable[..., Worker], server: Site, tmp_path: Path
) -> None:
    pictures = serve(server, tmp_path, 40)
    outcome = house.run(pictures, ["What?", "Where?"], worker=worker())
    assert outcome.counts.done == 80
    assert texts(house) == Counter(saying(q, n) for n in range(40) for q in ("What?", "Where?"))
    assert Counter(server.paths) == Counter(f"/{number}.bmp" for number in range(40))


def test_roots_that_are_allowed_let_the_cache_in(
    house: House, worker: Callable[..., Worker], server: Site, fetch: FetchLimits, tmp_path: Path
) -> None:
    limits = replace(LIMITS, allowed_roots=(str(tmp_path / "elsewhere"), str(fetch.folder)))
    outcome = house.run(serve(server, tmp_path, 2), worker=worker(limits=limits))
    assert outcome.counts.done == 2


def test_what_cannot_be_fetched_fails_with_its_code_and_stops_nobody(
    house: House, worker: Callable[..., Worker], server: Site, fetch: FetchLimits, tmp_path: Path
) -> None:
    good = serve(server, tmp_path, 3)
    bad = {
        server.add("/gone", status=410): "image_missing",
        server.add("/large", bytes(LIMITS.max_bytes + 1)): "image_too_large",
        server.add("/text", b"not a picture"): "image_unsupported",
        server.add("/away", status=302, headers={"Location": "http://10.0.0.1/"}): "forbidden_url",
        "http://example.org/not-allowed-here.jpg": "forbidden_url",
    }
    outcome = house.run([*good, *map(Picture, bad)], worker=worker())
    assert (outcome.counts.done, outcome.counts.failed) == (3, 5)
    failed = {row.pictures[0].locator: row.error_code for row in house.store.views.failed()}
    assert failed == bad
    assert not left(fetch.folder)


def test_a_server_in_trouble_is_asked_again_later(
    house: House, worker: Callable[..., Worker], server: Site, tmp_path: Path
) -> None:
    busy = [Page(status=503, headers={"Retry-After": "600"})]
    outcome = house.run(serve(server, tmp_path, 1, failing=busy), worker=worker())
    assert outcome.counts.done == 1
    assert outcome.tally["retried"] == 1, "the job waited, for the server wanted more time than a fetch has"


def test_a_slow_server_does_not_hold_up_other_pictures(
    house: House, worker: Callable[..., Worker], server: Site, tmp_path: Path
) -> None:
    hold = Hold()
    slow = serve(server, tmp_path, 30, hold=hold)
    assert len(slow) > Places(house.max_num_seqs).held
    local = draw_many(tmp_path / "in", 30)
    seen: list[int] = []

    def tell(counts: Counts) -> None:
        if counts.done == 30 and not hold.onward.is_set():
            seen.append(counts.running)
            hold.onward.set()

    outcome = house.run([*slow, *local], worker=worker(), tell=tell)
    assert outcome.counts.done == 60
    assert seen == [30], "all others were answered while these still came"


def test_a_stop_does_not_wait_for_a_slow_server_and_the_next_run_goes_on(
    house: House, worker: Callable[..., Worker], server: Site, fetch: FetchLimits, tmp_path: Path
) -> None:
    hold, stop = Hold(), Stop()
    pictures = serve(server, tmp_path, 40, hold=hold)

    def stop_once_it_waits() -> None:
        hold.reached.wait(20)
        stop.ask()

    threading.Thread(target=stop_once_it_waits).start()
    outcome = house.run(pictures, worker=worker(), stop=stop)
    assert not hold.onward.is_set()
    assert (outcome.counts.done, outcome.counts.unfinished) == (0, 40)
    assert not left(fetch.folder)
    hold.onward.set()
    assert house.run(pictures, worker=worker()).counts.done == 40


def test_a_lost_lease_is_begun_anew_with_what_is_still_fetched(
    house: House, worker: Callable[..., Worker], server: Site, tmp_path: Path
) -> None:
    hold = Hold()
    pictures = serve(server, tmp_path, 3, hold=hold)
    taken: list[int] = []

    def take_the_lease(counts: Counts) -> None:
        if hold.reached.is_set() and counts.running and not taken:
            later = Store(house.store._engine, clock=lambda: time.time() + 3600)
            taken.append(later.reap(replace(Owner.current(), pid=1)))
            hold.onward.set()

    local = draw_many(tmp_path / "in", 8)
    house.script = {"step_s": 0.05, "tokens": (20, 20)}
    outcome = house.run([*local, *pictures], worker=worker(lease_s=1.0), tell=take_the_lease)
    assert taken and taken[0] >= 3
    assert outcome.counts.done == 11


def test_neither_logs_nor_the_database_hold_what_gives_access(
    house: House,
    worker: Callable[..., Worker],
    server: Site,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    sqlite_store: Store,
) -> None:
    caplog.set_level(logging.INFO)
    server.add("/signed?X-Amz-Signature=hunter2", bitmap(tmp_path, 1))
    pages = {
        "/good": {"Location": "/signed?X-Amz-Signature=hunter2"},
        "/gone": {"Location": "/gone/then?sig=hunter2"},
        "/away": {"Location": "https://me:hunter2@example.org/?token=hunter2"},
        "/other": {"Location": "http://other.example.org/?token=hunter2"},
    }
    pictures = [Picture(server.add(path, status=302, headers=headers)) for path, headers in pages.items()]
    outcome = house.run(pictures, worker=worker())
    assert (outcome.counts.done, outcome.counts.failed) == (1, 3)
    everything = "\n".join(sqlite3.connect(str(sqlite_store._engine.url.database)).iterdump())
    assert "/good" in everything and "hunter2" not in everything
    assert "hunter2" not in caplog.text
    kept = b"".join(path.read_bytes() for path in (tmp_path / "cache").rglob("*.json"))
    assert b"hunter2" not in kept


def test_an_opener_fetches_too(server: Site, fetch: FetchLimits, tmp_path: Path) -> None:
    with Opener(LIMITS, None, fetch) as opener:
        assert opener.open(server.add("/a", bitmap(tmp_path, 1))).size == (4, 3)
        for address, code in ((f"{server.url}/gone", "image_missing"), ("https://example.org/", "forbidden_url")):
            with pytest.raises(Refused) as caught:
                opener.open(address)
            assert caught.value.code == code
    with Opener(LIMITS) as opener, pytest.raises(Refused):
        opener.open(f"{server.url}/a")
