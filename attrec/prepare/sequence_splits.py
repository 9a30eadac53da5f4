"""What every user did in order, and which of it is trained on, validated on and tested on.

Order is by timestamp; actions of one moment, and all actions where there are no timestamps, are in the order of the
file. How many that concerns is in the summary.

`leave-one-out` (Kang & McAuley 2018, Section IV-A; Sun et al. 2019, Section 4.2): a user's last action is the test
target, the one before it the validation target, the rest is trained on. It leaks, for time runs on for others: what
is popular, and what follows what, is learned from their actions of after a user's targets.

`temporal`: everything before a moment T1 is trained on. The validation target of a user is the first action from T1
on and before T2, the test target the first from T2 on, and the history of a target all that came before it. No training
action is later than any target, so nothing leaks; the price is that only users who were active around T1 or T2 are
scored, on items that may be new.

What is rare is told by training actions alone, so that no target has a say in what is trained on; a target that is too
rare to be in training is a miss.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import pandas as pd
from pydantic import BaseModel, ConfigDict, Field, model_validator

from attrec.errors import DataError, ParamsError
from attrec.prepare.rating_splits import id_bytes

PAIR = ["user_id", "item_id"]
_SHORTEST_TESTED = 3  # actions: one to train on, one to validate on, one to test on


class SequenceConfig(BaseModel):
    """Which actions make up the sequences, and which of them are trained on."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    min_rating: float | None = None
    """Only ratings from here on are actions: what users liked. None keeps all."""
    min_length: int = Field(default=3, ge=1)
    """Users with fewer actions are left out; under `temporal`, those with fewer before T1 are not trained on."""
    min_item_count: int = Field(default=1, ge=1)
    """Items with fewer training actions are not trained on."""


PRESETS: dict[str, SequenceConfig] = {
    "all": SequenceConfig(),
    # Lin & Yao 2023, "Transformer Recommenders", Preprocessing: ratings of 4 and more are positive behaviour.
    "liked": SequenceConfig(min_rating=4.0),
}


class SequenceSplitConfig(BaseModel):
    """What is held out of the sequences."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: Literal["leave-one-out", "temporal"] = "leave-one-out"
    validation_fraction: float = Field(default=0.1, gt=0, lt=1)
    """`temporal`: share of all actions that lie between T1 and T2."""
    test_fraction: float = Field(default=0.1, gt=0, lt=1)
    """`temporal`: share of all actions that lie after T2."""

    @model_validator(mode="after")
    def _check(self) -> SequenceSplitConfig:
        if self.validation_fraction + self.test_fraction >= 1:
            raise ValueError("validation_fraction and test_fraction must leave something to train on")
        return self


@dataclass(frozen=True)
class SequenceSplit:
    """The parts, each with user_id and item_id, sorted by user and in order of time within a user."""

    actions: pd.DataFrame
    """What is trained on; with timestamp where the data have it."""
    validation: pd.DataFrame
    """One target a user; its history is what `actions` has of the user."""
    test_histories: pd.DataFrame
    """All that the users of `test` did before their target; the validation target is part of it."""
    test: pd.DataFrame
    """One target a user."""
    summary: dict[str, int]
    """Counts; a target is cold if its item is not in `actions`, repeated if it is in its own history, tied if another
    action of the user bears the same timestamp as it and stands next to it."""
    split_hash: str
    """SHA-256 of the parts."""


def split_sequences(
    ratings: pd.DataFrame, config: SequenceConfig, split: SequenceSplitConfig
) -> SequenceSplit:
    """Order and split clean ratings or actions: user_id, item_id[, rating][, timestamp], rows in file order.

    Raises:
        DataError: one user or nothing is left, a part comes out empty, or `temporal` lacks timestamps.
        ParamsError: a lowest rating is asked for where nobody rates.

    >>> import pandas as pd
    >>> from attrec.prepare import SequenceConfig, SequenceSplitConfig, split_sequences
    >>> actions = pd.DataFrame({"user_id": 6 * [1] + 6 * [2], "item_id": 2 * list("abcdef"), "timestamp": range(12)})
    >>> split = split_sequences(actions, SequenceConfig(), SequenceSplitConfig())
    >>> split.test["item_id"].tolist(), split.validation["item_id"].tolist(), len(split.actions)
    (['f', 'f'], ['e', 'e'], 8)
    """
    ordered, summary = ordered_actions(ratings, config.min_rating)
    actions = ordered
    if split.name == "leave-one-out":
        actions = actions[_often_enough(actions["user_id"], config.min_length)]
    if actions.empty:
        raise DataError(
            f"None of {ratings['user_id'].nunique():,} users has {config.min_length} actions that count; lower"
            " min_rating or min_length."
        )
    user = pd.factorize(actions["user_id"])[0]
    if user.max() == 0:
        raise DataError("There is one user alone, and what comes next is learnt from others: add more users.")
    parts = _temporal(user, actions, split) if split.name == "temporal" else _leave_one_out(user)
    trainable = parts.training
    if split.name == "temporal":
        trainable = trainable & _often_enough(actions["user_id"], config.min_length, counted=trainable)
    trained_on = trainable & _often_enough(actions["item_id"], config.min_item_count, counted=trainable)
    left_out = len(ordered) - len(actions) + int((parts.training & ~trained_on).sum())
    parts = replace(parts, training=trained_on)
    if split.name == "temporal":
        # The history of a validation target is what is trained on of its user.
        validation = parts.validation & np.isin(user, user[trained_on])
        dropped = int((parts.validation & ~validation).sum())
        without = parts.targets_without_history + dropped
        parts = replace(parts, validation=validation, targets_without_history=without)
    summary |= {
        "rows_of_short_users_and_rare_items": left_out,
        "users_left_out": int(ratings["user_id"].nunique() - user.max() - 1),
    }
    for name, mask in (("training", parts.training), ("test", parts.test), ("validation", parts.validation)):
        if not mask.any():
            raise DataError(
                f"The {name} part of the split {split.name} is empty: {len(actions):,} actions of"
                f" {user[-1] + 1:,} users are too few for it; add data, or hold out another share."
            )
    frames = {
        "actions": actions[parts.training],
        "validation": actions.loc[parts.validation, PAIR],
        "test_histories": actions.loc[parts.test_histories, PAIR],
        "test": actions.loc[parts.test, PAIR],
    }
    frames = {name: frame.reset_index(drop=True) for name, frame in frames.items()}
    summary |= _counts(user, actions) | _describe(user, actions, parts)
    digest = hashlib.sha256()
    for frame in frames.values():
        for column in PAIR:
            digest.update(id_bytes(frame[column]))
    return SequenceSplit(**frames, summary=summary, split_hash=digest.hexdigest())


def ordered_actions(
    ratings: pd.DataFrame, min_rating: float | None = None
) -> tuple[pd.DataFrame, dict[str, int]]:
    """Ratings from `min_rating` on, sorted by user, then time, then place in the file; and how many there were.

    Returns:
        user_id, item_id and, where there is one, timestamp.

    Raises:
        ParamsError: a lowest rating is asked for where nobody rates.
    """
    liked = ratings
    if min_rating is not None:
        if "rating" not in ratings:
            raise ParamsError("min_rating is set, but nobody rates in these data; set it to null.")
        liked = ratings[ratings["rating"] >= min_rating]
    user = pd.factorize(liked["user_id"], sort=True)[0]
    columns = [name for name in (*PAIR, "timestamp") if name in liked]
    order = np.lexsort((_moments(liked), user))  # equal moments stay in the order of the rows
    actions = liked[columns].iloc[order].reset_index(drop=True)
    return actions, {"rows": len(ratings), "rows_below_min_rating": len(ratings) - len(liked)}


@dataclass(frozen=True)
class _Parts:
    """Masks over the ordered actions."""

    training: np.ndarray
    validation: np.ndarray
    test_histories: np.ndarray
    test: np.ndarray
    targets_without_history: int = 0


def _leave_one_out(user: np.ndarray) -> _Parts:
    counts = np.bincount(user)
    still_to_come = np.repeat(np.cumsum(counts), counts) - np.arange(len(user)) - 1
    tested = np.repeat(counts >= _SHORTEST_TESTED, counts)
    test, validation = tested & (still_to_come == 0), tested & (still_to_come == 1)
    return _Parts(~(test | validation), validation, tested & ~test, test)


def _temporal(user: np.ndarray, actions: pd.DataFrame, config: SequenceSplitConfig) -> _Parts:
    if "timestamp" not in actions or actions["timestamp"].isna().any():
        raise DataError(
            "The temporal split needs a timestamp for every action and these data have none, or not for all;"
            " choose leave-one-out."
        )
    moments = actions["timestamp"].to_numpy(dtype=np.int64)
    places = [int(len(moments) * (1 - share)) for share in
              (config.validation_fraction + config.test_fraction, config.test_fraction)]  # fmt: skip
    t1, t2 = np.partition(moments, places)[places]
    before, after = moments < t1, moments >= t2
    between = ~before & ~after
    first_of_user = np.concatenate([[True], user[1:] != user[:-1]])

    def first_in(part: np.ndarray) -> np.ndarray:
        return part & (first_of_user | ~np.concatenate([[False], part[:-1]]))

    validation, test = first_in(between), first_in(after)
    # A user's first action of all has nothing before it.
    without_history = int((first_of_user & (validation | test)).sum())
    validation, test = validation & ~first_of_user, test & ~first_of_user
    tested = np.zeros(user[-1] + 1, dtype=bool)
    tested[user[test]] = True
    return _Parts(before, validation, tested[user] & ~after, test, without_history)


def _describe(user: np.ndarray, actions: pd.DataFrame, parts: _Parts) -> dict[str, int]:
    item, items = pd.factorize(actions["item_id"])
    trained_on = np.zeros(len(items), dtype=bool)
    trained_on[item[parts.training]] = True
    # The history of a target is all that the user did before it, whatever the split.
    repeated = pd.Series(user * np.int64(len(items)) + item).duplicated().to_numpy()
    tied = _tied_to_previous(user, actions)
    tied |= np.concatenate([tied[1:], [False]])
    used = parts.training | parts.validation | parts.test_histories | parts.test
    summary = {
        "training_actions": int(parts.training.sum()),
        "training_users": len(np.unique(user[parts.training])),
        "training_items": int(trained_on.sum()),
        "targets_without_history": parts.targets_without_history,
        "unused_actions": int((~used).sum()),
    }
    for name, target in (("validation", parts.validation), ("test", parts.test)):
        summary |= {
            f"{name}_targets": int(target.sum()),
            f"cold_{name}_targets": int((~trained_on[item[target]]).sum()),
            f"repeated_{name}_targets": int(repeated[target].sum()),
            f"tied_{name}_targets": int(tied[target].sum()),
        }
    return summary


def _often_enough(ids: pd.Series, fewest: int, counted: np.ndarray | None = None) -> np.ndarray:
    """Mask of the actions whose id occurs `fewest` times among those that are counted, which are all unless said."""
    code = pd.factorize(ids)[0]
    among = code if counted is None else code[counted]
    return np.bincount(among, minlength=len(code))[code] >= fewest


def _counts(user: np.ndarray, actions: pd.DataFrame) -> dict[str, int]:
    untimed = actions["timestamp"].isna().sum() if "timestamp" in actions else len(actions)
    return {
        "actions": len(actions),
        "users": int(user.max()) + 1,
        "items": int(actions["item_id"].nunique()),
        "actions_without_timestamp": int(untimed),
        "tied_actions": int(_tied_to_previous(user, actions).sum()),
    }


def _moments(actions: pd.DataFrame) -> np.ndarray:
    """When each action was; one without a time comes before any with one, as in cleaning."""
    if "timestamp" not in actions:
        return np.zeros(len(actions), dtype=np.int64)
    return actions["timestamp"].fillna(np.iinfo(np.int64).min).to_numpy(dtype=np.int64)


def _tied_to_previous(user: np.ndarray, actions: pd.DataFrame) -> np.ndarray:
    """Whether an action has the timestamp of the user's action before it; where there is none, nothing is tied."""
    if "timestamp" not in actions:
        return np.zeros(len(actions), dtype=bool)
    moments = _moments(actions)
    return np.concatenate([[False], (user[1:] == user[:-1]) & (moments[1:] == moments[:-1])])
