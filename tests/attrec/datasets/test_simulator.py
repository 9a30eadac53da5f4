"""The simulated world: reproducible, shaped like MovieLens 100K, and honest about its noise floor."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from pydantic import ValidationError

from attrec.datasets.simulator import SimulatorConfig, expected_rating, simulate
from attrec.datasets.tables import Tables

SMALL = SimulatorConfig(n_users=60, n_items=120, n_ratings=2000, seed=5)


@pytest.fixture(scope="module")
def default() -> Tables:
    return simulate(SimulatorConfig())


def assert_equal(a: Tables, b: Tables) -> None:
    for name in ("ratings", "users", "items", "truth"):
        pd.testing.assert_frame_equal(getattr(a, name), getattr(b, name))


def test_equal_configurations_give_equal_tables() -> None:
    assert_equal(simulate(SMALL), simulate(SMALL))


def test_seeds_give_different_worlds() -> None:
    other = simulate(SMALL.model_copy(update={"seed": 6}))
    assert not simulate(SMALL).ratings["rating"].equals(other.ratings["rating"])
    assert not simulate(SMALL).items["title"].equals(other.items["title"])


@pytest.mark.parametrize("mean", [0.2, 1.5, 3.3, 4.9, 6.0])
@pytest.mark.parametrize("noise", [0.3, 0.85])
def test_expected_rating_is_the_mean_of_the_draws(mean: float, noise: float) -> None:
    rng = np.random.default_rng(0)
    draws = np.clip(np.rint(mean + rng.normal(0, noise, 400_000)), 1, 5)
    assert expected_rating(np.array([mean]), noise)[0] == pytest.approx(draws.mean(), abs=5e-3)


def test_expected_rating_by_hand() -> None:
    # At 3 the chances of passing 1½ and 4½, and 2½ and 3½, mirror each other: 1 + 1 + 1 = 3.
    assert expected_rating(np.array([3.0]), 0.7)[0] == pytest.approx(3.0)
    # Without noise to speak of the rating is the rounded mean.
    assert expected_rating(np.array([4.2]), 1e-6)[0] == pytest.approx(4.0)


def test_truth_is_aligned_and_unbiased(default: Tables) -> None:
    truth = default.truth
    assert truth is not None
    pd.testing.assert_frame_equal(truth[["user_id", "item_id"]], default.ratings[["user_id", "item_id"]])
    residual = default.ratings["rating"].to_numpy(float) - truth["expected"].to_numpy(float)
    assert abs(residual.mean()) < 0.01
    # What is left is noise: it says nothing about the user, the item or the expectation itself.
    assert abs(np.corrcoef(residual, truth["expected"])[0, 1]) < 0.01
    by_user = pd.Series(residual).groupby(truth["user_id"]).agg(["mean", "std", "size"])
    assert (by_user["mean"] / (by_user["std"] / np.sqrt(by_user["size"]))).std() == pytest.approx(1, abs=0.1)


def test_no_pair_twice_and_every_id_known(default: Tables) -> None:
    assert not default.ratings.duplicated(["user_id", "item_id"]).any()
    assert default.ratings["user_id"].isin(default.users["user_id"]).all()
    assert default.ratings["item_id"].isin(default.items["item_id"]).all()
    assert default.users["user_id"].is_unique
    assert default.items["title"].is_unique


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_resembles_movielens_100k(seed: int) -> None:
    tables = simulate(SimulatorConfig(seed=seed))
    ratings = tables.ratings["rating"].to_numpy(float)
    assert (len(ratings), len(tables.users), len(tables.items)) == (100_000, 943, 1682)
    assert ratings.mean() == pytest.approx(3.53, abs=0.12)
    assert ratings.std() == pytest.approx(1.126, abs=0.04)
    assert set(ratings) == {1, 2, 3, 4, 5}
    of_user = tables.ratings.groupby("user_id").size()
    assert of_user.min() >= 20
    assert of_user.median() == pytest.approx(65, abs=8)
    assert of_user.max() > 600
    of_item = tables.ratings.groupby("item_id").size()
    assert of_item.median() == pytest.approx(35, abs=10)
    assert 450 < of_item.max() < 900
    # The well-known are better liked: what is rated is no random sample.
    quality = tables.ratings.groupby("item_id")["rating"].mean()
    assert np.corrcoef(np.log(of_item), quality)[0, 1] > 0.3
    assert tables.users["age"].between(7, 73).all()
    assert tables.items["year"].between(1922, 1998).all()
    assert (tables.items["genres"].str.len() >= 1).all()


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_there_is_room_between_bias_model_and_noise_floor(seed: int) -> None:
    tables = simulate(SimulatorConfig(seed=seed))
    assert tables.truth is not None
    rating = tables.ratings["rating"].to_numpy(float)
    floor = np.sqrt(np.mean((rating - tables.truth["expected"].to_numpy(float)) ** 2))
    assert 0.80 < floor < 0.85
    assert 0.93 < _rmse_of_biases(tables.ratings) < 0.97


def _rmse_of_biases(ratings: pd.DataFrame) -> float:
    """Test RMSE of μ + b_u + b_i, shrunk, alternating, on a random fifth."""
    user, item = ratings["user_id"].to_numpy() - 1, ratings["item_id"].to_numpy() - 1
    rating = ratings["rating"].to_numpy(float)
    test = np.random.default_rng(1).random(len(rating)) < 0.2
    u, i, r = user[~test], item[~test], rating[~test]
    mean, b_u, b_i = r.mean(), np.zeros(user.max() + 1), np.zeros(item.max() + 1)
    for _ in range(10):
        b_i = np.bincount(i, r - mean - b_u[u], len(b_i)) / (np.bincount(i, minlength=len(b_i)) + 5)
        b_u = np.bincount(u, r - mean - b_i[i], len(b_u)) / (np.bincount(u, minlength=len(b_u)) + 8)
    predicted = np.clip(mean + b_u[user[test]] + b_i[item[test]], 1, 5)
    return float(np.sqrt(np.mean((predicted - rating[test]) ** 2)))


def test_taste_depends_on_demographics() -> None:
    """With taste alone at work, the genres that men and women prefer differ by more than chance."""
    config = SimulatorConfig(user_bias=0, item_bias=0, drift=0, noise=0.05, selection=0)
    tables = simulate(config)
    joined = tables.ratings.merge(tables.users, on="user_id").merge(tables.items, on="item_id")
    joined["genre"] = joined["genres"].str[0]
    table = joined.groupby(["genre", "gender"])["rating"].agg(["mean", "sem"]).unstack()
    gap = table["mean"]["F"] - table["mean"]["M"]
    error = np.hypot(table["sem"]["F"], table["sem"]["M"])
    assert (gap.abs() > 5 * error).sum() >= 4


def test_franchises_share_their_character() -> None:
    tables = simulate(SimulatorConfig(n_items=3000, n_ratings=20_000))
    name = tables.items["title"].str.replace(r"( [IV]+)? \(\d+\)$", "", regex=True)
    sizes = name.value_counts()
    assert (sizes > 1).sum() > 50
    assert sizes.max() <= 7
    in_franchise = tables.items[name.isin(sizes.index[sizes > 1])].assign(name=name)
    assert (in_franchise["genres"].map(tuple).groupby(in_franchise["name"]).nunique() == 1).all()


def test_times_lie_in_the_period_and_in_order(default: Tables) -> None:
    seconds = default.ratings["timestamp"]
    assert seconds.max() - seconds.min() <= 215 * 86_400
    later = default.ratings.groupby("user_id")["timestamp"].diff().dropna()
    assert (later > 0).all()


def test_the_last_actions_have_ranks_and_no_others(default: Tables) -> None:
    assert default.truth is not None
    ranked = default.truth[default.truth["rank"].notna()]
    last = default.ratings.groupby("user_id").tail(1)
    pd.testing.assert_frame_equal(ranked[["user_id", "item_id"]], last[["user_id", "item_id"]])
    assert ranked["rank"].between(1, 1682).all()
    few = simulate(SMALL.model_copy(update={"truth_users": 7})).truth
    assert few is not None
    assert few["rank"].notna().sum() == 7


def test_a_film_with_a_next_part_is_often_followed_by_it() -> None:
    def followed(series: float) -> float:
        tables = simulate(SimulatorConfig(series=series))
        name = tables.items["title"].str.replace(r"( [IV]+)? \(\d+\)$", "", regex=True)
        of_item = tables.ratings["item_id"].map(pd.Series(name.to_numpy(), index=tables.items["item_id"]))
        again = (of_item == of_item.shift()) & (
            tables.ratings["user_id"] == tables.ratings["user_id"].shift()
        )
        return float(again.mean())

    assert followed(0.0) < 0.02
    assert 0.05 < followed(0.7) < 0.3


def test_sittings_stay_with_genres() -> None:
    """Two films in a row are of one genre far more often than where there are no themes."""

    def share(theme: float) -> float:
        tables = simulate(SimulatorConfig(theme=theme, series=0.0))
        genres = tables.items.set_index("item_id")["genres"].map(lambda names: names[0])
        first = tables.ratings["item_id"].map(genres)
        return float((first == first.shift()).mean())

    assert share(0.85) > 2 * share(0.0)


@pytest.mark.parametrize(
    ("n_users", "n_items", "n_ratings"), [(2, 20, 2), (2, 20, 18), (50, 20, 450), (1000, 40, 1000)]
)
def test_extreme_shapes(n_users: int, n_items: int, n_ratings: int) -> None:
    tables = simulate(SimulatorConfig(n_users=n_users, n_items=n_items, n_ratings=n_ratings))
    assert len(tables.ratings) == n_ratings
    assert not tables.ratings.duplicated(["user_id", "item_id"]).any()


def test_blocks_of_users_are_all_filled(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("attrec.datasets.simulator._RATINGS_A_BLOCK", 150)
    tables = simulate(SMALL)
    assert len(tables.ratings) == 2000
    assert tables.ratings["user_id"].is_monotonic_increasing
    assert tables.ratings["user_id"].nunique() == 60
    assert not tables.ratings.duplicated(["user_id", "item_id"]).any()


@pytest.mark.parametrize(
    "config",
    [
        {"n_users": 1},
        {"noise": 0},
        {"n_users": 10, "n_items": 20, "n_ratings": 91},
        {"n_users": 1000, "n_ratings": 999},
        {"users": 3},
        {"series": 1.1},
        {"theme": -0.1},
        {"series": 1},
        {"theme": 1, "theme_change": 0},
        {"n_items": 100_000, "days": 1},
    ],
)
def test_config_refuses_nonsense(config: dict[str, int]) -> None:
    with pytest.raises(ValidationError):
        SimulatorConfig(**config)  # type: ignore[arg-type]
