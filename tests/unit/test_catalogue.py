"""pipeline.models.catalogue and .recipes: data that must fit together."""

from __future__ import annotations

import pytest

from pipeline.models.catalogue import CHECKPOINTS, FAMILIES, find
from pipeline.models.recipes import LANGUAGE, RECIPES, VISION
from tests.models import FAMILIES as TINY_FAMILIES


def test_the_five_families_are_there() -> None:
    assert set(FAMILIES) == set(TINY_FAMILIES)


@pytest.mark.parametrize("name", FAMILIES)
def test_a_family_has_checkpoints_and_its_recipes(name: str) -> None:
    family = FAMILIES[name]
    assert any(checkpoint.family == name for checkpoint in CHECKPOINTS.values())
    assert family.recipe in RECIPES
    language = RECIPES[family.npu_recipe].language
    assert (language.mode, language.ratio, language.all_layers) == ("int4_sym", 1.0, False)
    assert language.group_size in (-1, 128)


def test_a_checkpoint_goes_by_its_name_and_its_repository() -> None:
    assert find("internvl2-1b") is find("OpenGVLab/InternVL2-1B") is CHECKPOINTS["internvl2-1b"]
    assert find("internvl3") is None


def test_a_recipe_says_how_each_part_is_stored() -> None:
    recipe = RECIPES["internvl2"]
    assert recipe.part(LANGUAGE).mode == recipe.part(VISION).mode == "int4_asym"
    assert recipe.part("openvino_text_embeddings_model").mode == "int8_sym"
    assert recipe.document()["others"] == {"mode": "int8_sym"}
    assert RECIPES["phi-3-vision"].document()["language"]["ratio"] == 0.6
