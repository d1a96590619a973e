"""Documents: files of plain values, in YAML or JSON, read without surprises.

YAML is read as its version 1.2 means it, since people ask for yes and no and mean the words: `yes` is a text, and
so are 12:30, 010 and 2026-05-01. A key that stands twice is an error in both, for one of the two would be lost.
"""

from __future__ import annotations

import json
import re
from collections.abc import Hashable
from typing import Any

import yaml


class Unreadable(Exception):
    """The text is no such document; the message says why and where."""


def from_yaml(text: str) -> Any:
    """Raises Unreadable."""
    try:
        return yaml.load(text, _Loader)
    except yaml.MarkedYAMLError as error:
        place = f" in line {error.problem_mark.line + 1}" if error.problem_mark else ""
        # PyYAML ends a text without quotes at a question mark where it stands in braces.
        hint = "; put the text into quotes" if str(error.problem).endswith("got '?'") else ""
        raise Unreadable(f"it is not YAML{place}: {error.problem}{hint}") from None
    except yaml.YAMLError as error:
        raise Unreadable(f"it is not YAML: {' '.join(str(error).split())}") from None
    except RecursionError:
        raise Unreadable("it is nested too deeply") from None


def from_json(text: str) -> Any:
    """Raises Unreadable."""
    try:
        return json.loads(text, object_pairs_hook=_once)
    except json.JSONDecodeError as error:
        raise Unreadable(f"it is not JSON in line {error.lineno}: {error.msg}") from None
    except ValueError:  # Python reads no longer ones
        raise Unreadable("it has a number of more than 4,300 digits") from None
    except RecursionError:
        raise Unreadable("it is nested too deeply") from None


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        double = next(key for key, _ in pairs if sum(key == other for other, _ in pairs) > 1)
        raise Unreadable(f"{double!r} stands there twice")
    return found


class _Loader(yaml.SafeLoader):
    """A safe loader that knows the plain values of YAML 1.2 only."""

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:
        try:
            return super().construct_object(node, deep)
        except (ValueError, KeyError, AttributeError):  # a number of 5,000 digits; `!!int many`, `!!bool maybe`
            what = str(node.tag).rpartition(":")[2]
            raise yaml.MarkedYAMLError(problem=f"this is no {what}", problem_mark=node.start_mark) from None

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        seen: set[str] = set()
        for key in (key for key, _ in node.value if isinstance(key, yaml.ScalarNode)):
            if key.value in seen:
                raise yaml.MarkedYAMLError(problem=f"{key.value!r} stands there twice", problem_mark=key.start_mark)
            seen.add(key.value)
        return super().construct_mapping(node, deep)


_Loader.yaml_implicit_resolvers = {}
for tag, pattern, first in (
    ("null", r"~|null|Null|NULL|", ["~", "n", "N", ""]),
    ("bool", r"true|True|TRUE|false|False|FALSE", list("tTfF")),
    ("int", r"[-+]?(?:0|[1-9][0-9]*)", list("-+0123456789")),
    ("float", r"[-+]?(?:\.[0-9]+|(?:0|[1-9][0-9]*)(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?", list("-+.0123456789")),
):
    _Loader.add_implicit_resolver(f"tag:yaml.org,2002:{tag}", re.compile(f"^(?:{pattern})$"), first)
