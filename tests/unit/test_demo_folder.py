"""workers.demo.folder: what it takes for its own, and what it leaves alone."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from PIL import Image

from pipeline.errors import SetupError, UsageError
from workers.demo.exercises import exercises
from workers.demo.folder import MARKER, Folder


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return Folder.at(tmp_path / "a" / "demo")


def times(folder: Folder) -> dict[str, int]:
    return {path.name: path.stat().st_mtime_ns for path in folder.pictures.iterdir()}


def test_a_folder_of_its_own_is_taken_again(folder: Folder) -> None:
    assert (folder.path / MARKER).is_file()
    assert Folder.at(folder.path) == folder


def test_another_s_folder_is_refused_and_left_as_it_was(tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "cat.jpg").write_bytes(b"cat")
    (tmp_path / "file").write_text("text")
    for name in ("photos", "file"):
        with pytest.raises(UsageError, match=r"is there already and not made by `pixmill demo`: name another --out"):
            Folder.at(tmp_path / name)
    assert [path.name for path in (tmp_path / "photos").iterdir()] == ["cat.jpg"]


def test_what_cannot_be_written_is_a_sentence(tmp_path: Path, folder: Folder) -> None:
    (tmp_path / "file").write_text("text")
    with pytest.raises(SetupError, match=r"cannot be written: Not a directory\. Name another folder with --out"):
        Folder.at(tmp_path / "file" / "demo")
    with pytest.raises(SetupError, match="cannot be written: Is a directory"):
        folder.write(folder.pictures, b"")


def test_pictures_that_are_there_keep_their_time(folder: Folder) -> None:
    tests = list(exercises(1, 3))
    folder.draw(tests)
    before = times(folder)
    (folder.pictures / tests[1].name).write_bytes(b"spoilt")
    folder.draw(tests)
    after = times(folder)
    assert after.keys() == before.keys() == {test.name for test in tests}
    assert [after[test.name] == before[test.name] for test in tests] == [True, False, True]
    with Image.open(folder.pictures / tests[1].name) as picture:
        assert picture.size == (tests[1].scene.width, tests[1].scene.height)


def test_pictures_of_another_demo_go_and_a_person_s_stay(folder: Folder) -> None:
    folder.draw(exercises(1, 3))
    (folder.pictures / "cat.png").write_bytes(b"cat")
    folder.draw(exercises(1, 2))
    assert times(folder).keys() == {"scene-0001.png", "scene-0002.png", "cat.png"}


def test_the_truth_is_one_line_a_question(folder: Folder) -> None:
    tests = list(exercises(1, 2))
    folder.tell(tests)
    lines = [json.loads(line) for line in folder.truth.read_text("utf-8").splitlines()]
    assert lines == [
        {
            "picture": f"pictures/{test.name}",
            "kind": question.kind,
            "question": question.text,
            "answer": question.answer,
        }
        for test in tests
        for question in test.questions
    ]
