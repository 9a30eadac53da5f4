"""Popularity, item neighbours and a first-order Markov chain: what every sequence model has to beat."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Annotated, Self, TypeVar

import numpy as np
import pandas as pd
from pydantic import BaseModel, ConfigDict, Field
from scipy.sparse import csr_array, vstack

from attrec.datasets.histories import Histories
from attrec.models.storage import read_arrays, read_json, write_arrays, write_json
from attrec.sequences.model import SequenceModel, Validation

Number = TypeVar("Number", int, float)
_ITEMS_AT_ONCE = 512  # rows of the co-occurrence matrix
_BACK_OFF = 1e-6  # of popularity among similarities: it orders what no neighbour speaks for, and little else


class Popularity(SequenceModel):
    """Scores an item by its share of all training actions, whatever the history."""

    def fit(
        self, actions: pd.DataFrame, validation: pd.DataFrame | None = None, *, exclude_seen: bool = True
    ) -> Self:
        self.remember(actions, exclude_seen)
        self.popularity = _shares(_histories(actions, self.items))
        return self

    def score(self, histories: Histories) -> np.ndarray:
        return np.tile(self.popularity, (len(histories), 1))

    def save(self, directory: Path) -> None:
        self.save_base(directory)
        write_json(directory / "popularity.json", {})
        write_arrays(directory / "popularity.safetensors", {"popularity": self.popularity})

    @classmethod
    def load(cls, directory: Path) -> Self:
        model = cls()
        model.load_base(directory)
        model.popularity = read_arrays(directory / "popularity.safetensors")["popularity"]
        return model


class MarkovChainConfig(BaseModel):
    """Candidates for the smoothing; the one with the highest validation NDCG@10 is used."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    smoothing: tuple[Annotated[float, Field(gt=0)], ...] = Field(
        default=(1, 30, 100, 300, 1000), min_length=1
    )
    """m, in actions: after an item that was left m times, its followers and popularity count alike. A step that was
    seen once gives way to an item of popularity 1 / m. Without validation the middle candidate serves."""


class MarkovChain(SequenceModel):
    """P(i after j) = (n_ji + m p_i) / (n_j + m), j the newest item of the history, p_i the popularity of i.

    Maximum likelihood shrunk to popularity (Bayesian smoothing with a Dirichlet prior, Zhai & Lafferty 2004, Table I);
    the model of first order that Rendle et al. 2010 factorise in FPMC.
    """

    def __init__(self, config: MarkovChainConfig | None = None) -> None:
        self.config = config or MarkovChainConfig()

    def fit(
        self, actions: pd.DataFrame, validation: pd.DataFrame | None = None, *, exclude_seen: bool = True
    ) -> Self:
        self.remember(actions, exclude_seen)
        histories = _histories(actions, self.items)
        self.popularity = _shares(histories)
        follows = histories.users[1:] == histories.users[:-1]
        steps = (histories.items[:-1][follows], histories.items[1:][follows])
        ones = np.ones(follows.sum(), dtype="float32")
        self.transitions = csr_array((ones, steps), shape=(len(self.items), len(self.items)))
        self.smoothing = _middle(self.config.smoothing)
        if validation is not None:
            asked = Validation(actions, validation, self.items, exclude_seen)
            values = {}
            for candidate in self.config.smoothing:
                self.smoothing = candidate
                values[candidate] = asked.ndcg(self)
            self.smoothing = max(values, key=values.__getitem__)
        return self

    def chosen_config(self) -> MarkovChainConfig:
        """The configuration that a fit without validation shall have."""
        return MarkovChainConfig(smoothing=(self.smoothing,))

    def score(self, histories: Histories) -> np.ndarray:
        scores = np.tile(self.popularity, (len(histories), 1))
        begun = histories.counts > 0
        followers = self.transitions[histories.items[histories.start[1:][begun] - 1]]
        left = np.asarray(followers.sum(axis=1), dtype="float32")[:, None]
        weight = np.float32(self.smoothing)
        scores[begun] = (followers.toarray() + weight * self.popularity) / (left + weight)
        return scores

    def save(self, directory: Path) -> None:
        self.save_base(directory)
        content = {"config": self.config.model_dump(), "smoothing": self.smoothing}
        write_json(directory / "markov_chain.json", content)
        arrays = {"popularity": self.popularity, **_arrays_of(self.transitions)}
        write_arrays(directory / "markov_chain.safetensors", arrays)

    @classmethod
    def load(cls, directory: Path) -> Self:
        content = read_json(directory / "markov_chain.json")
        model = cls(MarkovChainConfig(**content["config"]))
        model.load_base(directory)
        model.smoothing = content["smoothing"]
        arrays = read_arrays(directory / "markov_chain.safetensors")
        model.popularity, model.transitions = arrays["popularity"], _matrix_of(arrays, len(model.items))
        return model


class ItemKNNConfig(BaseModel):
    """Candidates; the combination with the highest validation NDCG@10 is used, without validation the middle ones."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    neighbours: tuple[Annotated[int, Field(ge=1)], ...] = Field(default=(100, 500), min_length=1)
    """Most similar items that an item of the history speaks for."""
    shrinkage: tuple[Annotated[float, Field(ge=0)], ...] = Field(default=(0.0, 20.0), min_length=1)
    """Added to the denominator of the cosine, in users, so that few users in common count for little."""
    decay: tuple[Annotated[float, Field(gt=0, le=1)], ...] = Field(default=(1.0, 0.7, 0.4), min_length=1)
    """Weight of an item of the history against that of the next newer one; 1 forgets their order."""


class ItemKNN(SequenceModel):
    """Σ over the items j of the history of decay^age · sim(j, i), sim = n_ij / (sqrt(n_i n_j) + shrinkage).

    Item-based top-N recommendation with the cosine (Deshpande & Karypis 2004, Section 4), counted over users. What no
    item of the history speaks for is in order of popularity.
    """

    def __init__(self, config: ItemKNNConfig | None = None) -> None:
        self.config = config or ItemKNNConfig()

    def fit(
        self, actions: pd.DataFrame, validation: pd.DataFrame | None = None, *, exclude_seen: bool = True
    ) -> Self:
        self.remember(actions, exclude_seen)
        histories = _histories(actions, self.items)
        self.popularity = _shares(histories)
        neighbours, shrinkages, decays = self.config.neighbours, self.config.shrinkage, self.config.decay
        if validation is None:
            self.chosen = _middle(neighbours), _middle(shrinkages), _middle(decays)
            [self.similarities] = _similarities(histories, len(self.items), [self.chosen[1]], self.chosen[0])
            return self
        asked = Validation(actions, validation, self.items, exclude_seen)
        best = -np.inf
        by_shrinkage = _similarities(histories, len(self.items), shrinkages, max(neighbours))
        for shrinkage, similarities in zip(shrinkages, by_shrinkage, strict=True):
            for count in neighbours:
                candidate = type(self)(self.config)
                candidate.items, candidate.popularity = self.items, self.popularity
                candidate.similarities = _largest(similarities, count)
                for decay in decays:
                    candidate.chosen = (count, shrinkage, decay)
                    value = asked.ndcg(candidate)
                    if value > best:
                        best, self.chosen = value, candidate.chosen
                        self.similarities = candidate.similarities
        return self

    def chosen_config(self) -> ItemKNNConfig:
        """The configuration that a fit without validation shall have."""
        neighbours, shrinkage, decay = self.chosen
        return ItemKNNConfig(neighbours=(neighbours,), shrinkage=(shrinkage,), decay=(decay,))

    def score(self, histories: Histories) -> np.ndarray:
        age = histories.start[1:][histories.users] - np.arange(len(histories.items)) - 1
        weights = np.float32(self.chosen[2]) ** age.astype("float32")
        # Rows as they are: built from coordinates, repeated items would be summed in an order of scipy's own.
        shape = (len(histories), len(self.items))
        speaking = csr_array((weights, histories.items, histories.start), shape=shape)
        return (speaking @ self.similarities).toarray() + np.float32(_BACK_OFF) * self.popularity

    def save(self, directory: Path) -> None:
        self.save_base(directory)
        content = {"config": self.config.model_dump(), "chosen": self.chosen}
        write_json(directory / "item_knn.json", content)
        arrays = {"popularity": self.popularity, **_arrays_of(self.similarities)}
        write_arrays(directory / "item_knn.safetensors", arrays)

    @classmethod
    def load(cls, directory: Path) -> Self:
        content = read_json(directory / "item_knn.json")
        model = cls(ItemKNNConfig(**content["config"]))
        model.load_base(directory)
        neighbours, shrinkage, decay = content["chosen"]
        model.chosen = (neighbours, shrinkage, decay)
        arrays = read_arrays(directory / "item_knn.safetensors")
        model.popularity, model.similarities = arrays["popularity"], _matrix_of(arrays, len(model.items))
        return model


def _middle(candidates: Sequence[Number]) -> Number:
    return candidates[len(candidates) // 2]


def _histories(actions: pd.DataFrame, items: pd.Index) -> Histories:
    return Histories.of(actions, pd.Index(actions["user_id"].unique()), items)


def _shares(histories: Histories) -> np.ndarray:
    """[items] share of all actions."""
    return (np.bincount(histories.items) / len(histories.items)).astype("float32")


def _similarities(
    histories: Histories, n_items: int, shrinkages: Iterable[float], neighbours: int
) -> list[csr_array]:
    """For each shrinkage, the similarities [items, items] of each item (row) to its nearest neighbours.

    Computed for some rows at a time, so that all pairs are never in memory together.
    """
    ones = np.ones(len(histories.items), dtype="float32")
    did = csr_array((ones, histories.items, histories.start), shape=(len(histories), n_items), copy=True)
    did.sum_duplicates()
    did.data[:] = 1  # done twice is done
    by_item = did.T.tocsr()
    users = np.diff(by_item.indptr).astype("float32")
    blocks: dict[float, list[csr_array]] = {shrinkage: [] for shrinkage in shrinkages}
    for first in range(0, n_items, _ITEMS_AT_ONCE):
        common = (by_item[first : first + _ITEMS_AT_ONCE] @ did).tocoo()
        others = common.row + first != common.col
        row, column, n_common = common.row[others], common.col[others], common.data[others]
        geometric_mean = np.sqrt(users[row + first] * users[column])
        for shrinkage, rows in blocks.items():
            similar = csr_array((n_common / (geometric_mean + shrinkage), (row, column)), shape=common.shape)
            rows.append(_largest(similar, neighbours))
    return [vstack(rows, format="csr") for rows in blocks.values()]


def _largest(matrix: csr_array, count: int) -> csr_array:
    """The `count` largest entries of each row; of equal ones those that come first."""
    kept = np.ones(matrix.nnz, dtype=bool)
    for row in np.flatnonzero(np.diff(matrix.indptr) > count):
        entries = slice(matrix.indptr[row], matrix.indptr[row + 1])
        values = matrix.data[entries]
        lowest = np.partition(values, len(values) - count)[len(values) - count]
        above = values > lowest
        level = np.flatnonzero(values == lowest)
        above[level[: count - np.count_nonzero(above)]] = True
        kept[entries] = above
    before = np.concatenate([[0], np.cumsum(kept)])
    return csr_array((matrix.data[kept], matrix.indices[kept], before[matrix.indptr]), shape=matrix.shape)


def _arrays_of(matrix: csr_array) -> dict[str, np.ndarray]:
    return {"values": matrix.data, "columns": matrix.indices, "starts": matrix.indptr}


def _matrix_of(arrays: dict[str, np.ndarray], size: int) -> csr_array:
    return csr_array((arrays["values"], arrays["columns"], arrays["starts"]), shape=(size, size))
