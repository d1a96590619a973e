"""A checkpoint of the demo model becomes builds that see and say what the checkpoint does."""

from __future__ import annotations

import itertools
import json
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import TypeVar

import numpy as np
import numpy.typing as npt
import openvino as ov
import openvino_genai as genai
import pytest
from PIL import Image
from transformers import AutoProcessor

from workers.demo.build import RECIPES
from workers.demo.drawing import draw
from workers.demo.evaluate import Part, answers, papers
from workers.demo.plan import CHECKPOINT
from workers.demo.scenes import scene

pytestmark = [pytest.mark.timeout(1800), pytest.mark.filterwarnings("default")]

FORMS = ("landscape", "square", "tall", "panorama")
QUESTION = "Describe this picture."
F32 = {"INFERENCE_PRECISION_HINT": "f32"}

T = TypeVar("T")

TOKENS = 6
IDS = itertools.count()

Picture = npt.NDArray[np.uint8]
Said = Sequence[tuple[int, float]]
"""tokens, and how likely each was"""


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Trained for a minute, by a program of its own: see `reference`."""
    out = tmp_path_factory.mktemp("run")
    steps = ("--patch-steps", "60", "--joint-steps", "60")
    subprocess.run([sys.executable, "-m", "workers.demo.train", "--out", str(out), *steps], check=True)
    return out / CHECKPOINT


MAKE = """
import sys
from pathlib import Path
from workers.demo.build import make
make(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3])
"""


def make(checkpoint: Path, out: Path, recipe: str) -> Path:
    """In a process of its own: NNCF loads torch, and beside torch this one's second pipeline crashed."""
    subprocess.run([sys.executable, "-c", MAKE, str(checkpoint), str(out), recipe], check=True)
    return out


@pytest.fixture(scope="module", params=RECIPES)
def build(request: pytest.FixtureRequest, checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make(checkpoint, tmp_path_factory.mktemp("builds") / request.param, request.param)


@pytest.fixture(scope="module")
def exact(checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make(checkpoint, tmp_path_factory.mktemp("builds") / "fp32", "fp32")


def apart(function: Callable[..., T], *arguments: object) -> T:
    """What a function of this module returns in a fresh process.

    Once openvino-genai (2026.4) has answered in a process, a signal's handler in Python ends it, and torch sets one
    where it loads data in helpers, as the tests of training do.
    """
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(function, *arguments).result()


def test_a_build_answers(build: Path) -> None:
    said = apart(answers_of, build)
    assert len(said) == 16
    assert any(said)


def answers_of(build: Path) -> list[str]:
    return [answered.said for answered in answers(build, papers(Part(), 4), settings=F32)]


def test_a_build_holds_no_places_of_this_machine(build: Path, checkpoint: Path) -> None:
    for file in build.iterdir():
        for place in (checkpoint, build, Path.home()):
            assert str(place).encode() not in file.read_bytes(), file.name


def test_widths_of_weights(build: Path) -> None:
    language = (build / "openvino_language_model.xml").read_text()
    kinds = {kind: f'element_type="{kind}"' in language for kind in ("u4", "i8", "u8")}
    assert kinds["u4"] == (build.name == "int4")
    assert (kinds["i8"] or kinds["u8"]) == (build.name != "fp32")


@pytest.mark.parametrize("form", FORMS)
def test_pictures_reach_the_model_as_the_reference_processor_gives_them(
    exact: Path, checkpoint: Path, form: str
) -> None:
    """A picture, and the square the reference processor makes of it, are the same to the engine."""
    picture = draw(scene("shapes", 0, form=form))
    processor = AutoProcessor.from_pretrained(checkpoint).image_processor
    square = processor(picture, do_rescale=False, do_normalize=False, return_tensors="np").pixel_values[0]
    reference = square.transpose(1, 2, 0).round().astype(np.uint8)
    assert reference.shape == (160, 160, 3)
    side = min(picture.size)
    cropped = picture.crop((0, 0, side, side)).resize((160, 160), Image.Resampling.BICUBIC)
    truth, whole, part = apart(say, exact, [reference, np.asarray(picture), np.asarray(cropped)])
    off = distance(truth, whole)
    assert off < 2e-3  # a pixel's last bit may be rounded the other way
    if side != max(picture.size):
        assert distance(truth, part) > 5 * off


def distance(one: Said, other: Said) -> float:
    return max(abs(a - b) for (_, a), (_, b) in zip(one, other, strict=True))


def test_the_build_is_as_sure_as_the_checkpoint(exact: Path, checkpoint: Path, tmp_path: Path) -> None:
    pictures = {form: draw(scene("shapes", 1, form=form)) for form in FORMS}
    for form, picture in pictures.items():
        picture.save(tmp_path / f"{form}.png")
    program = [sys.executable, "-m", "tests.convert.reference", str(checkpoint), QUESTION]
    files = [str(tmp_path / f"{form}.png") for form in FORMS]
    said = json.loads(subprocess.run([*program, *files], check=True, capture_output=True).stdout)
    ours = apart(say, exact, [np.asarray(pictures[form]) for form in FORMS])
    pairs = [pair for one, other in zip(ours, said, strict=True) for pair in together(one, other)]
    assert len(pairs) > len(FORMS) * TOKENS / 2
    assert [one for one, _ in pairs] == pytest.approx([other for _, other in pairs], abs=2e-3)


def together(one: Said, other: Said) -> Iterator[tuple[float, float]]:
    """How sure both are, for as long as they say the same: a model this young is often in two minds."""
    for (token, sure), (same, reference) in zip(one, other, strict=True):
        if token != same:
            return
        yield sure, reference


def say(build: Path, pictures: Sequence[Picture]) -> list[Said]:
    pipeline = genai.ContinuousBatchingPipeline(str(build), genai.SchedulerConfig(), "CPU", F32)
    return [ask(pipeline, picture) for picture in pictures]


def ask(pipeline: genai.ContinuousBatchingPipeline, picture: Picture) -> Said:
    """The first tokens of the answer with their log-probabilities."""
    settings = pipeline.get_config()
    settings.max_new_tokens, settings.logprobs, settings.ignore_eos = TOKENS, 1, True
    # The pipeline breaks when an id is used twice.
    handle = pipeline.add_request(next(IDS), QUESTION, [ov.Tensor(np.ascontiguousarray(picture)[None])], settings)
    while handle.get_status() == genai.GenerationStatus.RUNNING:
        pipeline.step()
    said = handle.read_all()[0]
    return list(zip(said.generated_ids, said.generated_log_probs, strict=True))


def test_the_chat_template_takes_text_and_parts(checkpoint: Path) -> None:
    processor = AutoProcessor.from_pretrained(checkpoint)
    parts = [{"type": "image"}, {"type": "text", "text": QUESTION}]
    as_parts = processor.apply_chat_template([{"role": "user", "content": parts}], add_generation_prompt=True)
    as_text = processor.apply_chat_template(
        [{"role": "user", "content": f"<image>\n{QUESTION}"}], add_generation_prompt=True
    )
    assert as_parts == as_text == f"<|user|><image>\n{QUESTION}<|assistant|>"


def test_the_processor_names_the_size_the_engine_reads(build: Path, checkpoint: Path) -> None:
    ours, reference = (json.loads((place / "preprocessor_config.json").read_text()) for place in (build, checkpoint))
    assert ours["size"] == {**reference["size"], "shortest_edge": 1}
