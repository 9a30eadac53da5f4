"""The interface that every rating model has: config in the constructor, external ids at every boundary."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple, Self

import numpy as np
import pandas as pd

from attrec.errors import DataError
from attrec.files import StrPath
from attrec.frames import check_ids, check_kind, check_numbers, checked_features, sorted_ids
from attrec.metrics.top_lists import TopLists, block_size, check_k
from attrec.models.base import Config, Model, Parameters, Saved
from attrec.ratings.catalogue import Catalogue, EncodedRatings

if TYPE_CHECKING:
    from attrec.models.training import Progress

_PAIRS = 2**18
"""Predicted at a time: some models make a table of features of them, hundreds of columns wide."""


class RatingConfig(Config):
    """Configuration of a rating model."""

    @property
    def uses_time(self) -> bool:
        """Whether timestamps of the pairs to predict are an input."""
        return False


@dataclass(frozen=True)
class RatingData:
    """What a model is fitted on, checked, and where its training resumes from."""

    ratings: pd.DataFrame
    """user_id, item_id, rating; a timestamp, perhaps."""
    user_features: pd.DataFrame
    item_features: pd.DataFrame
    validation: pd.DataFrame | None
    """Columns as of `ratings`."""
    encoded: EncodedRatings
    """`ratings` in the codes of the catalogue."""
    held_out: EncodedRatings | None
    """`validation` likewise."""
    checkpoint: Path | None = None
    progress: Progress | None = None


class Member(NamedTuple):
    """A model that is part of a blend."""

    name: str
    weight: float
    model: RatingModel


class RatingModel(Model):
    """Predicts the rating a user would give an item.

    An unknown user without history, or an unknown item, contributes nothing of its own: what is predicted is
    then what the model knows of the other side, in the last resort the mean rating.
    """

    served_by: ClassVar[str] = "attrec.serving.ratings"

    config_class: ClassVar[type[RatingConfig]] = RatingConfig
    remembers = "catalogue"

    catalogue: Catalogue
    rating_range: tuple[float, float]
    """Lowest and highest training rating; predictions stay inside."""
    seen: np.ndarray
    """[n, 2] codes of the (user, item) pairs the model was fitted on, sorted by user."""

    def fit(
        self,
        ratings: pd.DataFrame,
        user_features: pd.DataFrame | None = None,
        item_features: pd.DataFrame | None = None,
        validation: pd.DataFrame | None = None,
        *,
        checkpoint: StrPath | None = None,
        progress: Progress | None = None,
        **parts: Any,
    ) -> Self:
        """Fit on `ratings` (user_id, item_id, rating); every choice is made on `validation` (same columns).

        Args:
            user_features: Numbers, a row for every user that the model shall know; user_id is the index, or a column.
                Without it these are the users of `ratings` and `validation`, of whom nothing else is known.
            item_features: Likewise of items.
            checkpoint: Where a killed training resumes from, to the same result; of models fitted in rounds alone.
            progress: Called after every round, of these models.
            parts: What was fitted before it (see `read_parts`).

        Raises:
            DataError: there are no ratings, a column or an id is missing, or a rating is no finite number; a pair is
                rated twice, or in training and validation; a rated id has no feature row; or see the model's `_fit`.
        """
        check_ratings(ratings, "ratings")
        rated = [ratings] if validation is None else [ratings, validation]
        if validation is not None:
            check_ratings(validation, "validation ratings")
        users = _table(user_features, "user features", "user_id", rated)
        items = _table(item_features, "item features", "item_id", rated)
        catalogue = Catalogue.of(users, items)
        encoded = catalogue.encode_ratings(ratings)
        held_out = None if validation is None else catalogue.encode_ratings(validation)
        self.remember(catalogue, encoded)
        self._check_pairs(held_out)
        begun = None if checkpoint is None else Path(checkpoint)
        self._fit(RatingData(ratings, users, items, validation, encoded, held_out, begun, progress), **parts)
        return self

    def _check_pairs(self, held_out: EncodedRatings | None) -> None:
        """Raises: DataError if a pair is rated twice, or in training and in validation."""
        pairs = self.seen.astype("int64") @ [len(self.catalogue.items), 1]
        others = np.empty(0, dtype="int64")
        if held_out is not None:
            others = np.sort(held_out.users.astype("int64") * len(self.catalogue.items) + held_out.items)
        for own, what in ((pairs, "ratings"), (others, "validation ratings")):
            if (again := own[1:] == own[:-1]).any():
                raise DataError(
                    f"{self._said(own[1:][again][0])} is more than once in the {what}: keep one row, as by"
                    ' drop_duplicates(["user_id", "item_id"], keep="last").'
                )
        if (shared := np.isin(others, pairs, assume_unique=True)).any():
            raise DataError(
                f"{self._said(others[shared][0])}, as {int(shared.sum()):,} of the validation ratings, is in the"
                " ratings too: what is validated on must not be fitted on."
            )

    def _said(self, pair: int) -> str:
        user, item = divmod(pair, len(self.catalogue.items))
        return f"The rating of item {self.catalogue.items[item]} by user {self.catalogue.users[user]}"

    @abstractmethod
    def _fit(self, data: RatingData) -> None:
        """Fit; the catalogue and what was seen are there. A model with `parts` takes them by name."""

    def predict(self, pairs: pd.DataFrame, history: pd.DataFrame | None = None) -> np.ndarray:
        """Predicted rating of each row of `pairs` (user_id, item_id), in rating units.

        `history` (user_id, item_id, rating) describes users never seen in training; nothing is retrained.

        Raises:
            DataError: a column or an id is missing, or ids are text where they were numbers in the fit, or numbers
                where they were text.
            NotFitted: there was no fit.
        """
        catalogue = self.catalogue
        check_ids(pairs, "pairs")
        check_kind(pd.Index(pairs["item_id"]), "item_id of the pairs", catalogue.items)
        if history is None:
            check_kind(pd.Index(pairs["user_id"]), "user_id of the pairs", catalogue.users)
        else:
            self._check_history(history)
        return self._predict(pairs, history)

    @abstractmethod
    def _predict(self, pairs: pd.DataFrame, history: pd.DataFrame | None) -> np.ndarray:
        """As `predict`, of frames that are sound; ids may be unknown."""

    def _check_history(self, history: pd.DataFrame) -> None:
        check_ids(history, "history")
        check_numbers(history, "history", "rating")
        check_kind(pd.Index(history["item_id"]), "item_id of the history", self.catalogue.items)

    def score(self, users: pd.Index, history: pd.DataFrame | None = None) -> np.ndarray:
        """Predicted ratings [n, items] of all items by some users at a time, as `predict` has them pair by pair."""
        codes = self.catalogue.users.get_indexer(users)
        known = codes >= 0
        if known.all() and (scores := self.score_known(codes)) is not None:
            return scores
        scores = np.empty((len(users), len(self.catalogue.items)))
        by_pairs = np.arange(len(users))
        if known.any() and (of_known := self.score_known(codes[known])) is not None:
            scores[known], by_pairs = of_known, by_pairs[~known]
        at_once = max(1, _PAIRS // len(self.catalogue.items))
        for start in range(0, len(by_pairs), at_once):
            rows = by_pairs[start : start + at_once]
            scores[rows] = self._predict(self._pairs(users[rows]), history).reshape(len(rows), -1)
        return scores

    def score_known(self, users: np.ndarray) -> np.ndarray | None:
        """As `score`, of users by code, of a model that has something faster than pairs; None of one without."""
        return None

    def best_known(self, users: np.ndarray, k: int, seen: np.ndarray | None) -> TopLists | None:
        """The k best items of users by code, of a model that need not score every item for them; None of others.

        Args:
            seen: [n, items] bool, what is left out.
        """
        return None

    def _pairs(self, users: pd.Index) -> pd.DataFrame:
        """Every user with every item of the catalogue."""
        items = self.catalogue.items
        return pd.DataFrame({"user_id": users.repeat(len(items)), "item_id": np.tile(items, len(users))})

    def recommend(
        self,
        users: int | str | Sequence[int | str] | pd.Index | pd.DataFrame,
        k: int = 10,
        exclude_seen: bool = True,
        history: pd.DataFrame | None = None,
    ) -> pd.DataFrame:
        """The k items with the highest predicted rating of each user, best first: user_id, item_id, rank (from 1),
        score; ties by catalogue order.

        `users` are one id or several, or a frame with the column user_id, each answered once. `exclude_seen` leaves out
        what a user rated in training or in `history`.

        Raises:
            DataError: a user is neither known nor in `history`, `history` is faulty, or k is below 1.
        """
        check_k(k)
        if isinstance(users, pd.DataFrame):
            check_ids(users, "users", ("user_id",))
            users = pd.Index(users["user_id"])
        asked = pd.Index(
            [users] if isinstance(users, int | str | np.integer) else users, name="user_id"
        ).unique()
        codes = self.catalogue.users.get_indexer(asked)
        unknown = codes < 0
        if history is None:
            check_kind(asked, "user_id", self.catalogue.users)
        else:
            self._check_history(history)
            unknown &= ~asked.isin(history["user_id"])
        if unknown.any():
            others = f", nor {more:,} more" if (more := int(unknown.sum()) - 1) else ""
            raise DataError(
                f"user {asked[unknown][0]} is unknown to this model{others}; pass some of their ratings as history."
            )

        def best(rows: np.ndarray) -> TopLists:
            block = asked[rows]
            told = None if history is None else history[history["user_id"].isin(block)]
            seen = self._seen_by(codes[rows], block, told) if exclude_seen else None
            known = self.best_known(codes[rows], k, seen) if (codes[rows] >= 0).all() else None
            return known or TopLists.best(self.score(block, told), k, seen)

        size = block_size(len(self.catalogue.items))
        blocks = (np.arange(start, min(start + size, len(asked))) for start in range(0, len(asked), size))
        return TopLists.in_blocks(blocks, best).frame(self.catalogue.items, asked)

    def _seen_by(self, codes: np.ndarray, users: pd.Index, history: pd.DataFrame | None) -> np.ndarray:
        """[n, items] bool: what users rated in training, by code, or in `history`, by id."""
        seen = np.zeros((len(codes), len(self.catalogue.items)), dtype=bool)
        first, end = np.searchsorted(self.seen[:, 0], np.stack([codes, codes + 1]).astype(self.seen.dtype))
        for row, (own_first, own_end) in enumerate(zip(first, end, strict=True)):
            seen[row, self.seen[own_first:own_end, 1]] = True
        if history is not None:
            rows = users.get_indexer(pd.Index(history["user_id"]))
            items = self.catalogue.items.get_indexer(pd.Index(history["item_id"]))
            told = (rows >= 0) & (items >= 0)
            seen[rows[told], items[told]] = True
        return seen

    @property
    def attends(self) -> bool:
        """Whether `explain` has an answer."""
        return False

    def importance(self) -> pd.DataFrame | None:
        """feature, importance: the share of each in what trees have gained, largest first; None of a model without."""
        return None

    def explain(
        self, user_id: int | str, item_id: int | str, history: pd.DataFrame | None = None
    ) -> pd.DataFrame:
        """What a prediction rests on: item_id, rating, weight of what the user rated, largest weight first.

        Raises:
            DataError: the model has no attention, the item is unknown, or the user has no rating it knows.
        """
        raise DataError(
            "This model has no attention weights to explain a prediction by; ask an attentive one."
        )

    def attentive_member(self) -> Member | None:
        """Of a blend that attends, the member that `explain` asks; None of a single model."""
        return None

    @classmethod
    def check_ratings(cls, config: Any, values: np.ndarray) -> None:
        """See, before anything is fitted, that a model of this configuration can learn ratings of these values.

        Raises:
            DataError: it cannot.
        """

    @classmethod
    def has_classes(cls, config: RatingConfig) -> bool:
        """Whether a model of this configuration gives each rating value a probability."""
        return False

    @property
    def classes(self) -> list[float] | None:
        """The rating values that have a probability, ascending; None of a model without `probabilities`."""
        return None

    def probabilities(self, pairs: pd.DataFrame) -> np.ndarray:
        """Probability of each of `classes` [n, classes], of pairs of known ids.

        Raises:
            DataError: the model has none, or an id is unknown.
        """
        raise DataError(
            "This model has no class probabilities: pair networks with mlp2 and ordered probit have them."
        )

    def remember(self, catalogue: Catalogue, ratings: EncodedRatings) -> None:
        """Keep which ids there are, which pairs were rated, and within which range."""
        self.catalogue = catalogue
        pairs = np.stack([ratings.users, ratings.items], axis=1).astype("int32")
        self.seen = pairs[np.lexsort((pairs[:, 1], pairs[:, 0]))]
        self.rating_range = float(ratings.values.min()), float(ratings.values.max())

    def known(self) -> Parameters:
        values = {"catalogue": self.catalogue.to_json(), "rating_range": self.rating_range}
        return Parameters({"seen": self.seen}, values)

    def take_known(self, saved: Saved) -> None:
        self.catalogue = Catalogue.from_json(saved.values["catalogue"])
        low, high = saved.values["rating_range"]
        self.rating_range = float(low), float(high)
        self.seen = saved.arrays["seen"]


def check_ratings(ratings: pd.DataFrame, what: str) -> None:
    """See that each row is a rating.

    Raises:
        DataError: see `RatingModel.fit`.
    """
    check_ids(ratings, what)
    check_numbers(ratings, what, "rating")


def _table(
    features: pd.DataFrame | None, what: str, column: str, rated: Sequence[pd.DataFrame]
) -> pd.DataFrame:
    """The features of ids; without any, those that are rated, of which nothing else is known."""
    if features is None:
        return pd.DataFrame(index=sorted_ids(*(ratings[column] for ratings in rated)))
    return checked_features(features, what, column)
