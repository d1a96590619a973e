"""What an OpenVINO IR says of itself: how wide its weights are, and its notes. Read from the XML alone."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from math import prod
from pathlib import Path
from typing import Any, NamedTuple
from xml.etree import ElementTree

from pipeline.errors import ModelBroken

KINDS = {
    "u4": "int4", "i4": "int4", "nf4": "nf4", "u8": "int8", "i8": "int8", "f8e4m3": "fp8", "f8e5m2": "fp8",
    "f16": "fp16", "bf16": "bf16", "f32": "fp32",
}  # fmt: skip
"""element types that weights come in"""
PASSING = {"Convert", "Subtract", "Multiply", "Reshape", "Transpose", "FakeQuantize"}
"""operations between stored weights and the layer that takes them; their other inputs are zero points and scales"""
TAKING = {"MatMul", "Gather", "Convolution", "GroupConvolution"}


@dataclass(frozen=True, slots=True)
class Width:
    """Weights of one kind: how many layers take them, and how many parameters they are."""

    layers: int
    parameters: int


Widths = Mapping[str, Width]
"""by kind: int4, int8, fp16, ..."""


@dataclass(frozen=True, slots=True)
class Ir:
    """What was read from one XML file."""

    widths: Widths
    notes: Mapping[str, Any]
    """the model's rt_info: what NNCF, optimum-intel and OpenVINO wrote about how it was made"""


def read(xml: Path) -> Ir:
    graph = _Graph()
    try:
        graph.read(xml)
    except (ElementTree.ParseError, ValueError) as error:
        raise ModelBroken(path=xml.parent, why=f"{xml.name} is damaged ({error})") from error
    found: dict[str, list[int]] = defaultdict(list)
    for kind, parameters in graph.weights():
        found[kind].append(parameters)
    return Ir({kind: Width(len(sizes), sum(sizes)) for kind, sizes in sorted(found.items())}, graph.notes)


def parts(build: Path) -> Iterator[Path]:
    """The XML files of a build's models, without those of its tokenizer."""
    files = sorted(build.glob("openvino_*.xml"))
    return (file for file in files if not file.stem.endswith("tokenizer"))


def widths(build: Path) -> dict[str, Widths]:
    """The widths of each model in a build."""
    return {xml.stem: read(xml).widths for xml in parts(build)}


class _Const(NamedTuple):
    kind: str
    shape: tuple[int, ...]

    @property
    def is_weight(self) -> bool:
        """Tables have two sides; what has one is a bias, a norm or the frequencies of positions."""
        return sum(size > 1 for size in self.shape) > 1


@dataclass
class _Graph:
    """The layers that matter and the edges between them."""

    consts: dict[str, _Const] = field(default_factory=dict)
    types: dict[str, str] = field(default_factory=dict)
    edges: dict[str, list[tuple[str, str]]] = field(default_factory=lambda: defaultdict(list))
    """by layer: where its output goes, and to which input there"""
    notes: dict[str, Any] = field(default_factory=dict)

    def read(self, xml: Path) -> None:
        """As a stream: the XML of a large model has tens of megabytes."""
        depth = 0
        for event, element in ElementTree.iterparse(xml, events=("start", "end")):
            depth += 1 if event == "start" else -1
            if event == "start":
                continue
            if element.tag == "layer":
                self._layer(element)
                element.clear()
            elif element.tag == "edge":
                self.edges[element.get("from-layer", "")].append(
                    (element.get("to-layer", ""), element.get("to-port", ""))
                )
            elif element.tag == "rt_info" and depth == 1:
                self.notes = _tree(element)

    def weights(self) -> Iterator[tuple[str, int]]:
        """Kind and size of all that a layer multiplies or looks up in."""
        for id, const in self.consts.items():
            if const.is_weight and self._is_taken(id):
                yield const.kind, prod(const.shape)

    def _is_taken(self, id: str) -> bool:
        """A bare Gather of something two-sided is a table; anything else goes into a layer by way of conversions."""
        for target, port in self.edges[id]:
            kind = self.types.get(target)
            if kind in TAKING and (kind == "MatMul" or port == ("0" if kind == "Gather" else "1")):
                return True
            if kind in PASSING and port == "0" and self._is_taken(target):
                return True
        return False

    def _layer(self, element: ElementTree.Element) -> None:
        id, kind, data = element.get("id", ""), element.get("type", ""), element.find("data")
        if kind in TAKING or kind in PASSING:
            self.types[id] = kind
        elif kind == "Const" and data is not None and (width := KINDS.get(data.get("element_type", ""))):
            self.consts[id] = _Const(
                width, tuple(int(size) for size in data.get("shape", "").split(",") if size.strip())
            )


def _tree(element: ElementTree.Element) -> dict[str, Any]:
    return {child.get("name") or child.tag: child.get("value") or _tree(child) for child in element}
