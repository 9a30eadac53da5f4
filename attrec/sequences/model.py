"""The interface that every sequence model has: a user is what they did, in order, and nothing else."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar, Self

import numpy as np
import pandas as pd

from attrec.datasets.histories import Histories
from attrec.errors import DataError
from attrec.files import StrPath
from attrec.frames import check_ids, sorted_ids
from attrec.metrics.top_lists import TopLists, block_size, check_k
from attrec.models.base import Model, Parameters, Saved
from attrec.models.training import Progress


class SequenceModel(Model):
    """Scores every item of its vocabulary as the next one after a history.

    The vocabulary is what occurs in the training actions. Somebody new is scored as well as anybody: nothing is
    retrained.
    """

    served_by: ClassVar[str] = "attrec.serving.sequences"
    remembers = "items"

    attends: ClassVar[bool] = False
    """Whether there is an `attention` to look at."""

    items: pd.Index
    """External ids in code order."""
    exclude_seen: bool
    """Whether its choices were made with what somebody has done out of the ranking, and it recommends so."""

    def fit(
        self,
        actions: pd.DataFrame,
        validation: pd.DataFrame | None = None,
        *,
        exclude_seen: bool = True,
        checkpoint: StrPath | None = None,
        progress: Progress | None = None,
    ) -> Self:
        """Fit on `actions` (user_id, item_id; in order within each user).

        `validation` (the same columns, one row a user) has what each user did next; every choice is made on it, with
        what a user has done already out of the ranking or, without `exclude_seen`, in it. What is trained by epochs
        shows `progress`; killed, it resumes from `checkpoint` and ends as if it had not been.

        Raises:
            DataError: there are no actions, a column or an id is missing, or a user's are not in the order of their
                `timestamp`, where there is one; a user has two validation targets, or none of them can be ranked.
            TrainingDiverged: the loss became infinite or undefined.
        """
        check_ids(actions, "actions")
        if actions.empty:
            raise DataError("there is no action to fit a model on; give at least one row.")
        _check_order(actions)
        if validation is not None:
            _check_targets(validation)
        self.items = sorted_ids(actions["item_id"])
        self.exclude_seen = exclude_seen
        self._fit(actions, validation, None if checkpoint is None else Path(checkpoint), progress)
        return self

    @abstractmethod
    def _fit(
        self,
        actions: pd.DataFrame,
        validation: pd.DataFrame | None,
        checkpoint: Path | None,
        progress: Progress | None,
    ) -> None:
        """Fit on actions, of which there are some; `items` and `exclude_seen` are there."""

    @abstractmethod
    def score(self, histories: Histories) -> np.ndarray:
        """Scores [n, items] (float32) of every item as the next one; larger is likelier.

        A history may be empty, which asks what somebody unknown would do.
        """

    def recommend(
        self,
        histories: Sequence[int | str] | pd.DataFrame,
        k: int = 10,
        exclude_seen: bool | None = None,
    ) -> pd.DataFrame:
        """The k likeliest next items after each history, best first: user_id, item_id, rank (from 1), score.

        One history is a list of item ids, oldest first, whose answer has no user_id; several are a frame (user_id,
        item_id; in order within each user). Equal scores come in the order of the vocabulary. Left out, `exclude_seen`
        is as in the fit.

        Raises:
            DataError: a history names items, but this model knows none of them; ids of another type, or rows
                that are not in the order of their `timestamp`; or k is below 1.
        """
        check_k(k)
        asked = Histories.asked(histories, self.items)
        if isinstance(histories, pd.DataFrame):
            _check_order(histories)
        if len(histories):
            asked.require_known("item", "history")
        left_out = self.exclude_seen if exclude_seen is None else exclude_seen

        def best(rows: np.ndarray) -> TopLists:
            theirs = asked.take(rows)
            return TopLists.best(self.score(theirs), k, theirs.seen(len(self.items)) if left_out else None)

        blocks = asked.batches(block_size(len(self.items)))
        return TopLists.in_blocks(blocks, best).frame(self.items, asked.ids)

    def attention(self, history: Sequence[int]) -> list[np.ndarray]:
        """Weights [heads, n, n] of each block for a history of item codes: row attends to column.

        Raises:
            DataError: the history is empty, or the model has no attention.
        """
        raise DataError(f"{type(self).__name__} has no attention; ask a transformer.")

    def attended(self, titles: Sequence[str]) -> list[str]:
        """What stands at each place of `attention` after a history of these titles.

        Raises:
            DataError: the model has no attention.
        """
        raise DataError(f"{type(self).__name__} has no attention; ask a transformer.")

    def known(self) -> Parameters:
        return Parameters(values={"items": self.items.tolist(), "exclude_seen": self.exclude_seen})

    def take_known(self, saved: Saved) -> None:
        self.items = pd.Index(saved.values["items"], name="item_id")
        self.exclude_seen = saved.values["exclude_seen"]


def _check_order(actions: pd.DataFrame) -> None:
    """Raises: DataError if a user's rows are not in the order of their timestamps, where there are any."""
    if "timestamp" not in actions:
        return
    users = pd.factorize(actions["user_id"])[0]
    order = np.argsort(users, kind="stable")
    times = actions["timestamp"].to_numpy()[order]
    back = (times[1:] < times[:-1]) & (users[order][1:] == users[order][:-1])
    if back.any():
        user = actions["user_id"].iloc[order[1:][back][0]]
        raise DataError(
            f"The actions of user {user} are not in the order of their timestamp: sort the rows, as by"
            ' sort_values("timestamp", kind="stable").'
        )


def _check_targets(validation: pd.DataFrame) -> None:
    """Raises: DataError if a user has not one action there."""
    check_ids(validation, "validation actions")
    if (again := validation["user_id"].duplicated()).any():
        raise DataError(
            f"User {validation.loc[again, 'user_id'].iloc[0]} has several validation actions: give the one that comes"
            " next after their training actions."
        )
