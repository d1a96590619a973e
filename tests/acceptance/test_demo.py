"""`pixmill demo`, from nothing to a page with marked answers.

The way is shown with a tiny model that knows nothing, in the home under the name `demo`; the truth with the one that
ships.
"""

from __future__ import annotations

import json
import signal
import subprocess
from pathlib import Path

import pytest

from pipeline.models import builds, manifest
from tests.house import draw
from tests.models import make
from tests.pictures import WITHOUT_RIGHTS
from tests.program import Program
from workers.demo import INT4

SCENES = ("--scenes", "5", "--unverified")


@pytest.fixture
def program(program: Program) -> Program:
    build = make("llava", program.home / "models" / "demo")
    manifest.write(build, {"defaults": builds.manifest(INT4)["defaults"]})
    return program


@pytest.fixture
def out(program: Program) -> Path:
    return program.folder / "pixmill-demo"


def answers(program: Program, *options: str) -> list[dict[str, object]]:
    return program("answers", "--limit", "0", "--json", *options).lines


def test_from_nothing_to_a_page(program: Program, out: Path) -> None:
    told = program("demo", *SCENES, "--json").json
    assert (told["pictures"], told["questions"], told["captions"], told["done"]) == (5, 15, 5, 20)
    assert {"correct", "accuracy", "seconds", "answers_per_second", "pictures_per_second"} <= told.keys()
    assert told["answered_by"][0]["model"] == "demo" and told["answered_by"][0]["device"] == "CPU"
    assert {path.name for path in out.iterdir()} == {
        ".pixmill-demo",
        "contact-sheet.png",
        "index.html",
        "pictures",
        "truth.jsonl",
    }
    truth = [json.loads(line) for line in (out / "truth.jsonl").read_text("utf-8").splitlines()]
    asked = [(row["pictures"][0]["name"], row["question"]) for row in answers(program)]
    assert sorted(asked) == sorted((str(out / line["picture"]), line["question"]) for line in truth)
    assert all(line["picture"] in (out / "index.html").read_text("utf-8") for line in truth)


def test_the_same_again_repeats_nothing_and_more_only_adds(program: Program) -> None:
    program("demo", *SCENES, "--json")
    again = program("demo", *SCENES, "--json").json
    assert (again["answered_now"], again["known_before"]) == (0, 20)
    more = program("demo", "--scenes", "6", "--unverified", "--json").json
    assert (more["answered_now"], more["known_before"]) == (4, 20)
    other = program("demo", *SCENES, "--seed", "2", "--json").json
    assert (other["answered_now"], other["known_before"]) == (20, 0)


def test_a_table_and_what_to_try(program: Program, out: Path) -> None:
    ended = program("demo", *SCENES)
    lines = ended.out.splitlines()
    assert lines[0].split() == ["PICTURE", "QUESTION", "ANSWER", "TRUTH", "MARK"]
    assert sum(line.startswith("scene-") for line in lines) == 20
    assert "Right: 0 of 15 (0.0%) questions, 0 of 5 (0.0%) captions." in lines
    assert "20 answered now; 0 failed." in ended.err
    commands = [line.split("pixmill ")[1] for line in lines if line.startswith("  pixmill ")]
    assert [command.split()[0] for command in commands] == ["run", "answers", "export"]
    for command in commands:
        subprocess.run(["sh", "-n", "-c", command], check=True)


def test_the_other_commands_work_on_its_folder(program: Program, out: Path) -> None:
    batch = program("demo", *SCENES, "--json").json["batch"]
    captions = program("run", out / "pictures", "-m", "demo", "--json").json
    assert (captions["total"], captions["known_before"]) == (5, 5)
    asked = program("run", out / "pictures", "-m", "demo", "-q", "How many?", "--unverified", "--json").json
    assert asked["answered_now"] == 5
    program("export", "--format", "jsonl", "-o", "answers.jsonl", "--batch", batch)
    assert len((program.folder / "answers.jsonl").read_text("utf-8").splitlines()) == 20


def test_jobs_that_fail_are_told_and_the_rest_goes_on(program: Program, out: Path) -> None:
    program.environment = {"PIXMILL_MAX_PICTURE_PIXELS": "120000"}
    told = program("demo", *SCENES, "--json", code=3).json
    assert 0 < told["failed"] < 20 and told["done"] == 20 - told["failed"]
    assert f"{told['failed']} failed: pixmill failed ls" in (out / "index.html").read_text("utf-8")


def test_ctrl_c_and_the_same_again(program: Program, out: Path) -> None:
    command = ("demo", "--scenes", "60", "--max-num-seqs", "2", "--unverified", "--json")
    process = program.start(*command)
    program.wait_for_answers(process, 10)
    process.send_signal(signal.SIGINT)
    stdout, stderr = process.communicate()
    told = json.loads(stdout)
    assert process.returncode == 130
    assert "Traceback" not in stderr and "Run the same command again to go on." in stderr
    assert told["interrupted"] and 10 <= told["done"] < 240
    assert "are not asked yet" in (out / "index.html").read_text("utf-8")
    rest = program(*command).json
    assert (rest["done"], rest["known_before"]) == (240, told["done"])
    assert len(answers(program, "--history")) == 240
    assert "are not asked yet" not in (out / "index.html").read_text("utf-8")


# --- refusals ------------------------------------------------------------------------------------


def test_a_folder_that_is_not_ours(program: Program) -> None:
    (program.folder / "photos").mkdir()
    refused = program("demo", "--out", "photos", code=2)
    assert "photos is there already and not made by `pixmill demo`: name another --out." in refused.err
    assert list((program.folder / "photos").iterdir()) == []
    assert not (program.home / "pixmill.db").exists()


def test_a_folder_that_cannot_be_written(program: Program) -> None:
    locked = program.folder / "locked"
    locked.mkdir(mode=0o555)
    program.prefix = WITHOUT_RIGHTS
    refused = program("demo", "--out", "locked/demo", code=1)
    assert "locked/demo cannot be written: Permission denied. Name another folder with --out." in refused.err


def test_without_any_model_the_next_steps_are_named(program: Program) -> None:
    program.home, program.environment = program.home / "fresh", {}
    draw(program.folder / "a.bmp", 1)
    refused = program("run", "a.bmp", code=1)
    assert "pixmill models pull" in refused.err and "--model demo" in refused.err


# --- the model that ships ------------------------------------------------------------------------


@pytest.fixture
def fresh(program: Program) -> Program:
    """The program as a newcomer has it: without any model but the one that ships."""
    program.home, program.environment = program.home / "fresh", {}
    return program


@pytest.fixture
def cut_off(fresh: Program) -> Program:
    """A program without a network; where that cannot be had, the test fails."""
    fresh.prefix = ("unshare", "--net")
    seen = subprocess.run([*fresh.prefix, "cat", "/proc/net/dev"], capture_output=True, text=True, check=True)
    devices = [line.partition(":")[0].strip() for line in seen.stdout.splitlines()[2:]]
    assert devices == ["lo"], "there is a network still"
    return fresh


def test_without_a_network_its_answers_are_true(cut_off: Program) -> None:
    told = cut_off("demo", "--json").json
    assert (told["pictures"], told["failed"]) == (24, 0)
    assert told["accuracy"] >= 0.9 and told["captions_accuracy"] >= 0.75
    assert [origin["precision"] for origin in told["answered_by"]] == ["int4"]


def test_it_says_what_it_knows_before_and_after_it_was_used(fresh: Program) -> None:
    before = fresh("models", "show", "demo", "--json").json
    assert before["knows"] and before["answers"] == 0
    assert before["accuracy"]["int4"]["held-out scenes"]["questions"] > 0.9
    draw(fresh.folder / "a.bmp", 1)
    fresh("run", "a.bmp", "-m", "demo", "--json")
    after = fresh("models", "show", "demo", "--json").json
    assert (after["answers"], after["knows"], after["build"]) == (1, before["knows"], before["build"])
    shown = fresh("models", "show", "demo").out
    assert all(sentence in shown for sentence in before["knows"])
    assert "Right     int4, held-out scenes: " in shown
