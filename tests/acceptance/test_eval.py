"""`pixmill eval`, with the model that ships and scenes whose truth is known."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.house import draw_many
from tests.program import Program
from tests.unit.test_comparison import Page
from workers.demo.exercises import exercises
from workers.demo.folder import Folder

ASKED = ("run", "--manifest", "asked.jsonl", "-m", "demo", "--unverified", "--name", "scenes", "--max-tokens", "60")


@pytest.fixture
def scenes(program: Program) -> Path:
    """A batch of the questions about four scenes and one picture that is none, and a folder for the truth."""
    tasks = list(exercises(1, 4))
    drawn = Folder.at(program.folder / "drawn")
    drawn.draw(tasks)
    (program.folder / "broken.png").write_bytes(b"")
    asked, truth = [], []
    for task in tasks:
        for number, question in enumerate(task.questions):
            id = f"{task.name}-{number}"
            asked.append({"id": id, "image": f"drawn/pictures/{task.name}", "question": question.text})
            truth.append({"custom_id": id, "answer": question.answer, "kind": question.kind})
    asked.append({"id": "broken", "image": "broken.png", "question": "What color is the circle?"})
    truth.append({"custom_id": "broken", "answer": "red", "kind": "color"})
    for name, rows in (("asked", asked), ("truth", truth)):
        (program.folder / f"{name}.jsonl").write_text("\n".join(map(json.dumps, rows)), "utf-8")
    program(*ASKED, code=3)
    return program.folder


def test_known_answers_from_the_program_to_the_page(program: Program, scenes: Path) -> None:
    command = ("eval", "--gt", "truth.jsonl", "--batch", "scenes")
    told = program(*command, "--json").json
    assert (told["items"], told["marked"], told["answered"], told["failed"]) == (17, 17, 16, 1)
    assert told["scores_of_answered"]["exact"] >= 0.9 and told["scores_of_answered"]["vqa"] >= 0.9
    assert told["scores"]["exact"] == pytest.approx(told["scores_of_answered"]["exact"] * 16 / 17, abs=0.0001)
    assert told["kinds"]["caption"]["marked"] == 4
    captions = program(*command, "--where", "question=Describe this picture.", "--metric", "cider-d", "--json").json
    assert captions["marked"] == 4 and captions["scores"]["cider-d"] > 5

    wrong = [{**json.loads(line), "answer": "purple"} for line in (scenes / "truth.jsonl").read_text().splitlines()]
    lines = [json.dumps(row) for row in [*wrong[:6], wrong[0], {"id": "nobody", "answer": "x"}, {"id": "empty"}]]
    (scenes / "wrong.jsonl").write_text("\n".join(lines))
    ended = program("eval", "--gt", "wrong.jsonl", "--batch", "scenes", "--html", "page.html")
    assert "Items without truth, in no figure: 11 (" in ended.out
    assert "Truth about none of the items: 1 (nobody)." in ended.out
    assert f"Truth told twice, of which the first counts: 1 ({wrong[0]['custom_id']})." in ended.out
    assert "Truth that cannot be used: 1 (line 9: it has no answer)." in ended.out
    assert ended.out.splitlines()[0].split() == ["ITEMS", "FAILED", "VQA", "accuracy", "Exact", "match", "ANLS"]
    page = Page((scenes / "page.html").read_text("utf-8"))
    assert len(page.images) == 6 and "truth: purple" in page.words


def test_what_data_sets_tell(program: Program) -> None:
    names = [f"COCO_val2014_{number:012}.jpg" for number in (1, 2)]
    for drawn, name in zip(draw_many(program.folder / "val2014", 2), names, strict=True):
        drawn.rename(drawn.with_name(name))
    asked = [{"image_id": id, "question": "What?", "question_id": 70 + id} for id in (1, 2)]
    people = [{"answer": f"person {number}", "answer_id": number} for number in range(10)]
    marked = [{"question_id": 70 + id, "answer_type": "other", "answers": people} for id in (1, 2, 3)]
    captions = [{"image_id": id, "caption": f"picture {id}"} for id in (1, 2, 1)]
    pictures = [{"id": id, "file_name": name} for id, name in enumerate(names, 1)]
    documents = {
        "questions": {"data_subtype": "val2014", "questions": asked},
        "annotations": {"data_subtype": "val2014", "annotations": marked},
        "captions": {"images": pictures, "annotations": captions},
    }
    for name, document in documents.items():
        (program.folder / f"{name}.json").write_text(json.dumps(document))
    options = ("--image-root", "val2014", "--max-tokens", "4", "--unverified", "--name", "vqa")
    program("run", "--manifest", "questions.json", *options)
    told = program("eval", "--gt", "annotations.json", "--batch", "vqa", "--json").json
    assert (told["marked"], told["truth_foreign"]) == (2, {"count": 1, "first": ["73"]})
    assert sorted(told["scores"]) == ["anls", "exact", "vqa"] and sorted(told["kinds"]) == ["other"]
    told = program("eval", "--gt", "captions.json", "--json").json
    assert (told["marked"], sorted(told["scores"]), told["open"]) == (2, ["cider", "cider-d"], 0)


def test_what_cannot_be_marked_says_why(program: Program) -> None:
    draw_many(program.folder / "in", 1)
    (program.folder / "t.csv").write_text("id,answer\n1,a\n")
    assert "There are no items to mark." in program("eval", "--gt", "t.csv", code=2).err
    program("run", "in", "-q", "What?", "--max-tokens", "4", "--unverified")
    assert "t.csv says nothing about the 1 item" in program("eval", "--gt", "t.csv", code=2).err
    assert "There is no batch 'b'" in program("eval", "--gt", "t.csv", "--batch", "b", code=1).err
    assert (
        "There is no field 'x' to filter by. Fields:" in program("eval", "--gt", "t.csv", "--where", "x=1", code=2).err
    )
    assert "--gt none.csv: no such file" in program("eval", "--gt", "none.csv", code=2).err
