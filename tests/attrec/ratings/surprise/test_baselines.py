"""The known answer is the library itself: its own `predict`, a pair at a time, after its own fit."""

from __future__ import annotations

import inspect
import sys
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pandas as pd
import pytest
import surprise
from pydantic import ValidationError
from scipy.stats import kstest

from attrec.errors import ParamsError, TrainingDiverged
from attrec.ratings.surprise.baselines import Algorithm, SurpriseBaseline, SurpriseConfig, as_trainset
from attrec.ratings.surprise.neighbours import Neighbours
from tests.attrec.ratings.contract import RatingContract

SEED = 5
KNN = ["KNNBasic", "KNNWithMeans", "KNNWithZScore", "KNNBaseline"]
OPTIONS: list[tuple[str, dict[str, Any]]] = [
    *((algorithm, {}) for algorithm in get_args(Algorithm) if algorithm != "NormalPredictor"),
    ("BaselineOnly", {"bsl_options": {"method": "sgd", "n_epochs": 5}}),
    ("SVD", {"biased": False, "n_factors": 4, "init_mean": 1}),
    ("NMF", {"biased": True}),
    ("SVDpp", {"n_factors": 3, "n_epochs": 4}),
    ("CoClustering", {"n_cltr_u": 2, "n_cltr_i": 4}),
    *(
        (algorithm, {"k": 5, "min_k": min_k, "sim_options": {"name": name, **similar}})
        for algorithm in KNN
        for name in ("msd", "cosine", "pearson", "pearson_baseline")
        for min_k, similar in (
            (1, {"user_based": True, "min_support": 3}),
            (3, {"user_based": False, "shrinkage": 10}),
        )
    ),
]


def drawn(values: np.ndarray) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """Ratings of 40 users and 30 items in random order, many of them equal; the last of both are never rated."""
    generator = np.random.default_rng(0)
    user, item = np.nonzero(generator.random((39, 29)) < 0.3)
    order = generator.permutation(len(user))
    ratings = pd.DataFrame({"user_id": 7 * user[order], "item_id": item[order] + 100})
    ratings["rating"] = generator.choice(values, len(ratings)).astype("float32")
    users = pd.DataFrame(index=pd.Index(7 * np.arange(40), name="user_id"))
    return ratings, users, pd.DataFrame(index=pd.Index(np.arange(30) + 100, name="item_id"))


STARS = drawn(np.arange(1.0, 6.0))
HALF_STARS = drawn(np.arange(0.5, 5.5, 0.5))


def fit_in_order(
    algorithm: str, options: dict[str, Any], data: tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]
) -> SurpriseBaseline:
    config = SurpriseConfig.model_validate({"algorithm": algorithm, "options": options, "shuffle": False})
    return SurpriseBaseline(config, SEED).fit(*data)


def every_known_pair(ratings: pd.DataFrame) -> pd.DataFrame:
    users, items = ratings["user_id"].unique(), ratings["item_id"].unique()
    return pd.MultiIndex.from_product([users, items], names=["user_id", "item_id"]).to_frame(index=False)


def by_the_library(
    algorithm: str, options: dict[str, Any], ratings: pd.DataFrame, pairs: pd.DataFrame
) -> np.ndarray:
    reader = surprise.Reader(rating_scale=(ratings["rating"].min(), ratings["rating"].max()))
    trainset = surprise.Dataset.load_from_df(ratings, reader).build_full_trainset()
    kind = getattr(surprise, algorithm)
    accepted = inspect.signature(kind).parameters
    given = {n: v for n, v in {"random_state": SEED, "verbose": False}.items() if n in accepted}
    fitted = kind(**options, **given).fit(trainset)
    return np.array([fitted.predict(*pair).est for pair in pairs.itertuples(index=False)])


@pytest.mark.parametrize(("algorithm", "options"), OPTIONS)
def test_predictions_are_those_of_the_library(algorithm: str, options: dict[str, Any]) -> None:
    ratings = STARS[0]
    pairs = every_known_pair(ratings)
    model = fit_in_order(algorithm, options, STARS)
    expected = by_the_library(algorithm, options, ratings, pairs)
    np.testing.assert_allclose(model.predict(pairs), expected, rtol=1e-9)
    assert expected.std() > 0.05


@pytest.mark.parametrize("algorithm", [*KNN, "SVD", "NMF", "BaselineOnly"])
def test_half_stars_are_predicted_as_by_the_library(algorithm: str) -> None:
    ratings = HALF_STARS[0]
    pairs = every_known_pair(ratings)
    model = fit_in_order(algorithm, {}, HALF_STARS)
    np.testing.assert_allclose(model.predict(pairs), by_the_library(algorithm, {}, ratings, pairs), rtol=1e-9)


@pytest.mark.parametrize("algorithm", ["SlopeOne", "CoClustering"])
def test_half_stars_are_not_cut_off(algorithm: str) -> None:
    """In units of half stars the ratings are whole, and there the library is right."""
    ratings = HALF_STARS[0]
    pairs = every_known_pair(ratings)
    model = fit_in_order(algorithm, {}, HALF_STARS)
    doubled = ratings.assign(rating=2 * ratings["rating"])
    expected = by_the_library(algorithm, {}, doubled, pairs) / 2
    np.testing.assert_allclose(model.predict(pairs), expected, rtol=1e-9)
    assert not np.allclose(by_the_library(algorithm, {}, ratings, pairs), expected, atol=0.05)


@pytest.mark.parametrize("algorithm", ["SVD", "SVDpp", "NMF", "CoClustering"])
def test_shuffled_is_the_library_on_shuffled_rows(algorithm: str) -> None:
    ratings, users, items = STARS
    pairs = every_known_pair(ratings)
    config = SurpriseConfig.model_validate({"algorithm": algorithm})
    predicted = SurpriseBaseline(config, SEED).fit(ratings, users, items).predict(pairs)
    shuffled = ratings.iloc[np.random.default_rng(SEED).permutation(len(ratings))]
    np.testing.assert_allclose(predicted, by_the_library(algorithm, {}, shuffled, pairs), rtol=1e-9)
    assert not np.allclose(predicted, by_the_library(algorithm, {}, ratings, pairs), rtol=1e-4)


def test_slope_one_by_hand() -> None:
    """Lemire & Maclachlan 2005, figure 1: A gave I 1 and J 1.5, B gave I 2; so J of B is 2 + (1.5 - 1)."""
    ratings = pd.DataFrame(
        {"user_id": ["A", "A", "B"], "item_id": ["I", "J", "I"], "rating": [1.0, 1.5, 2.0]}
    )
    users, items = pd.DataFrame(index=["A", "B"]), pd.DataFrame(index=["I", "J"])
    model = SurpriseBaseline(SurpriseConfig(algorithm="SlopeOne")).fit(ratings, users, items)
    # 2.5 lies past the highest rating.
    assert model.fitted.predict(np.array([1]), np.array([1])) == pytest.approx(2.5)
    assert model.predict(pd.DataFrame({"user_id": ["B"], "item_id": ["J"]})) == 2.0


def test_normal_draws_follow_the_ratings_and_hang_on_pair_and_seed_alone() -> None:
    ratings, users, items = STARS
    config = SurpriseConfig(algorithm="NormalPredictor")
    draws = SurpriseBaseline(config, seed=1).fit(ratings, users, items).fitted
    user, item = (codes.ravel() for codes in np.mgrid[:300, :300])
    drawn_once = draws.predict(user, item)
    values = ratings["rating"].astype("float64")
    assert kstest(drawn_once, "norm", (values.mean(), values.std(ddof=0))).pvalue > 0.01
    assert kstest(drawn_once[user == 7], "norm", (values.mean(), values.std(ddof=0))).pvalue > 0.01
    other = SurpriseBaseline(config, seed=2).fit(ratings, users, items).fitted.predict(user, item)
    square = drawn_once.reshape(300, 300)
    for unlike in (other.reshape(300, 300), square.T, np.roll(square, 1, 0), np.roll(square, 1, 1)):
        assert abs(np.corrcoef(square.ravel(), unlike.ravel())[0, 1]) < 0.02
    assert np.array_equal(draws.predict(user[::-1], item[::-1]), drawn_once[::-1])


def test_a_seed_changes_what_is_random_and_nothing_else() -> None:
    ratings, users, items = STARS
    pairs = every_known_pair(ratings)

    def same(algorithm: str) -> bool:
        config = SurpriseConfig.model_validate({"algorithm": algorithm})
        one, two = (
            SurpriseBaseline(config, seed).fit(ratings, users, items).predict(pairs) for seed in (1, 2)
        )
        return np.allclose(one, two, rtol=1e-9)

    random = {algorithm for algorithm in get_args(Algorithm) if not same(algorithm)}
    assert random == {"NormalPredictor", "SVD", "SVDpp", "NMF", "CoClustering"}


@pytest.mark.parametrize("algorithm", get_args(Algorithm))
def test_who_has_no_rating_is_predicted_by_biases(algorithm: str) -> None:
    ratings, users, items = STARS
    config = SurpriseConfig(algorithm=algorithm)
    model = SurpriseBaseline(config).fit(ratings, users, items)
    pairs = pd.DataFrame({"user_id": [273, 0, -5, 9001], "item_id": [100, 129, 100, 100]})
    history = pd.DataFrame({"user_id": 9001, "item_id": [101, 102], "rating": [5.0, 5.0]})
    predicted = model.predict(pairs, history)
    assert np.array_equal(predicted, model.biases.predict(pairs, history))
    assert predicted[3] > predicted[2] == predicted[0]


@pytest.mark.parametrize("at_once", [1, 100])
def test_neighbours_do_not_depend_on_how_many_similarities_fit(at_once: int, monkeypatch) -> None:  # type: ignore[no-untyped-def]
    ratings, users, items = STARS
    pairs = every_known_pair(ratings)
    model = SurpriseBaseline(SurpriseConfig(algorithm="KNNBasic")).fit(ratings, users, items)
    assert isinstance(model.fitted, Neighbours)
    expected = model.predict(pairs)
    monkeypatch.setattr("attrec.ratings.surprise.neighbours.SIMILARITIES_AT_ONCE", at_once)
    np.testing.assert_allclose(model.predict(pairs), expected, rtol=1e-12)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"factors": 3}, "SVD has no option 'factors'; its options are: biased, init_mean"),
        ({"random_state": 3}, "SVD has no option 'random_state'"),
        ({"sim_options": {}}, "SVD has no option 'sim_options'"),
    ],
)
def test_an_unknown_option_is_named(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        SurpriseConfig(algorithm="SVD", options=options)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"sim_options": None}, "option sim_options of KNNBasic must hold `name: value` pairs, not be None"),
        (
            {"sim_options": {"name": 3}},
            "option sim_options.name of KNNBasic must be 'msd', 'cosine', 'pearson'",
        ),
        ({"sim_options": {"name": "jaccard"}}, "or 'pearson_baseline', not 'jaccard'"),
        ({"sim_options": {"based": "user"}}, "KNNBasic has no option 'sim_options.based'"),
        (
            {"sim_options": {"user_based": "no"}},
            "option sim_options.user_based of KNNBasic must be a valid boolean",
        ),
        (
            {"sim_options": {"min_support": 0}},
            "sim_options.min_support of KNNBasic must be greater than or equal",
        ),
        (
            {"sim_options": {"shrinkage": float("nan")}},
            "option sim_options.shrinkage of KNNBasic must be a finite",
        ),
        ({"k": "many"}, "option k of KNNBasic must be a valid integer, not 'many'"),
        ({"k": 0}, "option k of KNNBasic must be greater than or equal to 1, not 0"),
        ({"k": True}, "option k of KNNBasic must be a valid integer, not True"),
        ({"min_k": "x"}, "option min_k of KNNBasic must be a valid integer, not 'x'"),
        ({"min_k": None}, "option min_k of KNNBasic must be a valid integer, not None"),
        ({"bsl_options": None}, "option bsl_options of KNNBasic must hold `name: value` pairs, not be None"),
        (
            {"bsl_options": {"method": "newton"}},
            "bsl_options.method of KNNBasic must be 'als' or 'sgd', not 'newton'",
        ),
        (
            {"bsl_options": {"method": ["als"]}},
            "option bsl_options.method of KNNBasic must be 'als' or 'sgd'",
        ),
        ({"bsl_options": {"epochs": 3}}, "KNNBasic has no option 'bsl_options.epochs'"),
    ],
)
def test_an_option_that_does_not_fit_is_named(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError) as caught:
        SurpriseConfig(algorithm="KNNBasic", options=options)
    [fault] = caught.value.errors()
    assert fault["type"] == "value_error"
    assert message in fault["msg"]
    assert "\n" not in fault["msg"]


def test_similarities_may_be_named_in_capitals() -> None:
    ratings = STARS[0]
    pairs = every_known_pair(ratings)
    large, small = (
        fit_in_order("KNNBasic", {"sim_options": {"name": name}}, STARS) for name in ("Pearson", "pearson")
    )
    assert np.array_equal(large.predict(pairs), small.predict(pairs))


def test_what_the_library_cannot_fit_is_a_clear_error() -> None:
    with pytest.raises(ParamsError, match=r"NMF cannot be fitted with the options .*: init_low should be"):
        fit_in_order("NMF", {"init_low": -1}, STARS)
    with pytest.raises(ParamsError, match=r"SVD cannot be fitted with the options .*'many'"):
        fit_in_order("SVD", {"n_factors": "many"}, STARS)
    with pytest.raises(TrainingDiverged, match=r"SVD diverged with the options .*: lower its learning rates"):
        fit_in_order("SVD", {"lr_all": 50.0}, STARS)


def test_a_saved_model_predicts_without_the_library(tmp_path: Path, monkeypatch) -> None:  # type: ignore[no-untyped-def]
    ratings, users, items = STARS
    pairs = every_known_pair(ratings)
    model = SurpriseBaseline(SurpriseConfig(algorithm="SVD")).fit(ratings, users, items)
    model.save(tmp_path)
    monkeypatch.setitem(sys.modules, "surprise", None)
    assert np.array_equal(SurpriseBaseline.load(tmp_path).predict(pairs), model.predict(pairs))


def test_a_trainset_has_our_codes() -> None:
    ratings, users, items = STARS
    model = SurpriseBaseline(SurpriseConfig(algorithm="BaselineOnly")).fit(ratings, users, items)
    encoded = model.catalogue.encode_ratings(ratings)
    trainset = as_trainset(encoded)
    back = {(trainset.to_raw_uid(u), trainset.to_raw_iid(i), r) for u, i, r in trainset.all_ratings()}
    assert back == set(zip(encoded.users, encoded.items, encoded.values.astype("float64"), strict=True))


class TestSurprise(RatingContract):
    model = SurpriseBaseline
    configs = {algorithm: SurpriseConfig(algorithm=algorithm) for algorithm in get_args(Algorithm)}
    learns = False
