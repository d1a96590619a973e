from __future__ import annotations

import json
import os
import stat
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from pipeline import tables
from pipeline.errors import SetupError, UsageError
from pipeline.export import EXPORTERS, export
from pipeline.export.files import replacing
from pipeline.store.views import Views
from tests import seeding


@pytest.fixture
def views() -> Iterator[Views]:
    engine = sa.create_engine("sqlite://", poolclass=sa.StaticPool)
    tables.metadata.create_all(engine)
    with engine.begin() as connection:
        seeding.world(connection)
    yield seeding.views(engine)
    engine.dispose()


def lines(path: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in path.read_text("ascii").splitlines()]


def test_one_line_for_each_item_with_answer_or_failure(views: Views, tmp_path: Path) -> None:
    out = tmp_path / "out.jsonl"
    assert export(views.items("first"), "jsonl", str(out)) == 6
    dog, cat, gone, invalid, new, _ = lines(out)
    assert (dog["custom_id"], dog["columns"], dog["text"], dog["error"]) == ("dog", {"shelf": 3}, "100% dog", None)
    assert (cat["text"], cat["question"], cat["model"]) == ("a grey cat", "What is it?", "llava")
    assert gone["error"] == {"code": "image_missing", "message": "there is no such file"}
    assert (gone["answer"], gone["state"]) == (None, "failed")
    assert (invalid["job"], invalid["row"], invalid["pictures"]) == (None, 2, [])
    assert (new["state"], new["text"]) == ("queued", None)


def test_a_line_traces_its_answer_without_the_database(views: Views, tmp_path: Path) -> None:
    export(views.items("second"), "jsonl", str(tmp_path / "out"))
    (row,) = lines(tmp_path / "out")
    answer = row["answer"]
    assert isinstance(answer, dict)
    assert answer["build"]["digest"] == "aa" * 16
    assert (answer["runtime"]["device"], answer["runtime"]["versions"]) == ("CPU", {"openvino": "2026.4"})
    assert (answer["model_text"], answer["review"]["reviewer"]) == ("a cat", "ann")
    assert row["pictures"][0]["locator"] == "file:///pictures/cat.jpg"  # type: ignore[index]
    assert row["prompt"]["parameters"] == {"max_tokens": 9}  # type: ignore[index]


@pytest.mark.parametrize("format", EXPORTERS)
def test_every_format_writes_every_item_and_nothing_beside(format: str, views: Views, tmp_path: Path) -> None:
    assert export(views.items(), format, str(tmp_path / "out")) == 5
    assert os.listdir(tmp_path) == ["out"]


def test_an_exception_leaves_the_old_file(tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.write_text("old")
    with pytest.raises(RuntimeError), replacing(str(out)) as file:
        file.write("half")
        raise RuntimeError
    assert (out.read_text(), os.listdir(tmp_path)) == ("old", ["out"])


def test_a_clean_exit_replaces_it_at_once(tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.write_text("old")
    with replacing(str(out)) as file:
        file.write("new")
        file.flush()
        assert out.read_text() == "old"
    assert (out.read_text(), os.listdir(tmp_path)) == ("new", ["out"])


def test_a_link_stays_a_link(tmp_path: Path) -> None:
    (tmp_path / "real").write_text("old")
    (tmp_path / "link").symlink_to("real")
    with replacing(str(tmp_path / "link")) as file:
        file.write("new")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "real").read_text() == "new"


def test_a_folder_is_refused_and_stays(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="is a folder"), replacing(str(tmp_path)):
        pytest.fail("opened")
    assert stat.S_ISDIR(tmp_path.stat().st_mode)


def test_a_pipe_is_written_and_stays_a_pipe(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    read: list[str] = []
    reader = threading.Thread(target=lambda: read.append(pipe.read_text()))
    reader.start()
    with replacing(str(pipe)) as file:
        file.write("through")
    reader.join()
    assert (read, stat.S_ISFIFO(pipe.stat().st_mode)) == (["through"], True)


def test_stdout(capsys: pytest.CaptureFixture[str], views: Views) -> None:
    assert export(views.items("second"), "jsonl", "-") == 1
    assert json.loads(capsys.readouterr().out)["text"] == "a grey cat"


@pytest.mark.parametrize("name", ["missing/out", "file/out"])
def test_a_place_that_cannot_be_written_is_a_sentence(tmp_path: Path, name: str) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(SetupError, match="cannot be written"), replacing(str(tmp_path / name)):
        pytest.fail("opened")
