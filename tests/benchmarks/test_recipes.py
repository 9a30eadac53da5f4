"""The benchmark of recipes: what a change of training changes."""

from __future__ import annotations

from attrec.ratings.rsattae.cross_fitting import RSAttAEXGBoostConfig
from attrec.ratings.rsattae.recipes import RECIPES
from benchmarks.recipes import changed


def test_changes_reach_every_network_and_nothing_else() -> None:
    recipe = RECIPES["quick"]
    other = RSAttAEXGBoostConfig.model_validate(
        changed(recipe.model_dump(), {"batch": 7, "training": {"matrix_rate": 0.5}})
    )
    for before, after in (
        (recipe.user_autoencoders[0], other.user_autoencoders[0]),
        (recipe.item_autoencoders[0], other.item_autoencoders[0]),
    ):
        training = before.training.model_copy(update={"matrix_rate": 0.5})
        assert after == before.model_copy(update={"training": training, "batch": 7})
    assert other.head == recipe.head
    assert RSAttAEXGBoostConfig.model_validate(changed(recipe.model_dump(), {})) == recipe
