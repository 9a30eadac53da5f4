"""What every split must keep, whatever the ratings; and the shapes that are promised."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from attrec.datasets.registry import load_dataset, official_test_pairs
from attrec.datasets.simulator import SimulatorConfig, simulate
from attrec.errors import DataError, ParamsError
from attrec.prepare.rating_splits import SplitConfig, make_split, split_hash, split_summary

SIMULATED = simulate(SimulatorConfig(n_users=80, n_items=150, n_ratings=3000)).ratings


@st.composite
def ratings_tables(draw: st.DrawFn) -> pd.DataFrame:
    """Distinct pairs in any order, users with one rating among them, ids whole or textual."""
    pairs = draw(
        st.lists(st.tuples(st.integers(0, 12), st.integers(0, 12)), min_size=30, max_size=90, unique=True)
    )
    frame = pd.DataFrame(pairs, columns=["user_id", "item_id"])
    if draw(st.booleans()):
        frame = frame.astype(str)
    return frame.assign(rating=3.0)


CONFIGS = st.builds(
    SplitConfig,
    name=st.sampled_from(["random", "kfold", "default"]),
    validation=st.sampled_from(["auto", "random", "u1-shaped", "none"]),
    test_fraction=st.sampled_from([0.1, 0.3]),
    validation_fraction=st.sampled_from([0.1, 0.3]),
    n_folds=st.just(4),
    fold=st.integers(0, 3),
    seed=st.integers(0, 5),
    validation_seed=st.integers(0, 5),
)


def split_or_reject(ratings: pd.DataFrame, config: SplitConfig) -> pd.DataFrame | None:
    try:
        return make_split(ratings, config)
    except DataError:
        return None  # too few ratings for a part


@settings(max_examples=60)
@given(ratings_tables(), CONFIGS)
def test_every_split_keeps_its_promises(ratings: pd.DataFrame, config: SplitConfig) -> None:
    split = split_or_reject(ratings, config)
    if split is None:
        return
    pd.testing.assert_frame_equal(split[["user_id", "item_id"]], ratings[["user_id", "item_id"]])
    parts = {"train", "test"} if config.validation == "none" else {"train", "validation", "test"}
    assert set(split["part"]) == parts
    # Everyone keeps a training rating, so nobody is tested without having been seen.
    assert set(split.loc[split["part"] == "train", "user_id"]) == set(ratings["user_id"])
    # Whatever is drawn for validation, the test part is the same.
    for change in ({"validation_seed": 99}, {"validation": "u1-shaped"}, {"validation_fraction": 0.2}):
        other = split_or_reject(ratings, config.model_copy(update=change))
        if other is not None:
            assert ((other["part"] == "test") == (split["part"] == "test")).all()


@settings(max_examples=40)
@given(ratings_tables(), CONFIGS, st.randoms(use_true_random=False))
def test_order_of_rows_and_values_of_ratings_do_not_matter(
    ratings: pd.DataFrame, config: SplitConfig, random: Any
) -> None:
    split = split_or_reject(ratings, config)
    if split is None:
        return
    order = random.sample(range(len(ratings)), len(ratings))
    shuffled = make_split(ratings.iloc[order].assign(rating=1.0), config)
    expected = split.iloc[order].reset_index(drop=True)
    pd.testing.assert_frame_equal(shuffled, expected)
    assert split_hash(shuffled) == split_hash(split)


@settings(max_examples=40)
@given(ratings_tables(), st.integers(0, 5), st.integers(2, 5))
def test_kfold_tests_every_rating_once_and_deals_evenly(ratings: pd.DataFrame, seed: int, k: int) -> None:
    tested = np.zeros(len(ratings), dtype=int)
    for fold in range(k):
        config = SplitConfig(name="kfold", n_folds=k, fold=fold, seed=seed, validation="none")
        split = split_or_reject(ratings, config)
        if split is None:
            return
        mask = (split["part"] == "test").to_numpy()
        tested += mask
        per_user = pd.Series(mask).groupby(ratings["user_id"]).agg(["sum", "size"])
        many = per_user[per_user["size"] > 1]
        assert many["sum"].between(many["size"] // k, -(-many["size"] // k)).all()
    alone = ratings.groupby("user_id")["item_id"].transform("size") == 1
    assert (tested == np.where(alone, 0, 1)).all()


def test_kfolds_are_of_about_one_size() -> None:
    sizes = []
    for fold in range(10):
        split = make_split(SIMULATED, SplitConfig(name="kfold", fold=fold))
        sizes.append(int((split["part"] == "test").sum()))
    assert sum(sizes) == len(SIMULATED)
    assert max(sizes) - min(sizes) < 40


def test_random_fractions() -> None:
    config = SplitConfig(name="random", test_fraction=0.25, validation_fraction=0.1)
    summary = split_summary(make_split(SIMULATED, config))
    assert summary["test_ratings"] == 750
    assert summary["validation_ratings"] == 225
    assert summary["train_ratings"] == 2025


def test_u1_shaped_validation() -> None:
    split = make_split(SIMULATED, SplitConfig(name="random", validation="u1-shaped"))
    training = split[split["part"] != "test"]
    held_out = (training["part"] == "validation").groupby(training["user_id"]).agg(["sum", "size"])
    chosen = held_out[held_out["sum"] > 0]
    assert len(chosen) == 40
    assert chosen["sum"].sum() == pytest.approx(0.38 * chosen["size"].sum(), abs=1)


def test_seeds_draw_different_parts() -> None:
    one = make_split(SIMULATED, SplitConfig(name="random"))
    for change in ({"seed": 1}, {"validation_seed": 1}):
        other = make_split(SIMULATED, SplitConfig(name="random").model_copy(update=change))
        assert split_hash(other) != split_hash(one)


@pytest.mark.parametrize(
    ("options", "digest"),
    [
        ({}, "289739a84ca9"),
        ({"name": "kfold", "n_folds": 3, "fold": 1}, "d12160b97243"),
        ({"validation": "u1-shaped", "seed": 4, "validation_seed": 2}, "ca0d35fbc232"),
    ],
)
def test_draws_are_those_of_every_earlier_version(options: dict[str, Any], digest: str) -> None:
    """Figures are comparable with those of an earlier version as long as the split and its hash stay."""
    pairs = [(user, item) for user in range(6) for item in range(user, 10)]
    split = make_split(
        pd.DataFrame(pairs, columns=["user_id", "item_id"]), SplitConfig(**{"name": "random", **options})
    )
    assert split_hash(split)[:12] == digest


def test_textual_ids_have_their_own_hash() -> None:
    pairs = [(user, item) for user in range(6) for item in range(user, 10)]
    split = make_split(pd.DataFrame(pairs, columns=["user_id", "item_id"]).astype(str), SplitConfig())
    assert split_hash(split)[:12] == "c5a47ae26708"


def test_sizes_by_hand() -> None:
    rows = [
        (1, 10, "train"), (1, 20, "train"), (2, 10, "train"), (3, 30, "validation"), (1, 30, "validation"),
        (2, 20, "validation"), (4, 40, "test"), (5, 10, "test"), (1, 40, "test"), (1, 30, "test"),
    ]  # fmt: skip
    assert split_summary(pd.DataFrame(rows, columns=["user_id", "item_id", "part"])) == {
        "train_ratings": 3,
        "validation_ratings": 3,
        "test_ratings": 4,
        "train_users": 2,
        "validation_users": 3,
        "test_users": 3,
        "validation_ratings_of_unseen_users": 1,
        "validation_ratings_of_unseen_items": 2,
        "test_ratings_of_unseen_users": 2,
        "test_ratings_of_unseen_items": 3,
    }


def test_hash_sees_a_single_change() -> None:
    split = make_split(SIMULATED, SplitConfig(name="random"))
    changed = split.copy()
    row = changed.index[changed["part"] == "train"][0]
    changed.loc[row, "part"] = "test"
    assert split_hash(changed) != split_hash(split)
    assert split_hash(split.iloc[::-1]) == split_hash(split)
    assert split_hash(split.assign(part=split["part"].astype("category"))) == split_hash(split)


def test_published_pairs_are_the_test_part() -> None:
    pairs = SIMULATED[["user_id", "item_id"]].iloc[::7]
    dropped = pd.DataFrame({"user_id": [10**6], "item_id": [1]})
    for name in ("u2", "default"):
        split = make_split(SIMULATED, SplitConfig(name=name), pd.concat([dropped, pairs]))  # type: ignore[arg-type]
        tested = split.loc[split["part"] == "test", ["user_id", "item_id"]].reset_index(drop=True)
        pd.testing.assert_frame_equal(tested, pairs.reset_index(drop=True))


def test_item_nobody_rated_in_training_is_allowed_and_counted() -> None:
    ratings = pd.DataFrame({"user_id": [1, 1, 1, 2, 2, 2], "item_id": [1, 2, 9, 1, 2, 3], "rating": 3.0})
    pairs = pd.DataFrame({"user_id": [1, 2], "item_id": [9, 1]})
    split = make_split(ratings, SplitConfig(name="u1", validation="none"), pairs)
    assert split_summary(split)["test_ratings_of_unseen_items"] == 1
    assert split_summary(split)["test_ratings_of_unseen_users"] == 0


def test_names_resolve() -> None:
    assert SplitConfig().resolved_name(("u1", "u2")) == "u1"
    assert SplitConfig().resolved_name(()) == "random"
    assert SplitConfig().resolved_name((), "kfold") == "kfold"
    assert SplitConfig().resolved_name(("u1",), "kfold") == "u1"
    assert SplitConfig(name="ua").resolved_name(("u1", "ua")) == "ua"
    with pytest.raises(ParamsError, match="no published split 'u3'"):
        SplitConfig(name="u3").resolved_name(())
    assert SplitConfig().resolved_validation("u1") == "u1-shaped"
    assert SplitConfig().resolved_validation("ua") == "random"


def test_what_cannot_be_split() -> None:
    with pytest.raises(ParamsError, match="'u1' is published for ml-100k only"):
        make_split(SIMULATED, SplitConfig(name="u1"))
    with pytest.raises(DataError, match="twice"):
        make_split(pd.concat([SIMULATED, SIMULATED[:1]]), SplitConfig())
    alone = pd.DataFrame({"user_id": [1, 2, 3], "item_id": [1, 2, 3], "rating": 3.0})
    with pytest.raises(DataError, match="test part of the split is empty"):
        make_split(alone, SplitConfig(name="random"))


@pytest.mark.parametrize(
    "config", [{"name": "u6"}, {"test_fraction": 1.0}, {"fold": 10}, {"n_folds": 1}, {"folds": 3}]
)
def test_config_refuses_nonsense(config: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        SplitConfig(**config)


@pytest.mark.realdata
def test_real_u1(data_dir: Path) -> None:
    ratings = load_dataset("ml-100k", data_dir=data_dir).ratings
    split = make_split(ratings, SplitConfig(), official_test_pairs("ml-100k", "u1", data_dir))
    summary = split_summary(split)
    assert summary["test_ratings"] == 20_000
    assert summary["test_users"] == 459
    assert summary["validation_users"] == 472
    assert 0.17 < summary["validation_ratings"] / 80_000 < 0.21
