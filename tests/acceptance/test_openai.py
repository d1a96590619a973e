"""Batch files in the OpenAI form, through the installed program with the model that ships.

The files are written by hand, as the API's guide and vLLM's examples show them.
"""

from __future__ import annotations

import base64
import json
import signal
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from tests.house import draw, draw_many
from tests.program import Program

FAST = ("-m", "demo", "--unverified")


@pytest.fixture
def program(tmp_path: Path) -> Program:
    folder = tmp_path / "here"
    folder.mkdir()
    return Program(tmp_path / "home", folder)


def data(path: Path) -> str:
    return f"data:image/bmp;base64,{base64.b64encode(path.read_bytes()).decode()}"


def request(custom_id: str, url: str, question: str = "What is this?", **body: Any) -> str:
    shown = {"type": "image_url", "image_url": {"url": url}}
    content = [{"type": "text", "text": question}, shown]
    body = {"model": "demo", "messages": [{"role": "user", "content": content}], "max_tokens": 8, **body}
    line = {"custom_id": custom_id, "method": "POST", "url": "/v1/chat/completions", "body": body}
    return json.dumps(line)


def write(path: Path, lines: Iterable[str]) -> None:
    path.write_text("".join(f"{line}\n" for line in lines), "utf-8")


def read(path: Path) -> list[dict[str, Any]]:
    text = path.read_text("utf-8")
    assert text == "" or text.endswith("\n")
    return [json.loads(line) for line in text.splitlines()]


def ids(lines: Iterable[dict[str, Any]]) -> list[Any]:
    return [line["custom_id"] for line in lines]


OPENAI_STYLE = """\
{"custom_id": "request-1", "method": "POST", "url": "/v1/chat/completions", "body": {"model": "gpt-4o-mini", \
"messages": [{"role": "system", "content": "You are a helpful assistant."}, {"role": "user", "content": \
[{"type": "text", "text": "What is in this image?"}, {"type": "image_url", "image_url": {"url": "DATA", \
"detail": "high"}}]}], "max_tokens": 12}}
{"custom_id": "request-2", "method": "POST", "url": "/v1/chat/completions", "body": {"model": "gpt-4o-mini", \
"messages": [{"role": "user", "content": [{"type": "text", "text": "And here?"}, {"type": "image_url", "image_url": \
{"url": "FILE"}}]}], "max_completion_tokens": 12, "temperature": 0.0, "seed": 7, "n": 1}}
{"custom_id": "request-3", "method": "POST", "url": "/v1/chat/completions", "body": {"model": "gpt-4o-mini", \
"messages": [{"role": "user", "content": [{"type": "text", "text": "Three times"}, {"type": "image_url", "image_url": \
{"url": "DATA"}}]}], "n": 3}}
{"custom_id": "request-4", "method": "POST", "url": "/v1/embeddings", "body": {"model": "x", "input": "y"}}
{"custom_id": "request-1", "method": "POST", "url": "/v1/chat/completions", "body": {"messages": []}}
not json at all
"""

VLLM_STYLE = """\
{"custom_id":"vqa/0007?é","method":"POST","url":"/v1/chat/completions","body":{"model":"llava-hf/llava-1.5-7b-hf",\
"messages":[{"role":"user","content":[{"type":"image_url","image_url":{"url":"FILE"}},\
{"type":"text","text":"Which colour?"}]}],"max_completion_tokens":5}}

{"body":{"messages":[{"content":[{"image_url":{"url":"GONE"},"type":"image_url"}],"role":"user"}],\
"max_tokens":5},"url":"/v1/chat/completions","method":"POST","custom_id":"gone"}
"""


def test_an_openai_style_file_by_hand(program: Program) -> None:
    first, second = draw_many(program.folder, 2)
    text = OPENAI_STYLE.replace("DATA", data(first)).replace("FILE", second.as_uri())
    (program.folder / "in.jsonl").write_text(text)
    files = ("-o", "out.jsonl", "--errors", "err.jsonl")
    ended = program("run", "--manifest", "in.jsonl", *files, "--name", "mine", *FAST, code=3)
    assert "gpt-4o-mini" in ended.err and ended.err.count("gpt-4o-mini") == 1
    out, err = read(program.folder / "out.jsonl"), read(program.folder / "err.jsonl")
    assert sorted(ids(out)) == ["request-1", "request-2"]
    for line in out:
        assert set(line) == {"id", "custom_id", "response", "error"} and line["error"] is None
        response = line["response"]
        assert (response["status_code"], bool(response["request_id"])) == (200, True)
        body = response["body"]
        assert body["object"] == "chat.completion" and body["id"] and isinstance(body["created"], int)
        assert body["model"] == "demo"
        (choice,) = body["choices"]
        assert choice["index"] == 0 and choice["finish_reason"] in ("stop", "length") and choice["logprobs"] is None
        assert choice["message"]["role"] == "assistant" and choice["message"]["content"]
        usage = body["usage"]
        assert usage["total_tokens"] == usage["prompt_tokens"] + usage["completion_tokens"]
        assert 0 < usage["completion_tokens"] <= 12
    assert sorted((line["custom_id"] or "", line["error"]["code"]) for line in err) == [
        ("", "row_invalid"),
        ("request-1", "row_invalid"),
        ("request-3", "row_invalid"),
        ("request-4", "row_invalid"),
    ]
    assert all(line["response"] is None and line["error"]["message"].startswith("line ") for line in err)
    assert len({line["id"] for line in [*out, *err]}) == 6
    export = ("export", "--format", "openai", "--batch", "mine", "-o")
    program(*export, "again.jsonl", "--errors", "again.err.jsonl")
    assert sorted(ids(read(program.folder / "again.jsonl"))) == sorted(ids(out))
    assert {line["id"]: line for line in program(*export, "-").lines} == {line["id"]: line for line in [*out, *err]}


def test_a_vllm_style_file_by_hand_with_answers_and_errors_in_one_file(program: Program) -> None:
    picture = draw(program.folder / "red one.bmp", 200)
    text = VLLM_STYLE.replace("FILE", picture.as_uri()).replace("GONE", (program.folder / "gone.bmp").as_uri())
    (program.folder / "in.jsonl").write_text(text, "utf-8")
    program("run", "--manifest", "in.jsonl", "-o", "out.jsonl", *FAST, code=3)
    by_id = {line["custom_id"]: line for line in read(program.folder / "out.jsonl")}
    assert by_id.keys() == {"vqa/0007?é", "gone"}
    assert by_id["gone"]["error"]["code"] == "image_missing"
    assert by_id["vqa/0007?é"]["response"]["body"]["choices"][0]["message"]["content"]


def test_answers_do_not_depend_on_the_order_of_the_lines_and_pictures_lie_in_files_alone(program: Program) -> None:
    pictures = draw_many(program.folder / "drawn", 6)
    lines = [request(f"r{n}", data(path), f"Question {n}?") for n, path in enumerate(pictures)]
    program.environment = {"PIXMILL_ALLOWED_ROOTS": str(program.folder)}
    told = []
    for name, order in (("one", lines), ("two", lines[::-1])):
        write(program.folder / f"{name}.jsonl", order)
        program("run", "--manifest", f"{name}.jsonl", "-o", f"{name}.out.jsonl", "--force", *FAST)
        out = read(program.folder / f"{name}.out.jsonl")
        told.append({line["custom_id"]: line["response"]["body"]["choices"] for line in out})
    assert told[0] == told[1] and len(told[0]) == 6
    blobs = [path for path in (program.home / "blobs").rglob("*") if path.is_file()]
    assert sorted(blob.read_bytes() for blob in blobs) == sorted(path.read_bytes() for path in pictures)
    encoded = data(pictures[0])[60:100].encode()
    assert not [path for path in program.home.glob("pixmill.db*") if encoded in path.read_bytes()]
    rows = program("answers", "--json").lines
    assert {row["pictures"][0]["locator"] for row in rows} == {f"blob:{blob.name}" for blob in blobs}


def test_the_same_again_writes_nothing_and_what_was_mended_is_added(program: Program) -> None:
    picture = draw(program.folder / "a.bmp", 1)
    later = program.folder / "later.bmp"
    write(program.folder / "in.jsonl", [request("a", data(picture)), request("later", later.as_uri())])
    command = ("run", "--manifest", "in.jsonl", "-o", "out.jsonl", "--errors", "err.jsonl", *FAST)
    program(*command, code=3)
    before = (program.folder / "out.jsonl").read_bytes()
    program(*command, code=3)
    assert (program.folder / "out.jsonl").read_bytes() == before
    assert ids(read(program.folder / "err.jsonl")) == ["later"]
    draw(later, 2)
    program(*command)
    assert (program.folder / "out.jsonl").read_bytes().startswith(before)
    assert ids(read(program.folder / "out.jsonl")) == ["a", "later"]
    assert read(program.folder / "err.jsonl") == []


def test_killed_in_the_middle_and_again_until_done(program: Program) -> None:
    count = 160
    pictures = draw_many(program.folder, count)
    lines = [request(f"r{n}", data(path), max_tokens=20) for n, path in enumerate(pictures)]
    write(program.folder / "in.jsonl", [*lines[:100], "broken", *lines[100:]])
    out, err = program.folder / "out.jsonl", program.folder / "err.jsonl"
    command = ("run", "--manifest", "in.jsonl", "-o", out, "--errors", err, "--max-num-seqs", "4", *FAST)
    seen: list[str] = []
    for kill in (signal.SIGKILL, signal.SIGINT):
        process = program.start(*command)
        while process.poll() is None and (not out.exists() or out.read_bytes().count(b"\n") < len(seen) + 15):
            time.sleep(0.01)
        assert process.poll() is None, "the machine is too fast for this test: give it more pictures"
        process.send_signal(kill)
        process.communicate()
        whole = out.read_bytes().rpartition(b"\n")[0].splitlines()
        seen = [json.loads(line)["custom_id"] for line in whole]
        assert len(seen) == len(set(seen))
        if kill == signal.SIGKILL:
            with out.open("ab") as file:  # as if the line had been torn
                file.write(b'{"id": "batch_req_0123", "custom_')
    program(*command, code=3)
    rows = read(out)
    assert sorted(ids(rows)) == sorted(f"r{n}" for n in range(count))
    assert ids(rows)[: len(seen)] == seen
    assert [line["custom_id"] for line in read(err)] == [None]


def test_a_file_of_something_else_is_refused_before_anything_is_asked(program: Program) -> None:
    write(program.folder / "in.jsonl", [request("a", data(draw(program.folder / "a.bmp", 1)))])
    before = (program.folder / "in.jsonl").read_bytes()
    (program.folder / "other.jsonl").write_bytes(before)
    refused = program("run", "--manifest", "in.jsonl", "-o", "other.jsonl", *FAST, code=1)
    assert "Name another file with -o" in refused.err
    itself = program("run", "--manifest", "in.jsonl", "-o", "in.jsonl", *FAST, code=2)
    assert "The results would replace in.jsonl" in itself.err
    assert (program.folder / "in.jsonl").read_bytes() == before == (program.folder / "other.jsonl").read_bytes()
    assert program("batch", "ls", "--json").lines == []


def test_the_results_of_other_inputs_are_exported_at_the_end(program: Program) -> None:
    draw(program.folder / "a.bmp", 1)
    (program.folder / "b.bmp").write_bytes(b"BM")
    ask = ("run", "a.bmp", "b.bmp", "--max-tokens", "5", *FAST)
    program(*ask, "-o", "out.jsonl", "--errors", "err.jsonl", code=3)
    (answered,), (failed,) = read(program.folder / "out.jsonl"), read(program.folder / "err.jsonl")
    assert answered["state"] == "done" and answered["text"] and failed["error"]["code"]
    assert "which format?" in program(*ask, "-o", "out.xyz", code=2).err
    assert "no such folder" in program(*ask, "-o", "nowhere/out.jsonl", code=2).err
    assert "give both" in program(*ask, "--errors", "err.jsonl", code=2).err
    assert not (program.folder / "out.xyz").exists()
