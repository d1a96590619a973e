"""Schemas: an answer that is a JSON document of the asked kind.

The grammar made of a schema is compact: properties in their order, one blank at most where JSON allows any number,
nothing without bounds. Left to a plain JSON grammar, a weak model spends all its tokens on white space (seen with
the bundled one). What the grammar cannot say (`minimum` of a fraction, `if`, `not`, ...), validation says afterwards.
"""

from __future__ import annotations

import functools
import json
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import unquote

from pipeline.errors import InvalidAnswer, SchemaInvalid
from pipeline.forms import lone
from pipeline.forms.ebnf import Ebnf, either, sequence
from pipeline.forms.number import written
from pipeline.forms.regex import JSON_ESCAPED, fits, translated
from pipeline.forms.values import Reading, shown
from pipeline.prompts import canonical

LONGEST_TEXT = 500
"""characters of a string whose schema names no `maxLength`"""
MOST_ITEMS = 20
"""of an array whose schema names no `maxItems`"""
MOST_COUNTED = 1_000
"""whole numbers between two bounds that are spelled out"""
_REFERENCES = ("$ref", "$dynamicRef", "$recursiveRef")
DEEPEST = 3
"""levels of a value about which nothing is said"""
TYPES = ("object", "array", "string", "number", "integer", "boolean", "null")


def check(form: Any) -> None:
    """Raises SchemaInvalid."""
    schema = form.get("schema")
    if not isinstance(schema, dict):
        raise SchemaInvalid(why='a JSON schema is an object, such as {"type": "object", "properties": {...}}')
    from jsonschema.exceptions import SchemaError

    try:
        dialect = _dialect(schema)
        dialect.check_schema(schema)
    except SchemaError as error:
        place = "/".join(map(str, error.absolute_path))
        raise SchemaInvalid(
            why=f"this is no JSON schema: {shown(error.message)}{f' at {place}' if place else ''}"
        ) from None
    except RecursionError:
        raise SchemaInvalid(why="the JSON schema is too deep") from None
    grammar(form, Ebnf())
    _check_references(schema, dialect)


def _dialect(schema: Mapping[str, Any]) -> Any:
    """The library's class for the draft that a schema is written in. Raises SchemaInvalid."""
    from jsonschema.validators import Draft3Validator, Draft202012Validator, validator_for

    if not isinstance(schema.get("$schema", ""), str):
        raise SchemaInvalid(why="the JSON schema's `$schema` is no text")
    found = validator_for(schema, default=Draft202012Validator)
    if found is Draft3Validator:
        raise SchemaInvalid(why="this JSON schema is of draft 3, which is not read; drafts 4 to 2020-12 are")
    return found


def _check_references(schema: Mapping[str, Any], dialect: Any) -> None:
    """Validation follows references where the grammar does not look: in `not`, in `if`, ... Raises SchemaInvalid."""
    from referencing import Registry
    from referencing.exceptions import Unresolvable
    from referencing.jsonschema import specification_with

    def look(resource: Any, resolver: Any) -> None:
        for key in _REFERENCES if isinstance(resource.contents, dict) else ():
            reference = resource.contents.get(key, "#")
            try:
                resolver.lookup(reference)
            except Unresolvable:
                raise SchemaInvalid(
                    why=f"the JSON schema refers to {shown(str(reference))}, which is not within itself"
                ) from None
        for part in resource.subresources():
            look(part, resolver.in_subresource(part))

    whole = specification_with(dialect.META_SCHEMA["$schema"]).create_resource(schema)
    look(whole, Registry().resolver_with_root(whole))


def read(form: Any, text: str) -> Reading:
    """Raises InvalidAnswer."""
    try:
        return _read(form, _bare(text))
    except InvalidAnswer as error:
        found = lone.find(form["schema"])
        value = found.value(text) if found else None
        if found is None or value is None:
            raise error
        return _read(form, json.dumps(found.document(value), ensure_ascii=False))


def _read(form: Any, text: str) -> Reading:
    try:
        # Not strict: some tokenizers spell a newline in a way that a grammar takes for letters.
        value = json.loads(text, strict=False, parse_constant=_no_constant)
    except (ValueError, RecursionError):
        raise InvalidAnswer(why=f"{shown(text)} is no JSON") from None
    if error := next(_validator(canonical(form["schema"])).iter_errors(value), None):
        place = "/".join(map(str, error.absolute_path))
        where = f" ({place})" if place else ""
        raise InvalidAnswer(why=f"{shown(text)} does not fit the schema: {shown(error.message)}{where}")
    return Reading(text, value)


def grammar(form: Any, ebnf: Ebnf) -> str:
    """Raises SchemaInvalid where nothing could fit, or the schema points where nothing is."""
    try:
        writer = _Writer(form["schema"], ebnf)
        document, found = writer.value(form["schema"]), lone.find(form["schema"])
        return either([document, found.grammar(ebnf, writer.value)]) if found else document
    except RecursionError:
        raise SchemaInvalid(why="the JSON schema is too deep") from None


def _bare(text: str) -> str:
    """The document without the fence that models like to put around it."""
    text = text.strip()
    if text.startswith("```") and text.endswith("```") and len(text) > 6:
        text = text[3:-3].removeprefix("json").strip()
    return text


def _no_constant(name: str) -> Any:
    raise ValueError(name)


@functools.lru_cache(maxsize=256)
def _validator(schema: bytes) -> Any:
    from jsonschema import validators
    from referencing import Registry

    read = json.loads(schema)
    dialect = _dialect(read)
    known = validators.extend(dialect, {"pattern": _pattern})
    # A registry of its own: the default one fetches what a schema refers to from the network.
    return known(read, registry=Registry(), format_checker=dialect.FORMAT_CHECKER)


def _pattern(validator: Any, pattern: str, value: Any, schema: Any) -> Iterator[Any]:
    """In place of the library's own, which waits for as long as it takes."""
    from jsonschema.exceptions import ValidationError

    if isinstance(value, str) and not fits(pattern, value, whole=False):
        yield ValidationError(f"{value!r} does not match {pattern!r}")


class _Writer:
    """Writes the grammar of one schema."""

    def __init__(self, root: Any, ebnf: Ebnf) -> None:
        self._root, self._ebnf = root, ebnf
        self._open: list[str] = []
        """references that are being followed, since the last object or array"""
        self._of_type: Mapping[str, Callable[[Mapping[str, Any]], str]] = {
            "object": self._object,
            "array": self._array,
            "string": self._string,
            "number": lambda schema: written(ebnf, whole=False, negative=not _at_least_zero(schema)),
            "integer": self._integer,
            "boolean": lambda schema: either([ebnf.literal("true"), ebnf.literal("false")]),
            "null": lambda schema: ebnf.literal("null"),
        }

    def value(self, schema: Any) -> str:
        """What fits a schema."""
        if schema is False:
            raise SchemaInvalid(why="a part of the JSON schema is false: nothing fits it")
        if schema is True:
            return self._anything(DEEPEST)
        if "patternProperties" in schema:
            raise SchemaInvalid(why="an answer cannot be held to `patternProperties`: name the properties")
        if "$ref" in schema:
            return self._reference(schema["$ref"])
        if "const" in schema:
            return self._constants([schema["const"]])
        if "enum" in schema:
            return self._constants(schema["enum"])
        for key in ("anyOf", "oneOf"):
            if key in schema:
                rest = {name: value for name, value in schema.items() if name != key}
                return either(self.value(_merged([rest, one])) for one in schema[key])
        if "allOf" in schema:
            rest = {name: value for name, value in schema.items() if name != "allOf"}
            return self.value(_merged([rest, *map(self._resolved, schema["allOf"])]))
        return self._typed(schema)

    def _typed(self, schema: Mapping[str, Any]) -> str:
        types = schema.get("type", _implied(schema))
        if types is None:
            return self._anything(DEEPEST)
        names = [types] if isinstance(types, str) else types
        return either(self._of_type[name](schema) for name in names)

    # --- references ------------------------------------------------------------------------------

    def _reference(self, reference: str) -> str:
        """A rule of its own, so that a schema may refer to itself."""
        if reference in self._open:
            raise SchemaInvalid(why=f"the JSON schema's {shown(reference)} is nothing but itself")
        target = self._target(reference)

        def body() -> str:
            self._open.append(reference)
            written = self.value(target)
            self._open.pop()
            return written

        return self._ebnf.rule(f"ref-{reference.encode().hex()}", body)

    def _inside(self, schema: Any) -> str:
        """A value within an object or an array, where a schema may well refer to what it stands in."""
        before, self._open = self._open, []
        written = self.value(schema)
        self._open = before
        return written

    def _resolved(self, schema: Any) -> Any:
        seen = set()
        while isinstance(schema, dict) and isinstance(reference := schema.get("$ref"), str):
            if reference in seen:
                raise SchemaInvalid(why=f"the JSON schema's {shown(reference)} refers to itself")
            seen.add(reference)
            schema = self._target(reference)
        return schema

    def _target(self, reference: str) -> Any:
        if not isinstance(reference, str) or not reference.startswith("#"):
            raise SchemaInvalid(
                why=f"the JSON schema refers to {shown(str(reference))}; only #/... within itself is followed"
            )
        place = self._root
        for part in filter(None, reference[1:].split("/")):
            key = unquote(part).replace("~1", "/").replace("~0", "~")
            try:
                place = place[int(key) if isinstance(place, list) else key]
            except (KeyError, IndexError, ValueError, TypeError):
                raise SchemaInvalid(why=f"the JSON schema refers to {shown(reference)}, where nothing is") from None
        if not isinstance(place, dict | bool):
            raise SchemaInvalid(why=f"the JSON schema refers to {shown(reference)}, which is no schema")
        return place

    # --- plain values ----------------------------------------------------------------------------

    def _constants(self, values: Iterable[Any]) -> str:
        texts = [json.dumps(value, ensure_ascii=False, separators=(",", ":")) for value in values]
        if not texts:
            raise SchemaInvalid(why="an `enum` of the JSON schema is empty: nothing fits it")
        return either(map(self._ebnf.literal, dict.fromkeys(texts)))

    def _integer(self, schema: Mapping[str, Any]) -> str:
        """Between two bounds that are not far apart each number is spelled out."""
        least, most = _bounds(schema)
        if least is None or most is None or most - least > MOST_COUNTED:
            return written(self._ebnf, whole=True, negative=not _at_least_zero(schema))
        if most < least:
            raise SchemaInvalid(why=f"no whole number lies between {least} and {most}")
        return self._constants(range(least, most + 1))

    def _string(self, schema: Mapping[str, Any]) -> str:
        if "pattern" in schema:
            letter = self._letter()
            inside = translated(
                schema["pattern"], self._ebnf, inside_json=True, anywhere=self._ebnf.times(letter, 0, LONGEST_TEXT)
            )
            return self._quoted(inside)
        least, most = _sizes(schema, "minLength", "maxLength", LONGEST_TEXT)
        return self._ebnf.rule(
            f"text-{least}-{most}", lambda: self._quoted(self._ebnf.times(self._letter(), least, most))
        )

    def _letter(self) -> str:
        def body() -> str:
            plain = self._ebnf.chars(JSON_ESCAPED, negated=True)
            escaped = sequence([self._ebnf.literal("\\"), self._ebnf.chars([(ord(c), ord(c)) for c in '"\\nt'])])
            return either([plain, escaped])

        return self._ebnf.rule("letter", body)

    def _quoted(self, inside: str) -> str:
        return sequence([self._ebnf.literal('"'), inside, self._ebnf.literal('"')])

    # --- objects and arrays ------------------------------------------------------------------------

    def _object(self, schema: Mapping[str, Any]) -> str:
        required = schema.get("required", ())
        named = {
            **schema.get("properties", {}),
            **{name: True for name in required if name not in schema.get("properties", {})},
        }
        members = [
            (self._ebnf.part(self._member(name, value)), name in required)
            for name, value in named.items()
            if value is not False
        ]
        if members:
            return self._braced("{", self._members(members), "}")
        rest = schema.get("additionalProperties", True)
        if rest is False:
            return self._braced("{", '""', "}")
        least, most = _sizes(schema, "minProperties", "maxProperties", MOST_ITEMS)
        member = sequence([self._string({"minLength": 1, "maxLength": 50}), self._colon(), self._inside(rest)])
        return self._braced("{", self._listed(member, least, most), "}")

    def _member(self, name: str, schema: Any) -> str:
        return sequence([self._ebnf.literal(json.dumps(name, ensure_ascii=False)), self._colon(), self._inside(schema)])

    def _members(self, members: list[tuple[str, bool]]) -> str:
        """In their order; those that are not required may be left out, and with them their comma."""
        starts: list[str] = []
        behind, none = '""', True
        for member, required in reversed(members):
            starts = [*([] if required else starts), sequence([member, behind])]
            one = sequence([self._comma(), member])
            behind = self._ebnf.part(sequence([one if required else self._ebnf.times(one, 0, 1), behind]))
            none = none and not required
        return either([*starts, *['""'] * none])

    def _array(self, schema: Mapping[str, Any]) -> str:
        first, rest = _items(schema)
        least, most = _sizes(schema, "minItems", "maxItems", max(MOST_ITEMS, len(first)))
        if first:
            # Behind those that stand in their places come no more than there must be.
            named = [*first, *[rest] * (least - len(first))][:most]
            if False in named:
                raise SchemaInvalid(why="a part of the JSON schema is false: nothing fits it")
            return self._braced("[", self._in_places(named), "]")
        if rest is False:
            most = 0
        inside = self._listed(self._inside(rest), least, most) if most else '""'
        return self._braced("[", inside, "]")

    def _in_places(self, schemas: Sequence[Any]) -> str:
        parts = [part for one in schemas for part in (self._comma(), self._inside(one))]
        return sequence(parts[1:]) if parts else '""'

    def _listed(self, one: str, least: int, most: int) -> str:
        if most == 0:
            return '""'
        more = self._ebnf.times(sequence([self._comma(), one]), max(0, least - 1), most - 1)
        return self._ebnf.times(sequence([one, more]), 0 if least == 0 else 1, 1)

    def _braced(self, opening: str, inside: str, closing: str) -> str:
        return sequence([self._ebnf.literal(opening), inside, self._ebnf.literal(closing)])

    def _comma(self) -> str:
        return self._ebnf.rule("comma", lambda: f"{self._ebnf.literal(',')} {self._space()}")

    def _colon(self) -> str:
        return self._ebnf.rule("colon", lambda: f"{self._ebnf.literal(':')} {self._space()}")

    def _space(self) -> str:
        return self._ebnf.times(self._ebnf.literal(" "), 0, 1)

    def _anything(self, depth: int) -> str:
        """A value about which nothing is said, but for how deep it may be."""

        def body() -> str:
            plain = [self._of_type[name]({}) for name in ("string", "number", "boolean", "null")]
            if depth == 0:
                return either(plain)
            inside = self._anything(depth - 1)
            member = sequence([self._string({"minLength": 1, "maxLength": 50}), self._colon(), inside])
            members = self._braced("{", self._listed(member, 0, MOST_ITEMS), "}")
            items = self._braced("[", self._listed(inside, 0, MOST_ITEMS), "]")
            return either([*plain, members, items])

        return self._ebnf.rule(f"anything-{depth}", body)


def _items(schema: Mapping[str, Any]) -> tuple[Sequence[Any], Any]:
    """The items that stand in their places, and what the others are; up to draft 2019-09 under other names."""
    items = schema.get("items", True)
    if isinstance(items, list):
        return items, schema.get("additionalItems", True)
    return schema.get("prefixItems", ()), items


def _implied(schema: Mapping[str, Any]) -> str | None:
    """The type a schema is about that names none."""
    signs = {"properties": "object", "required": "object", "items": "array", "prefixItems": "array"}
    signs |= {"pattern": "string", "maxLength": "string", "minLength": "string"}
    return next((kind for sign, kind in signs.items() if sign in schema), None)


def _merged(schemas: Iterable[Any]) -> Any:
    """One schema that says what all of them say, as far as a grammar can; validation has the last word."""
    whole: dict[str, Any] = {}
    for schema in schemas:
        if isinstance(schema, bool):
            if not schema:
                return False
            continue
        merged = {**whole, **schema}
        if "properties" in whole and "properties" in schema:
            merged["properties"] = {**whole["properties"], **schema["properties"]}
        if "required" in whole and "required" in schema:
            merged["required"] = list(dict.fromkeys([*whole["required"], *schema["required"]]))
        whole = merged
    return whole or True


def _bounds(schema: Mapping[str, Any]) -> tuple[int | None, int | None]:
    least = [math.ceil(schema["minimum"])] if "minimum" in schema else []
    most = [math.floor(schema["maximum"])] if "maximum" in schema else []
    # Draft 4 had true and false here.
    if isinstance(above := schema.get("exclusiveMinimum"), int | float) and not isinstance(above, bool):
        least.append(math.floor(above) + 1)
    if isinstance(below := schema.get("exclusiveMaximum"), int | float) and not isinstance(below, bool):
        most.append(math.ceil(below) - 1)
    return max(least, default=None), min(most, default=None)


def _at_least_zero(schema: Mapping[str, Any]) -> bool:
    least, _ = _bounds(schema)
    return least is not None and least >= 0


def _sizes(schema: Mapping[str, Any], least_key: str, most_key: str, usual: int) -> tuple[int, int]:
    least = int(schema.get(least_key, 0))
    most = int(schema.get(most_key, max(usual, least)))
    if most < least:
        raise SchemaInvalid(why=f"{least_key} {least} is more than {most_key} {most}: nothing fits")
    return least, most
