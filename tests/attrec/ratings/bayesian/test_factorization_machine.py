"""Bayesian factorisation machines against hand-computed scores and the predictions of the library that samples them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from pydantic import ValidationError
from scipy import sparse

from attrec.errors import DataError
from attrec.ratings.bayesian.factorization_machine import BayesianFM, BayesianFMConfig
from attrec.ratings.bayesian.fm_gibbs import FMSample, gibbs
from attrec.ratings.bayesian.fm_posterior import Posterior, joined, row_sums
from attrec.ratings.bayesian.recipes import FM_RECIPES
from attrec.ratings.bayesian.relation_blocks import Block, Timeline, entity_block, rated_together
from attrec.ratings.catalogue import Catalogue
from tests.attrec.ratings.contract import RatingContract


def config(**options: object) -> BayesianFMConfig:
    return BayesianFMConfig.model_validate({"rank": 3, "iterations": 30, "burn_in": 10, **options})


@pytest.fixture(scope="session")
def timed(world):
    """The training ratings with moments of their own, and the test pairs likewise."""
    generator = np.random.default_rng(7)
    return tuple(
        part.assign(timestamp=generator.integers(1_000, 2_000, len(part)))
        for part in (world.training, world.test)
    )


def fit(world, model: BayesianFM, ratings: pd.DataFrame | None = None) -> BayesianFM:
    ratings = world.training if ratings is None else ratings
    return model.fit(ratings, world.user_features, world.item_features)


def brute_force_score(w0: float, w: np.ndarray, v: np.ndarray, x: np.ndarray) -> float:
    """Rendle 2010, eq. 1, as it is written."""
    pairs = ((j, k) for j in range(len(x)) for k in range(j + 1, len(x)))
    return float(w0 + w @ x + sum((v[j] @ v[k]) * x[j] * x[k] for j, k in pairs))


def test_score_by_hand() -> None:
    weights, factors = np.array([1.0, -2.0]), np.array([[1.0, 2.0], [3.0, -1.0]])
    user = row_sums(sparse.csr_matrix([[1.0, 0.5]]), weights, factors)
    # linear: 1·1 - 2·½ = 0, and <(1, 2), (3, -1)>·1·½ = ½; total: (1, 2) + ½ (3, -1)
    assert user[0] == pytest.approx([0.5])
    assert user[1] == pytest.approx(np.array([[2.5, 1.5]]))
    item = np.array([0.25]), np.array([[2.0, 1.0]])
    linear, total = joined(user, item)
    assert linear == pytest.approx([0.5 + 0.25 + 2.5 * 2 + 1.5 * 1])
    assert total == pytest.approx(np.array([[4.5, 2.5]]))


def test_posterior_is_the_equation_of_whole_rows() -> None:
    generator = np.random.default_rng(0)
    features = pd.DataFrame(generator.normal(size=(4, 2)))
    codes = np.array([0, 1, 2, 3, 0]), np.array([0, 1, 2, 0, 1])
    rated = rated_together(*codes, (4, 3))
    raters = rated_together(*codes[::-1], (3, 4))
    blocks = [
        entity_block(codes[0], 4, rated, features),
        entity_block(codes[1], 3, raters, None),
        Block(np.arange(5), sparse.csr_matrix(generator.normal(size=(5, 6))), (6,)),
    ]
    widths = [block.rows.shape[1] for block in blocks]
    assert blocks[0].groups == (5, 3, 2)
    assert widths == [10, 8, 6]
    samples = [
        FMSample(
            generator.normal(),
            [generator.normal(size=width) for width in widths],
            [generator.normal(size=(width, 3)) for width in widths],
            np.empty(0),
        )
        for _ in range(2)
    ]
    posterior = Posterior.pooled([Posterior.of_sample(sample, blocks, 3) for sample in samples])
    predicted = posterior.averaged(*codes, blocks[2].rows, None)[:, 0]
    rows = np.hstack([block.rows[block.codes].toarray() for block in blocks])
    expected = [
        np.mean(
            [
                brute_force_score(s.intercept, np.concatenate(s.weights), np.vstack(s.factors), x)
                for s in samples
            ]
        )
        for x in rows
    ]
    assert predicted == pytest.approx(np.array(expected), rel=1e-4)
    # Somebody new who has rated items 0 and 2 is the last row of the user block with these columns filled.
    new = blocks[0].rows[4].toarray()[0]
    new[5:8] = [0.5**0.5, 0, 0.5**0.5]
    history = sparse.csr_matrix(new[None, 5:8])
    x = np.concatenate([new, blocks[1].rows[1].toarray()[0], blocks[2].rows[3].toarray()[0]])
    expected_new = np.mean(
        [brute_force_score(s.intercept, np.concatenate(s.weights), np.vstack(s.factors), x) for s in samples]
    )
    predicted_new = posterior.averaged(np.array([0]), np.array([1]), blocks[2].rows[[3]], history)
    assert predicted_new[0, 0] == pytest.approx(expected_new, rel=1e-4)


def test_rated_columns_weigh_one_over_root_n() -> None:
    rated = rated_together(np.array([0, 0, 2]), np.array([1, 2, 0]), (3, 3)).toarray()
    assert rated == pytest.approx(np.array([[0, 0.5**0.5, 0.5**0.5], [0, 0, 0], [1, 0, 0]]))


@pytest.mark.filterwarnings("ignore:pkg_resources")
@pytest.mark.parametrize("ordered", [False, True])
@pytest.mark.parametrize("time", [False, True])
def test_predictions_are_those_of_the_library(world, timed, ordered: bool, time: bool) -> None:
    """The same chain, sampled and averaged by myFM's own estimators."""
    from myfm import MyFMOrderedProbit, MyFMRegressor, RelationBlock

    training = timed[0]
    model = fit(world, BayesianFM(config(ordered=ordered, time=time, ratings_per_knot=4), seed=5), training)
    encoded = model.catalogue.encode_ratings(training)
    blocks = model._blocks(encoded, training, world.user_features, world.item_features)
    relations = [RelationBlock(block.codes.tolist(), block.rows) for block in blocks]
    library = (MyFMOrderedProbit if ordered else MyFMRegressor)(rank=3, random_seed=5)
    values = np.unique(encoded.values)
    targets = np.searchsorted(values, encoded.values) if ordered else encoded.values
    shapes = [width for block in blocks for width in block.groups]
    library.fit(None, targets, X_rel=relations, n_iter=30, n_kept_samples=20, group_shapes=shapes)
    if ordered:
        probabilities = library.predict_proba(None, relations)
        expected = probabilities @ values
        assert model.probabilities(training) == pytest.approx(probabilities, abs=1e-5)
    else:
        expected = library.predict(None, relations)
    assert model.predict(training) == pytest.approx(np.clip(expected, 1, 5), abs=1e-5)


def test_kept_samples_are_evenly_spaced_over_all_chains(world) -> None:
    assert config(kept_samples=100).kept.tolist() == list(range(10, 30))
    assert config(kept_samples=3).kept.tolist() == [10, 20, 29]
    assert config(kept_samples=4, chains=4).kept.tolist() == [29]
    done: list[tuple[object, ...]] = []
    model = BayesianFM(config(kept_samples=6, chains=2))
    model.fit(
        world.training,
        world.user_features,
        world.item_features,
        progress=lambda *counts: done.append(counts),
    )
    assert len(model.posterior.intercept) == 6
    assert done == [(n + 1, None, None) for n in range(60)]
    assert model.rounds == 60
    first, second = model.posterior.user_total[:3], model.posterior.user_total[3:]
    assert not np.allclose(first, second)


def test_seed_decides(world) -> None:
    one, again, other = (
        fit(world, BayesianFM(config(), seed=seed)).predict(world.test) for seed in (1, 1, 2)
    )
    assert np.array_equal(one, again)
    assert not np.array_equal(one, other)


def test_nothing_but_its_own_inputs_moves_a_fit(world, timed, upside_down) -> None:
    training, test = timed
    plain = BayesianFM(config())
    plain.fit(training, world.user_features, world.item_features, world.validation)
    predicted = plain.predict(test)
    other = BayesianFM(config())
    other.fit(
        training.assign(timestamp=0), world.user_features, world.item_features, upside_down(world.validation)
    )
    shifted = upside_down(test).assign(timestamp=test["timestamp"] + 5_000)
    assert np.array_equal(other.predict(shifted), predicted)

    timely = fit(world, BayesianFM(config(time=True, ratings_per_knot=2)), training)
    assert np.array_equal(timely.predict(upside_down(test)), timely.predict(test))
    assert not np.array_equal(timely.predict(shifted), timely.predict(test))
    # Which pairs are asked for, and when, changes no other prediction.
    assert timely.predict(test[:7]) == pytest.approx(timely.predict(test)[:7], rel=1e-6)


def test_own_rating_is_not_among_the_columns(world, upside_down) -> None:
    """The blocks hold which pairs are rated, never how."""

    def blocks(ratings: pd.DataFrame) -> list[Block]:
        model = BayesianFM(config())
        model.catalogue = Catalogue.of(world.user_features, world.item_features)
        model.timeline = None
        encoded = model.catalogue.encode_ratings(ratings)
        return model._blocks(encoded, ratings, world.user_features, world.item_features)

    for one, other in zip(blocks(world.training), blocks(upside_down(world.training)), strict=True):
        assert (one.rows != other.rows).nnz == 0
        assert np.array_equal(one.codes, other.codes)


def test_timeline_by_hand() -> None:
    # User 0 has rated at 10, 20, 20, 30; user 2 at 20; user 1 never; user 3 is somebody unknown. Knots every 2 ratings.
    users, timestamps = np.array([0, 2, 0, 0, 0]), np.array([20, 20, 10, 30, 20])
    timeline = Timeline.of(users, timestamps, 3, 2)
    assert timeline.knots.tolist() == [4, 2, 2, 2]
    asked = np.array([0, 0, 0, 0, 2, 1]), np.array([5, 10, 20, 99, 20, 20])
    weights = timeline.weights(*asked).toarray()
    expected = np.zeros((6, 10))
    expected[0, 0] = 1  # before all
    expected[1, :2] = 0.75, 0.25  # the first rating: half a rating from the start
    expected[2, 1] = 1  # amid the two at 20: two ratings from the start, on the second knot
    expected[3, 2] = 1  # after all: four ratings
    expected[4, 6:8] = 0.75, 0.25
    expected[5, 4] = 1
    assert weights == pytest.approx(expected)
    mean = timeline.mean_weights(np.array([0, 1, 3])).toarray()
    own = timeline.weights(np.zeros(4, dtype=int), np.array([10, 20, 20, 30])).toarray()
    assert mean[0] == pytest.approx(own.mean(axis=0))
    assert np.flatnonzero(mean[1]).tolist() == [4]
    assert np.flatnonzero(mean[2]).tolist() == [8]


def test_bursts_of_high_and_low_ratings_are_followed(world) -> None:
    """Each user's ratings are high in the first half of their time and low in the second, whatever the item."""
    generator = np.random.default_rng(1)
    users = np.repeat(world.user_features.index.to_numpy(), 18)
    items = np.tile(world.item_features.index.to_numpy(), 24)
    timestamps = generator.permutation(len(users))
    late = timestamps > pd.Series(timestamps).groupby(users).transform("median")
    rating = np.where(late, 2, 4) + generator.choice([-1, 1], len(users)) * 0.5
    table = pd.DataFrame(
        {"user_id": users, "item_id": items, "rating": rating.astype("float32"), "timestamp": timestamps}
    )
    held_out = generator.random(len(table)) < 0.2
    errors = {}
    for time in (False, True):
        options = config(time=time, ratings_per_knot=4, iterations=100, side_features=False)
        predicted = fit(world, BayesianFM(options), table[~held_out]).predict(table[held_out])
        errors[time] = float(np.sqrt(np.mean((predicted - table["rating"][held_out]) ** 2)))
    assert errors[True] < 0.8 < 0.95 < errors[False]


def test_model_of_moments_is_saved_and_serves_without_them(world, timed, tmp_path: Path) -> None:
    training, test = timed
    model = fit(world, BayesianFM(config(time=True)), training)
    model.save(tmp_path)
    loaded = BayesianFM.load(tmp_path)
    assert np.array_equal(loaded.predict(test), model.predict(test))
    untimed = test.drop(columns="timestamp")
    assert np.array_equal(loaded.predict(untimed), model.predict(untimed))
    assert np.isfinite(model.predict(untimed)).all()
    history = pd.DataFrame({"user_id": 9001, "item_id": world.item_features.index[:3], "rating": [5.0, 5, 4]})
    assert len(model.recommend(9001, 4, history=history)) == 4
    with pytest.raises(DataError, match="timestamp of every rating"):
        fit(world, BayesianFM(config(time=True)))


def test_new_users_keep_their_level(world) -> None:
    model = fit(world, BayesianFM(config()))
    items = world.item_features.index
    generous, strict = (
        pd.DataFrame({"user_id": 9001, "item_id": items[:10], "rating": [rating] * 10})
        for rating in (5.0, 1.0)
    )
    asked = pd.DataFrame({"user_id": 9001, "item_id": items[10:]})
    assert (model.predict(asked, generous) > model.predict(asked, strict) + 1).all()
    # An item rated twice counts once, with the later rating.
    twice = pd.concat([strict, generous])
    assert model.predict(asked, twice) == pytest.approx(model.predict(asked, generous))
    elsewhere = generous.assign(item_id="nowhere")
    assert np.array_equal(model.predict(asked, elsewhere), model.predict(asked))


def test_columns_that_no_rating_has_take_the_mean_of_their_prior() -> None:
    """The last of three columns occurs in no rating; its prior is learned from the others."""
    block = entity_block(np.tile([0, 1], 200), 2, None, None)
    targets = np.tile([2.0, 2.2], 200)
    samples: list[FMSample] = []
    gibbs([block], targets, None, 2, 200, 0, lambda _, sample: samples.append(sample))
    drawn = np.array([sample.weights[0] for sample in samples[50:]])
    assert block.seen.tolist() == [True, True, False]
    assert abs(drawn[:, 2].mean() - drawn[:, :2].mean()) < 0.3
    level = np.mean([sample.intercept + sample.weights[0][0] for sample in samples[50:]])
    assert level == pytest.approx(2.0, abs=0.1)


def test_impossible_settings_are_clear_errors(world) -> None:
    with pytest.raises(ValidationError, match="no sample is left"):
        config(iterations=10, burn_in=10)
    model = BayesianFM(config(ordered=True))
    with pytest.raises(DataError, match="2 to 20 rating values"):
        fit(world, model, world.training.assign(rating=3.0))
    gaussian = fit(world, BayesianFM(config()))
    with pytest.raises(DataError, match="no class probabilities"):
        gaussian.probabilities(world.test)
    ordered = fit(world, BayesianFM(config(ordered=True)))
    assert ordered.probabilities(world.test).sum(axis=1) == pytest.approx(np.ones(len(world.test)))
    with pytest.raises(DataError, match="known users and items"):
        ordered.probabilities(world.test.assign(user_id=-1))


def test_recipes_differ_in_time_alone() -> None:
    small, timely = FM_RECIPES["small"], FM_RECIPES["small+time"]
    assert not small.time
    assert timely == small.model_copy(update={"time": True})
    assert not FM_RECIPES["large"].time


def contract_config(**options: object) -> BayesianFMConfig:
    return BayesianFMConfig.model_validate({"rank": 3, "iterations": 60, "burn_in": 10, **options})


class TestBayesianFM(RatingContract):
    model = BayesianFM
    configs = {
        "bayesian FM": contract_config(chains=2, kept_samples=60),
        "bayesian FM ordered": contract_config(ordered=True),
        "bayesian FM+time": contract_config(time=True, ratings_per_knot=4),
        "bayesian FM of ids": contract_config(
            implicit_users=False, implicit_items=False, side_features=False
        ),
    }
