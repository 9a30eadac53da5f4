"""Blend weights against known answers, and that nobody's own rating weighs on the blend's held-out prediction."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from attrec.models.training import TrainingConfig
from attrec.ratings.baselines import GlobalMean, UserItemBias
from attrec.ratings.blend import Blend, BlendConfig, BlendWeights, fit_weights
from attrec.ratings.pairs.model import NeuralCF, PairNetworkConfig
from tests.attrec.ratings.contract import RatingContract, pair_config

RNG = np.random.default_rng(0)
USERS = np.repeat(np.arange(100), 20)
SIGNAL = RNG.normal(3, 1, (3, 2000))
TRUTH = np.clip(0.6 * SIGNAL[0] + 0.3 * SIGNAL[1] + 0.2 + RNG.normal(0, 0.01, 2000), -10, 10)
RANGE = float(TRUTH.min()), float(TRUTH.max())
MEMBERS = dict(zip("abc", SIGNAL, strict=True))


def test_weights_of_a_known_combination_are_found() -> None:
    weights, held_out = fit_weights(MEMBERS, TRUTH, USERS, RANGE, BlendConfig())
    np.testing.assert_allclose(weights.weights, [0.6, 0.3, 0.0], atol=1e-3)
    assert weights.intercept == pytest.approx(0.2, abs=5e-3)
    assert np.sqrt(np.mean((held_out - TRUTH) ** 2)) < 0.0105


def test_plain_mean_learns_nothing() -> None:
    weights, held_out = fit_weights(MEMBERS, TRUTH, USERS, RANGE, BlendConfig(weights="mean"))
    np.testing.assert_allclose(weights.weights, 1 / 3)
    np.testing.assert_allclose(held_out, np.clip(SIGNAL.mean(0), TRUTH.min(), TRUTH.max()))


def test_strong_ridge_draws_to_equal_weights() -> None:
    weights, _ = fit_weights(MEMBERS, TRUTH, USERS, RANGE, BlendConfig(ridges=(1e6,)))
    np.testing.assert_allclose(weights.weights, 1 / 3, atol=1e-4)


def test_equal_members_share_a_weight() -> None:
    weights, _ = fit_weights({"a": SIGNAL[0], "b": SIGNAL[0]}, SIGNAL[0], USERS, RANGE, BlendConfig())
    np.testing.assert_allclose(weights.weights, 0.5, atol=1e-6)


def test_a_users_ratings_do_not_reach_their_own_held_out_predictions() -> None:
    _, before = fit_weights(MEMBERS, TRUTH, USERS, RANGE, BlendConfig(ridges=(1e-3,)))
    changed = np.where(USERS == 7, TRUTH.min() + TRUTH.max() - TRUTH, TRUTH)
    _, after = fit_weights(MEMBERS, changed, USERS, RANGE, BlendConfig(ridges=(1e-3,)))
    assert np.array_equal(before[USERS == 7], after[USERS == 7])
    assert not np.array_equal(before, after)


def test_combination_stays_on_the_rating_scale_and_survives_json() -> None:
    weights = BlendWeights(("a", "b"), np.array([2.0, -0.5]), 0.25, (1.0, 5.0))
    again = BlendWeights.from_json(weights.to_json())
    predictions = {"b": np.array([1.0, 1.0, 4.0]), "a": np.array([1.0, 4.0, 1.0])}
    np.testing.assert_allclose(again.combine(predictions), [1.75, 5.0, 1.0])


@pytest.mark.parametrize("rated", [1, 2])
def test_what_tells_nothing_of_the_members_leaves_them_equal(rated: int) -> None:
    alike = {name: np.full(rated, values[0]) for name, values in MEMBERS.items()}
    weights, _ = fit_weights(alike, np.full(rated, 3.0), USERS[:rated], RANGE, BlendConfig())
    np.testing.assert_allclose(weights.weights, 1 / 3)
    np.testing.assert_allclose(weights.combine(alike), 3)


def test_one_user_alone_can_be_blended() -> None:
    weights, held_out = fit_weights(MEMBERS, TRUTH, np.zeros(2000), RANGE, BlendConfig())
    assert np.isfinite(held_out).all()
    assert np.isfinite(weights.weights).all()


def test_blend_is_the_combination_of_its_members(world, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    tables = world.training, world.user_features, world.item_features
    members = {"mean": GlobalMean().fit(*tables), "bias": UserItemBias().fit(*tables, world.validation)}
    blend = Blend.of(members, BlendWeights(("mean", "bias"), np.array([0.25, 0.75]), 0.1, (1.0, 5.0)))
    blend.adopt_catalogue()
    expected = 0.25 * members["mean"].predict(world.test) + 0.75 * members["bias"].predict(world.test) + 0.1
    np.testing.assert_allclose(blend.predict(world.test), np.clip(expected, 1, 5))
    blend.save(tmp_path)
    assert np.array_equal(Blend.load(tmp_path).predict(world.test), blend.predict(world.test))


def test_a_blend_is_explained_by_the_attentive_member_of_the_largest_weight(world: Any) -> None:
    tables = world.training, world.user_features, world.item_features
    config = PairNetworkConfig(head="inner", dimension=4, training=TrainingConfig(epochs=1))
    light, heavy = NeuralCF(config, seed=0).fit(*tables), NeuralCF(config, seed=1).fit(*tables)
    members = {"light": light, "bias": UserItemBias().fit(*tables, world.validation), "heavy": heavy}
    # In an order of their own, and with equal weights beside: neither order nor equality says which member it is.
    weights = BlendWeights(("bias", "heavy", "light"), np.array([0.5, 0.3, 0.2]), 0.0, (1.0, 5.0))
    blend = Blend.of(members, weights).adopt_catalogue()
    assert blend.attentive_member() == ("heavy", 0.3, heavy)
    user, item = world.training[["user_id", "item_id"]].iloc[0]
    pd.testing.assert_frame_equal(blend.explain(user, item), heavy.explain(user, item))
    assert not blend.explain(user, item).equals(light.explain(user, item))
    even = Blend.of(members, BlendWeights(weights.members, np.full(3, 1 / 3), 0.0, (1.0, 5.0)))
    assert even.attentive_member().name in ("heavy", "light")


class TestBlend(RatingContract):
    model = Blend
    configs = {"blend": None}
    learns = False

    @classmethod
    def make(cls, config):
        members = {"bias": UserItemBias(), "attentive": NeuralCF(pair_config("attentive", "inner"), seed=3)}
        weights = BlendWeights(tuple(members), np.array([0.5, 0.5]), 0.0, (1.0, 5.0))
        return Blend.of(members, weights, config)

    @classmethod
    def tell(cls, model, fitted):
        """Its weights are given; its members choose."""
        for name, member in fitted.members.items():
            super().tell(model.members[name], member)
