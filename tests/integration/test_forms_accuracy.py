"""What a form costs in accuracy: the bundled model, drawn scenes, held answers beside free ones in the same batches."""

from __future__ import annotations

import pytest

from tests.forms_exam import Exam, sit


def check(found: Exam) -> None:
    assert not found.wrong, found.wrong.most_common(3)
    assert {"yes_no", "choices", "number", "schema"} == found.marks.keys()
    for name, marks in found.marks.items():
        assert marks.formed == marks.asked, (name, marks)
        assert marks.held_right >= marks.free_right, (name, marks)
        assert marks.free_right > 0.9 * marks.asked, (name, "a model that is wrong anyway proves nothing")


def test_a_form_costs_no_accuracy() -> None:
    check(sit(8))


@pytest.mark.soak
def test_a_form_costs_no_accuracy_over_two_hundred_pictures() -> None:
    check(sit(200))
