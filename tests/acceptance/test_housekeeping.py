"""The installed program: what is pruned, removed and forgotten, looked for in every file it left."""

from __future__ import annotations

import os
import signal
import sqlite3
import time
from contextlib import closing
from hashlib import sha256
from pathlib import Path

import sqlalchemy as sa

from pipeline import database
from pipeline.store import scrubbing
from tests.acceptance.test_openai import data, request
from tests.house import draw, draw_many
from tests.program import Program
from tests.servers import Postgres

RUN = ("run", "-q", "What is it?", "--max-tokens", "12", "--unverified")


def files(home: Path) -> dict[Path, bytes]:
    """What lies in the home but for the models and the program's own logs of past speed."""
    found = (path for path in home.rglob("*") if path.is_file() and "models" not in path.parts)
    return {path: path.read_bytes() for path in found}


def holders(home: Path, *traces: str | bytes) -> list[tuple[str, str | bytes]]:
    """Which file holds which of the traces, in capitals or not."""
    spelled = [(trace, (trace.encode() if isinstance(trace, str) else trace)) for trace in traces]
    return [(path.name, trace) for path, held in files(home).items() for trace, raw in spelled if raw in held]


def rows(program: Program, query: str) -> list[tuple[object, ...]]:
    with closing(sqlite3.connect(program.home / "pixmill.db")) as connection:
        return connection.execute(query).fetchall()


def with_secret(program: Program) -> tuple[bytes, list[str]]:
    """Answered pictures, one of them secret under three names. What it holds, and what tells of it."""
    draw_many(program.folder / "in", 6)
    secret = draw(program.folder / "in" / "umbrella.bmp", 77, (40, 30))
    (program.folder / "in" / "hidden-copy.bmp").write_bytes(secret.read_bytes())
    (program.folder / "rows.jsonl").write_text(request("row-of-umbrella", data(secret), max_tokens=12) + "\n")
    program(*RUN, "in", "--name", "all")
    program(*RUN, "in/umbrella.bmp", "-t", "What is in {name}?", "--name", "mine")
    program("run", "--unverified", "--manifest", "rows.jsonl", "--name", "rows")
    digest = sha256(secret.read_bytes()).digest()
    said = rows(
        program,
        f"SELECT text FROM answers WHERE job_id IN (SELECT job_id FROM job_images WHERE sha256 = x'{digest.hex()}')",
    )
    assert len(said) == 4
    with sqlite3.connect(program.home / "pixmill.db") as db:  # a word that nothing else has, as of a review
        db.execute("UPDATE answer_words SET words = words || ' gryphonish' WHERE rowid = (SELECT max(id) FROM answers)")
    db.close()
    return digest, [*(str(text) for (text,) in said), "gryphonish"]


def test_nothing_is_left_of_a_forgotten_picture(program: Program) -> None:
    digest, texts = with_secret(program)
    others = {text for (text,) in rows(program, "SELECT text FROM answers")} - set(texts)
    traces = [digest, digest.hex(), "umbrella", "hidden-copy", *(text for text in texts if len(text) > 5)]
    assert {trace for _, trace in holders(program.home, *traces)} == set(traces)
    assert len(traces) > 5 and others
    ended = program("forget", "in/umbrella.bmp", input="n\n", code=130)
    assert "Forget 4 jobs, 4 answers, 5 items" in ended.err
    ended = program("forget", "in/umbrella.bmp", "--yes")
    assert "1 file." in ended.out and "Not in Pixmill's hands" in ended.err
    assert holders(program.home, *traces) == []
    assert {text for (text,) in rows(program, "SELECT text FROM answers")} == others
    assert rows(program, "PRAGMA integrity_check") == [("ok",)] and rows(program, "PRAGMA foreign_key_check") == []
    assert program("batch", "show", "all", "--json").json["counts"]["total"] == 6
    assert "Nothing is known" in program("forget", "in/umbrella.bmp", "--yes").out
    assert "2 answered now" in program(*RUN, "in").err  # it may be asked about again


def test_a_picture_is_forgotten_by_its_digest_also_after_a_kill(program: Program) -> None:
    secret = draw(program.folder / "umbrella.bmp", 77, (40, 30))
    digest = sha256(secret.read_bytes()).hexdigest()
    program("submit", ".", "-q", "What?")
    program("run", "umbrella.bmp", "-q", "What?", "--max-tokens", "2", "--unverified")
    assert "is no file" in program("forget", digest[:8], "--yes", code=2).err
    assert "begins no known SHA-256" in program("forget", "0" * 12, "--yes", code=2).err
    with closing(sqlite3.connect(program.home / "pixmill.db")) as db:  # as of a kill when the rows had gone
        db.executescript(
            "PRAGMA secure_delete=OFF; DELETE FROM job_images; DELETE FROM batch_items; DELETE FROM images"
        )
    (program.home / "pixmill.db.forgetting").touch()
    assert holders(program.home, digest_raw := bytes.fromhex(digest)) and secret.exists()
    program("forget", digest, "--yes")
    assert holders(program.home, digest_raw, digest) == []
    assert not (program.home / "pixmill.db.forgetting").exists()


def test_on_a_server(program: Program, postgres: Postgres, postgres_template: str) -> None:
    url = postgres.new(postgres_template)
    draw_many(program.folder / "in", 3)
    secret = draw(program.folder / "in" / "umbrella.bmp", 77, (40, 30))
    program.environment = {**program.environment, "PIXMILL_DATABASE_URL": url}
    program(*RUN, "in", "--name", "all")
    digest = sha256(secret.read_bytes()).hexdigest()

    def dump() -> str:
        engine = database.connect(url)
        with engine.connect() as connection:
            names = sa.inspect(connection).get_table_names()
            found = [str(connection.execute(sa.text(f'SELECT t.*::text FROM "{name}" t')).all()) for name in names]
            found.append(str(connection.execute(sa.text("SELECT * FROM pg_stats WHERE schemaname = 'public'")).all()))
        engine.dispose()
        return "\n".join(found)

    assert digest in dump() and "umbrella" in dump()
    program("forget", "in/umbrella.bmp", "--yes")
    assert digest not in dump() and "umbrella" not in dump() and "00001.bmp" in dump()
    engine = database.connect(url)
    scrubbing.mark(engine)  # as of a kill when the rows had gone
    assert "what was forgotten before" in program("forget", "in/umbrella.bmp", "--yes").out
    assert not scrubbing.is_marked(engine)
    assert "Nothing is known" in program("forget", "in/umbrella.bmp", "--yes").out
    engine.dispose()
    postgres.drop(url)


def test_what_is_asked_still_is_not_removed(program: Program) -> None:
    draw_many(program.folder / "in", 2)
    program("submit", "in", "--name", "mine", "--model", "tiny")
    assert "`pixmill batch cancel mine` ends it" in program("batch", "rm", "mine", "--yes", code=1).err
    program("batch", "cancel", "mine")
    assert program("batch", "rm", "mine", "--yes").out == "mine is removed with 2 items, 2 jobs, 0 answers.\n"
    assert "There is no batch 'mine'" in program("batch", "rm", "mine", "--yes", code=1).err
    program("submit", "in", "--name", "mine", "--model", "tiny")
    assert "Forgotten: 1 job" in program("forget", "in/00000.bmp", "--yes").out  # it only waited
    assert program("batch", "show", "mine", "--json").json["counts"]["total"] == 1


def test_pruning_shows_first_and_gives_room_back(program: Program) -> None:
    draw_many(program.folder / "in", 3)
    program(*RUN, "in", "--name", "old")
    blob = program.home / "blobs" / "ab" / "cd" / ("abcd" + "0" * 60)
    blob.parent.mkdir(parents=True)
    blob.write_bytes(b"left behind")
    os.utime(blob, (1, 1))
    half = program.home / "models" / ".staging" / "half"
    half.mkdir(parents=True)
    (half / "openvino_model.bin").write_bytes(bytes(5000))
    for path in (half / "openvino_model.bin", half):
        os.utime(path, (1, 1))
    shown = {row["what"]: row for row in program("prune", "--older-than", "0s", "--json").lines}
    assert shown["batches"]["counts"] == {"batch": 1, "item": 3, "job": 3, "answer": 3}
    assert (shown["blobs"]["bytes"], shown["staging"]["bytes"]) == (11, 5000)
    told = program("prune", "--older-than", "0s")
    assert "1 batch, 3 items, 3 jobs, 3 answers" in told.out and "--yes removes it" in told.err
    assert program("answers", "--json").lines and blob.exists()
    young = program("prune", "--yes")  # 90 days
    assert "blobs: 1 removed, 11 B" in young.err and not half.exists() and not blob.exists()
    assert len(program("answers", "--json").lines) == 3
    program("prune", "--older-than", "0s", "--yes")
    assert program("answers", "--json").lines == program("batch", "ls", "--json").lines == []
    assert rows(program, "SELECT count(*) FROM builds") == [(1,)]
    assert rows(program, "PRAGMA freelist_count") == [(0,)]
    assert "is no span" in program("prune", "--older-than", "soon", code=2).err


def many(program: Program, count: int) -> None:
    """Finished batches of jobs with answers, as of long ago."""
    draw_many(program.folder / "in", 1)
    program(*RUN, "in", "--name", "one")
    with sqlite3.connect(program.home / "pixmill.db") as db:
        numbers = f"WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {count}) "
        for table, skip, values in (
            ("jobs", ("id", "job_key"), "n.i + 1000, randomblob(16)"),
            ("answers", ("id", "job_id"), "n.i + 1000, n.i + 1000"),
            ("batch_items", ("row_no", "job_id"), "n.i + 1000, n.i + 1000"),
        ):
            names = [row[1] for row in db.execute(f"PRAGMA table_info({table})") if row[1] not in skip]
            db.execute(
                f"INSERT INTO {table} ({', '.join([*skip, *names])}) {numbers}"
                f"SELECT {values}, {', '.join(f't.{name}' for name in names)} FROM n, (SELECT * FROM {table} LIMIT 1) t"
            )
        db.execute("UPDATE batches SET finished = 1")
    db.close()


def test_a_killed_pruning_leaves_whole_jobs_and_goes_on(program: Program) -> None:
    many(program, 8_000)
    process = program.start("prune", "--older-than", "1h", "--yes")
    while rows(program, "SELECT count(*) FROM jobs")[0][0] in (8_001, 0) and process.poll() is None:
        time.sleep(0.005)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert process.returncode == -signal.SIGKILL
    ((left,),) = rows(program, "SELECT count(*) FROM jobs")
    assert 0 < left < 8_001
    assert (
        rows(program, "SELECT count(*) FROM answers") == rows(program, "SELECT count(*) FROM batch_items") == [(left,)]
    )
    assert rows(program, "PRAGMA foreign_key_check") == []
    size = (program.home / "pixmill.db").stat().st_size
    program("prune", "--older-than", "1h", "--yes")
    assert rows(program, "SELECT count(*) FROM jobs") == rows(program, "SELECT count(*) FROM batches") == [(0,)]
    assert (program.home / "pixmill.db").stat().st_size < size / 4


def test_a_model_that_is_removed_is_named_by_its_answers_still(program: Program) -> None:
    draw_many(program.folder / "in", 1)
    program(*RUN, "in")
    (before,) = program("answers", "--json").lines
    program("models", "rm", "tiny", "--yes")
    assert not (program.home / "models" / "tiny").exists()
    assert program("answers", "--json").lines == [before]
    assert program("models", "show", "tiny", "--json").json["build"]["digest"] == before["build"]["digest"]
