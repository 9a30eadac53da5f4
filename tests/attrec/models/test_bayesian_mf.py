"""Bayesian matrix factorisation: predictions by hand, newcomers, and what a rating pattern tells."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from pydantic import ValidationError
from scipy.special import ndtr

from attrec.errors import DataError
from attrec.models.bayesian_mf import BayesianMF, BayesianMFConfig


def config(**options: object) -> BayesianMFConfig:
    return BayesianMFConfig.model_validate({"rank": 3, "iterations": 40, "burn_in": 20, **options})


def fit(world, **options: object) -> BayesianMF:  # type: ignore[no-untyped-def]
    return BayesianMF(config(**options)).fit(world.training, world.user_features, world.item_features)


def test_kept_samples_are_evenly_spaced(world) -> None:
    assert config(kept_samples=100).kept == set(range(20, 40))
    assert config(kept_samples=3).kept == {20, 30, 39}
    done: list[tuple[int, int]] = []
    assert config(kept_samples=4, chains=4).kept == {39}
    model = BayesianMF(config(kept_samples=6, chains=2))
    model.fit(
        world.training, world.user_features, world.item_features, progress=lambda *own: done.append(own)
    )
    assert model.posterior.users.shape == (6, 24, 4)
    assert done == [(n + 1, 80) for n in range(80)]
    first, second = model.posterior.users[:3], model.posterior.users[3:]
    assert not np.allclose(first, second)
    # The first chain is the only one of a model with one.
    alone = BayesianMF(config(kept_samples=3)).fit(world.training, world.user_features, world.item_features)
    assert np.array_equal(alone.posterior.users, first)


def test_prediction_is_the_mean_over_the_samples(world) -> None:
    model = fit(world, kept_samples=5)
    users, items = model.catalogue.encode(world.test)
    shares = []
    for user, item, cutpoints in zip(
        model.posterior.users, model.posterior.items, model.posterior.cutpoints, strict=True
    ):
        u, i = user[users], item[items]
        score = (u[:, :3] * i[:, :3]).sum(axis=1) + u[:, 3] + i[:, 3]
        below = ndtr(cutpoints - score[:, None])
        shares.append(np.diff(below, axis=1, prepend=0, append=1))
    expected = np.mean(shares, axis=0)
    assert model.values == sorted(world.training["rating"].unique())
    assert model.probabilities(world.test) == pytest.approx(expected, abs=1e-5)
    assert model.predict(world.test) == pytest.approx(expected @ model.values, abs=1e-4)


def test_gaussian_is_in_rating_units(world) -> None:
    """Ratings stretched and moved are predicted stretched and moved."""
    plain = fit(world, ordered=False)
    moved = world.training.assign(rating=world.training["rating"] * 10 + 50)
    model = BayesianMF(config(ordered=False)).fit(moved, world.user_features, world.item_features)
    assert model.predict(world.test) == pytest.approx(plain.predict(world.test) * 10 + 50, abs=0.05)
    with pytest.raises(DataError, match="no class probabilities"):
        plain.probabilities(world.test)


@pytest.mark.parametrize("ordered", [True, False])
def test_a_newcomer_with_the_ratings_of_somebody_known_is_predicted_alike(world, ordered: bool) -> None:
    model = fit(world, ordered=ordered, iterations=150, burn_in=50)
    known = world.training["user_id"].mode()[0]
    history = world.training[world.training["user_id"] == known].assign(user_id=9001)
    asked = pd.DataFrame({"user_id": known, "item_id": world.item_features.index})
    mine = model.predict(asked)
    theirs = model.predict(asked.assign(user_id=9001), history)
    assert np.sqrt(np.mean((mine - theirs) ** 2)) < 0.35
    opposite = history.assign(rating=6 - history["rating"])
    assert np.corrcoef(mine, model.predict(asked.assign(user_id=9001), opposite))[0, 1] < -0.5


def test_newcomers_keep_their_level_and_their_last_word(world) -> None:
    model = fit(world)
    items = world.item_features.index
    generous, strict = (
        pd.DataFrame({"user_id": 9001, "item_id": items[:10], "rating": [rating] * 10})
        for rating in (5.0, 1.0)
    )
    asked = pd.DataFrame({"user_id": 9001, "item_id": items[10:]})
    assert (model.predict(asked, generous) > model.predict(asked, strict) + 1).all()
    twice = pd.concat([strict, generous])
    assert model.predict(asked, twice) == pytest.approx(model.predict(asked, generous))
    elsewhere = generous.assign(item_id="nowhere")
    assert np.array_equal(model.predict(asked, elsewhere), model.predict(asked))
    # A value that training never had is the nearest one that it had.
    between = model.predict(asked, generous.assign(rating=4.9))
    assert between == pytest.approx(model.predict(asked, generous))


def test_what_somebody_has_rated_tells_their_taste() -> None:
    """Everybody rates ten items of their own kind and one other; those of half of the users are all given 4."""
    numbers = np.random.default_rng(0)
    kind, own = np.arange(200) % 2, np.arange(60) % 2
    rows = [
        (user, item, float(numbers.choice([4, 5]) if own[item] == kind[user] else numbers.choice([1, 2])))
        for user in range(200)
        for item in np.concatenate(
            [
                numbers.choice(np.flatnonzero(own == kind[user]), 10, replace=False),
                numbers.choice(np.flatnonzero(own != kind[user]), 1),
            ]
        )
    ]
    ratings = pd.DataFrame(rows, columns=["user_id", "item_id", "rating"])
    ratings.loc[ratings["user_id"] >= 100, "rating"] = 4.0
    features = (
        pd.DataFrame(index=pd.RangeIndex(200, name="user_id")),
        pd.DataFrame(index=pd.RangeIndex(60, name="item_id")),
    )
    unrated = pd.DataFrame(
        [(user, item) for user in range(100, 200) for item in range(60)], columns=["user_id", "item_id"]
    )
    liked = own[unrated["item_id"]] == kind[unrated["user_id"]]
    distances = {}
    for implicit in (True, False):
        options = config(iterations=120, burn_in=40, implicit_users=implicit, implicit_items=False)
        predicted = BayesianMF(options).fit(ratings, *features).predict(unrated)
        distances[implicit] = predicted[liked].mean() - predicted[~liked].mean()
    assert distances[True] > 0.15 > 0.1 > distances[False]


def test_impossible_settings_are_clear_errors(world) -> None:
    with pytest.raises(ValidationError, match="no sample is left"):
        config(iterations=10, burn_in=10)
    with pytest.raises(DataError, match="2 to 20 rating values"):
        BayesianMF(config()).fit(world.training.assign(rating=3.0), world.user_features, world.item_features)
    with pytest.raises(DataError, match="known users and items"):
        fit(world).probabilities(world.test.assign(user_id=-1))
