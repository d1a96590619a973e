"""Answers held to a form, in real engine processes of all five families: beside free ones, and one by one."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import openvino_genai as genai
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipeline import forms
from pipeline.errors import SchemaInvalid
from pipeline.prompts import Sampling
from tests.engine_child import EXACT, EngineChild, build, code, text
from tests.integration.test_engine_child import picture
from tests.models import FAMILIES
from workers.engine.requests import Completion, EngineConfig, Request
from workers.engine.sampling import generation

FORMS: tuple[Mapping[str, Any], ...] = (
    {"kind": "choices", "choices": ["re", "red", "reddest", "top left", 'a "naïve" [one]\\']},
    {"kind": "yes_no"},
    {"kind": "number", "integer": True},
    {"kind": "number", "integer": False},
    {"kind": "regex", "pattern": r"^[A-Z]{2}-\d{3}( \w{1,8})?$"},
    {
        "kind": "schema",
        "schema": {
            "type": "object",
            "properties": {
                "color": {"enum": ["red", "blue"]},
                "count": {"type": "integer", "minimum": 0, "maximum": 20},
                "note": {"type": "string", "maxLength": 12},
                "things": {"type": "array", "items": {"type": "string", "pattern": "^[a-z]{1,5}$"}, "maxItems": 2},
            },
            "required": ["color", "count"],
        },
    },
    {"kind": "choices", "choices": ["ä1", "Mädchen", "weiße"]},
)
ENOUGH = Sampling(max_tokens=200)
IDS = itertools.count()


@pytest.fixture(scope="module", params=FAMILIES)
def model(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> str:
    return build(str(request.param), tmp_path_factory.mktemp(str(request.param)))


def config(model: str, **options: Any) -> EngineConfig:
    return EngineConfig(model=model, device_config=EXACT, **options)


def requests(engine: EngineChild) -> list[Request]:
    """Each form about two pictures, with a free question beside each."""
    frames = [engine.picture(picture(seed)) for seed in (1, 2)]
    asked = []
    for frame in frames:
        for form in FORMS:
            held = engine.request("What is it?", frame, sampling=ENOUGH)
            asked += [replace(held, form=form), engine.request("What is it?", frame, sampling=Sampling(max_tokens=16))]
    return asked


def test_held_answers_have_their_form_and_leave_free_ones_alone(model: str) -> None:
    with EngineChild(config(model, max_num_seqs=16)) as engine:
        assert engine.ready().options["holds_forms"] is True
        asked = requests(engine)
        endings = engine.collect(engine.ask(*asked))
        alone = engine.answer(engine.request("What is it?", asked[0].frames[0], sampling=Sampling(max_tokens=16)))
    for request, ending in zip(asked, endings, strict=True):
        if request.form:
            assert isinstance(ending, Completion)
            assert ending.finish_reason == "stop", ending.text
            assert forms.parsed(request.form, ending.text) is not None
    free = [text(ending) for request, ending in zip(asked, endings, strict=True) if not request.form]
    assert set(free[: len(FORMS)]) == {text(alone)}


def test_one_by_one_they_have_it_too(model: str) -> None:
    with EngineChild(config(model, engine="serial")) as engine:
        asked = [request for request in requests(engine)[: 2 * len(FORMS)] if request.form]
        for request, ending in zip(asked, engine.collect(engine.ask(*asked)), strict=True):
            assert request.form
            forms.parsed(request.form, text(ending))


# --- not a matter of families ------------------------------------------------------------------------


@pytest.fixture(scope="module")
def llava(tmp_path_factory: pytest.TempPathFactory) -> str:
    return build("llava", tmp_path_factory.mktemp("llava"))


def test_another_seed_is_another_try(llava: str) -> None:
    with EngineChild(config(llava)) as engine:
        frame = engine.picture(picture(3))
        hot = [Sampling(max_tokens=40, temperature=0.7, seed=seed) for seed in range(8)]
        asked = [replace(engine.request("?", frame, sampling=each), form=FORMS[4]) for each in hot]
        said = {text(ending) for ending in engine.collect(engine.ask(*asked))}
    assert len(said) > 1


def test_a_question_of_a_hundred_thousand_characters_fails_alone(llava: str) -> None:
    with EngineChild(config(llava)) as engine:
        frame = engine.picture(picture(4))
        long = engine.request("x" * 100_000, frame, sampling=ENOUGH)
        good = replace(engine.request("?", frame, sampling=ENOUGH), form={"kind": "yes_no"})
        endings = engine.collect(engine.ask(good, replace(long, form={"kind": "yes_no"}), replace(good, id=99)))
    assert code(endings[1]) == "prompt_too_long"
    assert {forms.parsed({"kind": "yes_no"}, text(endings[place])) for place in (0, 2)} <= {True, False}


@pytest.fixture(scope="module")
def pipeline(llava: str) -> Iterator[genai.ContinuousBatchingPipeline]:
    scheduler = genai.SchedulerConfig()
    scheduler.max_num_seqs = 4
    yield genai.ContinuousBatchingPipeline(llava, scheduler, "CPU", EXACT)


PATTERNS = st.from_regex(r"\A(?:[a-z \]\^\-\"é]|\\[dwsDWS.]|\[[a-c\]][0-9]?\]?|\(a\|b\)|[*+?]|\{[0-3],[3-5]\}|\|)*\Z")
NAMES = st.text(st.characters(exclude_categories=("Cs",)), max_size=6)
LEAVES = st.one_of(
    st.sampled_from([{"type": kind} for kind in ("string", "number", "integer", "boolean", "null")]),
    st.lists(NAMES, min_size=1, max_size=3).map(lambda values: {"enum": values}),
    st.integers(0, 300).map(lambda most: {"type": "string", "maxLength": most}),
    st.integers(-5, 5).map(lambda least: {"type": "integer", "minimum": least, "maximum": 5}),
)
SCHEMAS = st.recursive(
    LEAVES,
    lambda inner: st.one_of(
        st.dictionaries(NAMES, inner, max_size=3).flatmap(
            lambda found: st.lists(st.sampled_from([*found, "z"]), unique=True).map(
                lambda required: {"type": "object", "properties": found, "required": required}
            )
        ),
        st.lists(inner, min_size=1, max_size=3).map(lambda parts: {"anyOf": parts}),
        inner.map(lambda items: {"type": "array", "items": items, "maxItems": 2}),
    ),
    max_leaves=5,
)


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    st.one_of(
        PATTERNS.map(lambda pattern: {"kind": "regex", "pattern": pattern}),
        SCHEMAS.map(lambda schema: {"kind": "schema", "schema": schema}),
    )
)
def test_what_passes_the_check_is_what_the_engine_takes(
    pipeline: genai.ContinuousBatchingPipeline, form: dict[str, Any]
) -> None:
    """A grammar that does not compile would end the engine process. What is complete has the form."""
    try:
        forms.check_form(form)
    except SchemaInvalid:
        return
    own = pipeline.get_config()
    wish = generation(own, Sampling(max_tokens=60), logprobs=True, form=form)
    handle = pipeline.add_request(next(IDS), "a cat", wish)
    while handle.get_status() == genai.GenerationStatus.RUNNING:
        pipeline.step()
    (answer,) = handle.read_all()
    said = pipeline.get_tokenizer().decode(answer.generated_ids)
    # Random weights also say bytes that are no text, which a grammar of characters does not always notice.
    if answer.finish_reason == genai.GenerationFinishReason.STOP and said.strip() and "\ufffd" not in said:
        forms.parsed(form, said)
