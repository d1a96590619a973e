"""pipeline.models.choosing: which recipe a command line asks for, and what it cannot ask for."""

from __future__ import annotations

from typing import Any

import pytest

from pipeline.errors import RecipeUnknown, UsageError
from pipeline.models.choosing import Asked, AskedOfCheckpoint

NOTHING: dict[str, Any] = {
    "recipe": None,
    "weight_format": None,
    "group_size": None,
    "ratio": None,
    "sym": False,
    "all_layers": False,
}


def asked(**given: Any) -> Asked:
    return Asked(**NOTHING | given)


def test_without_a_word_it_is_the_family_s_and_int4_for_others() -> None:
    assert (asked().choose("phi3_v").name, asked().ending) == ("phi-3-vision", None)
    assert asked().choose("llava_next").name == "int4"


def test_one_by_its_name() -> None:
    wish = asked(recipe="llava-npu")
    assert (wish.choose("llava").name, wish.ending) == ("llava-npu", "llava-npu")
    with pytest.raises(RecipeUnknown, match=r"no recipe 'nope'\. Recipes: internvl2, "):
        asked(recipe="nope").choose("llava")


def test_one_of_its_own_flags() -> None:
    wish = asked(sym=True, group_size=64)
    recipe = wish.choose("llava")
    assert (recipe.name, recipe.language.mode, recipe.language.group_size) == ("custom", "int4_sym", 64)
    assert wish.ending == "int4"
    assert asked(weight_format="int8", sym=True).choose("llava").language.mode == "int8_sym"


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"recipe": "llava", "ratio": 0.5}, "leave it out, or the flags beside it"),
        ({"weight_format": "int8", "group_size": 64}, "--group-size is for int4, not for int8"),
        ({"weight_format": "fp16", "all_layers": True}, "--all-layers is for int4, not for fp16"),
        ({"weight_format": "fp32", "sym": True}, "--sym is for int4 and int8, not for fp32"),
    ],
)
def test_what_contradicts_itself_is_refused(given: dict[str, Any], sentence: str) -> None:
    with pytest.raises(UsageError, match=sentence):
        asked(**given).choose("llava")


def test_looking_at_data_is_for_int4_too() -> None:
    wish = AskedOfCheckpoint(
        **NOTHING | {"weight_format": "int8", "awq": True, "scale_estimation": False, "dataset": None}
    )
    with pytest.raises(UsageError, match="--awq is for int4, not for int8"):
        wish.choose("llava")
