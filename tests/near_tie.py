"""Whether two greedy texts part at a near-tie, judged by the model's own log-probabilities.

Sampling from the two likeliest tokens at a temperature near zero repeats the greedy answer except where the
two are as good as equal; there the draws take either one. openvino-genai reports log-probabilities of the raw
output whatever the sampling (logprobs > 0), so greedy's token and the drawn one can be compared at that place.
"""

from __future__ import annotations

from collections.abc import Iterator

import openvino_genai as genai

from pipeline.prompts import Sampling
from workers.engine.inputs import Inputs
from workers.engine.sampling import generation

TEMPERATURE = 0.01
DRAWS = 48
"""of which the other token gets half at a tie, one in four at a gap of 0.01, and none at a gap of 0.5"""


def gap(
    pipeline: genai.ContinuousBatchingPipeline,
    inputs: Inputs,
    text: str,
    other: str,
    *,
    temperature: float = TEMPERATURE,
) -> float:
    """How much likelier the greedy `text` is than `other` at the token where they part; infinite if never drawn."""
    decode = pipeline.get_tokenizer().decode
    (greedy,) = _generate(pipeline, inputs, [inputs.generation])
    assert decode(greedy.generated_ids) == text
    gaps = [float("inf")]
    for draw in _generate(pipeline, inputs, list(_draws(inputs.generation, temperature))):
        place = _parting(greedy.generated_ids, draw.generated_ids)
        if place is not None and _leads_to(decode(draw.generated_ids[: place + 1]), text, other):
            gaps.append(greedy.generated_log_probs[place] - draw.generated_log_probs[place])
    return min(gaps)


def _draws(greedy: genai.GenerationConfig, temperature: float) -> Iterator[genai.GenerationConfig]:
    for seed in range(DRAWS):
        sampling = Sampling(max_tokens=greedy.max_new_tokens, temperature=temperature, seed=seed)
        config = generation(greedy, sampling, logprobs=True)
        config.top_k = 2
        yield config


def _generate(
    pipeline: genai.ContinuousBatchingPipeline, inputs: Inputs, configs: list[genai.GenerationConfig]
) -> list[genai.GenerationOutput]:
    handles = [
        pipeline.add_request(number, inputs.prompt, inputs.images, config) for number, config in enumerate(configs)
    ]
    while pipeline.has_non_finished_requests():
        pipeline.step()
    return [handle.read_all()[0] for handle in handles]


def _parting(one: list[int], two: list[int]) -> int | None:
    return next((place for place, (a, b) in enumerate(zip(one, two, strict=False)) if a != b), None)


def _leads_to(beginning: str, text: str, other: str) -> bool:
    """Whether a text that begins so is on the way to `other` and no longer on the way to `text`."""
    return beginning == other or (other.startswith(beginning) and not text.startswith(beginning))
