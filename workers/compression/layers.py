"""The layers of a model that multiply with weights, and how those are stored."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

from pipeline.models.ir import KINDS, PASSING
from pipeline.models.recipes import Weights

SMALLEST_GROUP = 32
"""below it NNCF takes 8 bit instead: so many scales would cost more than they save"""
GROUPS = (128, 64, 32)
NPU_GROUPS = (128,)


@dataclass(frozen=True, kw_only=True)
class Layer:
    """A product with stored weights."""

    name: str
    width: int
    """numbers that are multiplied and summed into one: what groups divide"""
    kind: str
    """int4, int8, fp16, ..."""
    group_size: int | None
    """weights that share a scale, none for floats"""
    symmetric: bool
    """no zero points"""

    def document(self) -> dict[str, Any]:
        groups = {"group_size": self.group_size} if self.kind == "int4" else {}
        return {"layer": self.name, "width": self.width, "stored": self.kind, **groups}


def layers(model: Any) -> list[Layer]:
    """The layers of an `openvino.Model`, in the order they are computed."""
    return [layer for node in model.get_ordered_ops() if node.get_type_name() == "MatMul" for layer in _weighted(node)]


def candidates(found: Sequence[Layer], weights: Weights) -> list[Layer]:
    """Those that 4 bit are meant for: all but the last, which is the most delicate one, unless it is asked for."""
    return list(found if weights.all_layers else found[:-1])


def fallen_back(found: Sequence[Layer], weights: Weights) -> list[Layer]:
    """Those that are not stored in the groups that were asked for, since these do not divide their width."""
    if weights.bits != 4 or weights.group_size == -1:
        return []
    unfit = [layer for layer in candidates(found, weights) if layer.width % weights.group_size]
    # In 8 bit although they take smaller groups: that was the recipe's ratio.
    return [layer for layer in unfit if layer.kind == "int4" or not _takes_some_group(layer.width)]


def fitting(found: Sequence[Layer], *, exact: bool) -> list[int]:
    """Group sizes that all of these layers take. A whole channel, -1, always fits."""
    sizes = NPU_GROUPS if exact else GROUPS
    return [size for size in sizes if all(layer.width % size == 0 for layer in found)] + [-1]


def fits(found: Sequence[Layer], weights: Weights, *, exact: bool) -> bool:
    """Whether the recipe's groups suit these layers: all of them, or else one at least, if need be in smaller ones."""
    if weights.bits != 4 or weights.group_size == -1 or not found:
        return True
    if exact:
        return all(layer.width % weights.group_size == 0 for layer in found)
    return any(layer.width % weights.group_size == 0 or _takes_some_group(layer.width) for layer in found)


def _takes_some_group(width: int) -> bool:
    return width & -width >= SMALLEST_GROUP  # the largest power of two that divides it


def _weighted(node: Any) -> Iterator[Layer]:
    attributes = node.get_attributes()
    for port, transposed, axis in ((0, attributes["transpose_a"], -1), (1, attributes["transpose_b"], -2)):
        value = node.input_value(port)
        shape = value.get_partial_shape()
        if (stored := _stored(value.get_node())) and shape.rank.get_length() > 1:
            # Of the left side the last axis is summed up, of the right one the last but one; transposed, the other.
            summed = axis if not transposed else -3 - axis
            const, scales, points = stored
            yield Layer(
                name=node.get_friendly_name(),
                width=shape[summed].get_length(),
                kind=KINDS[const.get_element_type().get_type_name()],
                group_size=prod(const.shape) // prod(scales.shape) if scales else None,
                symmetric=points is None,
            )


def _stored(node: Any) -> tuple[Any, Any, Any] | None:
    """The constant behind a value with its scales and zero points; none where something is computed."""
    scales = points = None
    while node.get_type_name() in PASSING:
        if node.get_type_name() == "Multiply":
            scales = _constant(node.input_value(1).get_node())
        elif node.get_type_name() == "Subtract":
            points = _constant(node.input_value(1).get_node())
        node = node.input_value(0).get_node()
    is_weight = node.get_type_name() == "Constant" and sum(size > 1 for size in node.shape) > 1
    return (node, scales, points) if is_weight else None


def _constant(node: Any) -> Any:
    while node.get_type_name() == "Convert":
        node = node.input_value(0).get_node()
    return node if node.get_type_name() == "Constant" else None
