from __future__ import annotations

import json
import os
import stat
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import sqlalchemy as sa

from pipeline import tables
from pipeline.errors import SetupError, UsageError
from pipeline.export import EXPORTERS, export, format_of
from pipeline.export.files import replacing, sweep
from pipeline.export.order import Order, Tally
from pipeline.export.texts import portable
from pipeline.store.views import Views
from tests import seeding

LINES = ("jsonl", "openai")
TELLING = [name for name, format in EXPORTERS.items() if format.failures]


@pytest.fixture
def views() -> Iterator[Views]:
    engine = sa.create_engine("sqlite://", poolclass=sa.StaticPool)
    tables.metadata.create_all(engine)
    with engine.begin() as connection:
        seeding.world(connection)
    yield seeding.views(engine)
    engine.dispose()


def to(path: Path) -> Order:
    return Order(target=str(path))


def lines(path: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in path.read_text("ascii").splitlines()]


def test_one_line_for_each_item_with_answer_or_failure(views: Views, tmp_path: Path) -> None:
    out = tmp_path / "out.jsonl"
    assert export(views.items("first"), "jsonl", to(out)).written == 6
    dog, cat, gone, invalid, new, _ = lines(out)
    assert (dog["custom_id"], dog["columns"], dog["text"], dog["error"]) == ("dog", {"shelf": 3}, "100% dog", None)
    assert (cat["text"], cat["question"], cat["model"]) == ("a grey cat", "What is it?", "llava")
    assert gone["error"] == {"code": "image_missing", "message": "there is no such file"}
    assert (gone["answer"], gone["state"]) == (None, "failed")
    assert (invalid["job"], invalid["row"], invalid["pictures"]) == (None, 2, [])
    assert (new["state"], new["text"]) == ("queued", None)


def test_a_line_traces_its_answer_without_the_database(views: Views, tmp_path: Path) -> None:
    export(views.items("second"), "jsonl", to(tmp_path / "out"))
    (row,) = lines(tmp_path / "out")
    answer = row["answer"]
    assert isinstance(answer, dict)
    assert answer["build"]["digest"] == "aa" * 16
    assert (answer["runtime"]["device"], answer["runtime"]["versions"]) == ("CPU", {"openvino": "2026.4"})
    assert (answer["model_text"], answer["review"]["reviewer"]) == ("a cat", "ann")
    assert row["pictures"][0]["locator"] == "file:///pictures/cat.jpg"  # type: ignore[index]
    assert row["prompt"]["parameters"] == {"max_tokens": 9}  # type: ignore[index]


@pytest.mark.parametrize("format", TELLING)
def test_a_format_that_tells_of_failures_writes_every_item_that_has_ended_and_nothing_beside(
    format: str, views: Views, tmp_path: Path
) -> None:
    items = [item for item in views.items() if item.state != "queued"]
    tally = export(items, format, to(tmp_path / "out"))
    assert (tally.written, tally.left_out, len(items)) == (4, {}, 4)
    assert os.listdir(tmp_path) == ["out"]


@pytest.mark.parametrize("format", LINES)
def test_failures_go_to_a_file_of_their_own_when_one_is_named(format: str, views: Views, tmp_path: Path) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    export(views.items("first", where=["state!=queued"]), format, to(one), str(two))
    assert [line["error"] is None for line in lines(one)] == [True] * 3
    assert [line["error"] is None for line in lines(two)] == [False] * 2
    with pytest.raises(UsageError, match="leave out --errors"):
        export([], format, to(one), str(one))


def test_what_has_no_answer_is_counted_where_only_answers_have_a_place(views: Views, tmp_path: Path) -> None:
    tally = export(views.items("first"), "coco", to(tmp_path / "out.json"))
    assert tally.left_out == {"without an answer": 3, "without an image_id": 2}
    export(views.items("first"), "coco", to(tmp_path / "out.json"), str(tmp_path / "failed"))
    assert [line["state"] for line in lines(tmp_path / "failed")] == ["failed"] * 2


def test_the_lines_of_the_openai_form(views: Views, tmp_path: Path) -> None:
    out = tmp_path / "out.jsonl"
    tally = export(views.items("first"), "openai", to(out))
    assert (tally.written, tally.left_out) == (5, {"not ended yet": 1})
    dog, cat, gone, invalid, again = lines(out)
    assert list(dog) == ["id", "custom_id", "response", "error"]
    assert dog["response"] == {
        "status_code": 200,
        "request_id": "job-2",
        "body": {
            "id": "chatcmpl-4",
            "object": "chat.completion",
            "created": 8,
            "model": "other",
            "system_fingerprint": "fp_aaaaaaaaaaaa",
            "choices": [
                {
                    "index": 0,
                    "message": {"role": "assistant", "content": "100% dog", "refusal": None},
                    "finish_reason": "stop",
                    "logprobs": None,
                }
            ],
            "usage": {"prompt_tokens": 30, "completion_tokens": 6, "total_tokens": 36},
        },
    }
    assert (dog["custom_id"], dog["error"], cat["custom_id"]) == ("dog", None, None)
    assert gone["response"] is None
    assert gone["error"] == {"code": "image_missing", "message": "there is no such file"}
    assert invalid["error"]["code"] == "row_invalid"  # type: ignore[index]
    assert (again["id"] == cat["id"], len({dog["id"], cat["id"], gone["id"], invalid["id"]})) == (True, 4)


@pytest.mark.parametrize("name", ["out", "out.xyz", ".jsonl"])
def test_a_name_that_tells_no_format(name: str) -> None:
    assert format_of("a/out.JSONL") == format_of("-") == "jsonl"
    with pytest.raises(UsageError, match="which format"):
        format_of(name)


def test_a_format_that_is_not_installed_is_refused_before_anything_is_done(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setitem(EXPORTERS, "parquet", replace(EXPORTERS["parquet"], needs="no_such_package"))
    with pytest.raises(SetupError, match=r"pixmill\[parquet\]"):
        format_of("out.parquet")
    with pytest.raises(SetupError, match=r"pixmill\[parquet\]"):
        export([], "parquet", to(tmp_path / "out"))


def test_an_exception_leaves_the_old_file(tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.write_text("old")
    with pytest.raises(RuntimeError), replacing(str(out)) as file:
        file.write("half")
        raise RuntimeError
    assert (out.read_text(), os.listdir(tmp_path)) == ("old", ["out"])


@pytest.mark.parametrize(("format", "aside"), [("jsonl", 0), ("csv", 6), ("txt", 3), ("coco", 0)])
def test_it_tells_how_far_it_is(views: Views, tmp_path: Path, format: str, aside: int) -> None:
    told: list[tuple[int, int, int]] = []

    def tell(tally: Tally) -> None:
        told.append((tally.read, tally.aside, tally.placed))

    export(views.items("first"), format, to(tmp_path / "out"), tell=tell)
    read = [step[0] for step in told if not step[2]]
    assert read == list(range(views.count("first") + 1))
    assert told == sorted(told)
    assert told[-1] == (6, aside, aside)


def test_a_clean_exit_replaces_it_at_once(tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.write_text("old")
    with replacing(str(out)) as file:
        file.write("new")
        file.flush()
        assert out.read_text() == "old"
    assert (out.read_text(), os.listdir(tmp_path)) == ("new", ["out"])


def test_what_a_killed_export_left_goes_and_what_another_one_writes_stays(tmp_path: Path) -> None:
    left, other = tmp_path / ".out.1.part", tmp_path / ".out.backup.part"
    left.touch()
    other.touch()
    with replacing(str(tmp_path / "out")) as file:
        file.write("new")
        (at_work,) = tmp_path.glob(f".out.{os.getpid()}.part")
        sweep(tmp_path, ".out.")
        assert at_work.exists()
    assert sorted(os.listdir(tmp_path)) == [other.name, "out"]


@pytest.mark.parametrize(("path", "expected"), [("a/ü #%.jpg", "a/ü #%.jpg"), ("a\\b\n\udcff.jpg", "a%5Cb%0A%FF.jpg")])
def test_portable_names(path: str, expected: str) -> None:
    assert portable(path) == expected


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
    assert export(views.items("second"), "jsonl", Order(target="-")).written == 1
    assert json.loads(capsys.readouterr().out)["text"] == "a grey cat"


@pytest.mark.parametrize("name", ["missing/out", "file/out"])
def test_a_place_that_cannot_be_written_is_a_sentence(tmp_path: Path, name: str) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(SetupError, match="cannot be written"), replacing(str(tmp_path / name)):
        pytest.fail("opened")
