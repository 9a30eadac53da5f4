"""Sizes of models, counted by hand."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from attrec.models.size import ModelSize, model_size, stored_numbers
from attrec.ratings.baselines import GlobalMean, UserItemBias
from attrec.ratings.boosting import BoostingConfig, fit_boosting
from attrec.ratings.imputed_svd import ImputedSVD
from attrec.ratings.pairs.model import NeuralCF
from attrec.ratings.pairs.recipes import pair_recipe
from attrec.ratings.surprise.baselines import SurpriseBaseline, SurpriseConfig

USERS, ITEMS = range(7), range(10, 15)
PAIRS = [(user, item) for user in USERS for item in ITEMS if (user + item) % 3]
RATINGS = pd.DataFrame(PAIRS, columns=["user_id", "item_id"]).assign(
    rating=np.arange(len(PAIRS), dtype="float32") % 5 + 1
)
FEATURES = (
    pd.DataFrame(index=pd.Index(USERS, name="user_id")),
    pd.DataFrame(index=pd.Index(ITEMS, name="item_id")),
)


def pair_network(embedding: str) -> NeuralCF:
    recipe = pair_recipe(embedding, "inner")  # type: ignore[arg-type]
    training = recipe.training.model_copy(update={"epochs": 1})
    return NeuralCF(recipe.model_copy(update={"dimension": 4, "training": training}))


def surprise(algorithm: str, **options: object) -> SurpriseBaseline:
    return SurpriseBaseline(SurpriseConfig(algorithm=algorithm, options=options))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("model", "numbers", "counted"),
    [
        (GlobalMean(), 1, "trained"),
        (UserItemBias(), 1 + 7 + 5, "trained"),
        (surprise("SVD", n_factors=3), 1 + 7 + 5 + 3 * (7 + 5), "trained"),
        (surprise("NormalPredictor"), 2, "trained"),
        # Means of users and deviations of items, and who rated what.
        (surprise("SlopeOne"), 7 + 5 * 5 + 2 * len(PAIRS), "stored"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_by_hand(model, numbers, counted, tmp_path):
    model.fit(RATINGS, *FEATURES).save(tmp_path)
    assert model_size(tmp_path) == ModelSize(numbers=numbers, counted=counted)


def test_pair_networks_have_the_tables_that_the_paper_counts(tmp_path):
    sizes = {}
    for embedding in ("simple", "attentive"):
        pair_network(embedding).fit(RATINGS, *FEATURES).save(tmp_path / embedding)
        sizes[embedding] = model_size(tmp_path / embedding)
        assert sizes[embedding].counted == "trained"
    # A table of users and one of items, or two of items; beside them biases and the like, no more than 4 numbers a row.
    assert 4 * (7 + 5) <= sizes["simple"].numbers <= (4 + 2) * (7 + 5) + 4
    assert 2 * 4 * 5 <= sizes["attentive"].numbers < 2 * 4 * 5 + 4 * (5 + 7)


def test_what_a_svd_of_a_completed_matrix_keeps(tmp_path):
    fitted = ImputedSVD().fit(RATINGS, *FEATURES)
    fitted.save(tmp_path)
    # No matrix of five columns has a higher rank than five.
    assert model_size(tmp_path).numbers == min(fitted.rank, 5) * (7 + 5) + 5


def test_trees_are_counted_by_their_nodes(tmp_path):
    table = pd.DataFrame({"x": [0.0, 0, 1, 1] * 10})
    rating = np.array([1.0, 1, 5, 5] * 10, dtype="float32")
    config = BoostingConfig(trees=(1,), max_depth=1, min_child_weight=0)
    fit_boosting(table, rating, config, seed=0).save(tmp_path)
    assert stored_numbers(tmp_path) == 3
