"""Sequences and their splits: a worked example, exact partitions, order, and no way from a test target into a fit."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from attrec.errors import DataError, ParamsError
from attrec.prepare.sequence_splits import (
    PRESETS,
    SequenceConfig,
    SequenceSplit,
    SequenceSplitConfig,
    ordered_actions,
    split_sequences,
)

PARTS = ("actions", "validation", "test_histories", "test")
LEAVE_ONE_OUT = SequenceSplitConfig()
TEMPORAL = SequenceSplitConfig(name="temporal", validation_fraction=0.2, test_fraction=0.2)

# user, item, rating, timestamp; user 2 did b and c in one moment, user 3 too little.
ROWS = [
    (2, "c", 5, 30), (1, "a", 5, 10), (2, "b", 3, 20), (1, "d", 4, 50), (2, "c", 4, 20),
    (1, "b", 2, 20), (3, "a", 5, 5), (1, "c", 5, 40), (3, "e", 5, 60), (2, "a", 5, 10),
]  # fmt: skip
EXAMPLE = pd.DataFrame(ROWS, columns=["user_id", "item_id", "rating", "timestamp"])


def pairs(frame: pd.DataFrame) -> list[tuple[Any, Any]]:
    return list(frame[["user_id", "item_id"]].itertuples(index=False, name=None))


def by_user(frame: pd.DataFrame) -> dict[Any, list[Any]]:
    return {user: rows["item_id"].tolist() for user, rows in frame.groupby("user_id")}


def split(
    ratings: pd.DataFrame, config: SequenceSplitConfig = LEAVE_ONE_OUT, **options: Any
) -> SequenceSplit:
    return split_sequences(ratings, SequenceConfig(**options), config)


def test_leave_one_out_by_hand() -> None:
    parts = split(EXAMPLE)
    # User 1: a b c d. User 2: a, then b before c as in the file, then c again.
    assert pairs(parts.actions) == [(1, "a"), (1, "b"), (2, "a"), (2, "b")]
    assert parts.actions["timestamp"].tolist() == [10, 20, 10, 20]
    assert pairs(parts.validation) == [(1, "c"), (2, "c")]
    assert pairs(parts.test_histories) == [(1, "a"), (1, "b"), (1, "c"), (2, "a"), (2, "b"), (2, "c")]
    assert pairs(parts.test) == [(1, "d"), (2, "c")]
    assert parts.summary == {
        "rows": 10,
        "rows_below_min_rating": 0,
        "rows_of_short_users_and_rare_items": 2,
        "users_left_out": 1,
        "actions": 8,
        "users": 2,
        "items": 4,
        "actions_without_timestamp": 0,
        "tied_actions": 1,
        "training_actions": 4,
        "training_users": 2,
        "training_items": 2,
        "targets_without_history": 0,
        "unused_actions": 0,
        "validation_targets": 2,
        "cold_validation_targets": 2,
        "repeated_validation_targets": 0,
        "tied_validation_targets": 1,
        "test_targets": 2,
        "cold_test_targets": 2,
        "repeated_test_targets": 1,
        "tied_test_targets": 0,
    }


def test_temporal_by_hand() -> None:
    # Of ten moments 5 10 10 20 20 20 30 40 50 60 the last two are tested on, the two before them validated on.
    parts = split(EXAMPLE, TEMPORAL, min_length=1)
    assert pairs(parts.actions) == [(1, "a"), (1, "b"), (2, "a"), (2, "b"), (2, "c"), (3, "a")]
    assert pairs(parts.validation) == [(1, "c"), (2, "c")]
    assert pairs(parts.test) == [(1, "d"), (3, "e")]
    assert pairs(parts.test_histories) == [(1, "a"), (1, "b"), (1, "c"), (3, "a")]
    assert parts.summary == {
        "rows": 10,
        "rows_below_min_rating": 0,
        "rows_of_short_users_and_rare_items": 0,
        "users_left_out": 0,
        "actions": 10,
        "users": 3,
        "items": 5,
        "actions_without_timestamp": 0,
        "tied_actions": 1,
        "training_actions": 6,
        "training_users": 3,
        "training_items": 3,
        "targets_without_history": 0,
        "unused_actions": 0,
        "validation_targets": 2,
        "cold_validation_targets": 0,
        "repeated_validation_targets": 1,
        "tied_validation_targets": 0,
        "test_targets": 2,
        "cold_test_targets": 2,
        "repeated_test_targets": 0,
        "tied_test_targets": 0,
    }


def test_temporal_leaves_out_who_has_no_history_and_what_comes_after_a_target() -> None:
    rows = [(1, item, item) for item in range(8)] + [(2, 70, 6), (2, 71, 7), (3, 72, 9), (1, 8, 8), (1, 9, 9)]
    ratings = pd.DataFrame(rows, columns=["user_id", "item_id", "timestamp"])
    config = SequenceSplitConfig(name="temporal", validation_fraction=0.3, test_fraction=0.25)
    parts = split(ratings, config, min_length=1)
    # 13 moments 0 1 2 3 4 5 6 6 7 7 8 9 9: T1 is the one at place int(13 · .45) = 5, T2 at place int(13 · .75) = 9.
    assert by_user(parts.actions) == {1: [0, 1, 2, 3, 4]}
    assert pairs(parts.validation) == [(1, 5)]
    assert pairs(parts.test) == [(1, 7), (2, 71)]
    assert by_user(parts.test_histories) == {1: [0, 1, 2, 3, 4, 5, 6], 2: [70]}
    # User 2 began between T1 and T2, user 3 after T2.
    assert parts.summary["targets_without_history"] == 2
    # 8 and 9 of user 1, 72 of user 3.
    assert parts.summary["unused_actions"] == 3


def test_likes_only() -> None:
    parts = split_sequences(EXAMPLE, PRESETS["liked"], LEAVE_ONE_OUT)
    assert by_user(parts.test_histories) | {"targets": pairs(parts.test)} == {
        1: ["a", "c"],
        2: ["a", "c"],
        "targets": [(1, "d"), (2, "c")],
    }
    assert parts.summary["rows_below_min_rating"] == 2


def test_rare_items_are_told_by_training_alone() -> None:
    # x is trained on once and is the test target of user 1, y is a target alone, b and c are trained on twice.
    histories = {1: "abcax", 2: "cbxay", 3: "ab"}
    rows = [(user, item) for user, items in histories.items() for item in items]
    parts = split(pd.DataFrame(rows, columns=["user_id", "item_id"]), min_item_count=2)
    assert by_user(parts.actions) == {1: list("bc"), 2: list("cb")}
    assert pairs(parts.test) == [(1, "x"), (2, "y")]
    assert by_user(parts.test_histories) == {1: list("abca"), 2: list("cbxa")}
    assert parts.summary["rows_of_short_users_and_rare_items"] == 4  # both of user 3, a and x
    assert parts.summary["users_left_out"] == 1
    assert parts.summary["cold_test_targets"] == 2


def test_temporal_counts_what_lies_before_alone() -> None:
    """User 2 is busy, but later: not trained on, and asked all the same. Item 9 is rare before."""
    rows = [(1, item, item) for item in (0, 1, 2, 9)] + [(2, 5, 3)] + [(1, 3, 20), (1, 4, 30)]
    rows += [(2, item, 20 + item) for item in range(6, 10)]
    ratings = pd.DataFrame(rows, columns=["user_id", "item_id", "timestamp"])
    config = SequenceSplitConfig(name="temporal", validation_fraction=0.3, test_fraction=0.2)
    parts = split(ratings, config, min_length=2)
    assert by_user(parts.actions) == {1: [0, 1, 2, 9]}
    assert 2 in set(parts.validation["user_id"]) | set(parts.test["user_id"])


def test_without_timestamps_the_file_is_the_order() -> None:
    parts = split(EXAMPLE.drop(columns=["timestamp", "rating"]))
    assert by_user(parts.test_histories) == {1: ["a", "d", "b"], 2: ["c", "b", "c"]}
    assert parts.actions.columns.tolist() == ["user_id", "item_id"]
    assert parts.summary["tied_actions"] == 0
    assert parts.summary["actions_without_timestamp"] == 8


def test_action_without_a_time_comes_first() -> None:
    late = EXAMPLE.astype({"timestamp": "Int64"})
    late.loc[0, "timestamp"] = pd.NA
    assert by_user(split(late).test_histories)[2] == ["c", "a", "b"]
    assert split(late).summary["actions_without_timestamp"] == 1


def test_who_is_too_short_to_be_tested_is_trained_on() -> None:
    parts = split(EXAMPLE, min_length=2)
    assert by_user(parts.actions)[3] == ["a", "e"]
    assert 3 not in set(parts.test["user_id"]) | set(parts.validation["user_id"])


@pytest.mark.parametrize(
    ("ratings", "config", "split_config", "message"),
    [
        (EXAMPLE.drop(columns="timestamp"), {}, TEMPORAL, "needs a timestamp for every action"),
        (EXAMPLE.assign(timestamp=pd.array([1] * 9 + [None], dtype="Int64")), {}, TEMPORAL, "or not for all"),
        (EXAMPLE.assign(timestamp=7), {"min_length": 1}, TEMPORAL, "training part .* is empty"),
        (EXAMPLE, {"min_length": 9}, LEAVE_ONE_OUT, "None of 3 users has 9 actions"),
        (EXAMPLE.iloc[:0], {}, LEAVE_ONE_OUT, "None of 0 users"),
        (EXAMPLE[EXAMPLE["user_id"] == 3], {"min_length": 1}, LEAVE_ONE_OUT, "one user alone"),
        (EXAMPLE[EXAMPLE["user_id"] == 3], {"min_length": 1}, TEMPORAL, "one user alone"),
        (EXAMPLE.groupby("user_id").head(2), {"min_length": 1}, LEAVE_ONE_OUT, "test part .* is empty"),
    ],
)
def test_what_cannot_be_split(
    ratings: pd.DataFrame, config: dict[str, Any], split_config: SequenceSplitConfig, message: str
) -> None:
    with pytest.raises(DataError, match=message):
        split(ratings, split_config, **config)


def test_likes_of_those_who_do_not_rate() -> None:
    with pytest.raises(ParamsError, match="nobody rates"):
        split(EXAMPLE.drop(columns="rating"), min_rating=4)


def test_fractions_must_leave_training() -> None:
    with pytest.raises(ValidationError, match="something to train on"):
        SequenceSplitConfig(name="temporal", validation_fraction=0.5, test_fraction=0.5)


@st.composite
def worlds(draw: st.DrawFn) -> pd.DataFrame:
    """Actions in any order, often at the same moment, of users of 1 to 7 actions; ids whole or textual."""
    rows = draw(
        st.lists(
            st.tuples(st.integers(0, 6), st.integers(0, 8), st.integers(0, 15)), min_size=25, max_size=45
        )
    )
    frame = pd.DataFrame(rows, columns=["user_id", "item_id", "timestamp"])
    return frame.astype({"user_id": str, "item_id": str}) if draw(st.booleans()) else frame


CONFIGS = st.builds(SequenceConfig, min_length=st.integers(1, 4), min_item_count=st.integers(1, 2))


def split_or_none(
    ratings: pd.DataFrame, config: SequenceConfig, split: SequenceSplitConfig
) -> SequenceSplit | None:
    try:
        return split_sequences(ratings, config, split)
    except DataError:
        return None  # too few actions for a part


@settings(max_examples=60)
@given(worlds(), CONFIGS)
def test_leave_one_out_takes_every_action_once(ratings: pd.DataFrame, config: SequenceConfig) -> None:
    parts = split_or_none(ratings, config, LEAVE_ONE_OUT)
    if parts is None:
        return
    ordered = ratings.sort_values("timestamp", kind="stable")
    trained, validated, tested = (by_user(frame) for frame in (parts.actions, parts.validation, parts.test))
    kept = {user: items for user, items in by_user(ordered).items() if len(items) >= config.min_length}
    before = {user: items[:-2] if len(items) > 2 else items for user, items in kept.items()}
    counts = Counter(item for items in before.values() for item in items)
    for user, actions in kept.items():
        common = [item for item in before[user] if counts[item] >= config.min_item_count]
        assert trained.get(user, []) == common
        assert before[user] + validated.get(user, []) + tested.get(user, []) == actions
        assert (len(actions) > 2) == (user in tested) == (user in validated)
    assert set(trained) <= set(kept)
    assert by_user(parts.test_histories) == {
        user: actions[:-1] for user, actions in kept.items() if user in tested
    }


@settings(max_examples=60)
@given(worlds(), CONFIGS)
def test_no_training_action_is_later_than_any_temporal_target(
    ratings: pd.DataFrame, config: SequenceConfig
) -> None:
    parts = split_or_none(ratings, config, TEMPORAL)
    if parts is None:
        return
    ordered, _ = ordered_actions(ratings)
    last_trained = parts.actions["timestamp"].max()
    t1 = ordered["timestamp"].sort_values().iloc[int(len(ordered) * (1 - 0.4))]
    trained, trained_items = by_user(parts.actions), set(parts.actions["item_id"])
    for name, target in (("validation", parts.validation), ("test", parts.test)):
        assert target["user_id"].is_unique
        histories = by_user(
            ordered[ordered["timestamp"] < t1] if name == "validation" else parts.test_histories
        )
        for user, item in pairs(target):
            own = ordered[ordered["user_id"] == user]
            place = len(histories[user])
            assert own["item_id"].tolist()[: place + 1] == [*histories[user], item]
            assert place > 0
            assert own["timestamp"].iloc[place] > last_trained
            if name == "validation":
                common = [item for item in histories[user] if item in trained_items]
                assert trained[user] == common
                assert len(histories[user]) >= config.min_length
    assert set(parts.test_histories["user_id"]) == set(parts.test["user_id"])


def test_leave_one_out_does_train_on_what_is_later_than_a_target() -> None:
    parts = split(EXAMPLE)
    first_target = EXAMPLE.merge(parts.validation).groupby("user_id")["timestamp"].min().min()
    assert (parts.actions["timestamp"] >= first_target).any()


@settings(max_examples=40)
@given(worlds(), CONFIGS, st.sampled_from([LEAVE_ONE_OUT, TEMPORAL]), st.randoms(use_true_random=False))
def test_order_of_rows_matters_only_within_a_moment(
    ratings: pd.DataFrame, config: SequenceConfig, split_config: SequenceSplitConfig, random: Any
) -> None:
    distinct = ratings.drop_duplicates(["user_id", "timestamp"])
    parts = split_or_none(distinct, config, split_config)
    order = list(range(len(distinct)))
    random.shuffle(order)
    shuffled = split_or_none(distinct.iloc[order], config, split_config)
    if parts is None or shuffled is None:
        assert parts is shuffled is None
        return
    assert shuffled.split_hash == parts.split_hash
    assert shuffled.summary == parts.summary
    for name in PARTS:
        pd.testing.assert_frame_equal(getattr(shuffled, name), getattr(parts, name))


@settings(max_examples=40)
@given(worlds(), CONFIGS, st.sampled_from([LEAVE_ONE_OUT, TEMPORAL]))
def test_other_test_targets_leave_everything_else_as_it_is(
    ratings: pd.DataFrame, config: SequenceConfig, split_config: SequenceSplitConfig
) -> None:
    ratings = ratings.drop_duplicates(["user_id", "timestamp"])
    parts = split_or_none(ratings, config, split_config)
    if parts is None:
        return
    ordered, _ = ordered_actions(ratings)
    place = ordered.groupby("user_id").cumcount()
    target = place == ordered["user_id"].map(parts.test_histories.groupby("user_id").size()).fillna(-1)
    assert target.sum() == len(parts.test)
    other = ordered.assign(item_id=ordered["item_id"].mask(target, ordered["item_id"].iloc[0]))
    changed = split_sequences(other, config, split_config)
    for name in ("actions", "validation", "test_histories"):
        pd.testing.assert_frame_equal(getattr(changed, name), getattr(parts, name))
    assert set(changed.test["item_id"]) == {ordered["item_id"].iloc[0]}
    assert (changed.split_hash == parts.split_hash) == changed.test.equals(parts.test)


def test_hashes_are_those_of_every_earlier_version() -> None:
    assert split(EXAMPLE).split_hash[:12] == "c5a81ac29d76"
    assert split(EXAMPLE, TEMPORAL, min_length=1).split_hash[:12] == "ed733f289d3e"


def test_hash_of_textual_ids_tells_targets_apart() -> None:
    textual = EXAMPLE.astype({"user_id": str})
    other = textual.assign(item_id=np.where(textual["timestamp"] == 50, "b", textual["item_id"]))
    assert split(textual).split_hash != split(other).split_hash
