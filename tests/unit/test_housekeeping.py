"""What a person names to be forgotten, and which files nothing needs."""

from __future__ import annotations

import os
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path

import pytest
import sqlalchemy as sa

from pipeline import blobs
from pipeline import tables as t
from pipeline.commands.prune import KINDS as NAMES
from pipeline.errors import PictureUnclear
from pipeline.housekeeping import KINDS, files
from pipeline.housekeeping.forgetting import wanted
from pipeline.housekeeping.place import Place
from pipeline.jobs import JobSpec
from pipeline.locators import Picture, blob_path
from pipeline.prompts import Prompt
from pipeline.remote.cache import Cache
from pipeline.remote.source import Tag
from pipeline.settings import Settings, read_settings
from pipeline.store import Store
from pipeline.store.forgetting import FORGOTTEN, Names, Wanted
from tests.store_world import Clock, World

NOW = 2_000_000_000.0


@pytest.fixture
def backend() -> str:
    return "sqlite"


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    (tmp_path / "media").mkdir()
    flags = {"home": str(tmp_path / "home"), "media_root": str(tmp_path / "media")}
    return read_settings(flags, environ={}, folder=tmp_path)


@pytest.fixture
def place(store: Store, settings: Settings) -> Place:
    return Place(store=store, settings=settings, before=NOW)


def test_the_command_lists_the_kinds() -> None:
    assert tuple(KINDS) == NAMES


# --- what a person names -------------------------------------------------------------------------


def test_a_file_is_meant_by_both_its_locators_and_by_what_it_holds(
    store: Store, settings: Settings, tmp_path: Path
) -> None:
    path = tmp_path / "media" / "a b.jpg"
    gone = wanted(store, settings, [str(path)])
    assert gone == Wanted(locators=frozenset({"media:a%20b.jpg", f"file://{tmp_path}/media/a%20b.jpg"}))
    path.write_bytes(b"picture")
    assert wanted(store, settings, [str(path)]).digests == {sha256(b"picture").digest()}
    assert wanted(store, settings, ["media:a%20b.jpg"]) == wanted(store, settings, [str(path)])


def test_folders_archives_and_members(store: Store, settings: Settings, tmp_path: Path) -> None:
    folder = wanted(store, settings, [str(tmp_path / "media")])
    assert folder.beginnings >= {f"file://{tmp_path}/media/"} and not folder.locators
    assert wanted(store, settings, ["/gone/"]).beginnings == {"file:///gone/"}
    archive = wanted(store, settings, ["/x/a.zip"])
    assert (archive.locators, archive.beginnings) == ({"file:///x/a.zip"}, {"file:///x/a.zip#"})
    assert wanted(store, settings, ["/x/a.zip#in/b.jpg"]).locators == {"file:///x/a.zip#in/b.jpg"}
    assert wanted(store, settings, ["https://x.org/a.jpg"]).locators == {"https://x.org/a.jpg"}
    assert wanted(store, settings, ["blob:" + "ab" * 32]).digests == {b"\xab" * 32}


@pytest.mark.parametrize(("text", "why"), [("abcd", "12 digits"), ("a" * 12, "no known"), ("blob:x", "hexadecimal")])
def test_what_is_unclear_is_refused(store: Store, settings: Settings, text: str, why: str) -> None:
    with pytest.raises(PictureUnclear, match=why):
        wanted(store, settings, [text])


def test_names_in_what_a_person_wrote() -> None:
    names = Names(Wanted(locators=frozenset({"file:///x/my%20cat.jpg"})), ())
    value = {"paths": ["/x/my cat.jpg", "my cat.jpg", "other.jpg"], "note": "see /x/my cat.jpg"}
    assert names.scrubbed(value, listed=False) == {
        **value,
        "paths": [FORGOTTEN, *value["paths"][1:]],
        "note": FORGOTTEN,
    }
    assert names.scrubbed(value, listed=True)["paths"] == [FORGOTTEN, FORGOTTEN, "other.jpg"]
    below = Names(Wanted(beginnings=frozenset({"file:///x/"})), ["file:///x/a.jpg"])
    assert below.scrubbed(["/x/", "/x/a.jpg", "/y/x/a.jpg"], listed=False) == ["/x/", FORGOTTEN, "/y/x/a.jpg"]
    assert not names.within("/y/x/my cat.jpg /x/my cat.jpg.bak") and names.within("/x/my cat.jpg: 0 bytes.")
    assert not Names(Wanted(), ()).within("anything")


# --- files -----------------------------------------------------------------------------------------


def blob(settings: Settings, data: bytes, time: float = 1.0) -> Path:
    locator = blobs.keep(data, blobs.folder(settings)).locator
    path = blob_path(blobs.folder(settings), locator.removeprefix("blob:"))
    os.utime(path, (time, time))
    return path


def prune(place: Place, find: Callable[..., object]) -> int:
    return sum(count for count, _ in files.remove(find, place))  # type: ignore[arg-type]


def test_blobs_that_no_job_names_go(place: Place, world: World) -> None:
    named, left = blob(place.settings, b"named"), blob(place.settings, b"left")
    picture = Picture(f"blob:{named.name}")
    world.add(world.open(), JobSpec.of(pictures=(picture,), prompt=Prompt.ask("What?"), model="m", device_class=None))
    assert files.count(files.blobs, place) == ({"file": 1}, 4)
    assert prune(place, files.blobs) == 1
    assert named.exists() and not left.exists()
    again = blob(place.settings, b"left")
    blobs.keep(b"left", blobs.folder(place.settings))  # a submission brings it once more: its job is not there yet
    assert prune(place, files.blobs) == 0 and again.exists()


def test_without_a_database_no_blob_is_taken_for_left(settings: Settings) -> None:
    store = Store(sa.create_engine("sqlite://"))
    blob(settings, b"another's")
    assert files.count(files.blobs, Place(store=store, settings=settings, before=NOW)) == ({"file": 0}, 0)
    store.close()


def test_fetched_pictures_that_nobody_used_go(place: Place) -> None:
    clock = Clock(1.0)
    cache = Cache(place.settings.fetched, 1000, now=clock)
    old, held = (cache.keep(f"https://x.org/{name}", Tag(None, None), [b"12345"]) for name in "ab")
    old.close()
    assert files.count(files.fetched, place) == ({"file": 2}, 10)
    assert prune(place, files.fetched) == 1
    assert cache.find("https://x.org/a") is None and held.path.exists()
    assert [path.suffix for path in cache.kept("https://x.org/b")] != []
    held.close()


def test_records_of_watched_files_go_with_the_files(place: Place, world: World, tmp_path: Path) -> None:
    there, gone, away = tmp_path / "there.jpg", tmp_path / "gone.jpg", tmp_path / "unmounted" / "a.jpg"
    there.touch()
    facts = {"watch_id": 1, "drop": "", "size": 1, "mtime_ns": 1, "tries": 0, "since": 1.0, "updated": 1.0}
    states = [(there, "done"), (gone, "done"), (away, "done"), (tmp_path / "soon.jpg", "waiting")]
    with place.store._writing() as (connection, _):
        connection.execute(t.watches.insert().values(id=1, name="w", spec={}, created=1.0))
        for path, state in states:
            connection.execute(t.watched_files.insert().values(locator=f"file://{path}", state=state, **facts))
    assert files.count_watched(place) == ({"record": 1}, None)
    assert sum(count for count, _ in files.remove_watched(place)) == 1
    assert len(world.rows(sa.select(t.watched_files.c.locator))) == 3
