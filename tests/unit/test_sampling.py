from __future__ import annotations

import openvino_genai as genai
import pytest

from pipeline.prompts import Sampling
from workers.engine.sampling import generation


@pytest.fixture
def own() -> genai.GenerationConfig:
    return genai.GenerationConfig(
        eos_token_id=5,
        stop_token_ids={5, 6},
        stop_strings={"###"},
        do_sample=True,
        temperature=0.3,
        top_k=3,
        top_p=0.5,
        repetition_penalty=2.0,
        max_new_tokens=7,
        num_return_sequences=2,
    )


def test_only_the_ends_of_an_answer_are_the_models_own(own: genai.GenerationConfig) -> None:
    config = generation(own, Sampling(max_tokens=50), logprobs=True)
    assert (config.eos_token_id, config.stop_token_ids, config.stop_strings) == (5, {5, 6}, {"###"})
    assert config.is_greedy_decoding()
    assert (config.max_new_tokens, config.num_return_sequences, config.repetition_penalty) == (50, 1, 1.0)
    assert not config.apply_chat_template


def test_a_temperature_samples_from_all_tokens_with_its_seed(own: genai.GenerationConfig) -> None:
    config = generation(own, Sampling(temperature=0.7, seed=11), logprobs=True)
    assert config.is_multinomial()
    assert config.temperature == pytest.approx(0.7)
    assert config.rng_seed == 11
    assert config.top_p == 1.0
    assert config.top_k == genai.GenerationConfig().top_k


@pytest.mark.parametrize("wanted", [True, False])
def test_logprobs_are_asked_for_only_when_wanted(own: genai.GenerationConfig, wanted: bool) -> None:
    assert generation(own, Sampling(), logprobs=wanted).logprobs == int(wanted)
