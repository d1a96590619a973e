"""The generated models: complete, repeatable, and moved by what they are shown and asked."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import openvino as ov
import openvino_genai as genai
import pytest

from tests.models import FAMILIES, Size, make, vocabulary
from tests.models.vocabulary import FILES

EXACT = {"INFERENCE_PRECISION_HINT": "f32", "KV_CACHE_PRECISION": "f32"}
QUESTIONS = ("What is this?", "How many colours are there in the picture?")
LIMIT = 24

MODELS = {"language_model", "text_embeddings_model", "vision_embeddings_model", "tokenizer", "detokenizer"}
MORE_MODELS: dict[str, set[str]] = {
    "llava": set(),
    "qwen2_vl": {"vision_embeddings_merger_model"},
    "internvl_chat": set(),
    "minicpmv": {"resampler_model"},
    "phi3_v": {"vision_projection_model"},
}
OTHER_FILES = {
    "config.json",
    "generation_config.json",
    "preprocessor_config.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "chat_template.jinja",
}


@pytest.fixture(scope="module", params=FAMILIES)
def family(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def build(family: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make(family, tmp_path_factory.mktemp(family))


@pytest.fixture(scope="module")
def batching(build: Path) -> Iterator[genai.ContinuousBatchingPipeline]:
    yield pipeline(build)


def pipeline(build: Path) -> genai.ContinuousBatchingPipeline:
    scheduler = genai.SchedulerConfig()
    scheduler.max_num_seqs = 16
    scheduler.cache_size = 1
    return genai.ContinuousBatchingPipeline(str(build), scheduler, "CPU", EXACT)


def picture(seed: int) -> ov.Tensor:
    """A few large areas of colour, since noise is one grey once it is made smaller."""
    areas = np.random.default_rng(seed).integers(0, 256, (1, 4, 4, 3), np.uint8)
    return ov.Tensor(np.ascontiguousarray(areas.repeat(16, 1).repeat(24, 2)))


def prompt(tokenizer: genai.Tokenizer, *messages: tuple[str, str]) -> str:
    history = genai.ChatHistory()
    for role, content in messages:
        history.append({"role": role, "content": content})
    return str(tokenizer.apply_chat_template(history, True))


def asked(tokenizer: genai.Tokenizer, question: str) -> str:
    return prompt(tokenizer, ("user", f"<ov_genai_image_0>\n{question}"))


def limited(config: genai.GenerationConfig) -> genai.GenerationConfig:
    config.apply_chat_template = False
    config.max_new_tokens = LIMIT
    return config


def answers(
    engine: genai.ContinuousBatchingPipeline, requests: Sequence[tuple[str, list[ov.Tensor]]]
) -> list[genai.GenerationOutput]:
    config = limited(engine.get_config())
    handles = [engine.add_request(number, text, shown, config) for number, (text, shown) in enumerate(requests)]
    while engine.has_non_finished_requests():
        engine.step()
    return [handle.read_all()[0] for handle in handles]


def texts(engine: genai.ContinuousBatchingPipeline, requests: Sequence[tuple[str, list[ov.Tensor]]]) -> list[str]:
    tokenizer = engine.get_tokenizer()
    return [tokenizer.decode(output.generated_ids) for output in answers(engine, requests)]


def contents(folder: Path) -> Mapping[str, bytes]:
    return {file.name: file.read_bytes() for file in folder.iterdir()}


def test_a_build_has_all_files_of_its_family(family: str, build: Path) -> None:
    models = MODELS | MORE_MODELS[family]
    expected = {f"openvino_{model}.{ending}" for model in models for ending in ("xml", "bin")} | OTHER_FILES
    assert {file.name for file in build.iterdir()} == expected
    assert json.loads((build / "config.json").read_text())["model_type"] == family


def test_the_same_seed_gives_the_same_bytes(family: str, build: Path, tmp_path: Path) -> None:
    again, other = make(family, tmp_path / "again"), make(family, tmp_path / "other", seed=1)
    assert contents(again) == contents(build)
    weights = "openvino_language_model.bin"
    assert contents(other)[weights] != contents(build)[weights]


def test_answers_follow_picture_and_question(batching: genai.ContinuousBatchingPipeline) -> None:
    tokenizer = batching.get_tokenizer()
    requests = [(asked(tokenizer, question), [picture(seed)]) for question in QUESTIONS for seed in range(20)]
    first, second = (said := texts(batching, requests))[:20], said[20:]
    assert len(set(first)) >= 16
    assert len(set(second)) >= 16
    assert sum(one != other for one, other in zip(first, second, strict=True)) >= 18


def test_answers_are_words_of_mixed_number(batching: genai.ContinuousBatchingPipeline) -> None:
    tokenizer = batching.get_tokenizer()
    outputs = answers(batching, [(asked(tokenizer, QUESTIONS[0]), [picture(seed)]) for seed in range(20)])
    for output in outputs:
        said = tokenizer.decode(output.generated_ids)
        ended = output.finish_reason == genai.GenerationFinishReason.STOP
        assert re.fullmatch(r"( [a-z]+)+\." if ended else r"( [a-z]+)+\.?", said)
    lengths = [len(output.generated_ids) for output in outputs]
    assert min(lengths) >= 3
    assert max(lengths) <= LIMIT
    assert len(set(lengths)) >= 4


def test_answers_are_repeatable(build: Path, batching: genai.ContinuousBatchingPipeline) -> None:
    requests = [(asked(batching.get_tokenizer(), QUESTIONS[0]), [picture(seed)]) for seed in range(4)]
    said = texts(batching, requests)
    assert texts(pipeline(build), requests) == said


def test_both_pipelines_say_the_same(build: Path, batching: genai.ContinuousBatchingPipeline) -> None:
    serial = genai.VLMPipeline(str(build), "CPU", ATTENTION_BACKEND="SDPA", **EXACT)
    requests = [(asked(batching.get_tokenizer(), question), [picture(7)]) for question in QUESTIONS]
    config = limited(serial.get_generation_config())
    said = [serial.generate(text, images=shown, generation_config=config).texts[0] for text, shown in requests]
    assert said == texts(batching, requests)


def test_a_chat_has_a_system_prompt_several_turns_and_pictures(batching: genai.ContinuousBatchingPipeline) -> None:
    tokenizer = batching.get_tokenizer()
    first = ("user", "<ov_genai_image_0>\nWhat is this?")
    rest = (("assistant", "a dog"), ("user", "<ov_genai_image_1>\nAnd this?"))
    chats = [prompt(tokenizer, *messages) for messages in ((("system", "Be brief."), first, *rest), (first, *rest))]
    said = texts(batching, [(chat, [picture(1), picture(2)]) for chat in chats])
    assert chats[0].index("Be brief.") < chats[0].index("What is this?") < chats[0].index("a dog")
    assert said[0] != said[1]


def test_without_a_full_stop_answers_have_full_length(tmp_path: Path) -> None:
    engine = pipeline(make("llava", tmp_path, ending=None))
    outputs = answers(engine, [(asked(engine.get_tokenizer(), "What?"), [picture(seed)]) for seed in range(8)])
    assert [len(output.generated_ids) for output in outputs] == [LIMIT] * 8


@pytest.mark.parametrize("storage", ["f16", "i8", "i4"])
def test_compressed_weights_load_and_take_less_room(storage: str, tmp_path: Path) -> None:
    small = Size(hidden=128, ffn=256, vision_width=128, vision_ffn=256, storage=storage, vision_storage=storage)
    build = make("llava", tmp_path / storage, size=small)
    plain = make("llava", tmp_path / "plain", size=Size(hidden=128, ffn=256))
    weights = "openvino_language_model.bin"
    assert (build / weights).stat().st_size < (plain / weights).stat().st_size * 0.6
    engine = pipeline(build)
    said = texts(engine, [(asked(engine.get_tokenizer(), QUESTIONS[0]), [picture(seed)]) for seed in range(8)])
    assert len(set(said)) >= 5


def test_the_committed_tokenizer_is_of_this_vocabulary() -> None:
    stored = json.loads((FILES / "tokenizer.json").read_text())["model"]
    assert stored["vocab"] == vocabulary.IDS
    assert [tuple(merge) for merge in stored["merges"]] == vocabulary.MERGES


def test_special_tokens_and_words_are_one_token_each() -> None:
    tokenizer = genai.Tokenizer(str(FILES))
    for text in (*vocabulary.SPECIAL, *(f" {word}" for word in vocabulary.WORDS)):
        ids = tokenizer.encode(text, add_special_tokens=False).input_ids.data[0].tolist()
        assert len(ids) == 1, text
    assert tokenizer.decode(tokenizer.encode("Größe? 7 «ü».").input_ids).pop() == "Größe? 7 «ü»."


def test_committed_files_name_no_local_path() -> None:
    for file in FILES.iterdir():
        assert not re.search(rb"/(home|root|tmp|work|usr|opt)/", file.read_bytes()), file.name


def test_tiny_is_tiny(build: Path) -> None:
    assert sum(file.stat().st_size for file in build.iterdir()) < 3_000_000
