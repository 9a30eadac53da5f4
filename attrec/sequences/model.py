"""The interface that every sequence model has: a user is what they did, in order, and nothing else."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Self

import numpy as np
import pandas as pd

from attrec.datasets.histories import Histories
from attrec.errors import DataError
from attrec.metrics.ranking import ndcg_at, rank_users
from attrec.models.storage import read_json, write_json

if TYPE_CHECKING:
    from attrec.models.training import Losses


class SequenceModel(ABC):
    """Scores every item of its vocabulary as the next one after a history.

    The vocabulary is what occurs in the training actions. Somebody new is scored as well as anybody: nothing is
    retrained.
    """

    items: pd.Index
    """External ids in code order."""
    exclude_seen: bool
    """Whether its choices were made with what somebody has done out of the ranking, and it recommends so."""

    @abstractmethod
    def fit(
        self, actions: pd.DataFrame, validation: pd.DataFrame | None = None, *, exclude_seen: bool = True
    ) -> Self:
        """Fit on `actions` (user_id, item_id; in order within each user).

        `validation` (the same columns, one row a user) has what each user did next; every choice is made on it, with
        what a user has done already out of the ranking or, without `exclude_seen`, in it.

        Raises:
            DataError: there are no actions, or no validation target can be ranked.
        """

    @abstractmethod
    def score(self, histories: Histories) -> np.ndarray:
        """Scores [n, items] (float32) of every item as the next one; larger is likelier.

        A history may be empty, which asks what somebody unknown would do.
        """

    @abstractmethod
    def save(self, directory: Path) -> None:
        """Write the fitted model into `directory`."""

    @classmethod
    @abstractmethod
    def load(cls, directory: Path) -> Self:
        """Read what `save` wrote. Raises: DataError if a file is missing or unreadable."""

    @property
    def losses(self) -> dict[str, Losses]:
        """Losses by epoch of what was trained, by name of the part; of a single training the name is empty."""
        return {}

    def recommend(
        self, history: Sequence[int | str], k: int = 10, exclude_seen: bool | None = None
    ) -> pd.DataFrame:
        """The k likeliest next items after `history` (item ids, oldest first), best first: item_id, score.

        Equal scores come in the order of the vocabulary. Left out, `exclude_seen` is as in the fit.

        Raises:
            DataError: the history names items, but this model knows none of them, or ids of another type.
        """
        try:
            asked = pd.Index(list(history), dtype=self.items.dtype)
        except (TypeError, ValueError) as error:
            raise DataError(
                f"{list(history)[:3]} are no item ids of this model: they are like"
                f" {', '.join(map(str, self.items[:3]))}."
            ) from error
        codes = self.items.get_indexer(asked)
        known = codes[codes >= 0]
        if len(history) and not len(known):
            raise DataError("No item of this history is known to the model; give others.")
        scores = self.score(Histories.of_lists([known.tolist()]))[0]
        order = np.argsort(-scores, kind="stable")
        if self.exclude_seen if exclude_seen is None else exclude_seen:
            order = order[~np.isin(order, known)]
        return pd.DataFrame({"item_id": self.items[order[:k]], "score": scores[order[:k]]})

    def remember(self, actions: pd.DataFrame, exclude_seen: bool) -> None:
        """Take the vocabulary from training actions. Raises: DataError if there are none."""
        if actions.empty:
            raise DataError("there is no action to fit a model on; give at least one row.")
        self.items = pd.Index(np.sort(actions["item_id"].unique()), name="item_id")
        self.exclude_seen = exclude_seen

    def save_base(self, directory: Path) -> None:
        content = {"items": self.items.tolist(), "exclude_seen": self.exclude_seen}
        write_json(directory / "sequence_model.json", content)

    def load_base(self, directory: Path) -> None:
        content = read_json(directory / "sequence_model.json")
        self.items = pd.Index(content["items"], name="item_id")
        self.exclude_seen = content["exclude_seen"]


class Validation:
    """The validation targets behind the training actions, ranked as the test will be."""

    def __init__(
        self, actions: pd.DataFrame, targets: pd.DataFrame, items: pd.Index, exclude_seen: bool
    ) -> None:
        self.histories = Histories.of(actions, pd.Index(targets["user_id"]), items)
        self.targets = items.get_indexer(pd.Index(targets["item_id"]))
        self.exclude_seen = exclude_seen
        known = self.targets >= 0
        if exclude_seen:
            own = self.histories.items == self.targets[self.histories.users]
            known[self.histories.users[own]] = False
        if not known.any():
            seen = (
                ", or has been done by the user before: then set exclude_seen to false"
                if exclude_seen
                else ""
            )
            raise DataError(
                f"None of the {len(targets):,} validation targets can be ranked: each is an item that nobody has in"
                f" training{seen}."
            )

    def ndcg(self, model: SequenceModel) -> float:
        """NDCG@10 of a model of these items."""
        ranked = rank_users(model, self.histories, self.targets, self.exclude_seen, k=0)
        return float(ndcg_at(ranked.ranks, 10).mean())
