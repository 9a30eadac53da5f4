"""The shares of a neighbourhood model, by hand."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from attrec.errors import DataError
from attrec.ratings.baselines import Biases
from attrec.ratings.neighbourhoods import residuals as functions
from attrec.ratings.neighbourhoods.model import ResidualNeighbours, ResidualNeighboursConfig
from attrec.ratings.neighbourhoods.residuals import neighbour_residuals
from tests.attrec.ratings.contract import RatingContract


def test_a_prediction_is_the_biases_and_the_shares_of_four_residuals(world) -> None:
    config = ResidualNeighboursConfig(
        fit_shares=False,
        intercept=0.1,
        bias=0.9,
        correlated_items=0.5,
        corated_items=0.4,
        correlated_users=0.3,
        corated_users=0.2,
    )
    model = ResidualNeighbours(config).fit(
        world.training, world.user_features, world.item_features, world.validation
    )
    encoded = model.catalogue.encode_ratings(world.training)
    biases = Biases.fit(encoded, 5.0, 5.0)
    left = neighbour_residuals(encoded, encoded.values - biases.predict(encoded.users, encoded.items))
    users, items = model.catalogue.encode(world.test)
    expected = biases.mean + 0.1 + 0.9 * (biases.user[users] + biases.item[items])
    names = [f"{kind} {side}' residual" for side in ("items", "users") for kind in ("correlated", "co-rated")]
    for share, name in zip((0.5, 0.4, 0.3, 0.2), names, strict=True):
        expected += share * left[name][users, items]
    np.testing.assert_allclose(model.predict(world.test), expected.clip(1, 5), rtol=1e-5)


def test_shares_are_fitted_without_validation_and_the_final_fit_keeps_them(world, upside_down) -> None:
    features = world.user_features, world.item_features
    model = ResidualNeighbours().fit(world.training, *features, world.validation)
    fixed = ResidualNeighbours(ResidualNeighboursConfig(fit_shares=False)).fit(world.training, *features)

    def loss(fitted: ResidualNeighbours) -> float:
        return float(np.mean((fitted.predict(world.validation) - world.validation["rating"]) ** 2))

    assert loss(model) < loss(fixed)
    unseen = ResidualNeighbours().fit(world.training, *features, upside_down(world.validation))
    np.testing.assert_array_equal(unseen.shares, model.shares)
    chosen = model.chosen_config()
    final = ResidualNeighbours(chosen).fit(
        pd.concat([world.training, world.validation]), world.user_features, world.item_features
    )
    np.testing.assert_array_equal(final.shares, model.shares)
    assert final.chosen_config() == chosen


def test_where_there_is_nothing_to_learn_the_shares_shrink() -> None:
    """Matrices that knew the ratings which shares are fitted on would earn large ones by chance alone."""
    rng = np.random.default_rng(1)
    pairs = [(user, item) for user in range(40) for item in range(30) if rng.random() < 0.5]
    noise = pd.DataFrame(pairs, columns=["user_id", "item_id"]).assign(rating=rng.integers(1, 6, len(pairs)))
    start = ResidualNeighboursConfig()
    chosen = ResidualNeighbours().fit(noise).chosen_config()
    assert chosen.bias < start.bias / 2
    assert chosen.correlated_items < start.correlated_items / 2
    assert chosen.correlated_users < start.correlated_users / 2


def test_too_many_to_compare_is_a_clear_error(world, monkeypatch) -> None:
    monkeypatch.setattr(functions, "MOST_ENTITIES", 10)
    with pytest.raises(DataError, match="too many to compare"):
        ResidualNeighbours().fit(world.training, world.user_features, world.item_features)


class TestResidualNeighbours(RatingContract):
    model = ResidualNeighbours
    configs = {"residual-neighbours": None}
