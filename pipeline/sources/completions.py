"""The body of a chat completion request, as the OpenAI API has it, becomes a prompt with its pictures.

What asks for something that cannot be done here is refused, not dropped: nobody shall take a greedy answer for one
of three samples. Null means "not given", as it does there.
"""

from __future__ import annotations

import functools
import json
import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pipeline.errors import RowInvalid, SchemaInvalid
from pipeline.forms import check_form
from pipeline.prompts import MAX_TOKENS, Form, Prompt, Sampling, canonical

HONOURED = frozenset(
    {"messages", "model", "max_tokens", "max_completion_tokens", "temperature", "seed", "response_format"}
)
ABOUT_THE_CALLER = frozenset({"user", "metadata", "store", "service_tier", "safety_identifier", "prompt_cache_key"})
"""whatever they say, the answer is the same"""
CHANGES_NOTHING: Mapping[str, tuple[Any, ...]] = {
    "n": (1,),
    "stream": (False,),
    "top_p": (1,),
    "top_k": (-1, 0),
    "min_p": (0,),
    "frequency_penalty": (0,),
    "presence_penalty": (0,),
    "repetition_penalty": (1,),
    "logprobs": (False,),
    "top_logprobs": (0,),
    "logit_bias": ({},),
    "stop": ([],),
    "modalities": (["text"],),
    "tools": ([],),
    "tool_choice": ("none", "auto"),
    "parallel_tool_calls": (True, False),
    "functions": ([],),
}
"""parameter -> the values with which it asks for nothing that would not be done anyway"""

SYSTEM = ("system", "developer")
DETAILS = (None, "auto", "low", "high")
"""how closely to look: a model here looks at each picture in its one way"""
_MOST_TOKENS = 2**31 - 1
_HIGHEST_SEED = 2**63 - 1
_SHOWN = 40


@dataclass(frozen=True, slots=True)
class Request:
    """What a body asks."""

    prompt: Prompt
    pictures: tuple[str, ...]
    """their addresses, in order"""
    model: str | None


def read(body: object) -> Request:
    """The request in a body. Raises RowInvalid or SchemaInvalid."""
    if not isinstance(body, dict):
        raise RowInvalid(why="its body is no object")
    _refuse_the_rest(body)
    model = body.get("model")
    if not (model is None or isinstance(model, str)):
        raise RowInvalid(why="the model must be text")
    messages, pictures = _conversation(body.get("messages"))
    prompt = Prompt(messages=messages, sampling=_sampling(body), form=_form(body.get("response_format")))
    return Request(prompt, pictures, model)


def _refuse_the_rest(body: Mapping[str, Any]) -> None:
    for name, value in body.items():
        if value is None or name in HONOURED or name in ABOUT_THE_CALLER:
            continue
        if value not in CHANGES_NOTHING.get(name, ()):
            raise RowInvalid(why=f"{_shown(name)} = {_shown(value)} is asked for, which cannot be done here")


# --- parameters --------------------------------------------------------------------------------


def _sampling(body: Mapping[str, Any]) -> Sampling:
    lengths = {name: body.get(name) for name in ("max_completion_tokens", "max_tokens")}
    given = [_whole(value, name, 1, _MOST_TOKENS) for name, value in lengths.items() if value is not None]
    if len(set(given)) > 1:
        raise RowInvalid(why="max_tokens and max_completion_tokens contradict each other")
    seed = body.get("seed")
    return Sampling(
        max_tokens=given[0] if given else MAX_TOKENS,
        temperature=_temperature(body.get("temperature")),
        seed=None if seed is None else _whole(seed, "seed", 0, _HIGHEST_SEED),
    )


def _whole(value: object, name: str, least: int, most: int) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
        raise RowInvalid(why=f"{name} must be a whole number from {least} to {most}, not {_shown(value)}")
    return value


def _temperature(value: object) -> float:
    """Greedy when nobody says, as everywhere in Pixmill: such an answer can be had again."""
    if value is None:
        return 0.0
    if not isinstance(value, int | float) or isinstance(value, bool) or not 0 <= value <= 2:
        raise RowInvalid(why=f"temperature must be a number from 0 to 2, not {_shown(value)}")
    return float(value)


def _form(given: object) -> Form | None:
    """The form of the answer, in the words of `pipeline.forms`."""
    if given is None:
        return None
    kind = given.get("type") if isinstance(given, dict) else None
    if kind == "text":
        return None
    if kind == "json_object":
        return _checked(b'{"type":"object"}')
    if kind != "json_schema":
        raise RowInvalid(why="response_format is of no type known here: text, json_object, json_schema")
    named = given.get("json_schema") if isinstance(given, dict) else None
    schema = named.get("schema") if isinstance(named, dict) else None
    if not isinstance(schema, dict):
        raise SchemaInvalid(why="response_format has no object under json_schema.schema")
    return _checked(canonical(schema))


@functools.lru_cache(maxsize=32)  # a file asks for the same few forms in each of its lines
def _checked(schema: bytes) -> Form:
    form = {"kind": "schema", "schema": json.loads(schema)}
    check_form(form)
    return form


# --- messages ----------------------------------------------------------------------------------


def _conversation(given: object) -> tuple[tuple[tuple[str, str], ...], tuple[str, ...]]:
    """The messages, the leading system ones as one, and the pictures of the last."""
    if not isinstance(given, list) or not given:
        raise RowInvalid(why="it has no messages")
    read = [_message(message) for message in given]
    first = next((place for place, (role, _, _) in enumerate(read) if role not in SYSTEM), len(read))
    if any(role in SYSTEM for role, _, _ in read[first:]):
        raise RowInvalid(why="a system message stands behind others; it must come first")
    if first == len(read) or read[-1][0] != "user":
        raise RowInvalid(why="the last message is not the user's, so nothing is asked")
    if any(pictures for _, _, pictures in read[:-1]):
        raise RowInvalid(why="a picture stands in an earlier message; only the last can show some")
    if not read[-1][2]:
        raise RowInvalid(why="it shows no picture")
    system = "\n\n".join(text for _, text, _ in read[:first])
    turns = tuple((role, text) for role, text, _ in read[first:])
    return ((("system", system),) if system else ()) + turns, tuple(read[-1][2])


def _message(given: object) -> tuple[str, str, Sequence[str]]:
    """Role, text and pictures."""
    if not isinstance(given, dict):
        raise RowInvalid(why="a message is no object")
    role = given.get("role")
    if role not in (*SYSTEM, "user", "assistant"):
        raise RowInvalid(why=f"a message has the role {_shown(role)}; known here: system, developer, user, assistant")
    _only(given, ("role", "content"), "a message")
    texts, pictures = _content(given.get("content"))
    return role, "\n".join(texts), pictures


def _content(given: object) -> tuple[list[str], list[str]]:
    if isinstance(given, str):
        return [given], []
    if not isinstance(given, list):
        raise RowInvalid(why="a message has no content")
    texts: list[str] = []
    pictures: list[str] = []
    for part in given:
        kind = part.get("type") if isinstance(part, dict) else None
        if kind == "text":
            texts.append(_text(part))
        elif kind == "image_url":
            pictures.append(_picture(part))
        else:
            raise RowInvalid(why=f"a message has a part of type {_shown(kind)}; known here: text, image_url")
    return texts, pictures


def _text(part: Mapping[str, Any]) -> str:
    _only(part, ("type", "text"), "a part of a message")
    text = part.get("text")
    if not isinstance(text, str):
        raise RowInvalid(why="a text part has no text")
    return text


def _picture(part: Mapping[str, Any]) -> str:
    _only(part, ("type", "image_url"), "a part of a message")
    given = part.get("image_url")
    if isinstance(given, dict):
        _only(given, ("url", "detail"), "an image_url")
        if given.get("detail") not in DETAILS:
            raise RowInvalid(why=f"an image_url has the detail {_shown(given['detail'])}")
        given = given.get("url")
    if not isinstance(given, str):
        raise RowInvalid(why="an image_url has no url")
    return given


def _only(given: Mapping[str, Any], known: Collection[str], what: str) -> None:
    for name, value in given.items():
        if value is not None and name not in known:
            raise RowInvalid(why=f"{what} has {_shown(name)}, which cannot be honoured here")


def _shown(value: object) -> str:
    """A value as a message shows it, whatever it is: a whole picture may stand where a number should."""
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    text = repr(value) if isinstance(value, str | int | float | bool | None) else type(value).__name__
    return text if len(text) <= _SHOWN else f"{text[: _SHOWN - 1]}…"
