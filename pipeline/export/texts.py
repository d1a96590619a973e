"""Texts as UTF-8 and XML can hold them: what they cannot is escaped, so that it is still seen."""

from __future__ import annotations

import os
import re

_SURROGATE = re.compile(r"[\ud800-\udfff]")
_ODD = re.compile(r"[\x00-\x1f\x7f\\\ud800-\udfff]")
_NOT_XML = re.compile(r"[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def utf8(text: str) -> str:
    r"""The text; bytes that are no UTF-8, which Python keeps as lone surrogates, as `\xff`."""
    return text if text.isascii() else _SURROGATE.sub(_escaped, text)


def xml(text: str) -> str:
    """The text without the characters that XML 1.0 has no way to write."""
    return _NOT_XML.sub("\N{REPLACEMENT CHARACTER}", utf8(text))


def portable(path: str) -> str:
    """A path that programs on all systems take as it is: odd bytes, line breaks and backslashes percent-encoded."""
    return _ODD.sub(_percent, path)


def _percent(found: re.Match[str]) -> str:
    return "".join(f"%{byte:02X}" for byte in os.fsencode(found[0]))


def _escaped(found: re.Match[str]) -> str:
    code = ord(found[0])
    return f"\\x{code - 0xDC00:02x}" if 0xDC80 <= code <= 0xDCFF else f"\\u{code:04x}"
