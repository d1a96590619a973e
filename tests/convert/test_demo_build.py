"""A checkpoint of the demo model becomes builds that see and say what the checkpoint does."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import openvino as ov
import openvino_genai as genai
import pytest
import torch
from PIL import Image
from transformers import AutoProcessor, LlavaForConditionalGeneration

from workers.demo.build import RECIPES, convert
from workers.demo.course import Plan
from workers.demo.drawing import draw
from workers.demo.evaluate import Part, answers, papers
from workers.demo.scenes import scene
from workers.demo.train import train

pytestmark = [pytest.mark.timeout(1800), pytest.mark.filterwarnings("default")]

PLAN = Plan(seed=4, pictures=8, patch_steps=120, joint_steps=30, polish_steps=0)
FORMS = ("landscape", "square", "tall", "panorama")
QUESTION = "Describe this picture."
F32 = {"INFERENCE_PRECISION_HINT": "f32"}

Picture = npt.NDArray[np.uint8]


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.set_num_threads(1)
    return train(PLAN, tmp_path_factory.mktemp("run"), tell=lambda step, figures: None, scenes=10)


@pytest.fixture(scope="module", params=RECIPES)
def build(request: pytest.FixtureRequest, checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return convert(checkpoint, tmp_path_factory.mktemp("builds") / request.param, request.param)


@pytest.fixture(scope="module")
def exact(checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> genai.ContinuousBatchingPipeline:
    folder = convert(checkpoint, tmp_path_factory.mktemp("builds") / "fp32", "fp32")
    return genai.ContinuousBatchingPipeline(str(folder), genai.SchedulerConfig(), "CPU", F32)


def test_a_build_answers(build: Path) -> None:
    said = list(answers(build, papers(Part(), 4), settings=F32))
    assert len(said) == 16
    assert any(answered.said for answered in said)


def test_a_build_holds_no_places_of_this_machine(build: Path, checkpoint: Path) -> None:
    for file in build.iterdir():
        for place in (checkpoint, build, Path.home()):
            assert str(place).encode() not in file.read_bytes(), file.name
    assert build.stat().st_size


def test_widths_of_weights(build: Path) -> None:
    language = (build / "openvino_language_model.xml").read_text()
    kinds = {kind: f'element_type="{kind}"' in language for kind in ("u4", "i8", "u8")}
    assert kinds["u4"] == (build.name == "int4")
    assert (kinds["i8"] or kinds["u8"]) == (build.name != "fp32")


@pytest.mark.parametrize("form", FORMS)
def test_pictures_reach_the_model_as_the_reference_processor_gives_them(
    exact: genai.ContinuousBatchingPipeline, checkpoint: Path, form: str
) -> None:
    """A picture, and the square the reference processor makes of it, are the same to the engine."""
    picture = draw(scene("shapes", 0, form=form))
    processor = AutoProcessor.from_pretrained(checkpoint).image_processor
    square = processor(picture, do_rescale=False, do_normalize=False, return_tensors="np").pixel_values[0]
    reference = square.transpose(1, 2, 0).round().astype(np.uint8)
    assert reference.shape == (160, 160, 3)
    assert ask(exact, np.asarray(picture)) == pytest.approx(ask(exact, reference), abs=1e-5)
    side = min(picture.size)
    if side != max(picture.size):
        cropped = picture.crop((0, 0, side, side)).resize((160, 160), Image.Resampling.BICUBIC)
        assert ask(exact, np.asarray(cropped)) != pytest.approx(ask(exact, reference), abs=1e-3)


@pytest.mark.parametrize("form", FORMS)
def test_the_build_is_as_sure_as_the_checkpoint(
    exact: genai.ContinuousBatchingPipeline, checkpoint: Path, form: str
) -> None:
    picture = draw(scene("shapes", 1, form=form))
    assert ask(exact, np.asarray(picture)) == pytest.approx(reference_logprobs(checkpoint, picture), abs=2e-3)


def ask(pipeline: genai.ContinuousBatchingPipeline, picture: Picture, number: list[int] = [0]) -> Sequence[float]:  # noqa: B006
    """Log-probabilities of the first tokens of the answer."""
    settings = pipeline.get_config()
    settings.max_new_tokens, settings.logprobs, settings.ignore_eos = 6, 1, True
    number[0] += 1  # the pipeline breaks when an id is used twice
    handle = pipeline.add_request(number[0], QUESTION, [ov.Tensor(np.ascontiguousarray(picture)[None])], settings)
    while handle.get_status() == genai.GenerationStatus.RUNNING:
        pipeline.step()
    return list(handle.read_all()[0].generated_log_probs)


def reference_logprobs(checkpoint: Path, picture: Image.Image) -> Sequence[float]:
    processor = AutoProcessor.from_pretrained(checkpoint)
    model = LlavaForConditionalGeneration.from_pretrained(checkpoint).eval()
    content = [{"type": "image"}, {"type": "text", "text": QUESTION}]
    prompt = processor.apply_chat_template([{"role": "user", "content": content}], add_generation_prompt=True)
    inputs = processor(text=[prompt], images=[picture], return_tensors="pt")
    said = model.generate(
        **inputs, max_new_tokens=6, min_new_tokens=6, do_sample=False, output_logits=True, return_dict_in_generate=True
    )
    logits = torch.stack(said.logits).squeeze(1).log_softmax(-1)
    return logits.max(-1).values.tolist()


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
