"""pipeline.models.ir: widths of weights, read from an IR's XML."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import openvino as ov
import pytest
from openvino import opset13 as op

from pipeline.errors import ModelBroken
from pipeline.models import ir
from pipeline.models.ir import Width
from tests.models import make
from tests.models.size import TINY
from workers.demo import INT4


def test_layers_and_parameters_are_counted_by_kind() -> None:
    """The figures NNCF printed when it compressed the shipped model: 28 of 29 layers in 4 bit."""
    language = ir.read(INT4 / "openvino_language_model.xml")
    assert {kind: width.layers for kind, width in language.widths.items()} == {"int4": 28, "int8": 1}
    assert language.widths["int4"].parameters == 4 * (4 * 192 * 192 + 3 * 192 * 512)
    assert language.notes["nncf"]["weight_compression"]["group_size"] == "64"


def test_each_model_of_a_build_is_read_but_not_its_tokenizer() -> None:
    assert sorted(ir.widths(INT4)) == [
        "openvino_language_model",
        "openvino_text_embeddings_model",
        "openvino_vision_embeddings_model",
    ]


def test_floats_are_counted_too(tmp_path: Path) -> None:
    widths = ir.read(make("llava", tmp_path) / "openvino_language_model.xml").widths
    assert list(widths) == ["fp32"]
    assert widths["fp32"].layers == 7 * TINY.layers + 1


def test_what_is_no_weight_does_not_count(tmp_path: Path) -> None:
    """Biases, scales and the frequencies of positions are numbers too, but nothing anybody compresses."""
    x = op.parameter([-1, 8], ov.Type.f32)
    table = op.multiply(op.convert(op.constant(np.ones((4, 8), np.int8)), "f32"), np.ones((4, 1), np.float32))
    y = op.add(op.matmul(x, table, False, True), np.ones((1, 4), np.float32))
    z = op.matmul(y, op.constant(np.ones((1, 4), np.float32)), False, True)
    ov.save_model(ov.Model([z], [x]), tmp_path / "openvino_small.xml", compress_to_fp16=False)
    assert ir.widths(tmp_path) == {"openvino_small": {"int8": Width(layers=1, parameters=32)}}


@pytest.mark.parametrize(
    "text", ["<net><layers>", '<layer id="0" type="Const"><data element_type="u4" shape="?"/></layer>']
)
def test_a_damaged_file_is_refused(tmp_path: Path, text: str) -> None:
    file = tmp_path / "openvino_language_model.xml"
    file.write_text(text)
    with pytest.raises(ModelBroken, match=r"openvino_language_model.xml is damaged"):
        ir.read(file)
