"""The installed program: `pixmill submit` and `pixmill worker run` as real processes with a real engine."""

from __future__ import annotations

import signal
import subprocess
from pathlib import Path

from tests.acceptance.test_openai import data, request
from tests.house import draw_many
from tests.models import make
from tests.program import Program
from tests.servers import Redis

PATIENCE_S = 60.0


def end(worker: subprocess.Popen[str], number: int = signal.SIGTERM) -> str:
    worker.send_signal(number)
    _, err = worker.communicate(timeout=PATIENCE_S)
    assert worker.returncode == 0, err
    return err


def test_a_worker_answers_what_was_submitted_also_while_redis_was_away(
    online: Program, redis: Redis, tmp_path: Path
) -> None:
    pictures = draw_many(online.folder / "in", 6)
    redis.kill()
    sent = online("submit", "in", "-q", "What?", "-q", "Where?", "--max-tokens", "4", "--name", "both")
    assert sent.out == "12 queued; 0 known already.\n"
    assert "cannot be reached" in sent.err
    assert "All is stored: tickets go out when it is back" in sent.err
    redis.start(empty=True)
    worker = online.start("worker", "run", "--unverified", "--max-num-seqs", "4", "--cores", "0")
    online.wait_for_answers(worker, 12)
    again = online("submit", "in", "-q", "What?", "--max-tokens", "4", "--json")
    assert (again.json["linked_done"], again.json["broker_reached"]) == (6, True)
    online("submit", str(pictures[0]), "-q", "Now?", "--max-tokens", "4", "--priority", "high", "--deadline", "1h")
    online.wait_for_answers(worker, 13)
    (online.folder / "in.jsonl").write_text(f"{request('mine', data(pictures[1]), max_tokens=4)}\nbroken\n")
    online("submit", "--manifest", "in.jsonl", "--name", "file")
    online.wait_for_answers(worker, 14)
    log = end(worker)
    assert all(line.startswith("time=") for line in log.splitlines() if "Reading the model" not in line), log
    assert online("batch", "show", "both", "--json").json["counts"]["done"] == 12
    answered, failed = online("export", "--format", "openai", "--batch", "file", "-o", "-").lines
    assert (answered["custom_id"], answered["response"]["status_code"]) == ("mine", 200)
    assert (failed["custom_id"], failed["error"]["code"]) == (None, "row_invalid")


def test_a_dry_run_stores_nothing(online: Program) -> None:
    draw_many(online.folder / "in", 3)
    assert online("submit", "in", "--dry-run").out == (
        "3 to ask; 0 known already.\nHow long it takes cannot be said: no rate known yet.\n"
    )
    assert online("batch", "ls", "--json").lines == []


def test_a_worker_refuses_what_it_cannot_do(online: Program) -> None:
    draw_many(online.folder / "in", 1)
    online("submit", "in")
    assert "there is no core 9999 here" in online("worker", "run", "--cores", "9999", code=2).err
    assert "--lanes takes some of high, normal, low" in online("worker", "run", "--lanes", "fast", code=2).err
    assert "AUTO lets OpenVINO choose" in online("worker", "run", "--unverified", "--device", "AUTO", code=1).err
    unknown = online("worker", "run", "--unverified", "--device", "GPU.7", code=1)
    assert "There is no device 'GPU.7' here. Devices: CPU" in unknown.err
    assert "There is no model 'gone'" in online("worker", "run", "-m", "gone", code=1).err


def test_another_build_under_the_same_name_is_refused(online: Program) -> None:
    draw_many(online.folder / "in", 1)
    online("submit", "in")
    make("llava", online.home / "models" / "tiny", seed=7)
    changed = online("worker", "run", code=1)
    assert "this database's answers name build" in changed.err
    assert "pixmill models alias tiny" in changed.err


def test_answers_of_another_build_are_named_before_they_are_taken_for_new(online: Program) -> None:
    draw_many(online.folder / "in", 2)
    ask = ("in", "--max-tokens", "4")
    online("run", *ask, "--unverified")
    make("llava", online.home / "models" / "tiny", seed=7)
    online("models", "alias", "tiny", str(online.home / "models" / "tiny"))
    for command in ("submit", "run"):
        assert "2 questions were answered by another build; `--force` asks again." in online(command, *ask).err


def test_submit_takes_a_model_that_only_workers_have(online: Program) -> None:
    draw_many(online.folder / "in", 1)
    online("submit", "in", "-q", "What?")
    (online.home / "models" / "tiny").rename(online.home / "elsewhere")
    assert online("submit", "in", "-q", "Where?").out.startswith("1 queued")
    assert "There is no model 'tiny'" in online("worker", "run", code=1).err
