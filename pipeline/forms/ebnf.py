"""EBNF: a grammar as xgrammar reads it, the library by which openvino-genai holds an answer to a form.

A grammar that does not compile raises inside the engine's step and takes the whole batch down (openvino-genai
2026.4), so none is ever passed on as a person wrote it: all are put together here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import groupby

from pipeline.errors import SchemaInvalid

Range = tuple[int, int]
"""the first and the last of some characters, as code points"""

STEP = 100
ENDLESS = 5_000
LAST = 0x10FFFF
SPACE = ord(" ")
_SURROGATES = (0xD800, 0xDFFF)


@dataclass(frozen=True, slots=True)
class Spelling:
    """What of a tokenizer's vocabulary a grammar must know."""

    blank: str = " "
    """how tokens spell a space"""
    shadowed: tuple[tuple[str, str], ...] = ()
    """tokens that xgrammar passes over wherever it has refused another one: (the token, the other)"""


class Ebnf:
    """Puts a grammar together for one vocabulary."""

    def __init__(self, spelling: Spelling | None = None) -> None:
        spelling = spelling or Spelling()
        self._blank, self._shadowed = spelling.blank, spelling.shadowed
        self._rules: dict[str, str] = {}

    def rule(self, name: str, body: Callable[[], str]) -> str:
        """A named part, made once; the body may name the rule that it is of."""
        if name not in self._rules:
            self._rules[name] = ""
            self._rules[name] = body()
        return name

    def part(self, body: str) -> str:
        """A part that is used more than once, under a name."""
        return self.rule(f"part-{len(self._rules)}", lambda: body)

    def text(self, root: str) -> str:
        """The grammar. A blank may come before the answer: the tokens of many models begin with one."""
        lines = [f"root ::= {self.times(self.literal(' '), 0, 1)} {root}"]
        return "\n".join(lines + [f"{name} ::= {body}" for name, body in self._rules.items()])

    def times(self, part: str, least: int, most: int | None) -> str:
        """The part, again and again. Large numbers come in steps, and what is beyond all reason has no end."""
        if most == 0:
            return '""'
        if least > ENDLESS:
            raise SchemaInvalid(why=f"something is to be there {least:,} times, which no answer is long enough for")
        first = [f"({part}){{{STEP}}}"] * (least // STEP) + [f"({part}){{{least % STEP}}}"] * bool(least % STEP)
        left = None if most is None or most > ENDLESS else most - least
        return sequence([*first, f"({part})*" if left is None else self._up_to(part, left)] if left != 0 else first)

    def _up_to(self, part: str, most: int) -> str:
        """xgrammar writes out up to a hundred or so; 500 in one go cost 30 ms a token, in steps 1 ms (2026.4)."""
        if most <= STEP:
            return f"({part}){{0,{most}}}" if most > 1 else f"({part})?"
        rest = self.part(self._up_to(part, most - STEP))
        return either([f"({part}){{0,{STEP - 1}}}", f"({part}){{{STEP}}} {rest}"])

    def literal(self, text: str) -> str:
        """Just this text.

        Where it begins with a token that another one shadows, that one is let in too, or the model could not say it
        in one piece. No model means it, and if one did, the answer would not have its form.
        """
        others = [other for token, other in self._shadowed if text.startswith(token)]
        return either([self._literal(one) for one in (text, *others)])

    def _literal(self, text: str) -> str:
        if not text:
            return '""'
        runs = groupby(text, key=self._is_plain)
        parts = [part for plain, run in runs for part in ([_quoted("".join(run))] if plain else map(self._sign, run))]
        return parts[0] if len(parts) == 1 else sequence(parts)

    def _is_plain(self, sign: str) -> bool:
        """Whether it may stand in quotes. There, xgrammar takes digits behind ä for its own: "ä1" became "\\u0e41"."""
        return sign.isprintable() and not "\x80" <= sign <= "\xff" and (sign != " " or self._blank == " ")

    def _sign(self, sign: str) -> str:
        if _SURROGATES[0] <= ord(sign) <= _SURROGATES[1]:
            raise SchemaInvalid(why="it has half a character, which no text holds")
        return self.chars([(ord(sign), ord(sign))])

    def chars(self, ranges: Iterable[Range], *, negated: bool = False) -> str:
        """One character of these, or of all others."""
        known = list(ranges)
        if self._blank != " " and any(first <= SPACE <= last for first, last in known):
            known.append((ord(self._blank), ord(self._blank)))
        inside = "".join(_point(first) if first == last else f"{_point(first)}-{_point(last)}" for first, last in known)
        return f"[{'^' if negated else ''}{inside}]"


def either(parts: Iterable[str]) -> str:
    """One of the parts."""
    return _joined(" | ", parts)


def sequence(parts: Iterable[str]) -> str:
    """All parts, one after the other."""
    return _joined(" ", parts)


def _joined(sign: str, parts: Iterable[str]) -> str:
    known = list(parts)
    return known[0] if len(known) == 1 else f"({sign.join(known)})"


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _point(code: int) -> str:
    """A character of a set. Always spelled like this, since xgrammar takes any hex digits that follow for its own."""
    return f"\\u{code:04x}" if code <= 0xFFFF else f"\\U{code:08x}"
