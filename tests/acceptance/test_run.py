"""`pixmill run`, from pictures to stored answers, with the real engine."""

from __future__ import annotations

import json
import os
import random
import resource
import signal
import subprocess
from collections import Counter
from pathlib import Path

import pytest

from pipeline.locators import locate
from tests.house import draw, draw_many
from tests.models import make
from tests.pictures import WITHOUT_RIGHTS, good, hostile
from tests.program import Program
from tests.servers import Postgres

SHORT = ("--max-tokens", "6", "--unverified", "--json")


def answers(program: Program, *options: str) -> list[dict[str, object]]:
    return program("answers", "--limit", "0", "--json", *options).lines


def test_good_and_hostile_pictures_with_two_questions_each(program: Program) -> None:
    folder = program.folder / "in"
    folder.mkdir()
    expected = dict.fromkeys(good(folder, 200), "")
    expected |= hostile(folder, unreadable=True)
    program.prefix = WITHOUT_RIGHTS
    ended = program("run", "in", "-q", "What is this?", "-q", "Which colours?", *SHORT, code=3)
    outcome = ended.json
    # The largest process of all, the engine with its model included: bombs and 16-bit pictures cost no more.
    assert resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss < 1_500_000
    assert outcome["total"] == 2 * len(expected)
    assert outcome["done"] == 2 * 200
    assert outcome["failed"] == 2 * (len(expected) - 200)
    found = Counter[tuple[str, str]]()
    for row in program("export", "--format", "jsonl", "-o", "-", "--batch", outcome["batch"]).lines:
        (picture,) = row["pictures"]
        found[picture["locator"], row["error"]["code"] if row["error"] else ""] += 1
    assert found == Counter({(locate(os.fsdecode(path), None), code): 2 for path, code in expected.items()})


def test_the_walk_of_a_folder_that_changes(program: Program) -> None:
    """Linked when known, asked when changed, mended or forced; shared by content, apart by model."""
    folder = program.folder / "in"
    draw_many(folder, 5)
    (folder / "broken.bmp").write_bytes(b"BM")

    first = program("run", "in", *SHORT, code=3).json
    assert (first["answered_now"], first["failed"]) == (5, 1)

    again = program("run", "in", *SHORT, code=3).json
    assert (again["answered_now"], again["known_before"], again["failed"]) == (0, 5, 1)

    draw(folder / "00001.bmp", 901)
    changed = program("run", "in", *SHORT, code=3).json
    assert (changed["answered_now"], changed["known_before"]) == (1, 4)

    draw(folder / "broken.bmp", 902)
    mended = program("run", "in", *SHORT).json
    assert (mended["answered_now"], mended["failed"]) == (1, 0)

    before = len(answers(program, "--history"))
    forced = program("run", "in", "--force", *SHORT).json
    assert (forced["answered_now"], forced["cached"]) == (6, 0)
    assert len(answers(program, "--history")) == before + 6

    draw(folder / "twin.bmp", 901)
    twin = program("run", "in", *SHORT).json
    assert (twin["answered_now"], twin["cached"]) == (1, 1)

    other = make("llava", program.home / "models" / "other", seed=7)
    second_model = program("run", "in", "-m", "other", *SHORT).json
    assert second_model["answered_now"] == 7
    assert second_model["cached"] == 1
    builds = {row["build"]["path"] for row in answers(program)}
    assert builds == {str(program.home / "models" / "tiny"), str(other)}


def test_a_file_without_permission_is_asked_again_once_it_is_readable(program: Program) -> None:
    path = draw(program.folder / "a.bmp", 1)
    path.chmod(0)
    program.prefix = WITHOUT_RIGHTS
    failed = program("run", "a.bmp", *SHORT, code=3).json
    path.chmod(0o644)
    mended = program("run", "a.bmp", *SHORT).json
    assert (failed["failed"], mended["done"]) == (1, 1)
    assert len(program("failed", "ls", "--json").lines) == 0


def test_two_rows_with_one_picture_are_two_items_of_one_job(program: Program) -> None:
    draw(program.folder / "a.bmp", 1)
    outcome = program("run", "a.bmp", "a.bmp", *SHORT).json
    assert (outcome["total"], outcome["done"]) == (2, 2)
    assert len(answers(program)) == 1


def test_sampling_without_a_seed_is_never_cached(program: Program) -> None:
    for name in ("a.bmp", "b.bmp"):
        draw(program.folder / name, 1)
    program("run", "a.bmp", "--temperature", "1.5", *SHORT)
    outcome = program("run", "b.bmp", "--temperature", "1.5", *SHORT).json
    assert (outcome["answered_now"], outcome["cached"]) == (1, 0)
    first, second = answers(program)
    assert first["seed"] != second["seed"]


def test_each_answer_says_where_it_comes_from(program: Program) -> None:
    draw(program.folder / "a.bmp", 1)
    program("run", "a.bmp", "-q", "What?", *SHORT)
    (row,) = answers(program)
    assert row["build"]["family"] == "llava" and row["build"]["precision"] == "fp32"
    assert len(row["build"]["digest"]) == 64
    assert row["runtime"]["device"] == "CPU" and row["runtime"]["device_name"]
    assert {"openvino", "openvino_genai", "openvino_tokenizers", "pixmill"} <= row["runtime"]["versions"].keys()
    assert row["prompt"]["parameters"] == {"max_tokens": 6, "temperature": 0.0, "seed": None}
    assert row["finish_reason"] in ("stop", "length") and 0 < row["answer_tokens"] <= 6
    assert row["total_s"] >= row["first_token_s"] >= row["vision_s"] > 0
    assert row["pictures"][0]["sha256"] and row["logprob"] < 0


def test_a_few_answers_are_shown_at_once(program: Program) -> None:
    draw(program.folder / "a.bmp", 1)
    ended = program("run", "a.bmp", "-q", "What is this?", "--max-tokens", "6", "--unverified")
    (row,) = answers(program)
    assert "a.bmp: What is this?" in ended.out
    assert row["text"] in ended.out
    assert "1 answered now" in ended.err


def test_a_dry_run_asks_nothing(program: Program) -> None:
    draw_many(program.folder / "in", 3)
    assert program("run", "in", "--dry-run", "--json").json["new"] == 3
    assert answers(program) == []
    program("run", "in", *SHORT)
    assert program("run", "in", "--max-tokens", "6", "--dry-run", "--json").json["linked_done"] == 3


def test_paths_from_standard_input(program: Program) -> None:
    draw_many(program.folder / "in", 3)
    ended = program("run", "--from-file", "-", *SHORT, input="in/00000.bmp\n\nin/00002.bmp\n")
    assert ended.json["done"] == 2


def test_a_named_batch_goes_on_under_its_name(program: Program) -> None:
    draw_many(program.folder / "in", 2)
    program("run", "in", "--name", "nightly", *SHORT)
    draw(program.folder / "in" / "00009.bmp", 9)
    outcome = program("run", "in", "--name", "nightly", *SHORT).json
    assert (outcome["total"], outcome["answered_now"]) == (3, 1)
    refused = program("run", "in", "--name", "nightly", "-q", "Another?", code=1)
    assert "nightly" in refused.err


# --- stopping and being killed -------------------------------------------------------------------


def test_ctrl_c_finishes_what_runs_and_the_same_command_goes_on(program: Program) -> None:
    draw_many(program.folder / "in", 300)
    command = ("run", "in", "--max-tokens", "40", "--max-num-seqs", "4", "--unverified", "--json")
    process = program.start(*command)
    program.wait_for_answers(process, 20)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate()
    outcome = json.loads(out)
    assert process.returncode == 130
    assert "Traceback" not in err
    assert outcome["interrupted"] and outcome["running"] == 0
    assert 20 <= outcome["done"] < 300
    rest = program(*command).json
    assert rest["known_before"] == outcome["done"]
    assert rest["done"] == 300
    assert len(answers(program, "--history")) == 300


def test_ctrl_c_ends_the_wait_for_standard_input(program: Program) -> None:
    draw(program.folder / "a.bmp", 1)
    program("run", "a.bmp", *SHORT)
    process = program.start("run", "--from-file", "-", "--json")
    program.wait_for(process, "batches", 2)
    process.send_signal(signal.SIGINT)
    code = process.wait(30)  # with its standard input still open
    _, err = process.communicate()
    assert (code, "Traceback" in err) == (130, False)


def test_killed_at_random_moments_and_started_again_until_done(program: Program) -> None:
    draw_many(program.folder / "in", 400)
    command = ("run", "in", "--max-tokens", "20", "--max-num-seqs", "8", "--unverified", "--json")
    rng = random.Random(1)
    kills = 0
    for _ in range(5):
        process = program.start(*command)
        try:
            process.wait(1.0 + rng.random())
        except subprocess.TimeoutExpired:
            process.kill()
            kills += 1
        process.communicate()
    assert kills >= 3, "the machine is too fast for this test: give it more pictures"
    outcome = program(*command).json
    assert outcome["done"] == 400
    rows = answers(program, "--history")
    assert len(rows) == len({row["job"] for row in rows}) == 400


def test_two_programs_share_the_work_of_one_database(program: Program) -> None:
    draw_many(program.folder / "in", 300)
    processes = [program.start("run", "in", "--max-tokens", "20", "--unverified", "--json") for _ in range(2)]
    ends = [(*process.communicate(), process.returncode) for process in processes]
    assert [code for _, _, code in ends] == [0, 0], ends
    assert all("locked" not in err for _, err, _ in ends)
    assert [json.loads(out)["done"] for out, _, _ in ends] == [300, 300]
    rows = answers(program, "--history")
    assert len(rows) == 300
    workers = Counter(row["worker"] for row in rows)
    assert len(workers) == 2, workers


# --- a person's mistakes ---------------------------------------------------------------------------


@pytest.fixture
def asking(program: Program) -> Program:
    draw(program.folder / "a.bmp", 1)
    return program


def test_a_model_with_a_file_missing(asking: Program) -> None:
    (asking.home / "models" / "tiny" / "openvino_language_model.bin").unlink()
    assert "openvino_language_model.bin is missing" in asking("run", "a.bmp", code=1).err


def test_an_unknown_model_names_the_known_ones(asking: Program) -> None:
    assert "There are: tiny." in asking("run", "a.bmp", "-m", "tinny", code=1).err


@pytest.mark.parametrize(("device", "sentence"), [("GPU.7", "Devices: CPU"), ("AUTO", "pixmill devices")])
def test_a_device_that_cannot_be_used(asking: Program, device: str, sentence: str) -> None:
    assert sentence in asking("run", "a.bmp", "--device", device, code=1).err


def test_a_question_that_is_too_long_fails_its_job(asking: Program) -> None:
    outcome = asking("run", "a.bmp", "-q", "why " * 25_000, "-q", "What?", *SHORT, code=3).json
    assert (outcome["done"], outcome["failed"]) == (1, 1)
    (row,) = asking("failed", "ls", "--json").lines
    assert row["error_code"] == "prompt_too_long"


def test_no_pictures_at_all(asking: Program) -> None:
    assert "Which pictures?" in asking("run", code=2).err
    (asking.folder / "empty").mkdir()
    assert "no pictures" in asking("run", "empty").err
    assert "nowhere.txt: no such file" in asking("run", "--from-file", "nowhere.txt", code=2).err


def test_a_model_that_may_not_be_read(asking: Program) -> None:
    (asking.home / "models" / "tiny" / "openvino_tokenizer.bin").chmod(0)
    asking.prefix = WITHOUT_RIGHTS
    assert "openvino_tokenizer.bin cannot be read" in asking("run", "a.bmp", code=1).err


def test_a_home_with_an_odd_name(asking: Program, tmp_path: Path) -> None:
    asking.home = asking.home.rename(tmp_path / "what? %41 #1 ü")
    asking("run", "a.bmp", *SHORT)
    assert (asking.home / "pixmill.db").exists()


def test_a_read_only_home(asking: Program) -> None:
    asking("run", "a.bmp", *SHORT)
    asking.prefix = WITHOUT_RIGHTS
    asking.environment = {"PIXMILL_DATABASE_URL": f"sqlite:///{asking.folder}/locked/pixmill.db", **asking.environment}
    (asking.folder / "locked").mkdir(mode=0o555)
    assert "cannot be written" in asking("run", "a.bmp", code=1).err


def test_a_full_disk_loses_nothing(asking: Program, tmp_path: Path) -> None:
    small = tmp_path / "small"
    small.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1500k", "tmpfs", small], check=True)
    try:
        asking.environment = {"PIXMILL_DATABASE_URL": f"sqlite:///{small}/pixmill.db", **asking.environment}
        draw_many(asking.folder / "in", 3000)
        assert "no room left" in asking("run", "in", *SHORT, code=1).err
        subprocess.run(["mount", "-o", "remount,size=100m", small], check=True)
        assert asking("run", "in", *SHORT).json["done"] == 3000
    finally:
        subprocess.run(["umount", small], check=True)


def test_a_database_of_a_newer_program(asking: Program) -> None:
    import sqlite3

    asking("run", "a.bmp", *SHORT)
    with sqlite3.connect(asking.home / "pixmill.db") as connection:
        connection.execute("update alembic_version set version_num = '9999'")
    for command in (["run", "a.bmp"], ["status"], ["answers"]):
        assert "a newer pixmill made it" in asking(*command, code=1).err


def test_on_a_postgresql_server(asking: Program, postgres: Postgres) -> None:
    url = postgres.new()
    asking.environment = {"PIXMILL_DATABASE_URL": url, **asking.environment}
    assert "Run: pixmill db upgrade" in asking("run", "a.bmp", code=1).err
    asking("db", "upgrade")
    draw_many(asking.folder / "in", 100)
    processes = [asking.start("run", "in", *SHORT) for _ in range(2)]
    ends = [(*process.communicate(), process.returncode) for process in processes]
    assert [code for _, _, code in ends] == [0, 0], ends
    assert [json.loads(out)["done"] for out, _, _ in ends] == [100, 100]
    assert len(answers(asking, "--history")) == 100
    assert asking("run", "in", *SHORT).json["known_before"] == 100
    postgres.drop(url)
