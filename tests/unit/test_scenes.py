"""Scenes are the same each time, what is said of them is true, and what is kept from training stays kept."""

from __future__ import annotations

import itertools
import math
import random
import re
from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workers.demo.captions import caption
from workers.demo.drawing import draw
from workers.demo.phrases import PHRASES
from workers.demo.questions import KINDS, Question, ask, describe, exam_questions
from workers.demo.scenes import exam, scene
from workers.demo.world import BACKGROUNDS, COLORS, FORMATS, GLYPHS, HELD_OUT, RGB, SHAPES, SIZES, Scene, Sign, Thing

COLOR = "|".join(COLORS)
SHAPE = "|".join(SHAPES)
LEFT, RIGHT, ABOVE, BELOW = "to the left of", "to the right of", "above", "below"
YES_NO = ("is", "do", "does", "can")

drawn = st.builds(
    scene, st.integers(0, 10**6), st.integers(0, 10**6), held_out=st.booleans(), form=st.sampled_from([None, *FORMATS])
)
asked = st.tuples(drawn, st.sampled_from(KINDS), st.integers(0, 10**6), st.booleans())


def question_of(case: tuple[Scene, str, int, bool]) -> Question | None:
    here, kind, seed, kept = case
    return ask(here, kind, random.Random(seed), kept=kept)


# --- the same each time ------------------------------------------------------------------------


@given(st.integers(), st.integers(0, 10**6))
def test_a_seed_and_a_number_give_one_scene(seed: int, number: int) -> None:
    assert scene(seed, number) == scene(seed, number)


@settings(max_examples=20)
@given(drawn)
def test_a_scene_gives_one_picture(here: Scene) -> None:
    once, again = draw(here), draw(here)
    assert once.size == (here.width, here.height)
    assert once.tobytes() == again.tobytes()


def test_numbers_give_different_scenes() -> None:
    assert len({scene(1, number) for number in range(200)}) == 200


def test_what_is_asked_does_not_depend_on_when() -> None:
    here = scene(5, 7)
    assert list(exam_questions(here, random.Random(1))) == list(exam_questions(here, random.Random(1)))


# --- the scene is what it says -----------------------------------------------------------------


@given(drawn)
def test_things_lie_apart_inside_the_picture(here: Scene) -> None:
    assert 1 <= len(here.things) <= 5
    placed = all_placed(here)
    for one in placed:
        assert one.radius <= one.x <= here.width - one.radius
        assert one.radius <= one.y <= here.height - one.radius
    for one, other in itertools.combinations(placed, 2):
        assert math.dist((one.x, one.y), (other.x, other.y)) > one.radius + other.radius
    assert len({thing.name for thing in here.things}) == len(here.things)


@given(drawn)
def test_a_size_is_a_share_of_the_shorter_side(here: Scene) -> None:
    for thing in here.things:
        least, most = SIZES[thing.size]
        assert least <= thing.radius / min(here.width, here.height) <= most


@pytest.mark.parametrize(("form", "ratio"), FORMATS.items())
def test_a_format_can_be_asked_for(form: str, ratio: float) -> None:
    for number in range(20):
        here = scene(2, number, form=form)
        assert here.width / here.height == pytest.approx(ratio, rel=0.1)


@settings(max_examples=60)
@given(drawn)
def test_a_thing_is_drawn_in_its_color(here: Scene) -> None:
    pixels = np.asarray(draw(here)).astype(int)
    for thing in here.things:
        x, y = round(thing.x), round(thing.y)
        middle = pixels[y - 2 : y + 3, x - 2 : x + 3].reshape(-1, 3).mean(0)
        assert nearest(middle, COLORS) == thing.color


@settings(max_examples=60)
@given(drawn)
def test_a_strange_thing_has_no_named_color(here: Scene) -> None:
    """So that training with them shows no held-out combination."""
    pixels = np.asarray(draw(calmly(here, here.sign), strange=True)).astype(int)
    for thing in here.things:
        middle = pixels[round(thing.y), round(thing.x)]
        assert min(math.dist(middle, named) for named in COLORS.values()) > 60
        assert math.dist(middle, BACKGROUNDS[here.background]) > 60


@settings(max_examples=60)
@given(drawn)
def test_the_background_has_its_color(here: Scene) -> None:
    pixels = np.asarray(draw(here)).astype(int)
    rows, columns = np.mgrid[: here.height, : here.width]
    free = np.ones(rows.shape, bool)
    for one in all_placed(here):
        free &= (columns - one.x) ** 2 + (rows - one.y) ** 2 > (one.radius + 8) ** 2
    assert nearest(pixels[free].mean(0), BACKGROUNDS) == here.background


@settings(max_examples=60)
@given(drawn)
def test_a_sign_is_drawn_where_it_is_said_to_be(here: Scene) -> None:
    """Without accidents of drawing: the picture with the sign differs from the one without only there."""
    if here.sign is None:
        return
    plain, signed = (np.asarray(draw(calmly(here, sign))) for sign in (None, here.sign))
    rows, columns = np.nonzero((plain != signed).any(-1))
    assert abs(rows - here.sign.y).max() < 0.55 * here.sign.height + 1
    assert abs(columns - here.sign.x).max() < 0.55 * here.sign.advance * len(here.sign.text) + 1
    assert rows.size > 0.05 * here.sign.height**2


def all_placed(here: Scene) -> list[Thing | Sign]:
    return [*here.things, *([here.sign] if here.sign else [])]


def calmly(here: Scene, sign: Sign | None) -> Scene:
    """The scene with this sign, and nothing between the drawing and its pixels."""
    return replace(here, noise=0, jpeg=None, sign=sign)


def nearest(color: npt.NDArray[np.floating], names: Mapping[str, RGB]) -> str:
    return min(names, key=lambda name: float(((np.array(names[name]) - color) ** 2).sum()))


# --- what is said is true ----------------------------------------------------------------------


@settings(max_examples=1500)
@given(asked)
def test_an_answer_is_the_one_true_one(case: tuple[Scene, str, int, bool]) -> None:
    """Read the question's words again and find the answer another way."""
    question = question_of(case)
    if question is not None:
        assert truth(case[0], question) == question.answer


@given(asked)
def test_answers_have_their_kinds_form(case: tuple[Scene, str, int, bool]) -> None:
    question = question_of(case)
    if question is None:
        return
    if question.answer in ("yes", "no"):
        assert question.text.split()[0].lower() in YES_NO
    elif question.kind == "count":
        assert question.answer.isdigit()
    elif question.kind in ("color", "shape", "size", "background", "reading"):
        assert " " not in question.answer


@given(drawn)
def test_a_caption_names_all_there_is(here: Scene) -> None:
    text = caption(here)
    said = [(size, color, shape) for size, color, shape in re.findall(rf"(\w+) ({COLOR}) ({SHAPE})", text)]
    assert sorted(said) == sorted((thing.size, thing.color, thing.shape) for thing in here.things)
    assert f" on a {here.background} background." in text
    assert text.endswith(f" The sign says {here.sign.text}." if here.sign else "background.")
    assert_order(here, text, [f"{color} {shape}" for _, color, shape in said])


def assert_order(here: Scene, text: str, said: list[str]) -> None:
    by_name = {thing.name: thing for thing in here.things}
    things = [by_name[name] for name in said]
    if " above " in text:
        assert things[0].y < things[1].y
    else:
        assert [thing.x for thing in things] == sorted(thing.x for thing in things)


def truth(here: Scene, question: Question) -> str:
    text = question.text
    names = [thing_called(here, name) for name in re.findall(rf"(?:{COLOR}) (?:{SHAPE})\b", text)]
    match question.kind:
        case "color":
            (thing,) = [thing for thing in here.things if re.search(rf"\b{thing.shape}\b", text)]
            return either(text, COLORS, thing.color)
        case "shape":
            (thing,) = [thing for thing in here.things if re.search(rf"\b{thing.color}\b", text)]
            return thing.shape
        case "count":
            return str(sum(counted(thing, text) for thing in here.things))
        case "presence":
            return yes(names[0] is not None)
        case "relation":
            assert names[0] and names[1]
            return yes(lies(here, names[0], side(text), names[1]))
        case "neighbour":
            there = [other for other in here.things if names[0] and lies(here, other, side(text), names[0])]
            assert len(there) <= 1
            return re.sub("^a o", "an o", f"a {there[0].name}") if there else "nothing"
        case "size":
            assert names[0]
            return either(text.replace("small or large", "").replace("large or small", ""), SIZES, names[0].size)
        case "place":
            assert names[0]
            return ninth(here, names[0])
        case "background":
            return either(text, BACKGROUNDS, here.background)
        case "reading":
            if text.split()[0] in ("Is", "Do", "Does", "Can"):
                return yes(here.sign is not None)
            return here.sign.text if here.sign else "nothing"
    raise AssertionError(question.kind)


def thing_called(here: Scene, name: str) -> Thing | None:
    return next((thing for thing in here.things if thing.name == name), None)


def yes(true: bool) -> str:
    return "yes" if true else "no"


def either(text: str, names: Mapping[str, object], answer: str) -> str:
    """Yes or no if the question offers one of the names, else the name itself."""
    offered = [name for name in names if re.search(rf"\b{name}\b", text)]
    return yes(offered == [answer]) if offered and not text.startswith("How") else answer


def counted(thing: Thing, text: str) -> bool:
    color, shape = re.search(rf"\b({COLOR})\b", text), re.search(rf"\b({SHAPE})(?:e?s)\b", text)
    return (color is None or color[1] == thing.color) and (shape is None or shape[1] == thing.shape)


def side(text: str) -> str:
    (found,) = [side for side in (LEFT, RIGHT, ABOVE, BELOW) if side in text]
    return found


def lies(here: Scene, one: Thing, side: str, other: Thing) -> bool:
    across, down = one.x / here.width - other.x / here.width, one.y / here.height - other.y / here.height
    return one is not other and {LEFT: across < 0, RIGHT: across > 0, ABOVE: down < 0, BELOW: down > 0}[side]


def ninth(here: Scene, thing: Thing) -> str:
    rows, columns = ("top ", "", "bottom "), ("left", "", "right")
    return (rows[int(3 * thing.y / here.height)] + columns[int(3 * thing.x / here.width)]).strip() or "center"


# --- kept from training ------------------------------------------------------------------------


@given(st.integers(), st.integers(0, 10**6))
def test_training_scenes_hold_no_held_out_combination(seed: int, number: int) -> None:
    assert not {(thing.color, thing.shape) for thing in scene(seed, number).things} & HELD_OUT


@given(st.integers(0, 10**6), st.sampled_from(KINDS), st.integers(0, 10**6))
def test_training_does_not_speak_of_held_out_combinations(number: int, kind: str, seed: int) -> None:
    """Such a question could only ever be answered with no."""
    question = ask(scene("lesson", number), kind, random.Random(seed))
    named = re.findall(rf"\b({COLOR}) ({SHAPE})\b", f"{question.text} {question.answer}" if question else "")
    assert not set(named) & HELD_OUT


def test_two_of_five_exam_scenes_hold_one() -> None:
    held = [bool({(thing.color, thing.shape) for thing in here.things} & HELD_OUT) for here in exam(1, 50)]
    assert held == [number % 5 < 2 for number in range(50)]


def test_exam_scenes_are_not_lessons() -> None:
    lessons = {scene("lesson 3", number) for number in range(300)}
    assert not lessons & set(exam("final", 300))


@pytest.mark.parametrize("name", PHRASES)
def test_kept_phrasings_ask_for_the_same(name: str) -> None:
    phrasing = PHRASES[name]
    (fields,) = {tuple(sorted(re.findall(r"{(\w+)}", text))) for text in phrasing.taught + phrasing.kept}
    assert phrasing.kept, fields


def test_kept_phrasings_are_never_taught() -> None:
    taught = {text.lower() for phrasing in PHRASES.values() for text in phrasing.taught}
    assert not taught & {text.lower() for phrasing in PHRASES.values() for text in phrasing.kept}


def test_kept_phrasings_use_words_that_are_taught() -> None:
    words = {word for phrasing in PHRASES.values() for text in phrasing.taught for word in spelt(text)}
    assert {word for phrasing in PHRASES.values() for text in phrasing.kept for word in spelt(text)} <= words


def spelt(text: str) -> list[str]:
    return re.findall(r"\w+", text.lower())


def test_a_question_asked_in_training_is_never_a_kept_one() -> None:
    kept, taught = set(), set()
    for here in exam("kept", 300):
        rng = random.Random(here.grain)
        kept |= {question.text.lower() for question in exam_questions(here, rng, kept=True)}
        taught |= {question.text.lower() for question in exam_questions(here, rng)}
    assert not kept & taught


def test_a_caption_is_asked_for_in_the_programs_own_words() -> None:
    from pipeline.prompts import CAPTION

    assert CAPTION in PHRASES["caption"].taught


# --- what there is to ask ----------------------------------------------------------------------


def test_every_kind_is_asked_and_yes_is_no_safe_guess() -> None:
    asked: dict[str, list[str]] = {kind: [] for kind in KINDS}
    for here in exam("kinds", 600):
        for question in exam_questions(here, random.Random(here.grain)):
            asked.setdefault(question.kind, []).append(question.answer)
    for kind, answers in asked.items():
        assert len(answers) > 200, kind
        if "yes" in answers:
            assert 0.25 < answers.count("yes") / (answers.count("yes") + answers.count("no")) < 0.75, kind


def test_as_many_kinds_as_asked_for() -> None:
    for here in exam("few", 40):
        kinds = [question.kind for question in exam_questions(here, random.Random(1), kinds=3)]
        assert kinds[0] == "caption"
        assert len(set(kinds)) == len(kinds) == 4


def test_every_glyph_is_its_own_picture() -> None:
    """No two signs look alike."""
    template = next(here for here in exam("sign", 100) if here.sign and len(here.sign.text) == 1)
    assert template.sign
    pictures = set()
    for glyph in GLYPHS:
        pictures.add(draw(calmly(template, replace(template.sign, text=glyph))).tobytes())
    assert len(pictures) == len(GLYPHS)


def test_a_description_is_the_caption() -> None:
    here = scene(1, 1)
    assert describe(here, random.Random(1)).answer == caption(here)
