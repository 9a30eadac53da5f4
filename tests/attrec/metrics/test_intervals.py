"""The by-user bootstrap: known answers, coverage, and agreement with an exact permutation test."""

from __future__ import annotations

from itertools import product
from statistics import NormalDist
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.special import ndtri, stdtr

from attrec.metrics.intervals import (
    FEWEST_USERS,
    UserSums,
    bootstrap_interval,
    compare_means,
    compare_sums,
    compare_to_best,
    holm,
    intervals,
    mean_interval,
    mean_intervals,
    paired_mean_test,
    paired_test,
    seed_spread,
)
from attrec.metrics.rating import mae, rmse

Array = NDArray[np.float64]


def by_hand(users: Array, errors: Array, drawn: Array) -> float:
    """RMSE of the ratings of the drawn users, each as often as drawn."""
    losses = [np.square(errors[users == user]) for user in drawn]
    return float(np.sqrt(np.concatenate(losses).mean()))


@pytest.fixture
def any_number(monkeypatch: pytest.MonkeyPatch) -> None:
    """However few users there are, an interval is told."""
    monkeypatch.setattr("attrec.metrics.intervals.FEWEST_USERS", 2)


@pytest.mark.usefixtures("any_number")
def test_two_users_give_the_three_possible_resamples() -> None:
    # errors 1 (user 7, one rating) and 3, 3, 3 (user 9): RMSE 1, sqrt(28/4), 3 with chances 1/4, 1/2, 1/4
    truth, predicted = np.zeros(4), np.array([1.0, 3, 3, 3])
    interval = bootstrap_interval([7, 9, 9, 9], truth, predicted, resamples=4000)
    assert interval.value == pytest.approx(np.sqrt(7))
    assert (interval.low, interval.high) == (1, 3)
    half = bootstrap_interval([7, 9, 9, 9], truth, predicted, resamples=4000, level=0.2)
    assert half.low == half.high == pytest.approx(np.sqrt(7))


@pytest.mark.usefixtures("any_number")
def test_a_resample_is_the_mean_over_seeds_of_their_rmse() -> None:
    # Seed one errs by 1 (user 7) and 3 (user 9), seed two never: means of RMSE 0.5, sqrt(5) / 2 and 1.5.
    predicted = np.array([[1.0, 3], [0, 0]])
    interval = bootstrap_interval([7, 9], np.zeros(2), predicted, resamples=400)
    assert (interval.low, interval.value, interval.high) == pytest.approx((0.5, np.sqrt(5) / 2, 1.5))
    test = paired_test([7, 9], np.zeros(2), predicted, np.zeros(2), resamples=400)
    assert (test.low, test.high) == pytest.approx((0.5, 1.5))


@pytest.mark.parametrize(("resamples", "outside"), [(500, 7), (397, 5), (398, 6), (50, 0)])
def test_resamples_are_those_of_whole_users_at_wider_levels(resamples: int, outside: int) -> None:
    rng = np.random.default_rng(3)
    users = np.concatenate([np.arange(25), rng.integers(25, size=80)])
    truth, predicted = rng.normal(size=105), rng.normal(size=105)
    draws = np.random.default_rng(11).integers(25, size=(resamples, 25))
    # Student's 2.5 % point of 24 degrees of freedom is -2.063899, and the normal share below it times sqrt(25 / 24)
    tail = NormalDist().cdf(-2.063899 * np.sqrt(25 / 24))
    assert tail == pytest.approx(0.017582, abs=1e-6)
    # 8.8 of 501, 6.998 of 398, 7.02 of 399, 0.9 of 51: a test by these resamples becomes significant at the ninth, the
    # seventh, the eighth and the first from each end, and the interval ends at the one before, if there is one.
    ordered = sorted(by_hand(users, predicted - truth, row) for row in draws)
    expected = ordered[outside], ordered[-1 - outside]
    interval = bootstrap_interval(users, truth, predicted, resamples=resamples, seed=11)
    assert [interval.low, interval.high] == pytest.approx(list(expected))


def test_value_is_the_metric_and_the_mean_over_seeds() -> None:
    rng = np.random.default_rng(0)
    users, truth = rng.integers(9, size=50), rng.normal(size=50)
    predicted = rng.normal(size=(3, 50))
    assert bootstrap_interval(users, truth, predicted[0]).value == pytest.approx(rmse(truth, predicted[0]))
    several = bootstrap_interval(users, truth, predicted, "mae")
    assert several.value == pytest.approx(np.mean([mae(truth, row) for row in predicted]))


def test_covers_the_true_rmse_about_as_often_as_it_says() -> None:
    rng = np.random.default_rng(5)
    users, worlds, hits = 80, 300, 0
    for world in range(worlds):
        spread = rng.gamma(4, 0.25, size=users)  # users differ in how hard they are: E[spread²] = 1.25
        ratings = rng.integers(5, 40, size=users)
        errors = rng.normal(size=ratings.sum()) * np.repeat(spread, ratings)
        who = np.repeat(np.arange(users), ratings)
        interval = bootstrap_interval(who, np.zeros(errors.size), errors, resamples=400, seed=world)
        hits += interval.low <= np.sqrt(1.25) <= interval.high
    assert 0.89 <= hits / worlds <= 0.98  # rows drawn singly would give about 0.5


@pytest.mark.usefixtures("any_number")
def test_splitting_the_draws_into_pieces_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(2)
    users, truth, predicted = rng.integers(7, size=60), rng.normal(size=60), rng.normal(size=60)
    whole = bootstrap_interval(users, truth, predicted, resamples=300)
    monkeypatch.setattr("attrec.metrics.intervals._DRAWS_AT_ONCE", 20)
    assert bootstrap_interval(users, truth, predicted, resamples=300) == whole


def test_same_seed_same_interval_other_seed_other_interval() -> None:
    rng = np.random.default_rng(2)
    users, truth, predicted = rng.integers(50, size=400), rng.normal(size=400), rng.normal(size=400)
    assert bootstrap_interval(users, truth, predicted) == bootstrap_interval(users, truth, predicted)
    assert bootstrap_interval(users, truth, predicted, seed=1) != bootstrap_interval(users, truth, predicted)


scored = st.lists(st.tuples(st.integers(0, 5), st.floats(1, 5), st.floats(1, 5)), min_size=1, max_size=30)


@pytest.mark.usefixtures("any_number")
@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(scored, st.randoms(use_true_random=False), st.sampled_from(["rmse", "mae"]))
def test_row_order_does_not_matter_and_bounds_are_possible_values(rows, random, metric) -> None:  # type: ignore[no-untyped-def]
    users, truth, predicted = map(np.array, zip(*rows, strict=True))
    interval = bootstrap_interval(users, truth, predicted, metric, resamples=50)
    random.shuffle(rows)
    shuffled = bootstrap_interval(*map(np.array, zip(*rows, strict=True)), metric, resamples=50)
    assert shuffled.value == pytest.approx(interval.value)
    if np.unique(users).size == 1:
        assert np.isnan([interval.low, interval.high]).all()
        return
    assert [shuffled.low, shuffled.high] == pytest.approx([interval.low, interval.high])
    assert interval.low <= interval.high
    assert interval.low >= -1e-12
    assert interval.high <= np.abs(truth - predicted).max() + 1e-12


@pytest.mark.usefixtures("any_number")
def test_text_ids_are_users_too() -> None:
    interval = bootstrap_interval(["b", "a", "b"], [1, 2, 3], [1, 2, 4], resamples=20)
    assert interval == bootstrap_interval([2, 1, 2], [1, 2, 3], [1, 2, 4], resamples=20)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"users": [1, 2]}, "one entry a rating"),
        ({"predicted": [[1, 2]]}, "one entry a rating"),
        ({"users": [1, None, 2]}, "missing"),
        ({"predicted": [1, 2, np.nan]}, "missing or infinite"),
        ({"level": 1.0}, "level"),
        ({"level": 0.0}, "level"),
        ({"resamples": 0}, "resample"),
        ({"users": [], "truth": [], "predicted": []}, "at least one rating"),
    ],
)
def test_refuses_unusable_input(change, message) -> None:  # type: ignore[no-untyped-def]
    good = {"users": [1, 2, 3], "truth": [1, 2, 3], "predicted": [1, 2, 3]}
    with pytest.raises(ValueError, match=message):
        bootstrap_interval(**(good | change))


def two_models(gap: float, seed: int, users: int = 60) -> tuple[Array, Array, Array, Array]:
    rng = np.random.default_rng(seed)
    who = np.repeat(np.arange(users), 15)
    shared = rng.normal(size=who.size) * np.repeat(rng.gamma(4, 0.25, size=users), 15)
    noise_a, noise_b = rng.normal(0, 0.3, size=(2, who.size))
    return who, np.zeros(who.size), shared + noise_a, (1 + gap) * (shared + noise_b)


def test_equal_models_are_equal() -> None:
    users, truth, model, _ = two_models(0, 0)
    test = paired_test(users, truth, model, model)
    assert (test.difference, test.low, test.high, test.p_value) == (0, 0, 0, 1)
    assert not test.significant


def test_sees_a_small_difference_that_single_intervals_cannot() -> None:
    users, truth, better, worse = two_models(0.03, 1)
    single = [bootstrap_interval(users, truth, model) for model in (better, worse)]
    assert single[0].high > single[1].low  # the intervals overlap
    test = paired_test(users, truth, better, worse)
    assert test.significant
    assert test.high < 0
    assert test.difference == pytest.approx(single[0].value - single[1].value)


def test_swapping_the_models_turns_the_sign_and_keeps_p() -> None:
    users, truth, one, other = two_models(0.01, 2)
    forth, back = paired_test(users, truth, one, other), paired_test(users, truth, other, one)
    assert back.difference == -forth.difference
    assert (back.low, back.high) == pytest.approx((-forth.high, -forth.low))
    assert back.p_value == forth.p_value


def test_false_alarms_are_about_as_rare_as_promised() -> None:
    alarms = [paired_test(*two_models(0, seed), resamples=400, seed=seed).significant for seed in range(300)]
    assert 0.01 <= np.mean(alarms) <= 0.1


@pytest.mark.usefixtures("any_number")
def test_agrees_with_the_exact_permutation_test() -> None:
    # MAE with equally many ratings a user: swapping the models of a user flips the sign of his difference
    rng = np.random.default_rng(8)
    users = np.repeat(np.arange(12), 5)
    one = rng.gamma(2, 0.5, size=60)
    other = one + np.repeat(rng.normal(0.12, 0.25, size=12), 5)
    differences = (np.abs(one) - np.abs(other)).reshape(12, 5).mean(axis=1)
    signs = np.array(list(product([-1, 1], repeat=12)))
    exact = np.mean(np.abs(signs @ differences) >= abs(differences.sum()) - 1e-12)
    test = paired_test(users, np.zeros(60), one, other, "mae", resamples=20_000)
    assert 0.01 < exact < 0.3
    assert test.p_value == pytest.approx(exact, abs=0.05)


def test_p_and_interval_agree_about_zero() -> None:
    significant = 0
    for seed in range(300):
        one, other = np.random.default_rng(seed).normal([[0.2], [0]], size=(2, 30))
        test = paired_mean_test(one, other, resamples=399, seed=seed)
        assert test.significant == (test.low > 0 or test.high < 0)
        significant += test.significant
    assert 20 < significant < 280


@pytest.mark.parametrize("users", [1, 2, FEWEST_USERS - 1])
def test_few_users_prove_nothing(users: int) -> None:
    values = np.arange(users) / users
    test, interval = paired_mean_test(values, values - 1), mean_interval(values)
    assert (test.p_value, test.significant) == (1, False)
    assert np.isnan([test.low, test.high, interval.low, interval.high]).all()
    assert interval.value == pytest.approx(values.mean())


@pytest.mark.parametrize("users", [FEWEST_USERS, 30, 100])
def test_as_many_as_are_needed_keep_the_level(users: int) -> None:
    rng, trials = np.random.default_rng(users), 800
    alarms = held = 0
    for trial in range(trials):
        one, other = rng.normal(size=(2, users))
        alarms += paired_mean_test(one, other, resamples=400, seed=trial).significant
        interval = mean_interval(one, resamples=400, seed=trial)
        held += interval.low <= 0 <= interval.high
    # Three standard errors of a share of 5 % in as many trials: percentiles as they are give 7 % of 20.
    assert alarms / trials <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / trials)
    assert alarms / trials >= 0.02
    assert held / trials >= 0.95 - 3 * np.sqrt(0.05 * 0.95 / trials)


def test_compare_to_best_orders_models_and_matches_the_paired_test() -> None:
    users, truth, better, worse = two_models(0.05, 4)
    table = compare_to_best(users, truth, {"worse": worse, "worst": worse * 2, "better": better})
    assert list(table["model"]) == ["worse", "worst"]
    assert set(table["reference"]) == {"better"}
    direct = paired_test(users, truth, worse, better)
    row = table.iloc[0]
    assert (row["difference"], row["ci_low"], row["ci_high"]) == (direct.difference, direct.low, direct.high)
    assert (table["difference"] > 0).all()
    assert table["p_adjusted"].tolist() == holm(table["p_value"].tolist()).tolist()


def test_compare_to_best_of_a_single_model_is_empty_but_typed() -> None:
    table = compare_to_best([1, 2], [1, 2], {"only": [1, 2]})
    assert table.empty
    assert "p_adjusted" in table


def test_holm_by_hand() -> None:
    # sorted .01 .02 .03 .04 times 4 3 2 1 = .04 .06 .06 .04, then never falling
    assert holm([0.03, 0.01, 0.04, 0.02]).tolist() == pytest.approx([0.06, 0.04, 0.06, 0.06])
    assert holm([0.9, 0.8]).tolist() == [1, 1]
    assert holm([]).size == 0


def test_seed_spread_by_hand() -> None:
    # sd of 1, 2, 3 is 1; t(0.975, 2 degrees) = 4.302653
    spread = seed_spread([1, 2, 3])
    assert (spread.mean, spread.sd, spread.seeds) == (2, 1, 3)
    assert spread.high - spread.mean == pytest.approx(4.302653 / 3**0.5, abs=1e-6)
    assert spread.mean - spread.low == pytest.approx(spread.high - spread.mean)


def test_seed_spread_of_two_at_another_level_by_hand() -> None:
    # sd of 1, 5 is sqrt(8); t(0.95, 1 degree) = 6.313752
    spread = seed_spread([1, 5], level=0.9)
    assert (spread.mean, spread.sd, spread.level) == (3, pytest.approx(8**0.5), 0.9)
    assert spread.high - spread.mean == pytest.approx(6.313752 * 2, abs=1e-5)


def test_one_seed_has_no_spread() -> None:
    spread = seed_spread([0.9], level=0.9)
    assert (spread.mean, spread.seeds, spread.level) == (0.9, 1, 0.9)
    assert np.isnan([spread.sd, spread.low, spread.high]).all()
    with pytest.raises(ValueError, match="finite"):
        seed_spread([])


def test_values_of_users_are_a_case_of_ratings() -> None:
    # One rating a user whose absolute error is the value: its MAE is the mean.
    values = np.random.default_rng(7).random((3, 40))
    users, zeros = np.arange(40), np.zeros(40)
    interval = mean_interval(values, seed=3)
    assert interval == bootstrap_interval(users, zeros, values, "mae", seed=3)
    assert interval.value == pytest.approx(values.mean())
    test = paired_mean_test(values, values[0] * 0.9, seed=3)
    assert test == paired_test(users, zeros, values, values[0] * 0.9, "mae", seed=3)


def test_intervals_of_several_metrics_draw_the_same_users() -> None:
    rng = np.random.default_rng(1)
    values = {("a", "hr@10"): rng.random((2, 30)), ("b", "hr@10"): rng.random(30)}
    together = mean_intervals(values)
    for name, rows in values.items():
        alone = mean_interval(rows)
        assert (alone.low, alone.high) == pytest.approx((together[name].low, together[name].high))
    assert mean_intervals({}) == {}


def test_of_values_the_largest_is_the_best() -> None:
    rng = np.random.default_rng(4)
    base = rng.random(200)
    models = {"middle": base + 0.1, "best": base + 0.2, "noisy": base + 0.05 + rng.normal(0, 0.5, 200)}
    table = compare_means(models, "ndcg@10")
    assert list(table["model"]) == sorted(["middle", "noisy"], key=lambda name: -models[name].mean())
    assert set(table["reference"]) == {"best"}
    assert set(table["metric"]) == {"ndcg@10"}
    row = table.set_index("model").loc["middle"]
    assert row[["difference", "ci_low", "ci_high"]].tolist() == pytest.approx([-0.1, -0.1, -0.1])
    # No resample of 2,000 is on the other side of zero.
    smallest = 2 * stdtr(199, ndtri(1 / 2001) * np.sqrt(199 / 200))
    assert row["p_value"] == pytest.approx(smallest)
    assert smallest == pytest.approx(0.00121, abs=2e-5)
    direct = paired_mean_test(models["noisy"], models["best"])
    assert table.set_index("model").loc["noisy", "p_value"] == direct.p_value
    assert table["p_adjusted"].tolist() == holm(table["p_value"].tolist()).tolist()


def test_all_may_be_held_against_one_that_is_not_the_best() -> None:
    rng = np.random.default_rng(4)
    base = rng.random(200)
    models = {"recipe": base, "better": base + 0.1, "noisy": base + rng.normal(0, 0.5, 200)}
    table = compare_means(models, "ndcg@10", "recipe").set_index("model")
    assert set(table["reference"]) == {"recipe"}
    assert set(table.index) == {"better", "noisy"}
    assert table.loc["better", ["difference", "ci_low", "ci_high"]].tolist() == pytest.approx([0.1] * 3)
    assert table.loc["noisy", "p_value"] == paired_mean_test(models["noisy"], models["recipe"]).p_value


def test_options_reach_whatever_draws() -> None:
    values = {name: np.random.default_rng(place).random(40) for place, name in enumerate("abc")}
    options: dict[str, Any] = {"resamples": 60, "level": 0.5, "seed": 9}
    alone = mean_interval(values["a"], **options)
    assert alone == mean_intervals(values, **options)["a"]
    assert alone.level == 0.5
    assert len({mean_interval(values["a"], **{**options, key: given}) for key, given in OTHERS.items()}) == 3
    tables = {
        "ndcg@10": compare_means(values, "ndcg@10", "a", **options),
        "mae": compare_to_best(np.arange(40), np.zeros(40), {**values, "a": np.zeros(40)}, "mae", **options),
    }
    for metric, table in tables.items():
        assert table["metric"].tolist() == [metric, metric]
        held = values["a"] if metric == "ndcg@10" else np.zeros(40)
        for row in table.itertuples():
            test = paired_mean_test(values[str(row.model)], held, **options)
            assert (row.ci_low, row.ci_high, row.p_value) == (test.low, test.high, test.p_value)
            assert (test.users, test.level) == (40, 0.5)


OTHERS = {"resamples": 61, "level": 0.6, "seed": 10}


def test_sums_are_drawn_as_values_are() -> None:
    values = {name: np.random.default_rng(place).random(40) for place, name in enumerate("ab")}
    sums = {name: UserSums.of_values(rows) for name, rows in values.items()}
    assert intervals(sums) == mean_intervals(values)
    pd.testing.assert_frame_equal(compare_sums(sums, "hr@10"), compare_means(values, "hr@10"))


def test_sums_of_some_users_are_scored_on_them_alone() -> None:
    sums = UserSums.of_errors([1, 1, 2, 3], np.zeros(4), [[1, 3, 9, 1], [0, 0, 9, 3]], "rmse")
    some = sums.of_users(np.array([True, False, True]))
    assert some.by_seed().tolist() == pytest.approx([np.sqrt((1 + 9 + 1) / 3), np.sqrt(9 / 3)])


def test_errors_of_single_precision_are_summed_in_double() -> None:
    users, rows = np.arange(30), np.random.default_rng(0).random((2, 30), dtype="float32")
    doubles = rows.astype("float64")
    assert mean_interval(rows) == mean_interval(doubles)
    truth = np.full(30, 0.1)
    assert bootstrap_interval(users, truth.astype("float32"), rows) == bootstrap_interval(
        users, truth.astype("float32").astype("float64"), doubles
    )


@pytest.mark.parametrize("values", [[], [1, np.nan], [[[1.0]]]])
def test_values_must_be_there_and_finite(values) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(ValueError, match="finite"):
        mean_interval(values)


def test_models_must_have_the_same_users() -> None:
    with pytest.raises(ValueError, match="same users"):
        paired_mean_test([1, 2], [1, 2, 3])
    with pytest.raises(ValueError, match="same users"):
        compare_means({"a": [1, 2], "b": [1, 2, 3]}, "hr@10")
