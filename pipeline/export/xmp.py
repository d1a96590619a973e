"""XMP: a sidecar whose `dc:description` is a text, made anew or put into one that other programs wrote."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from xml.etree import ElementTree as ET
from xml.sax.saxutils import escape

from pipeline.export.texts import xml

_X = "adobe:ns:meta/"
_RDF = "http://www.w3.org/1999/02/22-rdf-syntax-ns#"
_DC = "http://purl.org/dc/elements/1.1/"
_LANG = "{http://www.w3.org/XML/1998/namespace}lang"
_DEFAULT = "x-default"
_BEGIN = '<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>'
_END = '<?xpacket end="w"?>'
_NEW = f"""\
<x:xmpmeta xmlns:x="{_X}">
 <rdf:RDF xmlns:rdf="{_RDF}">
  <rdf:Description rdf:about="" xmlns:dc="{_DC}">
   <dc:description>
    <rdf:Alt>
     <rdf:li xml:lang="{_DEFAULT}">%s</rdf:li>
    </rdf:Alt>
   </dc:description>
  </rdf:Description>
 </rdf:RDF>
</x:xmpmeta>"""


class NotXmp(ValueError):
    """What stands there is no XMP."""


def made(description: str) -> bytes:
    """A new sidecar."""
    # A parser reads a bare carriage return as a line feed.
    return _packet(_NEW % escape(xml(description), {"\r": "&#13;"}))


def merged(old: bytes, description: str) -> bytes:
    """The sidecar that is there with another description, and all else that it holds. Raises NotXmp."""
    try:
        _keep_prefixes(old)
        tree = ET.fromstring(old)
    except ET.ParseError as error:
        raise NotXmp from error
    rdf = tree if tree.tag == f"{{{_RDF}}}RDF" else tree.find(f"{{{_RDF}}}RDF")
    if rdf is None:
        raise NotXmp
    _set(rdf, xml(description))
    return _packet(ET.tostring(tree, encoding="unicode"))


def _set(rdf: ET.Element, text: str) -> None:
    """Other languages stay: they are other people's."""
    for one in rdf.iterfind(f"{{{_RDF}}}Description[@{{{_DC}}}description]"):
        del one.attrib[f"{{{_DC}}}description"]
    found = rdf.find(f"{{{_RDF}}}Description/{{{_DC}}}description")
    if found is None:
        above = rdf.find(f"{{{_RDF}}}Description")
        above = ET.SubElement(rdf, f"{{{_RDF}}}Description", {f"{{{_RDF}}}about": ""}) if above is None else above
        found = ET.SubElement(above, f"{{{_DC}}}description")
    languages = found.find(f"{{{_RDF}}}Alt")
    if languages is None:
        found.clear()
        languages = ET.SubElement(found, f"{{{_RDF}}}Alt")
    default = next((one for one in languages if one.get(_LANG) == _DEFAULT), None)
    if default is None:
        default = ET.Element(f"{{{_RDF}}}li", {_LANG: _DEFAULT})
        languages.insert(0, default)
    default.text = text


def _keep_prefixes(content: bytes) -> None:
    """Programs name their properties by prefixes; a reader needs none of them, people do."""
    known = {prefix: uri for prefix, uri in _namespaces(content) if not re.fullmatch(r"ns\d+", prefix)}
    for prefix, uri in {"x": _X, "rdf": _RDF, "dc": _DC, **known}.items():
        ET.register_namespace(prefix, uri)


def _namespaces(content: bytes) -> Iterator[tuple[str, str]]:
    for _, (prefix, uri) in ET.iterparse(io.BytesIO(content), ["start-ns"]):
        yield prefix, uri


def _packet(document: str) -> bytes:
    return f"{_BEGIN}\n{document}\n{_END}\n".encode()
