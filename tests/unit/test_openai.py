"""Batch files in the OpenAI form: what a line asks, and what is said of one that asks for what cannot be done."""

from __future__ import annotations

import base64
import gc
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given
from hypothesis import settings as effort
from hypothesis import strategies as st

from pipeline import blobs
from pipeline.errors import CODES, JobError
from pipeline.locators import Picture, open_path
from pipeline.settings import Settings, read_settings
from pipeline.sources import openai
from pipeline.sources.manifests.manifest import Manifest
from pipeline.sources.manifests.source import Source
from pipeline.sources.rows import BadRow, Row

PNG = b"\x89PNG and so on"
DATA = f"data:image/png;base64,{base64.b64encode(PNG).decode()}"


def picture(url: str = DATA, **more: Any) -> dict[str, Any]:
    return {"type": "image_url", "image_url": {"url": url, **more}}


def text(words: str) -> dict[str, Any]:
    return {"type": "text", "text": words}


def user(*parts: Any) -> dict[str, Any]:
    return {"role": "user", "content": list(parts)}


ASKED = [user(text("What?"), picture())]


def line(custom_id: Any = "a", *, method: Any = "POST", url: Any = "/v1/chat/completions", **body: Any) -> bytes:
    body = {"model": "m", "messages": ASKED, **body}
    return json.dumps({"custom_id": custom_id, "method": method, "url": url, "body": body}).encode()


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return replace(read_settings(), home=tmp_path / "home", model="m", max_picture_bytes=1000)


def read(
    content: bytes, settings: Settings, folder: Path | None = None, notes: list[str] | None = None
) -> list[Row | BadRow]:
    file = (folder or settings.home) / "in.jsonl"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(content)
    return list(openai.rows(Source(str(file), settings), settings, warn=(notes if notes is not None else []).append))


def good(content: bytes, settings: Settings) -> Row:
    (row,) = read(content, settings)
    assert isinstance(row, Row), row
    return row


def bad(content: bytes, settings: Settings) -> BadRow:
    (row,) = read(content, settings)
    assert isinstance(row, BadRow), row
    return row


# --- what a line asks ----------------------------------------------------------------------------


def test_a_line_brings_its_id_its_picture_and_a_whole_prompt(settings: Settings) -> None:
    row = good(line("q-7", max_tokens=9, temperature=0.5, seed=3), settings)
    (prompt,) = row.prompts
    assert (row.custom_id, row.columns, row.questions) == ("q-7", None, ())
    assert prompt.messages == (("user", "What?"),)
    assert prompt.parameters == {"max_tokens": 9, "temperature": 0.5, "seed": 3}
    assert prompt.form is None


def test_system_messages_examples_and_several_pictures(settings: Settings) -> None:
    other = f"data:;base64,{base64.b64encode(b'other').decode()}"
    messages = [
        {"role": "system", "content": "Be brief."},
        {"role": "developer", "content": [text("Be"), text("kind.")]},
        {"role": "user", "content": "One?"},
        {"role": "assistant", "content": "Two."},
        user(picture(), text("And"), picture(other, detail="low"), text("now?")),
    ]
    row = good(line(messages=messages), settings)
    assert row.prompts[0].messages == (
        ("system", "Be brief.\n\nBe\nkind."),
        ("user", "One?"),
        ("assistant", "Two."),
        ("user", "And\nnow?"),
    )
    paths = [open_path(shown.locator, None, blobs.folder(settings)) for shown in row.pictures]
    assert [Path(str(path)).read_bytes() for path in paths] == [PNG, b"other"]


def test_a_data_picture_stands_in_no_row(settings: Settings) -> None:
    assert base64.b64encode(PNG).decode() not in repr(good(line(), settings))


@pytest.mark.parametrize(
    ("given", "form"),
    [
        ({"type": "text"}, None),
        ({"type": "json_object"}, {"kind": "schema", "schema": {"type": "object"}}),
        (
            {"type": "json_schema", "json_schema": {"name": "n", "strict": True, "schema": {"type": "integer"}}},
            {"kind": "schema", "schema": {"type": "integer"}},
        ),
    ],
)
def test_response_formats(given: dict[str, Any], form: object, settings: Settings) -> None:
    assert good(line(response_format=given), settings).prompts[0].form == form


def test_the_newer_name_of_the_length(settings: Settings) -> None:
    assert good(line(max_completion_tokens=7), settings).prompts[0].sampling.max_tokens == 7
    assert good(line(max_completion_tokens=7, max_tokens=7), settings).prompts[0].sampling.max_tokens == 7


def test_what_asks_for_nothing_special_is_no_fault(settings: Settings) -> None:
    harmless = {"n": 1, "stream": False, "top_p": 1.0, "stop": None, "logprobs": False, "tools": None, "user": "u"}
    good(line(**harmless, metadata={"a": "b"}, frequency_penalty=0, logit_bias={}), settings)


def test_another_model_is_noted_once(settings: Settings) -> None:
    notes: list[str] = []
    read(b"\n".join([line("a"), line("b", model="gpt-4o"), line("c", model="gpt-5")]), settings, notes=notes)
    assert len(notes) == 1 and "gpt-4o" in notes[0]


# --- where pictures lie --------------------------------------------------------------------------


def places(url: str, settings: Settings, folder: Path) -> list[Row | BadRow]:
    return read(line(messages=[user(picture(url), text("?"))]), settings, folder)


def test_a_file_address_below_the_file_s_own_folder(settings: Settings, tmp_path: Path) -> None:
    (tmp_path / "in" / "my pictures").mkdir(parents=True)
    place = tmp_path / "in" / "my pictures" / "a.jpg"
    place.write_bytes(PNG)
    (row,) = places(place.as_uri(), settings, tmp_path / "in")
    assert isinstance(row, Row)
    assert row.pictures == (Picture.at(place, None),)


def test_file_addresses_that_lead_elsewhere(settings: Settings, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "secret").write_bytes(PNG)
    (tmp_path / "in" / "link").symlink_to(tmp_path / "secret")
    for path in ("secret", "in/../secret", "in/%2e%2e/secret", "in/link"):
        (row,) = places(f"file://{tmp_path}/{path}", settings, tmp_path / "in")
        assert isinstance(row, BadRow) and row.code == "forbidden_path", path
    allowed = replace(settings, allowed_roots=(tmp_path,))
    (row,) = places(f"file://{tmp_path}/secret", allowed, tmp_path / "in")
    assert isinstance(row, Row)


@pytest.mark.parametrize("url", ["cat.jpg", "/etc/passwd", "ftp://h/a.jpg", "s3://b/a.jpg", "javascript:1", "", "data"])
def test_addresses_of_other_kinds(url: str, settings: Settings) -> None:
    assert bad(line(messages=[user(picture(url), text("?"))]), settings).code in ("forbidden_url", "row_invalid")


def test_web_addresses_are_refused_until_a_domain_is_allowed(settings: Settings, tmp_path: Path) -> None:
    url = "https://example.org/a.jpg"
    (refused,) = places(url, settings, tmp_path)
    assert isinstance(refused, BadRow) and refused.code == "forbidden_url"
    (row,) = places(url, replace(settings, allowed_domains=("example.org",)), tmp_path)
    assert isinstance(row, Row) and row.pictures[0].locator == url


# --- what cannot be asked ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({"n": 2}, "'n' = 2"),
        ({"stream": True}, "'stream' = True"),
        ({"tools": [{"type": "function"}]}, "'tools' = list"),
        ({"modalities": ["text", "audio"]}, "'modalities'"),
        ({"audio": {"voice": "x"}}, "'audio'"),
        ({"top_p": 0.5}, "'top_p' = 0.5"),
        ({"stop": ["."]}, "'stop'"),
        ({"logprobs": True}, "'logprobs'"),
        ({"unheard_of": "x" * 500}, "'unheard_of' = 'xxx"),
        ({"max_tokens": 0}, "max_tokens must be"),
        ({"max_tokens": True}, "max_tokens must be"),
        ({"max_tokens": 7, "max_completion_tokens": 8}, "contradict"),
        ({"temperature": 2.5}, "temperature must be"),
        ({"temperature": "hot"}, "temperature must be"),
        ({"seed": -1}, "seed must be"),
        ({"seed": 2**63}, "seed must be"),
        ({"model": 3}, "model must be text"),
        ({"response_format": {"type": "grammar"}}, "response_format"),
        ({"response_format": 3}, "response_format"),
        ({"response_format": {"type": "json_schema"}}, "json_schema.schema"),
        ({"response_format": {"type": "json_schema", "json_schema": {"schema": {"type": "nonsense"}}}}, "answer form"),
        ({"messages": None}, "no messages"),
        ({"messages": []}, "no messages"),
        ({"messages": ["hello"]}, "no object"),
        ({"messages": [{"role": "user", "content": "no picture"}]}, "shows no picture"),
        ({"messages": [{"role": "tool", "content": "x"}]}, "the role 'tool'"),
        ({"messages": [{"role": "user"}]}, "no content"),
        ({"messages": [*ASKED, {"role": "assistant", "content": "x"}]}, "the last message"),
        ({"messages": [{"role": "system", "content": "x"}]}, "the last message"),
        ({"messages": [*ASKED, {"role": "assistant", "content": "x"}, *ASKED]}, "an earlier message"),
        ({"messages": [{"role": "user", "content": "a"}, {"role": "system", "content": "b"}, *ASKED]}, "come first"),
        ({"messages": [user({"type": "input_audio"}, picture())]}, "'input_audio'"),
        ({"messages": [user("text", picture())]}, "a part of type None"),
        ({"messages": [user({"type": "text"}, picture())]}, "has no text"),
        ({"messages": [user({"type": "image_url"})]}, "has no url"),
        ({"messages": [user(picture(detail="finest"))]}, "the detail 'finest'"),
        ({"messages": [{"role": "user", "name": "ann", "content": [picture()]}]}, "'name'"),
        ({"messages": [{"role": "assistant", "content": "x", "tool_calls": [1]}, *ASKED]}, "'tool_calls'"),
    ],
)
def test_what_cannot_be_honoured_is_said_and_keeps_its_id(body: dict[str, Any], said: str, settings: Settings) -> None:
    row = bad(line("mine", **body), settings)
    assert row.custom_id == "mine"
    assert row.message.startswith("line 1: ") and said in row.message, row.message
    assert len(row.message) < 300


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"{", "no JSON"),
        (b'{"custom_id": "a", "temperature": NaN}', "no JSON"),
        (b"[]", "no JSON object"),
        (b'"text"', "no JSON object"),
        (b"{\xff}", "no UTF-8"),
        (b"[" * 100_000, "nested"),
        (json.dumps({"body": {}}).encode(), "no custom_id"),
        (line(7), "no custom_id"),
        (line(""), "no custom_id"),
        (line("\ud800"), "no text"),
        (line("a\0b"), "NUL"),
    ],
)
def test_lines_without_an_id_that_can_be_given_back(content: bytes, said: str, settings: Settings) -> None:
    row = bad(content, settings)
    assert row.custom_id is None and said in row.message, row.message


def test_other_methods_and_urls(settings: Settings) -> None:
    assert "method is not POST" in bad(line(method="GET"), settings).message
    assert "url is not /v1/chat" in bad(line(url="/v1/embeddings"), settings).message


def test_broken_and_too_large_pictures_have_their_codes(settings: Settings) -> None:
    codes = {"data:;base64,@": "image_unreadable", "data:;base64,": "image_truncated"}
    codes |= {f"data:;base64,{'A' * 2000}": "image_too_large"}
    for url, code in codes.items():
        assert bad(line(messages=[user(picture(url))]), settings).code == code


# --- the file ------------------------------------------------------------------------------------


def test_lines_stand_for_themselves_and_keep_their_order(settings: Settings) -> None:
    lines = [line("a"), b"", b"   ", line("b", n=2), b"oops", line("a"), line("c")]
    rows = read(b"\xef\xbb\xbf" + b"\r\n".join(lines), settings)
    assert [row.custom_id for row in rows] == ["a", "b", None, "a", "c"]
    assert [type(row) for row in rows] == [Row, BadRow, BadRow, BadRow, Row]
    said = [row.message for row in rows if isinstance(row, BadRow)]
    assert [words.partition(":")[0] for words in said] == ["line 4", "line 5", "line 6"]
    assert "an earlier line has the same custom_id" in said[2]


def test_a_line_that_is_too_long_costs_itself(settings: Settings) -> None:
    small = replace(settings, max_picture_bytes=100_000, max_line_bytes=1000)
    rows = read(b"\n".join([line("a"), line("b", user="x" * 3_000_000), line("c")]), small)
    assert [row.custom_id for row in rows] == ["a", None, "c"]
    assert isinstance(rows[1], BadRow) and "longer than" in rows[1].message


ANY_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda children: st.lists(children, max_size=4) | st.dictionaries(st.text(max_size=8), children, max_size=4),
    max_leaves=8,
)
PART = st.fixed_dictionaries(
    {"type": st.sampled_from(["text", "image_url"]) | ANY_JSON},
    optional={
        "text": st.text(max_size=5) | ANY_JSON,
        "image_url": st.fixed_dictionaries({"url": st.sampled_from([DATA, "file:///x", "https://x"]) | st.text()})
        | ANY_JSON,
    },
)
MESSAGE = st.fixed_dictionaries(
    {"role": st.sampled_from(["user", "system", "assistant"]) | ANY_JSON},
    optional={"content": st.text(max_size=5) | st.lists(PART | ANY_JSON, max_size=3) | ANY_JSON},
)
BODY = st.fixed_dictionaries(
    {"messages": st.lists(MESSAGE | ANY_JSON, max_size=3) | ANY_JSON},
    optional=dict.fromkeys(("max_tokens", "temperature", "seed", "n", "stop", "response_format", "other"), ANY_JSON)
    | {
        "model": st.text(max_size=3) | ANY_JSON,
        "response_format": st.fixed_dictionaries(
            {"type": st.sampled_from(["json_schema", "json_object"])},
            optional={"json_schema": st.fixed_dictionaries({"schema": ANY_JSON}) | ANY_JSON},
        ),
    },
)
REQUEST = st.fixed_dictionaries(
    {"custom_id": st.text(max_size=3) | ANY_JSON, "body": BODY | ANY_JSON},
    optional={"method": st.sampled_from(["POST"]) | ANY_JSON, "url": st.sampled_from([openai.URL]) | ANY_JSON},
)
LINE = (
    REQUEST.map(lambda request: json.dumps(request).encode())
    | ANY_JSON.map(lambda value: json.dumps(value).encode())
    | st.binary(max_size=40).map(lambda data: b"x" + data.replace(b"\n", b"").replace(b"\r", b""))
)


@effort(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=150, deadline=None)
@given(lines=st.lists(LINE, min_size=1, max_size=4))
@example(lines=[line(), line(), b"{"])
def test_whatever_stands_there_each_line_is_one_row(lines: list[bytes], settings: Settings) -> None:
    rows = read(b"\n".join(lines), settings)
    assert len(rows) == len(lines)
    for row in rows:
        if isinstance(row, BadRow):
            assert row.code in CODES and row.message
            row.message.encode()
        else:
            assert len(row.prompts) == 1 and row.pictures and row.custom_id
            row.prompts[0].digest  # noqa: B018  that it can be stored


def test_nothing_is_kept_of_lines_that_cannot_be_asked(settings: Settings) -> None:
    lines = (line("a", tools=[{}]), b"{broken", line("b", messages=[user(picture("ftp://x"))]), line(7))
    gc.collect()
    before = {id(error) for error in held()}
    gc.disable()
    try:
        for one in lines:
            bad(one, settings)
        # An error that its own frames hold would keep the line, which may be as long as a picture.
        assert [error for error in held() if id(error) not in before] == []
    finally:
        gc.enable()


def held() -> list[JobError]:
    """The errors that somebody holds, if only they themselves."""
    return [found for found in gc.get_objects() if isinstance(found, JobError)]


@pytest.mark.parametrize(("questions", "shaped"), [(True, False), (False, False), (True, True)])
def test_what_the_command_says_besides_is_left_aside_and_that_is_told(
    settings: Settings, tmp_path: Path, questions: bool, shaped: bool
) -> None:
    file = tmp_path / "in.jsonl"
    file.write_bytes(line())
    notes: list[str] = []
    manifest = Manifest(file=str(file))
    (row,) = manifest.rows(settings, warn=notes.append, questions=questions, shaped=shaped, most_pictures=1)
    assert isinstance(row, Row) and row.prompts
    told = "Each line of the file says itself what is asked, and how: what the command says is left aside."
    assert notes == ([] if questions and not shaped else [told])
