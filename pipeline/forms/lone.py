"""Lone values: what a document holds whose schema leaves room for a single plain value.

The model may say the value alone instead of the document around it, which is then put around it here. A small model
loses the thread over braces it was never taught: of 282 answers about drawn scenes the bundled one gave 131 right
behind `{"color": "`, and all of them by the value alone. One that knows JSON goes on saying JSON.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pipeline.errors import InvalidAnswer
from pipeline.forms import choices, number
from pipeline.forms.ebnf import Ebnf, either

_WORDS: Mapping[str, bool] = {"yes": True, "no": False, "true": True, "false": False}


@dataclass(frozen=True, slots=True)
class Lone:
    """The value's place in the document and what it may be."""

    name: str | None
    """the property it is, or none when it is the whole document"""
    texts: Sequence[str] | None
    """what it may be, if that is one of some texts"""
    kind: str
    schema: Mapping[str, Any]

    def document(self, value: Any) -> Any:
        return value if self.name is None else {self.name: value}

    def value(self, text: str) -> Any:
        """What a text says, or none."""
        if self.kind == "string":
            return choices.find(text, self.texts or ())
        if self.kind == "boolean":
            return _WORDS.get(choices.find(text, list(_WORDS)) or "")
        try:
            return number.read({"integer": self.kind == "integer"}, text).value
        except InvalidAnswer:
            return None

    def grammar(self, ebnf: Ebnf, fitting: Callable[[Any], str]) -> str:
        """`fitting` is how a value is written that fits a schema."""
        if self.kind in ("integer", "number"):
            return fitting(self.schema)
        return either(map(ebnf.literal, choices.spellings(list(self.texts or _WORDS))))


def find(schema: Any) -> Lone | None:
    """The lone value of a schema, if it has one that can be said alone."""
    if not isinstance(schema, dict) or schema.keys() & {"$ref", "anyOf", "oneOf", "allOf", "not", "if"}:
        return None
    if schema.get("type", "object") != "object":
        return _plain(None, schema)
    properties = schema.get("properties", {})
    if len(properties) != 1 or set(schema.get("required", ())) - properties.keys():
        return _plain(None, schema) if "properties" not in schema else None
    ((name, inner),) = properties.items()
    return _plain(name, inner) if isinstance(inner, dict) else None


def _plain(name: str | None, schema: Mapping[str, Any]) -> Lone | None:
    values = [schema["const"]] if "const" in schema else schema.get("enum")
    if values is not None:
        plain = all(isinstance(value, str) and value.strip() == value and value.isprintable() for value in values)
        return Lone(name, tuple(values), "string", schema) if plain and all(values) else None
    kind = schema.get("type")
    return Lone(name, None, kind, schema) if kind in ("integer", "number", "boolean") else None
