"""pipeline.export.xmp, read with the standard library. Exiv2 reads it in tests/integration/test_exports.py."""

from __future__ import annotations

from xml.etree import ElementTree as ET

import pytest

from pipeline.export.xmp import NotXmp, made, merged
from tests.items import NASTY

NAMES = {"dc": "http://purl.org/dc/elements/1.1/", "rdf": "http://www.w3.org/1999/02/22-rdf-syntax-ns#"}
OTHERS = """<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">
<rdf:Description rdf:about="" xmlns:xmp="http://ns.adobe.com/xap/1.0/" xmlns:darktable="http://darktable.sf.net/"
 xmlns:dc="http://purl.org/dc/elements/1.1/" xmp:Rating="4" darktable:history="x">%s
<dc:subject><rdf:Bag><rdf:li>cats</rdf:li></rdf:Bag></dc:subject></rdf:Description></rdf:RDF></x:xmpmeta>"""
GERMAN = '<rdf:li xml:lang="de-DE">eine Katze</rdf:li>'


def described(content: bytes) -> dict[str | None, str | None]:
    """The description by language."""
    found = ET.fromstring(content).findall(".//dc:description/rdf:Alt/rdf:li", NAMES)
    return {one.get("{http://www.w3.org/XML/1998/namespace}lang"): one.text for one in found}


@pytest.mark.parametrize("text", NASTY)
def test_a_description_comes_back_exactly(text: str) -> None:
    assert described(made(text)) == {"x-default": text or None}


def test_what_xml_cannot_hold_is_seen() -> None:
    assert described(made("a\x00b\x1b\udcff\ufffe")) == {"x-default": "a\ufffdb\ufffd\\xff\ufffd"}


@pytest.mark.parametrize(
    ("there", "expected"),
    [
        ("", {"x-default": "a cat"}),
        (
            f"<dc:description><rdf:Alt>{GERMAN}</rdf:Alt></dc:description>",
            {"x-default": "a cat", "de-DE": "eine Katze"},
        ),
        (
            f'<dc:description><rdf:Alt><rdf:li xml:lang="x-default">old</rdf:li>{GERMAN}</rdf:Alt></dc:description>',
            {"x-default": "a cat", "de-DE": "eine Katze"},
        ),
        ("<dc:description>old</dc:description>", {"x-default": "a cat"}),
    ],
)
def test_what_other_programs_wrote_stays(there: str, expected: dict[str, str]) -> None:
    new = merged((OTHERS % there).encode(), "a cat")
    assert described(new) == expected
    (about,) = ET.fromstring(new).findall(".//rdf:Description", NAMES)
    assert about.get("{http://ns.adobe.com/xap/1.0/}Rating") == "4"
    assert about.find("dc:subject/rdf:Bag/rdf:li", NAMES) is not None
    assert b'darktable:history="x"' in new
    assert merged(new, "a cat") == new


def test_a_description_written_as_an_attribute_is_replaced() -> None:
    new = merged((OTHERS % "").replace("xmp:Rating", 'dc:description="old" xmp:Rating').encode(), "a cat")
    assert described(new) == {"x-default": "a cat"}
    assert b"old" not in new


@pytest.mark.parametrize("content", [b"", b"no xml", b"<a/>", b"\xff\xfe\x00"])
def test_what_is_no_xmp_is_refused(content: bytes) -> None:
    with pytest.raises(NotXmp):
        merged(content, "a cat")
