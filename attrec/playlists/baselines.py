"""Chance, popularity, co-occurrence, the mean of a playlist's songs: what every playlist model has to beat."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Self, TypeVar

import numpy as np
import pandas as pd
from pydantic import BaseModel, ConfigDict, Field

from attrec.datasets.histories import Histories
from attrec.models.storage import read_json, write_json
from attrec.playlists.model import (
    PlaylistModel,
    distinct,
    popular_first,
    squared_distances,
    validation_ndcg,
)
from attrec.prepare.playlist_splits import EvaluatedPlaylists
from attrec.sequences import baselines as sequence_baselines

Part = TypeVar("Part", bound=PlaylistModel)


class Random(PlaylistModel):
    """Scores drawn uniformly; the same playlist gets the same ones, whatever is asked beside it."""

    def __init__(self, seed: int = 0) -> None:
        self.seed = seed

    def score(self, playlists: Histories) -> np.ndarray:
        return self._score(distinct(playlists))

    def _fit(self, playlists: Histories, validation: EvaluatedPlaylists | None) -> None:
        pass

    def _score(self, playlists: Histories) -> np.ndarray:
        scores = np.empty((len(playlists), len(self.songs)), dtype="float32")
        for row, (first, end) in enumerate(zip(playlists.start[:-1], playlists.start[1:], strict=True)):
            rng = np.random.default_rng([self.seed, *playlists.items[first:end].tolist()])
            scores[row] = rng.random(len(self.songs), dtype="float32")
        return scores

    def _save(self, directory: Path) -> None:
        write_json(directory / "random_playlist.json", {"seed": self.seed})

    @classmethod
    def _load(cls, directory: Path) -> Self:
        return cls(read_json(directory / "random_playlist.json")["seed"])


class Popularity(PlaylistModel):
    """Scores a song by the share of the training playlists that have it, whatever the playlist."""

    def _fit(self, playlists: Histories, validation: EvaluatedPlaylists | None) -> None:
        pass

    def _score(self, playlists: Histories) -> np.ndarray:
        return np.tile(self.shares, (len(playlists), 1))

    def _save(self, directory: Path) -> None:
        write_json(directory / "playlist_popularity.json", {})

    @classmethod
    def _load(cls, directory: Path) -> Self:
        read_json(directory / "playlist_popularity.json")
        return cls()


class MeanVector(PlaylistModel):
    """Scores a song by its Euclidean distance, negative, to the mean of the playlist's songs; exact.

    Of songs at the same distance the more popular come first (see `popular_first`).
    """

    def _fit(self, playlists: Histories, validation: EvaluatedPlaylists | None) -> None:
        pass

    def _score(self, playlists: Histories) -> np.ndarray:
        sums = np.zeros((len(playlists), self.songs.values.shape[1]))
        np.add.at(sums, playlists.users, self.songs.values[playlists.items])
        means = sums / playlists.counts[:, None]
        return popular_first(np.sqrt(squared_distances(means, self.songs.compact)), self.shares)

    def _save(self, directory: Path) -> None:
        write_json(directory / "mean_vector.json", {})

    @classmethod
    def _load(cls, directory: Path) -> Self:
        read_json(directory / "mean_vector.json")
        return cls()


class ItemKNNConfig(BaseModel):
    """Candidates; the combination with the highest validation NDCG@10 is used, without validation the first."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    neighbours: tuple[Annotated[int, Field(ge=1)], ...] = Field(default=(200, 50, 1000, 3000), min_length=1)
    """Most similar songs that a song of the playlist speaks for."""
    shrinkage: tuple[Annotated[float, Field(ge=0)], ...] = Field(default=(0.0, 5.0, 20.0, 50.0), min_length=1)
    """Added to the denominator of the cosine, in playlists."""


class ItemKNN(PlaylistModel):
    """The item neighbours of `attrec.sequences.baselines`, counted over playlists and without order.

    A song that no training playlist has can neither speak for another nor be found: it scores 0, the least there is.
    """

    neighbours: sequence_baselines.ItemKNN

    def __init__(self, config: ItemKNNConfig | None = None) -> None:
        self.config = config or ItemKNNConfig()

    def _fit(self, playlists: Histories, validation: EvaluatedPlaylists | None) -> None:
        rows = pd.DataFrame({"user_id": playlists.users, "item_id": playlists.items})
        best = -np.inf
        for neighbours in self.config.neighbours:
            for shrinkage in self.config.shrinkage:
                candidate = type(self)(self.config)
                candidate.songs, candidate.shares = self.songs, self.shares
                candidate.neighbours = sequence_baselines.ItemKNN(
                    sequence_baselines.ItemKNNConfig(
                        neighbours=(neighbours,), shrinkage=(shrinkage,), decay=(1.0,)
                    )
                ).fit(rows)
                value = 0.0 if validation is None else validation_ndcg(candidate, validation)
                if value > best:
                    best, self.neighbours = value, candidate.neighbours
                if validation is None:
                    return

    def _score(self, playlists: Histories) -> np.ndarray:
        trained_on = self.neighbours.items
        codes = trained_on.get_indexer(pd.Index(playlists.items))
        known = codes >= 0
        counts = np.bincount(playlists.users[known], minlength=len(playlists))
        speaking = Histories(np.concatenate([[0], np.cumsum(counts)]), codes[known].astype(np.int64))
        scores = np.zeros((len(playlists), len(self.songs)), dtype="float32")
        scores[:, trained_on.to_numpy()] = self.neighbours.score(speaking)
        return scores

    def _save(self, directory: Path) -> None:
        write_json(directory / "playlist_item_knn.json", {"config": self.config.model_dump()})
        self.neighbours.save(directory / "neighbours")

    @classmethod
    def _load(cls, directory: Path) -> Self:
        model = cls(ItemKNNConfig(**read_json(directory / "playlist_item_knn.json")["config"]))
        model.neighbours = sequence_baselines.ItemKNN.load(directory / "neighbours")
        return model


class HybridConfig(BaseModel):
    """Candidates; the one with the highest validation NDCG@10 is used, without validation the first."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    content_weight: tuple[Annotated[float, Field(ge=0, le=1)], ...] = Field(
        default=(0.5, 0.0, 0.02, 0.05, 0.1, 0.2, 0.3, 0.4, 0.6, 0.7, 0.8, 0.9, 1.0), min_length=1
    )
    """Of `MeanVector`; the rest is that of `ItemKNN`."""


class Hybrid(PlaylistModel):
    """Weighted hybrid (Burke 2002) of `ItemKNN`, which knows who goes with whom, and `MeanVector`, which knows content.

    The scores of each are standardised over the catalogue, playlist by playlist, and added up with weights.
    """

    itemknn: ItemKNN
    chosen: float
    """The weight of content that was chosen."""

    def __init__(self, config: HybridConfig | None = None) -> None:
        self.config = config or HybridConfig()

    def _fit(self, playlists: Histories, validation: EvaluatedPlaylists | None) -> None:
        self.itemknn = self._beside_me(ItemKNN())
        self.itemknn._fit(playlists, validation)
        self.chosen = self.config.content_weight[0]
        if validation is not None:
            values = {}
            for weight in self.config.content_weight:
                self.chosen = weight
                values[weight] = validation_ndcg(self, validation)
            self.chosen = max(values, key=values.__getitem__)

    def _score(self, playlists: Histories) -> np.ndarray:
        cooccurrence = _standardised(self._beside_me(self.itemknn)._score(playlists))
        content = _standardised(self._beside_me(MeanVector())._score(playlists))
        scores: np.ndarray = ((1 - self.chosen) * cooccurrence + self.chosen * content).astype("float32")
        return scores

    def _beside_me(self, model: Part) -> Part:
        """The model with the catalogue of this one."""
        model.songs, model.shares = self.songs, self.shares
        return model

    def _save(self, directory: Path) -> None:
        content = {"config": self.config.model_dump(), "chosen": self.chosen}
        write_json(directory / "playlist_hybrid.json", content)
        self.itemknn._save(directory / "itemknn")

    @classmethod
    def _load(cls, directory: Path) -> Self:
        content = read_json(directory / "playlist_hybrid.json")
        model = cls(HybridConfig(**content["config"]))
        model.chosen, model.itemknn = content["chosen"], ItemKNN._load(directory / "itemknn")
        return model


def _standardised(scores: np.ndarray) -> np.ndarray:
    """Each row [n, songs] less its mean, over its standard deviation; zeros where all its scores are the same."""
    spread = scores.std(axis=1, keepdims=True, dtype=np.float64)
    centred = scores - scores.mean(axis=1, keepdims=True, dtype=np.float64)
    standardised: np.ndarray = centred / np.where(spread > 0, spread, 1.0)
    return standardised
