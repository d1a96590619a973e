"""workers.compression: what a vision tower is shown, and how two towers are compared."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import openvino as ov
import pytest
from openvino import opset13 as op
from PIL import Image

from pipeline.errors import CompressionFailed, PicturesTooFew, VisionTooFar, VisionUnsupported
from pipeline.settings import read_settings
from tests import pictures as made
from tests.models import FAMILIES, make
from workers.compression.pictures import LEAST, drawn, found
from workers.compression.preprocessing import PREPARE, internvl, llava
from workers.compression.vision import LEAST_COSINE, check_family, compare, prepared, quantise

HALVES = {"image_mean": [0.5, 0.5, 0.5], "image_std": [0.25, 0.5, 1.0]}
CROPPED = {"size": {"shortest_edge": 28}, "crop_size": {"height": 28, "width": 56}, **HALVES}
TILED = {"size": {"shortest_edge": 56}, **HALVES}


def picture(width: int, height: int) -> Image.Image:
    """Red from left to right, green from top to bottom."""
    across = np.linspace(0, 255, width).astype(np.uint8)[None].repeat(height, 0)
    down = np.linspace(0, 255, height).astype(np.uint8)[:, None].repeat(width, 1)
    return Image.fromarray(np.stack([across, down, np.zeros_like(down)], -1))


def test_values_are_normalised_channel_by_channel() -> None:
    tiles = llava(Image.new("RGB", (80, 80), (255, 0, 255)), CROPPED)
    assert tiles.shape == (1, 3, 28, 56) and tiles.dtype == np.float32
    assert [float(channel.min()) for channel in tiles[0]] == [2.0, -1.0, 0.5]


def test_llava_takes_the_middle_and_no_side_below_the_crop() -> None:
    """80 x 40 becomes 56 x 28, which the crop takes whole; 40 x 80 would be 28 wide, and is stretched to 56."""
    wide, tall = (llava(picture(*size), CROPPED)[0] for size in ((80, 40), (40, 80)))
    assert wide[0, 0, 0] < -1.9 and wide[0, 0, -1] > 1.9, "red from end to end"
    assert tall[0, 0, 0] < -1.9 and tall[0, 0, -1] > 1.9
    assert -0.7 < tall[1, 0, 0] < -0.3 < 0.3 < tall[1, -1, 0] < 0.7, "the middle half of green"


@pytest.mark.parametrize(
    ("size", "tiles"),
    [((60, 60), 1), ((112, 112), 5), ((200, 100), 9), ((1200, 100), 13), ((100, 1200), 13), ((90, 30), 4), ((5, 5), 1)],
)
def test_internvl_cuts_tiles_in_the_form_of_the_picture(size: tuple[int, int], tiles: int) -> None:
    found = internvl(picture(*size), TILED)
    assert found.shape == (tiles, 3, 56, 56)


def test_internvl_s_tiles_go_row_by_row_and_the_whole_comes_last() -> None:
    first, second, third, fourth, whole = internvl(picture(112, 112), TILED)
    assert first[0].max() < 0.1 < second[0].max() and second[1].max() < 0.1 < third[1].max()
    assert third[0].max() < 0.1 and fourth[0].min() > -0.1 and fourth[1].min() > -0.1
    assert whole[0].max() > 1.9 and whole[0].min() < -1.9


def test_configs_may_leave_things_out() -> None:
    assert llava(picture(10, 10), {"size": 224, "crop_size": 224}).shape == (1, 3, 336, 336)
    assert internvl(picture(10, 10), {"size": {"shortest_edge": None}}).max() == 1.0


def test_other_families_are_refused() -> None:
    for family in FAMILIES:
        if family in PREPARE:
            check_family(family)
        else:
            with pytest.raises(VisionUnsupported, match=f"{family} .* llava and internvl_chat only"):
                check_family(family)


def test_of_each_picture_one_tile_is_taken_another_each_time(tmp_path: Path) -> None:
    build = make("internvl_chat", tmp_path)
    same = picture(112, 112)
    samples = prepared(build, "internvl_chat", [same] * 6)
    assert {sample.shape for sample in samples} == {(1, 3, 56, 56)}
    assert (samples[0] == samples[5]).all() and (samples[0] != samples[1]).any()


def test_scenes_are_drawn_by_the_same_lots() -> None:
    first, again = list(drawn(2)), list(drawn(2))
    assert [one.tobytes() for one in first] == [one.tobytes() for one in again]
    assert first[0].tobytes() != first[1].tobytes()


def test_pictures_that_cannot_be_opened_are_told_and_left_out(tmp_path: Path) -> None:
    made.good(tmp_path, 12)
    (tmp_path / "0000 first.jpg").write_text("no picture")
    told: list[str] = []
    assert len(found(tmp_path, read_settings(), told.append)) == 12
    assert len(found(tmp_path, read_settings(), told.append, count=10)) == 10
    assert [line for line in told if "0000 first.jpg: this is not a picture" in line] == told and len(told) == 2


def test_few_pictures_are_too_few(tmp_path: Path) -> None:
    made.good(tmp_path, LEAST - 1)
    with pytest.raises(PicturesTooFew, match=f"takes {LEAST} pictures at least, and in .* only {LEAST - 1} can"):
        found(tmp_path, read_settings(), lambda text: None)


def write(path: Path, output: Callable[[object], object]) -> Path:
    """A tower whose tokens are made of a picture's pixels."""
    pixels = op.parameter([1, 3, -1, -1], ov.Type.f32)
    pixels.output(0).get_tensor().set_names({"pixel_values"})
    tokens = op.reshape(pixels, np.array([1, -1, 48]), False)
    ov.save_model(ov.Model([output(tokens)], [pixels], "tower"), path, compress_to_fp16=False)
    return path


def test_two_towers_are_compared_on_what_was_kept(tmp_path: Path) -> None:
    known, kept = ([np.random.default_rng(seed).random((1, 3, 28, 56), np.float32)] * 2 for seed in (0, 1))
    one = write(tmp_path / "one.xml", lambda tokens: op.multiply(tokens, np.float32(1)))
    twice = write(tmp_path / "twice.xml", lambda tokens: op.multiply(tokens, np.float32(2)))
    away = write(tmp_path / "away.xml", lambda tokens: op.multiply(tokens, np.float32(0)))
    same = compare(one, one, known, kept)
    assert (same.calibrated_on, same.compared_on) == (2, 2)
    assert same.cosine == pytest.approx(1) and same.relative_error == 0 and same.is_near and same.speed > 0
    longer = compare(one, twice, known, kept)
    assert longer.cosine == pytest.approx(1) and longer.relative_error == pytest.approx(1)
    gone = compare(one, away, known, kept)
    assert gone.cosine == 0 and gone.relative_error == pytest.approx(1) and not gone.is_near
    assert gone.document()["least_cosine_allowed"] == LEAST_COSINE


def test_a_tower_for_other_pictures_is_told(tmp_path: Path) -> None:
    """Its positions are for 4 x 4 patches, and the config says that pictures come larger."""
    build = make("llava", tmp_path)
    config = json.loads((build / "preprocessor_config.json").read_text())
    (build / "preprocessor_config.json").write_text(json.dumps({**config, "crop_size": {"height": 112, "width": 112}}))
    xml = build / "openvino_vision_embeddings_model.xml"
    with pytest.raises(CompressionFailed, match=r"NNCF could not compress the vision tower: \S+"):
        quantise(xml, tmp_path / "out.xml", "llava", drawn(10), tell=lambda text: None)


def test_a_tower_that_then_sees_too_differently_is_refused(tmp_path: Path) -> None:
    """One token is a hundred thousand times as loud as the others: in bytes nothing of these is left."""
    make("llava", tmp_path)
    loud = np.full((1, 196, 1), 1e-5, np.float32)
    loud[0, 0] = 1
    weight = np.random.default_rng(0).standard_normal((48, 48)).astype(np.float32)
    xml = write(
        tmp_path / "openvino_vision_embeddings_model.xml",
        lambda tokens: op.divide(op.matmul(op.multiply(tokens, loud), weight, False, True), loud),
    )
    (tmp_path / "out").mkdir()
    with pytest.raises(VisionTooFar, match=r"cosine .* \(allowed: 0.98\), relative error .*--calibrate DIR"):
        quantise(xml, tmp_path / "out" / xml.name, "llava", drawn(10), tell=lambda text: None)
