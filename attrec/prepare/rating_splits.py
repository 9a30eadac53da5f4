"""Who is trained on, validated on and tested on: drawn once, hashed, used by every model that is compared.

A split depends on the set of (user, item) pairs and on the seeds alone: never on ratings, times or row order.
The test part does not depend on how validation is drawn. A user always keeps at least one training rating,
but for published splits, whose test part is taken as it is.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Literal

import numpy as np
import pandas as pd
from pydantic import BaseModel, ConfigDict, Field, model_validator

from attrec.errors import DataError, ParamsError
from attrec.parameters import Seed

TRAIN, VALIDATION, TEST = "train", "validation", "test"
PARTS = (TRAIN, VALIDATION, TEST)
OFFICIAL = ("u1", "u2", "u3", "u4", "u5", "ua", "ub")
# The shape of u1's test part: half of the users, 38 % of their ratings.
_U1_USERS, _U1_RATINGS = 0.5, 0.38
_TEST_STREAM, _VALIDATION_STREAM, _FOLD_STREAM = 1, 2, 3


class SplitConfig(BaseModel):
    """Which ratings are held out, and how."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: Literal["default", "u1", "u2", "u3", "u4", "u5", "ua", "ub", "random", "kfold"] = "default"
    """``default``: the dataset's first published split; without one kfold for cil, random for any other."""
    test_fraction: float = Field(default=0.2, gt=0, lt=1)
    """Share of all ratings that ``random`` tests on."""
    validation: Literal["auto", "u1-shaped", "random", "none"] = "auto"
    """``auto``: u1-shaped beside u1 … u5, whose shape it has; random otherwise."""
    validation_fraction: float = Field(default=0.1, gt=0, lt=1)
    """Share of the training ratings that a random validation part takes."""
    fold: int = Field(default=0, ge=0)
    """Which fold ``kfold`` tests on, from 0."""
    n_folds: int = Field(default=10, ge=2, le=1000)
    seed: Seed = 0
    """Draws the test part or the folds."""
    validation_seed: Seed = 0
    """Draws the validation part."""

    @model_validator(mode="after")
    def _check(self) -> SplitConfig:
        if self.fold >= self.n_folds:
            raise ValueError(f"fold must be below n_folds ({self.n_folds}); folds are counted from 0")
        return self

    def resolved_name(self, official_splits: Sequence[str], otherwise: str = "random") -> str:
        """The name with ``default`` replaced by what it means for a dataset with these published splits.

        ``otherwise`` is what it means where there are none.

        Raises:
            ParamsError: a published split is asked for that the dataset does not have.
        """
        if self.name == "default":
            return official_splits[0] if official_splits else otherwise
        if self.name in OFFICIAL and self.name not in official_splits:
            raise ParamsError(
                f"This dataset has no published split {self.name!r}; choose 'random', 'kfold' or 'default'."
            )
        return self.name

    def resolved_validation(self, name: str) -> str:
        """The kind of validation part beside the split ``name``."""
        if self.validation != "auto":
            return self.validation
        return "u1-shaped" if name in OFFICIAL[:5] else "random"


def make_split(
    ratings: pd.DataFrame, config: SplitConfig, official_test_pairs: pd.DataFrame | None = None
) -> pd.DataFrame:
    """Split ratings into train, validation and test.

    Args:
        ratings: clean ratings; user_id and item_id are read, no pair twice.
        official_test_pairs: user_id, item_id of the published test part; needed where the name is one of
            ``OFFICIAL``, and taken as what ``default`` means. Pairs that cleaning dropped are ignored.

    Returns:
        user_id, item_id, part: row by row as ``ratings``.

    Raises:
        ParamsError: a published split is asked for without its pairs.
        DataError: a pair occurs twice, or a part comes out empty.

    >>> import pandas as pd
    >>> from attrec.prepare import SplitConfig, make_split
    >>> ratings = pd.DataFrame([(u, i) for u in range(10) for i in range(10)], columns=["user_id", "item_id"])
    >>> split = make_split(ratings, SplitConfig(name="random"))
    >>> split["part"].value_counts().to_dict()
    {'train': 72, 'test': 20, 'validation': 8}
    """
    # All draws are made on pairs in sorted order, so that the order of rows does not matter.
    order, user, distinct = _sorted_pairs(ratings)
    if not distinct:
        raise DataError("A user rates an item twice in these ratings; clean them before splitting.")

    name = config.name
    if name == "default":
        name = "random" if official_test_pairs is None else "u1"
    if name in OFFICIAL:
        if official_test_pairs is None:
            raise ParamsError(
                f"The split {name!r} is published for ml-100k only; choose 'random' or 'kfold'."
            )
        test = _occurs_in(ratings.iloc[order], official_test_pairs)
    elif name == "kfold":
        test = _fold_of(user, config.n_folds, _stream(config.seed, _FOLD_STREAM)) == config.fold
    else:
        test = _random_share(user, config.test_fraction, _stream(config.seed, _TEST_STREAM))

    part = np.zeros(len(user), dtype=np.int8)  # positions in PARTS
    part[test] = PARTS.index(TEST)
    training = np.flatnonzero(~test)
    rng = _stream(config.validation_seed, _VALIDATION_STREAM)
    kind = config.resolved_validation(name)
    if kind == "u1-shaped":
        part[training[_u1_shaped(user[training], rng)]] = PARTS.index(VALIDATION)
    elif kind == "random":
        held_out = _random_share(user[training], config.validation_fraction, rng)
        part[training[held_out]] = PARTS.index(VALIDATION)

    sizes = dict(zip(PARTS, np.bincount(part, minlength=len(PARTS)), strict=True))
    for wanted in (TEST, TRAIN) if kind == "none" else (TEST, VALIDATION, TRAIN):
        if sizes[wanted] == 0:
            raise DataError(
                f"The {wanted} part of the split is empty: {len(ratings):,} ratings are too few for it;"
                " add ratings or hold out a larger share."
            )
    aligned = np.empty(len(part), dtype=np.int8)
    aligned[order] = part
    names = pd.Series(pd.array(PARTS, dtype="str").take(aligned))
    return ratings[["user_id", "item_id"]].reset_index(drop=True).assign(part=names)


def split_hash(split: pd.DataFrame) -> str:
    """SHA-256 of which pair is in which part, whatever the order of rows."""
    order, _, _ = _sorted_pairs(split)
    digest = hashlib.sha256()
    for column in ("user_id", "item_id"):
        digest.update(id_bytes(split[column].iloc[order]))
    parts = pd.Categorical(split["part"], categories=list(PARTS)).codes
    digest.update(parts[order].astype(np.int8).tobytes())
    return digest.hexdigest()


def id_bytes(ids: pd.Series) -> bytes:
    """What a hash takes of ids, whole or textual, in their order."""
    if pd.api.types.is_integer_dtype(ids):
        return ids.to_numpy(dtype="<i8").tobytes() + b"\0"
    return "\0".join(ids.astype(str)).encode() + b"\0"


def split_summary(split: pd.DataFrame) -> dict[str, int]:
    """Sizes of the parts and what is unseen in training, as JSON.

    ``test_ratings_of_unseen_items`` counts test ratings of items that nobody rated in training; models must
    answer for these without having seen them.
    """
    parts = {name: split.loc[split["part"] == name] for name in PARTS}
    summary = {f"{name}_ratings": len(rows) for name, rows in parts.items()}
    summary |= {f"{name}_users": int(rows["user_id"].nunique()) for name, rows in parts.items()}
    for name in (VALIDATION, TEST):
        for column in ("user", "item"):
            unseen = ~parts[name][f"{column}_id"].isin(parts[TRAIN][f"{column}_id"])
            summary[f"{name}_ratings_of_unseen_{column}s"] = int(unseen.sum())
    return summary


def _stream(seed: int, stream: int) -> np.random.Generator:
    return np.random.default_rng([seed, stream])


def _sorted_pairs(ratings: pd.DataFrame) -> tuple[np.ndarray, np.ndarray, bool]:
    """Order of the rows by user, then item; the users' codes in that order; whether no pair occurs twice."""
    user, _ = pd.factorize(ratings["user_id"], sort=True)
    item, items = pd.factorize(ratings["item_id"], sort=True)
    key = user.astype(np.int64) * len(items) + item
    order = np.argsort(key, kind="stable")
    return order, user[order], bool((np.diff(key[order]) > 0).all())


def _occurs_in(pairs: pd.DataFrame, wanted: pd.DataFrame) -> np.ndarray:
    keys = ["user_id", "item_id"]
    marked = pairs[keys].merge(wanted[keys].drop_duplicates(), how="left", on=keys, indicator=True)
    return (marked["_merge"] == "both").to_numpy()


def _random_share(user: np.ndarray, fraction: float, rng: np.random.Generator) -> np.ndarray:
    """Mask of ``fraction`` of all rows, of which each user's with the largest key stays behind.

    ``user`` is in ascending order.
    """
    keys = rng.random(len(user))
    first_of_user = np.flatnonzero(np.r_[True, user[1:] != user[:-1]])
    largest = np.maximum.reduceat(keys, first_of_user)
    rows = np.diff(np.r_[first_of_user, len(user)])
    free = keys < np.repeat(largest, rows)
    n = min(round(fraction * len(user)), int(free.sum()))
    if n == 0:
        return np.zeros(len(user), dtype=bool)
    return free & (keys <= np.partition(keys[free], n - 1)[n - 1])


def _u1_shaped(user: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Mask of 38 % of the ratings of half of the users."""
    present, counts = np.unique(user, return_counts=True)
    eligible = present[counts > 1]
    chosen = rng.permutation(eligible)[: max(1, round(_U1_USERS * len(present)))]
    theirs = np.flatnonzero(np.isin(user, chosen))
    mask = np.zeros(len(user), dtype=bool)
    mask[theirs[_random_share(user[theirs], _U1_RATINGS, rng)]] = True
    return mask


def _fold_of(user: np.ndarray, n_folds: int, rng: np.random.Generator) -> np.ndarray:
    """The fold that tests each rating, a user's being dealt out evenly; -1 (never) for a user's only one."""
    keys = rng.random(len(user))
    order = np.lexsort((keys, user))
    counts = np.bincount(user)
    starts = np.cumsum(counts) - counts
    rank = np.empty(len(user), dtype=np.int64)
    rank[order] = np.arange(len(user)) - starts[user[order]]
    # Each user's deal begins at another fold, or fold 0 would get more than its share.
    fold = (rank + rng.integers(0, n_folds, len(counts))[user]) % n_folds
    fold[counts[user] == 1] = -1
    return fold
