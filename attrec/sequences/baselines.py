"""Popularity, item neighbours and a first-order Markov chain: what every sequence model has to beat."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import numpy as np
import pandas as pd
from pydantic import Field
from scipy.sparse import csr_array

from attrec.datasets.histories import Histories
from attrec.models.base import Config, Parameters, Saved
from attrec.models.cooccurrence import ItemNeighbours, arrays_of, matrix_of, middle, shares
from attrec.models.training import Progress
from attrec.models.tunable import Range
from attrec.sequences.model import SequenceModel
from attrec.sequences.ranking import Validation


class Popularity(SequenceModel):
    """Scores an item by its share of all training actions, whatever the history.

    >>> import pandas as pd
    >>> from attrec.sequences import Popularity
    >>> actions = pd.DataFrame({"user_id": [1, 1, 2, 2, 3], "item_id": ["a", "b", "b", "c", "b"]})
    >>> Popularity().fit(actions).recommend(["c"], k=1)["item_id"].tolist()
    ['b']
    """

    seeded = False

    popularity: np.ndarray
    """[items] share of all training actions (float32)."""

    def _fit(
        self,
        actions: pd.DataFrame,
        validation: pd.DataFrame | None,
        checkpoint: Path | None,
        progress: Progress | None,
    ) -> None:
        self.popularity = shares(_histories(actions, self.items))

    def score(self, histories: Histories) -> np.ndarray:
        return np.tile(self.popularity, (len(histories), 1))

    def parameters(self) -> Parameters:
        return Parameters({"popularity": self.popularity})

    def take(self, saved: Saved) -> None:
        self.popularity = saved.arrays["popularity"]


class MarkovChainConfig(Config):
    """Candidates for the smoothing; the one with the highest validation NDCG@10 is used."""

    smoothing: Annotated[tuple[Annotated[float, Field(gt=0)], ...], Range(1.0, 3000.0, log=True)] = Field(
        default=(1, 30, 100, 300, 1000), min_length=1
    )
    """m, in actions: after an item that was left m times, its followers and popularity count alike. A step that was
    seen once gives way to an item of popularity 1 / m. Without validation the middle candidate serves."""


class MarkovChain(SequenceModel):
    """P(i after j) = (n_ji + m p_i) / (n_j + m), j the newest item of the history, p_i the popularity of i.

    Maximum likelihood shrunk to popularity (Bayesian smoothing with a Dirichlet prior, Zhai & Lafferty 2004, Table I);
    the model of first order that Rendle et al. 2010 factorise in FPMC.

    >>> import pandas as pd
    >>> from attrec.sequences import MarkovChain
    >>> actions = pd.DataFrame(
    ...     [(u, (u + step) % 7) for u in range(30) for step in range(4)], columns=["user_id", "item_id"]
    ... )
    >>> model = MarkovChain().fit(actions)
    >>> model.recommend([1, 2], k=1)["item_id"].tolist()
    [3]
    """

    config_class = MarkovChainConfig
    seeded = False

    config: MarkovChainConfig
    popularity: np.ndarray
    """[items] share of all training actions (float32)."""
    transitions: csr_array
    """[items, items] how often the column came right after the row."""
    smoothing: float
    """The candidate that was chosen."""

    def _fit(
        self,
        actions: pd.DataFrame,
        validation: pd.DataFrame | None,
        checkpoint: Path | None,
        progress: Progress | None,
    ) -> None:
        histories = _histories(actions, self.items)
        self.popularity = shares(histories)
        follows = histories.users[1:] == histories.users[:-1]
        steps = (histories.items[:-1][follows], histories.items[1:][follows])
        ones = np.ones(follows.sum(), dtype="float32")
        self.transitions = csr_array((ones, steps), shape=(len(self.items), len(self.items)))
        self.smoothing = middle(self.config.smoothing)
        if validation is not None:
            asked = Validation(actions, validation, self.items, self.exclude_seen)
            values = {}
            for candidate in self.config.smoothing:
                self.smoothing = candidate
                values[candidate] = asked.ndcg(self)
            self.smoothing = max(values, key=values.__getitem__)

    def chosen_config(self) -> MarkovChainConfig:
        return MarkovChainConfig(smoothing=(self.smoothing,))

    def score(self, histories: Histories) -> np.ndarray:
        scores = np.tile(self.popularity, (len(histories), 1))
        begun = histories.counts > 0
        followers = self.transitions[histories.items[histories.start[1:][begun] - 1]]
        left = np.asarray(followers.sum(axis=1), dtype="float32")[:, None]
        weight = np.float32(self.smoothing)
        scores[begun] = (followers.toarray() + weight * self.popularity) / (left + weight)
        return scores

    def parameters(self) -> Parameters:
        arrays = {"popularity": self.popularity, **arrays_of(self.transitions)}
        return Parameters(arrays, {"smoothing": self.smoothing})

    def take(self, saved: Saved) -> None:
        self.popularity, self.smoothing = saved.arrays["popularity"], saved.values["smoothing"]
        self.transitions = matrix_of(saved.arrays, len(self.items))


class ItemKNNConfig(Config):
    """Candidates; the combination with the highest validation NDCG@10 is used, without validation the middle ones."""

    neighbours: Annotated[tuple[Annotated[int, Field(ge=1)], ...], Range(20, 2000, log=True)] = Field(
        default=(100, 500), min_length=1
    )
    """Most similar items that an item of the history speaks for."""
    shrinkage: Annotated[tuple[Annotated[float, Field(ge=0)], ...], Range(0.0, 100.0)] = Field(
        default=(0.0, 20.0), min_length=1
    )
    """Added to the denominator of the cosine, in users, so that few users in common count for little."""
    decay: Annotated[tuple[Annotated[float, Field(gt=0, le=1)], ...], Range(0.2, 1.0)] = Field(
        default=(1.0, 0.7, 0.4), min_length=1
    )
    """Weight of an item of the history against that of the next newer one; 1 forgets their order."""


class ItemKNN(SequenceModel):
    """`ItemNeighbours` counted over users: an item of the history speaks with the weight decay^age.

    >>> import pandas as pd
    >>> from attrec.sequences import ItemKNN
    >>> actions = pd.DataFrame(
    ...     [(u, (u + step) % 7) for u in range(30) for step in range(4)], columns=["user_id", "item_id"]
    ... )
    >>> model = ItemKNN().fit(actions)
    >>> model.recommend(actions, k=1).head(2)[["user_id", "item_id", "rank"]]  # for every user
       user_id  item_id  rank
    0        0        4     1
    1        1        5     1
    """

    config_class = ItemKNNConfig
    seeded = False

    config: ItemKNNConfig
    neighbours: ItemNeighbours
    chosen: tuple[int, float, float]
    """Neighbours, shrinkage and decay."""

    def _fit(
        self,
        actions: pd.DataFrame,
        validation: pd.DataFrame | None,
        checkpoint: Path | None,
        progress: Progress | None,
    ) -> None:
        histories, n_items = _histories(actions, self.items), len(self.items)
        counts, shrinkages, decays = self.config.neighbours, self.config.shrinkage, self.config.decay
        if validation is None:
            self.chosen = middle(counts), middle(shrinkages), middle(decays)
            [self.neighbours] = ItemNeighbours.of(histories, n_items, [self.chosen[1]], self.chosen[0])
            return
        asked = Validation(actions, validation, self.items, self.exclude_seen)
        best = -np.inf
        by_shrinkage = ItemNeighbours.of(histories, n_items, shrinkages, max(counts))
        for shrinkage, most in zip(shrinkages, by_shrinkage, strict=True):
            for count in counts:
                candidate = type(self)(self.config)
                candidate.items, candidate.neighbours = self.items, most.nearest(count)
                for decay in decays:
                    candidate.chosen = (count, shrinkage, decay)
                    value = asked.ndcg(candidate)
                    if value > best:
                        best, self.chosen, self.neighbours = value, candidate.chosen, candidate.neighbours

    def chosen_config(self) -> ItemKNNConfig:
        neighbours, shrinkage, decay = self.chosen
        return ItemKNNConfig(neighbours=(neighbours,), shrinkage=(shrinkage,), decay=(decay,))

    def score(self, histories: Histories) -> np.ndarray:
        age = histories.start[1:][histories.users] - np.arange(len(histories.items)) - 1
        return self.neighbours.score(histories, np.float32(self.chosen[2]) ** age.astype("float32"))

    def parameters(self) -> Parameters:
        return Parameters(self.neighbours.arrays(), {"chosen": self.chosen})

    def take(self, saved: Saved) -> None:
        count, shrinkage, decay = saved.values["chosen"]
        self.chosen = (count, shrinkage, decay)
        self.neighbours = ItemNeighbours.of_arrays(saved.arrays)


def _histories(actions: pd.DataFrame, items: pd.Index) -> Histories:
    return Histories.of(actions, pd.Index(actions["user_id"].unique()), items)
