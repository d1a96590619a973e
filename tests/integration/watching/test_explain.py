"""pipeline.watching.explaining: the true reason for each of many cases."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from pipeline.store import Store
from pipeline.store.watched import FileState
from pipeline.watching.explaining import Explanation, explain
from pipeline.watching.plan import After, Fate, Ready
from tests.house import House, draw
from tests.watched import Watch

Make = Callable[[Path], object]


def _text(path: Path) -> object:
    return path.write_text("no picture")


def _cut(path: Path) -> object:
    return path.write_bytes(draw(path, 1).read_bytes()[:40])


def _link_out(path: Path) -> object:
    return path.symlink_to(draw(path.parents[1] / "outside.bmp", 1))


def _pipe(path: Path) -> object:
    return os.mkfifo(path)


CASES: dict[str, tuple[str, Make | None, str, str]] = {
    "answered": ("a.bmp", lambda path: draw(path, 1), "done", "It was answered at"),
    "in a subfolder": ("sub/deep/a.bmp", lambda path: draw(path, 1), "done", "It was answered at"),
    "hidden": (".a.bmp", lambda path: draw(path, 1), "ignored", "begins with a dot"),
    "still written": ("a.bmp.part", lambda path: draw(path, 1), "ignored", "still written"),
    "a backup": ("a.bmp~", lambda path: draw(path, 1), "ignored", "still written"),
    "no picture by its name": ("a.txt", _text, "ignored", "not that of a picture"),
    "litter": ("@eaDir/a.bmp", lambda path: draw(path, 1), "ignored", "@eaDir"),
    "a hidden folder": (".stversions/a.bmp", lambda path: draw(path, 1), "ignored", ".stversions"),
    "excluded": ("no.bmp", lambda path: draw(path, 1), "ignored", "--exclude leaves it out"),
    "an excluded folder": ("skip/a.bmp", lambda path: draw(path, 1), "ignored", "--exclude leaves out its folder skip"),
    "not included": ("a.ppm", lambda path: draw(path, 1), "ignored", "--include does not name it"),
    "our own folder": ("done/a.bmp", lambda path: draw(path, 1), "ignored", "Pixmill itself puts files into done"),
    "a link that leads out": ("link.bmp", _link_out, "ignored", "leads out"),
    "a link to nothing": ("lost.bmp", lambda path: path.symlink_to("nowhere.bmp"), "ignored", "leads nowhere"),
    "a pipe": ("pipe.bmp", _pipe, "ignored", "no regular file"),
    "a folder": ("folder.bmp", lambda path: path.mkdir(), "unknown", "It is a folder"),
    "never there": ("never.bmp", None, "unknown", "no such file"),
    "cut short": ("cut.bmp", _cut, "waiting", "the picture ends too early"),
    "no picture inside": ("text.bmp", _text, "failed", "image_unsupported"),
}


def one(store: Store, path: Path) -> Explanation:
    (found,) = explain(store, str(path), None)
    return found


@pytest.fixture(scope="module")
def explained(tmp_path_factory: pytest.TempPathFactory, sqlite_template: Path) -> Iterator[dict[str, Explanation]]:
    """All cases in one folder, watched once."""
    from pipeline import database

    top = tmp_path_factory.mktemp("explained")
    folder = top / "in"
    folder.mkdir()
    (top / "pixmill.db").write_bytes(sqlite_template.read_bytes())
    store = Store(database.connect(f"sqlite:///{top}/pixmill.db"))
    for name, make, _, _ in CASES.values():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        if make:
            make(folder / name)
    rules = {"include": ("*.bmp", "*.txt"), "exclude": ("no.bmp", "skip"), "patience": 600.0, "stable_for": 0.05}
    with Watch(House(store), folder, on_failure=Fate(After.MOVE, str(folder / "done")), **rules) as watch:
        watch.until_answered(2)
        watch.until_told("failed")
        watch.until_told("waiting")
        found = {case: one(store, folder / name) for case, (name, *_) in CASES.items()}
    yield found
    store.close()


@pytest.mark.parametrize("case", CASES)
def test_the_true_reason(explained: dict[str, Explanation], case: str) -> None:
    _, _, state, reason = CASES[case]
    found = explained[case]
    assert (found.state, found.watch) == (state, "in")
    assert reason in found.reason


def test_what_lies_elsewhere(sqlite_store: Store, tmp_path: Path) -> None:
    assert one(sqlite_store, tmp_path / "a.bmp").reason == "No folder is watched yet."
    (tmp_path / "in").mkdir()
    with Watch(House(sqlite_store), tmp_path / "in"):
        found = one(sqlite_store, draw(tmp_path / "a.bmp", 1))
    assert (found.state, found.watch) == ("unknown", None)
    assert str(tmp_path / "in") in found.reason


def test_on_its_way_and_afterwards(sqlite_store: Store, tmp_path: Path) -> None:
    """Waiting for quiet, for its marker, moved, changed since, gone, and with nobody who watches."""
    house, folder = House(sqlite_store), tmp_path / "in"
    folder.mkdir()
    path = draw(folder / "a.bmp", 1)
    with Watch(house, folder, stable_for=600.0) as watch:
        watch.until(lambda: watch.file(path) is not None)
        assert "It waits: it changed a moment ago. Looked at again in" in one(sqlite_store, path).reason
    assert "start `pixmill watch run`" in one(sqlite_store, path).reason
    with Watch(house, folder, ready=Ready.MARKER) as watch:
        watch.until_told("waiting")
        assert "its marker a.bmp.done has not come" in one(sqlite_store, path).reason
    done = tmp_path / "done"
    with Watch(house, folder, on_success=Fate(After.MOVE, str(done))) as watch:
        watch.until_told("answered")
        assert f"It was answered and moved to {done / 'a.bmp'}" in one(sqlite_store, path).reason
    with Watch(house, folder, stable_for=0.5) as watch:
        gone = draw(folder / "gone.bmp", 2)
        watch.until(lambda: watch.file(gone) is not None)
        gone.unlink()
        watch.until_told("gone")
        assert "It went before it could be taken" in one(sqlite_store, gone).reason
        draw(folder / "b.bmp", 3)
        watch.until(lambda: (file := watch.file(folder / "b.bmp")) is not None and file.state is FileState.DONE)
    draw(folder / "b.bmp", 4, (5, 5))
    assert one(sqlite_store, folder / "b.bmp").state == "changed"


def test_taken_and_not_answered_yet(sqlite_store: Store, tmp_path: Path) -> None:
    house = House(sqlite_store, script={"step_s": 0.5, "tokens": (2, 2)})
    (tmp_path / "in").mkdir()
    path = draw(tmp_path / "in" / "a.bmp", 1)
    with Watch(house, tmp_path / "in") as watch:
        watch.until_told("taken")
        found = one(sqlite_store, path)
        watch.until_answered(1)
    assert (found.state, "not all of its questions have ended" in found.reason) == ("taken", True)
