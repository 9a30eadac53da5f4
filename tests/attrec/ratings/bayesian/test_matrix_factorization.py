"""Bayesian matrix factorisation: predictions by hand, newcomers, and what a rating pattern tells."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
from pydantic import ValidationError
from scipy.special import ndtr

from attrec.errors import DataError
from attrec.metrics.top_lists import TopLists
from attrec.ratings.bayesian.matrix_factorization import BayesianMF, BayesianMFConfig, Gaussian
from tests.attrec.ratings.contract import RatingContract


def config(**options: object) -> BayesianMFConfig:
    return BayesianMFConfig.model_validate({"rank": 3, "iterations": 40, "burn_in": 20, **options})


def fit(world, **options: object) -> BayesianMF:
    return BayesianMF(config(**options)).fit(world.training, world.user_features, world.item_features)


def test_kept_samples_are_evenly_spaced(world) -> None:
    assert config(kept_samples=100).kept.tolist() == list(range(20, 40))
    assert config(kept_samples=3).kept.tolist() == [20, 30, 39]
    done: list[tuple[object, ...]] = []
    assert config(kept_samples=4, chains=4).kept.tolist() == [39]
    model = BayesianMF(config(kept_samples=6, chains=2))
    model.fit(
        world.training, world.user_features, world.item_features, progress=lambda *own: done.append(own)
    )
    assert model.posterior.users.shape == (6, 24, 4)
    assert done == [(n + 1, None, None) for n in range(80)]
    assert model.rounds == 80
    first, second = model.posterior.users[:3], model.posterior.users[3:]
    assert not torch.allclose(first, second)
    # The first chain is the only one of a model with one.
    alone = BayesianMF(config(kept_samples=3)).fit(world.training, world.user_features, world.item_features)
    assert torch.equal(alone.posterior.users, first)


def test_prediction_is_the_mean_over_the_samples(world) -> None:
    model = fit(world, kept_samples=5)
    users, items = model.catalogue.encode(world.test)
    shares = []
    for sample in model.posterior:
        u, i, cutpoints = sample.users[users].numpy(), sample.items[items].numpy(), sample.cutpoints.numpy()
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


def test_precision_of_gaussian_noise_is_drawn_from_its_conditional() -> None:
    """Gamma((1 + n) / 2, (1 + Σ error²) / 2): mean 3 / 5.5 of five ratings with a squared error of 10 in all."""
    response = Gaussian(torch.tensor([1.0, -1.0, 2.0, 0.0, 2.0], dtype=torch.float64))
    numbers, drawn = np.random.default_rng(0), []
    for _ in range(8_000):
        response.draw(torch.zeros(5), torch.Generator(), numbers)
        drawn.append(response.precision)
    assert np.mean(drawn) == pytest.approx(3 / 5.5, abs=0.01)
    assert np.var(drawn) == pytest.approx(3 / 5.5**2, abs=0.01)


def test_features_that_say_nothing_do_not_stop_newcomers(world) -> None:
    nothing = world.user_features * 0
    model = BayesianMF(config(implicit_users=False)).fit(world.training, nothing, world.item_features)
    history = pd.DataFrame({"user_id": 9001, "item_id": world.item_features.index[:3], "rating": [5.0, 5, 4]})
    asked = history.assign(item_id=world.item_features.index[-3:])
    assert np.isfinite(model.predict(asked, history)).all()


def test_units_of_features_do_not_matter(world) -> None:
    plain = fit(world, implicit_users=False, implicit_items=False)
    stretched = BayesianMF(config(implicit_users=False, implicit_items=False)).fit(
        world.training, world.user_features * 100, world.item_features * 2_000
    )
    assert stretched.predict(world.test) == pytest.approx(plain.predict(world.test), abs=0.02)


def test_features_tell_the_taste_of_those_with_few_ratings(world) -> None:
    """A user's feature is their camp: with three ratings each it says more than the ratings do."""
    few = world.training.groupby("user_id").head(3)
    errors = {}
    for side_features in (True, False):
        options = config(
            iterations=200,
            burn_in=50,
            implicit_users=False,
            implicit_items=False,
            side_features=side_features,
        )
        model = BayesianMF(options).fit(few, world.user_features, world.item_features)
        errors[side_features] = np.sqrt(np.mean((model.predict(world.test) - world.test["rating"]) ** 2))
    assert errors[True] < 0.9 * errors[False]


@pytest.mark.parametrize("side", ["users", "items"])
def test_who_has_rated_what_tells_of_both_sides(side: str) -> None:
    """Everybody rates ten items of their own kind and one other; those of half of the users are all given 4.

    With the sides exchanged, users stand for items. The same pattern tells the taste of a newcomer who gives all 4.
    """
    numbers = np.random.default_rng(0)
    kind, own = np.arange(200) % 2, np.arange(60) % 2
    rows = [
        (one, other, float(numbers.choice([4, 5]) if own[other] == kind[one] else numbers.choice([1, 2])))
        for one in range(200)
        for other in np.concatenate(
            [
                numbers.choice(np.flatnonzero(own == kind[one]), 10, replace=False),
                numbers.choice(np.flatnonzero(own != kind[one]), 1),
            ]
        )
    ]
    columns = ["user_id", "item_id"] if side == "users" else ["item_id", "user_id"]
    ratings = pd.DataFrame(rows, columns=[*columns, "rating"])
    ratings.loc[ratings[columns[0]] >= 100, "rating"] = 4.0
    asked = pd.DataFrame([(one, other) for one in range(100, 200) for other in range(60)], columns=columns)
    liked = own[asked[columns[1]]] == kind[asked[columns[0]]]
    sizes = {columns[0]: 200, columns[1]: 60}
    features = [pd.DataFrame(index=pd.RangeIndex(sizes[name], name=name)) for name in ("user_id", "item_id")]
    history = pd.DataFrame({"user_id": 9001, "item_id": np.arange(0, 20, 2), "rating": 4.0})
    distances, of_newcomer = {}, {}
    for implicit in (True, False):
        told = {f"implicit_{side}": implicit, f"implicit_{'items' if side == 'users' else 'users'}": False}
        model = BayesianMF(config(iterations=120, burn_in=40, **told)).fit(ratings, *features)
        predicted = model.predict(asked)
        distances[implicit] = predicted[liked].mean() - predicted[~liked].mean()
        if side == "users":
            new = model.predict(pd.DataFrame({"user_id": 9001, "item_id": np.arange(20, 60)}), history)
            of_newcomer[implicit] = new[::2].mean() - new[1::2].mean()
    assert distances[True] > 0.15 > 0.1 > distances[False]
    if side == "users":
        assert of_newcomer[True] > of_newcomer[False] + 0.1


def test_impossible_settings_are_clear_errors(world) -> None:
    with pytest.raises(ValidationError, match="no sample is left"):
        config(iterations=10, burn_in=10)
    with pytest.raises(DataError, match="2 to 20 rating values"):
        BayesianMF(config()).fit(world.training.assign(rating=3.0), world.user_features, world.item_features)
    with pytest.raises(DataError, match="known users and items"):
        fit(world).probabilities(world.test.assign(user_id=-1))


def contract_config(**options: object) -> BayesianMFConfig:
    return BayesianMFConfig.model_validate({"rank": 3, "iterations": 60, "burn_in": 20, **options})


class TestBayesianMF(RatingContract):
    model = BayesianMF
    configs = {
        "bayesian MF": contract_config(),
        "bayesian MF of a Gaussian": contract_config(ordered=False, implicit_items=False),
        "bayesian MF of ids": contract_config(
            implicit_users=False, implicit_items=False, side_features=False
        ),
    }


@pytest.mark.parametrize("spread", [0.0, 0.5, 3.0])
def test_the_best_are_those_that_scoring_every_item_finds(spread: float, monkeypatch) -> None:
    """However little the samples agree, and without scoring every item where they do."""
    rng = np.random.default_rng(0)
    pairs = rng.choice(40 * 600, 6_000, replace=False)
    ratings = pd.DataFrame({"user_id": pairs // 600, "item_id": pairs % 600})
    taste = (
        rng.standard_normal((40, 2))[ratings["user_id"]] * rng.standard_normal((600, 2))[ratings["item_id"]]
    )
    ratings["rating"] = np.clip(np.round(2 * (3 + taste.sum(axis=1))) / 2, 0.5, 5).astype("float32")
    features = [pd.DataFrame(index=pd.RangeIndex(count)) for count in (40, 600)]
    model = BayesianMF(config(side_features=False)).fit(ratings, *features)
    noise = torch.randn(model.posterior.items.shape, generator=torch.Generator().manual_seed(0))
    model.posterior = replace(model.posterior, items=model.posterior.items + spread * noise)
    users, scored = np.arange(40), [0]
    rescored = model._rescored

    def counted(users: np.ndarray, items: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        scored[0] += items.numel()
        return rescored(users, items)

    monkeypatch.setattr(model, "_rescored", counted)
    for seen in (None, rng.random((40, 600)) < 0.3, rng.random((40, 600)) < 0.999):
        every = TopLists.best(model.score_known(users), 5, seen)
        scored[0] = 0
        found = model.best_known(users, 5, seen)
        assert np.array_equal(found.codes, every.codes)
        there = every.codes >= 0
        np.testing.assert_allclose(found.scores[there], every.scores[there], rtol=1e-6)
        assert spread or scored[0] < 0.4 * 40 * 600
