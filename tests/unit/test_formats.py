from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.errors import UsageError
from pipeline.locators import display
from pipeline.settings import Settings, read_settings
from pipeline.sources.manifests.columns import Asked
from pipeline.sources.manifests.manifest import FORMATS, Manifest
from pipeline.sources.manifests.recognising import recognised
from pipeline.sources.manifests.source import Source
from pipeline.sources.rows import BadRow, Row

COCO = {
    "info": {"year": 2017},
    "licenses": [{"id": 1}],
    "images": [
        {"id": 9, "file_name": "000000000009.jpg", "width": 640, "height": 480},
        {"id": 25, "file_name": "000000000025.jpg", "width": 640, "height": 426},
        {"id": 30},
    ],
    "annotations": [{"id": 1, "image_id": 9, "caption": "A tray of food.", "segmentation": [[1.5, 2.5]]}],
}
VQA = {
    "info": {"data_subtype": "not this"},
    "task_type": "Open-Ended",
    "data_subtype": "val2014",
    "questions": [
        {"image_id": 262148, "question": "Where is he looking?", "question_id": 262148000},
        {"image_id": "x", "question": "Who?", "question_id": 1},
    ],
}
TALK = {
    "id": "000000033471",
    "image": "coco/train2017/000000033471.jpg",
    "conversations": [
        {"from": "human", "value": "<image>\nWhat are the colors of the bus?"},
        {"from": "gpt", "value": "White and red."},
        {"from": "human", "value": "Is it moving?"},
        {"from": "gpt", "value": "No."},
    ],
}
TASKS = [
    {"id": 1, "data": {"image": "/data/local-files/?d=photos/a%20b.jpg", "shop": 4}, "annotations": [{"id": 3}]},
    {"id": 2, "data": {"image": "/data/upload/1/c%20d.jpg"}},
    {"id": 3},
]


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return read_settings(environ={"HOME": str(tmp_path)}, folder=tmp_path)


Read = Callable[..., list[Row | BadRow]]


@pytest.fixture
def read(tmp_path: Path, settings: Settings) -> Read:
    def read(document: Any, name: str = "m.json", format: str = "auto", **asked: Any) -> list[Row | BadRow]:
        (tmp_path / name).write_text(document if isinstance(document, str) else json.dumps(document, indent=1))
        manifest = Manifest(file=str(tmp_path / name), format=format, columns=Asked(**asked))
        return list(manifest.rows(settings, warn=print, questions=True, most_pictures=16))

    return read


def shown(row: Row | BadRow, folder: Path) -> tuple[Any, ...]:
    assert isinstance(row, Row)
    (picture,) = row.pictures
    return display(picture.locator).removeprefix(f"{folder}/"), row.custom_id, row.questions, row.columns


def test_coco_gives_its_pictures(read: Read, tmp_path: Path) -> None:
    first, second, bad = read(COCO)
    assert shown(first, tmp_path) == ("000000000009.jpg", "9", (), {"width": 640, "height": 480})
    assert shown(second, tmp_path)[0] == "000000000025.jpg"
    assert isinstance(bad, BadRow)
    assert (bad.message, bad.custom_id) == ("picture 3: the row cannot be used: it names no picture", "30")


def test_vqav2_names_pictures_by_number_and_subset(read: Read, tmp_path: Path) -> None:
    row, bad = read(VQA)
    question = ("COCO_val2014_000000262148.jpg", "262148000", ("Where is he looking?",), {"image_id": 262148})
    assert shown(row, tmp_path) == question
    assert isinstance(bad, BadRow) and bad.message.startswith("question 2: ")


def test_vqav2_without_a_subset_takes_a_pattern(read: Read, tmp_path: Path) -> None:
    document = {"questions": VQA["questions"][:1]}  # type: ignore[index]
    with pytest.raises(UsageError, match="It has 'image_id', 'question', 'question_id'"):
        read(document)
    (row,) = read(document, pattern="mine/{image_id}.png")
    assert shown(row, tmp_path)[0] == "mine/262148.png"


@pytest.mark.parametrize("name", ["talk.json", "talk.jsonl"])
def test_llava_asks_what_the_human_said(read: Read, tmp_path: Path, name: str) -> None:
    talks = [TALK, {"id": 2, "conversations": [{"from": "human", "value": "Hello"}]}, {"id": 3}]
    text = json.dumps(talks) if name.endswith(".json") else "\n".join(map(json.dumps, talks))
    row, no_picture, no_talk = read(text, name)
    assert shown(row, tmp_path) == (
        "coco/train2017/000000033471.jpg",
        "000000033471",
        ("What are the colors of the bus?", "Is it moving?"),
        {"answers": ["White and red.", "No."]},
    )
    assert isinstance(no_picture, BadRow) and "it names no picture" in no_picture.message
    assert isinstance(no_talk, BadRow) and no_talk.message.endswith(" 3: it has no list of conversations")


def test_label_studio_s_tasks(read: Read, tmp_path: Path) -> None:
    local, uploaded, empty = read(TASKS)
    assert shown(local, tmp_path) == ("photos/a b.jpg", "1", (), {"shop": 4})
    assert shown(uploaded, tmp_path) == ("upload/1/c d.jpg", "2", (), None)
    assert isinstance(empty, BadRow) and empty.message == "task 3: it has no data"


@pytest.mark.parametrize("name", ["metadata.csv", "metadata.jsonl"])
def test_an_image_folder_is_named_as_a_folder(tmp_path: Path, settings: Settings, name: str) -> None:
    folder = tmp_path / "train"
    folder.mkdir()
    rows = {
        "metadata.csv": "file_name,text\na.jpg,A cat\n",
        "metadata.jsonl": '{"file_name": "a.jpg", "text": "A cat"}',
    }
    (folder / name).write_text(rows[name])
    for format in ("auto", "imagefolder"):
        manifest = Manifest(file=str(folder), format=format)
        (row,) = manifest.rows(settings, warn=print, questions=True, most_pictures=16)
        assert shown(row, tmp_path) == ("train/a.jpg", None, (), {"text": "A cat"})
    (folder / name).unlink()
    with pytest.raises(UsageError, match=r"holds none of metadata\.jsonl"):
        Manifest(file=str(folder)).rows(settings, warn=print, questions=True, most_pictures=16)


def test_a_document_that_breaks_off_keeps_what_came_before(read: Read, tmp_path: Path) -> None:
    text = json.dumps(COCO)
    first, bad = read(text[: text.index('"file_name": "000000000025')], format="coco")
    assert shown(first, tmp_path)[1] == "9"
    assert isinstance(bad, BadRow) and bad.message.startswith("picture 2: the file cannot be read from here on (")


@pytest.mark.parametrize(
    ("name", "content", "format"),
    [
        ("a.json", json.dumps(COCO), "coco"),
        ("a", json.dumps(VQA), "vqav2"),
        ("a.json", json.dumps([TALK]), "llava"),
        ("a.jsonl", json.dumps(TALK), "llava"),
        ("a.json", json.dumps(TASKS), "labelstudio"),
        ("a.json", '[{"image": "a.jpg"}]', "json"),
        ("a.json", '{"image": "a.jpg"}\n{"image": "b.jpg"}', "jsonl"),
        ("a.jsonl", '{"images": ["a.jpg"], "questions": ["What?"]}\n', "jsonl"),
        ("a.jsonl", "{broken\n", "jsonl"),
        ("a.txt", "image\na.jpg\n", "csv"),
        ("a.tsv", "{", "tsv"),
        ("a", "PAR1", "parquet"),
        ("a.jsonl", '{"custom_id": "1", "method": "POST", "url": "/v1/chat/completions", "body": {}}', "openai"),
    ],
)
def test_formats_are_recognised(tmp_path: Path, settings: Settings, name: str, content: str, format: str) -> None:
    (tmp_path / name).write_text(content)
    assert recognised(Source(str(tmp_path / name), settings)) == format
    assert format in FORMATS


def test_json_of_an_unknown_form_asks_for_the_format(read: Read) -> None:
    with pytest.raises(UsageError, match="is JSON of an unknown form: say which with --format"):
        read('{"pictures": [')


PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
KEYS = st.sampled_from(
    ["images", "questions", "file_name", "image_id", "data", "conversations", "id", "image", "data_subtype", "value"]
)
DOCUMENTS = st.recursive(
    PLAIN, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=4), max_leaves=12
)


@given(document=DOCUMENTS, format=st.sampled_from(["auto", "coco", "vqav2", "llava", "labelstudio", "json", "jsonl"]))
def test_no_document_raises_anything_but_a_sentence(
    tmp_path_factory: pytest.TempPathFactory, document: Any, format: str
) -> None:
    folder = tmp_path_factory.mktemp("any")
    (folder / "m.json").write_text(json.dumps(document))
    settings = read_settings(environ={"HOME": str(folder)}, folder=folder)
    manifest = Manifest(file=str(folder / "m.json"), format=format)
    try:
        rows = list(manifest.rows(settings, warn=str, questions=True, most_pictures=2))
    except UsageError:
        return
    assert all(isinstance(row, Row | BadRow) for row in rows)
