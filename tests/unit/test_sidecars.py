"""pipeline.export.sidecars and places: which file holds what. Foreign readers: tests/integration/test_exports.py."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from pipeline.errors import SetupError, UsageError
from pipeline.export import export
from pipeline.export.order import OnExists, Order, Tally
from pipeline.export.places import Places
from pipeline.store.rows import ItemRow
from tests.items import item, place

OVERWRITE, APPEND = OnExists.OVERWRITE, OnExists.APPEND


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    folder = tmp_path / "photos"
    (folder / "trip").mkdir(parents=True)
    return folder


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "out"


def put(photos: Path, out: Path | None, *items: ItemRow, format: str = "txt", **options: Any) -> Tally:
    order = Order(target=None if out is None else str(out), **{"image_root": photos, **options})
    return export(items, format, order)


def files(folder: Path) -> dict[str, str]:
    paths = (path for path in sorted(folder.rglob("*")) if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes().decode() for path in paths}


def test_a_tree_mirrors_the_pictures(photos: Path, out: Path) -> None:
    tally = put(photos, out, item(0, photos / "cat.jpg"), item(1, photos / "trip/dog.png", text="a dög\nasleep"))
    assert files(out) == {"cat.txt": "a cat\n", "trip/dog.txt": "a dög\nasleep\n"}
    assert (tally.written, tally.left_out) == (2, {})


def test_beside_the_pictures_and_the_rest_in_a_tree(photos: Path, out: Path) -> None:
    inside = place("file:///x/shard.tar#deep/7.jpg")
    items = (item(0, photos / "cat.jpg"), item(1, inside), item(2, place("https://example.org/a/../b.jpg?x=1")))
    assert put(photos, None, *items, beside=True).left_out.total() == 2
    assert files(photos) == {"cat.txt": "a cat\n"}
    put(photos, out, *items, beside=True)
    assert list(files(out)) == ["_https/example.org/a/%2E%2E/b.txt", "_root/x/shard.tar/deep/7.txt"]


def test_beside_only_below_the_allowed_folders(photos: Path, tmp_path: Path) -> None:
    (tmp_path / "else").mkdir()
    (photos / "link").symlink_to(tmp_path / "else")
    items = (item(0, photos / "cat.jpg"), item(1, photos / "link/dog.jpg"), item(2, tmp_path / "else/cow.jpg"))
    tally = put(photos, None, *items, beside=True, allowed_roots=(photos,))
    assert (tally.written, tally.left_out.total()) == (1, 2)
    assert files(tmp_path / "else") == {}


def test_all_answers_about_a_picture_are_in_its_one_file(photos: Path, out: Path) -> None:
    cat, dog = photos / "cat.jpg", photos / "dog.jpg"
    items = [item(0, cat, text="one"), item(1, dog), item(2, cat, text="two", ask=1), item(3, cat, text="one")]
    put(photos, out, *items, items[0])
    assert files(out)["cat.txt"] == "one\ntwo\n"


def test_pictures_that_differ_in_their_ending_alone_have_files_of_their_own(photos: Path, out: Path) -> None:
    put(photos, out, item(0, photos / "a.jpg", text="jpg"), item(1, photos / "a.png", text="png"))
    assert files(out) == {"a.jpg.txt": "jpg\n", "a.png.txt": "png\n"}


def test_a_picture_is_never_overwritten_by_what_is_said_about_it(photos: Path) -> None:
    (photos / "odd.txt").write_bytes(b"BM")
    put(photos, None, item(0, photos / "odd.txt"), beside=True, on_exists=OVERWRITE)
    assert files(photos) == {"odd.txt": "BM", "odd.txt.txt": "a cat\n"}


def test_names_that_are_no_text_survive(photos: Path, out: Path) -> None:
    put(photos, out, item(0, os.fsencode(photos) + b"/\xff\n.jpg"))
    assert os.listdir(os.fsencode(out)) == [b"\xff\n.txt"]


@pytest.mark.parametrize(
    ("on_exists", "text"),
    [(OnExists.SKIP, "old"), (OVERWRITE, "a cat\n"), (APPEND, "old\na cat\n")],
)
def test_what_becomes_of_a_file_that_is_there(photos: Path, out: Path, on_exists: OnExists, text: str) -> None:
    out.mkdir()
    (out / "cat.txt").write_text("old")
    put(photos, out, item(0, photos / "cat.jpg"), on_exists=on_exists)
    assert files(out)["cat.txt"] == text
    tally = put(photos, out, item(0, photos / "cat.jpg"), on_exists=on_exists)
    assert (files(out)["cat.txt"], tally.written, tally.left_out.total()) == (text, 0, 1)


def test_append_is_for_lines(photos: Path, out: Path) -> None:
    with pytest.raises(UsageError, match="txt and caption"):
        put(photos, out, item(0, photos / "cat.jpg"), format="json", on_exists=APPEND)


@pytest.mark.parametrize(("target", "message"), [(None, "Where to"), ("-", "name a folder")])
def test_sidecars_need_a_place(photos: Path, target: str | None, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        export([], "txt", Order(target=target))


def test_json_holds_the_text_and_whole_answers(photos: Path, out: Path) -> None:
    put(
        photos,
        out,
        item(0, photos / "cat.jpg", name="kind"),
        item(0, photos / "cat.jpg", ask=1, text="2"),
        format="json",
    )
    found = json.loads(files(out)["cat.json"])
    assert (found["locator"], found["text"]) == (place(photos / "cat.jpg").locator, "a cat\n2")
    assert [answer["name"] for answer in found["answers"]] == ["kind", None]
    assert found["answers"][0]["answer"]["build"]["precision"] == "int4"


def test_what_is_left_out_is_counted(photos: Path, out: Path) -> None:
    items = [item(0, photos / "a.jpg", photos / "b.jpg"), item(1, photos / f"{'n' * 253}.j"), item(2, "/gone/x.jpg")]
    tally = put(photos, None, *items, beside=True)
    assert tally.left_out == {
        "about several pictures": 1,
        "whose file would have too long a name": 1,
        "about pictures whose folder is gone": 1,
    }


def test_what_is_no_xmp_stays_and_the_others_are_made(photos: Path) -> None:
    (photos / "cat.jpg.xmp").write_text("mine")
    items = (item(0, photos / "cat.jpg"), item(1, photos / "dog.jpg"))
    tally = put(photos, None, *items, format="xmp", beside=True, on_exists=OVERWRITE)
    assert (tally.written, tally.left_out.total(), files(photos)["cat.jpg.xmp"]) == (1, 1, "mine")


def test_a_file_in_the_way_of_a_folder_is_a_sentence(photos: Path, out: Path) -> None:
    out.mkdir()
    (out / "trip").touch()
    with pytest.raises(SetupError, match="trip cannot be written"):
        put(photos, out, item(0, photos / "trip/cat.jpg"))


def test_unfinished_files_of_a_killed_export_go(photos: Path, out: Path) -> None:
    out.mkdir()
    (out / ".pixmill.1.part").touch()
    (out / ".other.1.part").touch()
    put(photos, out, item(0, photos / "cat.jpg"))
    assert sorted(os.listdir(out)) == [".other.1.part", "cat.txt"]


# --- places ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("locator", "expected"),
    [
        ("media:trip/a%20b.jpg", "trip/a b.jpg"),
        ("file:///media/trip/c.jpg", "trip/c.jpg"),
        ("file:///else/c.jpg", "_root/else/c.jpg"),
        ("media:shard.tar#x%2Fy.jpg", "shard.tar/x/y.jpg"),
        ("blob:abcd", "_blob/abcd.bmp"),
        ("s3://bucket/../k.jpg", "_s3/bucket/%2E%2E/k.jpg"),
    ],
)
def test_places_in_a_tree(locator: str, expected: str) -> None:
    assert Places.of(Order(target=None, media_root=Path("/media"))).mirrored(place(locator)) == expected


def test_a_media_locator_without_a_media_root_has_a_place_too() -> None:
    assert Places.of(Order(target=None)).mirrored(place("media:a/b.jpg")) == "_media/a/b.jpg"


def test_long_names_are_cut_and_stay_apart() -> None:
    places = Places.of(Order(target=None))
    one, two = (places.mirrored(place(f"https://h/{'ü' * 200}{end}.jpg")).rpartition("/")[2] for end in "ab")
    assert one != two
    assert len(os.fsencode(one)) <= 200 and one.endswith(".jpg")
