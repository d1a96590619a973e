"""workers.demo.exercises: the same seed asks the same, other seeds ask other things."""

from __future__ import annotations

from pipeline.prompts import CAPTION
from workers.demo.captions import caption
from workers.demo.exercises import KINDS_A_SCENE, exercises


def test_a_seed_always_asks_the_same_and_more_scenes_only_add() -> None:
    few, many = list(exercises(1, 3)), list(exercises(1, 6))
    assert many[:3] == few
    assert [exercise.name for exercise in many] == [f"scene-{number:04}.png" for number in range(1, 7)]
    assert {exercise.scene for exercise in many}.isdisjoint(exercise.scene for exercise in exercises(2, 6))


def test_a_caption_comes_first_in_the_words_of_run_then_questions_of_several_kinds() -> None:
    for exercise in exercises(1, 20):
        first, *rest = exercise.questions
        assert (first.kind, first.text, first.answer) == ("caption", CAPTION, caption(exercise.scene))
        assert len({question.kind for question in rest} - {"caption"}) == len(rest) == KINDS_A_SCENE
        assert [prompt.question for prompt in exercise.prompts()] == [question.text for question in exercise.questions]
