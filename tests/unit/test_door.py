"""workers.door: what a message in Redis may say."""

from __future__ import annotations

import json
from base64 import b64decode, b64encode
from typing import Any

import pytest

from pipeline.broker import TASK
from pipeline.jobs import LARGEST_ID
from workers.door import _LONGEST_BODY, ids_of, made, read

QUEUE = "pixmill.demo.normal"
TICKET = made([1, 2], "id", "tag", QUEUE)


def said(message: dict[str, Any]) -> Any:
    return json.loads(b64decode(message["body"]))


@pytest.mark.parametrize("ids", [[1], [1, 2, LARGEST_ID], list(range(1, 17)), [5, 5]], ids=str)
def test_a_ticket_names_a_few_jobs(ids: list[int]) -> None:
    assert ids_of([[ids], {}, {"chord": None}]) == ids


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        [[]],
        ["12"],
        [["1"]],
        [[True]],
        [[0]],
        [[-1]],
        [[1.0]],
        [[LARGEST_ID + 1]],
        [list(range(1, 18))],
        [{"ids": [1]}],
        [[[1]]],
        [[1], [2]],
        [None],
        7,
    ],
    ids=str,
)
def test_anything_else_is_no_ticket(arguments: object) -> None:
    assert ids_of([arguments, {}, {}]) is None


@pytest.mark.parametrize("body", [None, 7, "x", [], [[[1]]], [[[1]], {}], [[[1]], {"queue": "x"}, {}], [[[1]], [], {}]])
def test_a_ticket_has_three_parts_and_no_named_arguments(body: object) -> None:
    assert ids_of(body) is None


def test_a_full_ticket_of_the_largest_ids_is_not_too_long() -> None:
    ids = [LARGEST_ID] * 16
    _, message = read(made(ids, "id", "tag", QUEUE), QUEUE)
    assert message
    assert said(message)[0] == [ids]
    assert len(message["body"]) < _LONGEST_BODY / 4


def test_nothing_of_a_message_goes_on_but_names_and_ids() -> None:
    odd = {**TICKET, "headers": {**TICKET["headers"], "timelimit": "soon", "eta": 7}, "content-type": ["x"], "more": 1}
    odd["body"] = b64encode(json.dumps([[[1, 2]], {}, {"callbacks": [{"task": "x"}]}]).encode()).decode()
    assert read(odd, QUEUE)[1] == TICKET


@pytest.mark.parametrize("part", ["headers", "properties", "body"])
@pytest.mark.parametrize("value", [None, 7, [1], {}, "%", "\N{EURO SIGN}"], ids=repr)
def test_what_has_another_form_is_refused(part: str, value: object) -> None:
    assert read({**TICKET, part: value}, QUEUE)[1] is None


@pytest.mark.parametrize("name", [None, 7, [], {}, "", "a b", "a\n", "a" * 65, "\N{EURO SIGN}"], ids=repr)
def test_names_are_words(name: object) -> None:
    assert read({**TICKET, "headers": {"task": TASK, "id": name}}, QUEUE)[1] is None
    assert read({**TICKET, "properties": {"delivery_tag": name}}, QUEUE)[1] is None


@pytest.mark.parametrize("message", [None, 7, "x", [], [1, 2], {}, {"body": "x"}], ids=repr)
def test_what_is_no_message_is_refused(message: object) -> None:
    assert read(message, QUEUE) == (message, None)


def test_a_refusal_shows_what_was_said() -> None:
    path = b64encode(b'[["/etc/passwd"], {}, {}]').decode()
    assert read({**TICKET, "body": path}, QUEUE) == ([["/etc/passwd"], {}, {}], None)
