"""Chance, popularity, co-occurrence, the mean of a playlist's songs: what every playlist model has to beat."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, TypeVar

import numpy as np
from pydantic import Field

from attrec.datasets.histories import Histories
from attrec.models.base import Config, Parameters, Saved
from attrec.models.cooccurrence import ItemNeighbours
from attrec.models.training import Progress
from attrec.models.tunable import Range
from attrec.playlists.model import PlaylistModel, distinct, popular_first, squared_distances
from attrec.playlists.ranking import validation_ndcg
from attrec.prepare.playlist_splits import EvaluatedPlaylists

M = TypeVar("M", bound=PlaylistModel)


class Unfitted(PlaylistModel):
    """What knows the catalogue and what is popular, and fits nothing."""

    def _fit(
        self,
        playlists: Histories,
        validation: EvaluatedPlaylists | None,
        checkpoint: Path | None,
        progress: Progress | None,
    ) -> None:
        pass

    def parameters(self) -> Parameters:
        return Parameters()

    def take(self, saved: Saved) -> None:
        pass


class Random(Unfitted):
    """Scores drawn uniformly; the same playlist gets the same ones, whatever is asked beside it.

    >>> import pandas as pd
    >>> from attrec.playlists import Random
    >>> playlists = pd.DataFrame(
    ...     [(p, 2 * n + p % 2) for p in range(20) for n in range(6) if (p + n) % 3], columns=["user_id", "item_id"]
    ... )
    >>> len(Random(seed=1).fit(playlists).recommend([0, 2], k=3))
    3
    """

    def score(self, playlists: Histories) -> np.ndarray:
        return self._score(distinct(playlists))

    def _score(self, playlists: Histories) -> np.ndarray:
        scores = np.empty((len(playlists), len(self.songs)), dtype="float32")
        for row, (first, end) in enumerate(zip(playlists.start[:-1], playlists.start[1:], strict=True)):
            rng = np.random.default_rng([self.seed, *playlists.items[first:end].tolist()])
            scores[row] = rng.random(len(self.songs), dtype="float32")
        return scores


class Popularity(Unfitted):
    """Scores a song by the share of the training playlists that have it, whatever the playlist.

    >>> import pandas as pd
    >>> from attrec.playlists import Popularity
    >>> playlists = pd.DataFrame({"user_id": [1, 1, 2, 2, 3], "item_id": ["a", "b", "b", "c", "b"]})
    >>> Popularity().fit(playlists).recommend(["a"], k=1)["item_id"].tolist()
    ['b']
    """

    seeded = False

    def _score(self, playlists: Histories) -> np.ndarray:
        return np.tile(self.shares, (len(playlists), 1))


class MeanVector(Unfitted):
    """Scores a song by its Euclidean distance, negative, to the mean of the playlist's songs; exact.

    Of songs at the same distance the more popular come first (see `popular_first`).

    >>> import pandas as pd
    >>> from attrec.playlists import MeanVector
    >>> playlists = pd.DataFrame(
    ...     [(p, 2 * n + p % 2) for p in range(20) for n in range(6) if (p + n) % 3], columns=["user_id", "item_id"]
    ... )
    >>> songs = pd.DataFrame({"item_id": range(12), "energy": 6 * [0.0, 1.0], "tempo": [n / 12 for n in range(12)]})
    >>> model = MeanVector().fit(playlists, songs)
    >>> sorted(model.recommend([0, 2], k=4)["item_id"])
    [4, 6, 8, 10]
    """

    needs_content = True
    seeded = False

    @property
    def ranked_by(self) -> str:
        return "The nearest to the mean of your items first."

    def _score(self, playlists: Histories) -> np.ndarray:
        sums = np.zeros((len(playlists), self.songs.values.shape[1]))
        np.add.at(sums, playlists.users, self.songs.values[playlists.items])
        means = sums / playlists.counts[:, None]
        return popular_first(np.sqrt(squared_distances(means, self.songs.compact)), self.shares)


class ItemKNNConfig(Config):
    """Candidates; the combination with the highest validation NDCG@10 is used, without validation the first."""

    neighbours: Annotated[tuple[Annotated[int, Field(ge=1)], ...], Range(20, 3000, log=True)] = Field(
        default=(200, 50, 1000, 3000), min_length=1
    )
    """Most similar songs that a song of the playlist speaks for."""
    shrinkage: Annotated[tuple[Annotated[float, Field(ge=0)], ...], Range(0.0, 100.0)] = Field(
        default=(0.0, 5.0, 20.0, 50.0), min_length=1
    )
    """Added to the denominator of the cosine, in playlists."""


class ItemKNN(PlaylistModel):
    """`ItemNeighbours` counted over playlists, each song of which speaks alike.

    A song that no training playlist has can neither speak for another nor be found: it scores 0, the least there is.

    >>> import pandas as pd
    >>> from attrec.playlists import ItemKNN
    >>> playlists = pd.DataFrame(
    ...     [(p, 2 * n + p % 2) for p in range(20) for n in range(6) if (p + n) % 3], columns=["user_id", "item_id"]
    ... )
    >>> model = ItemKNN().fit(playlists)
    >>> sorted(model.recommend([0, 2], k=4)["item_id"])
    [4, 6, 8, 10]
    """

    config_class = ItemKNNConfig
    seeded = False

    config: ItemKNNConfig
    neighbours: ItemNeighbours
    """Of the songs that training playlists have, in code order."""

    def _fit(
        self,
        playlists: Histories,
        validation: EvaluatedPlaylists | None,
        checkpoint: Path | None,
        progress: Progress | None,
    ) -> None:
        trained_on = self._of_known(playlists)
        best = -np.inf
        for neighbours in self.config.neighbours:
            for shrinkage in self.config.shrinkage:
                candidate = type(self)(self.config)
                candidate.songs, candidate.shares = self.songs, self.shares
                [candidate.neighbours] = ItemNeighbours.of(
                    trained_on, int(np.count_nonzero(self.shares)), [shrinkage], neighbours
                )
                value = 0.0 if validation is None else validation_ndcg(candidate, validation)
                if value > best:
                    best, self.neighbours = value, candidate.neighbours
                if validation is None:
                    return

    def _score(self, playlists: Histories) -> np.ndarray:
        speaking = self._of_known(playlists)
        scores = np.zeros((len(playlists), len(self.songs)), dtype="float32")
        alike = np.ones(len(speaking.items), dtype="float32")
        scores[:, self.shares > 0] = self.neighbours.score(speaking, alike)
        return scores

    def _of_known(self, playlists: Histories) -> Histories:
        """The songs that training playlists have, as codes among these alone."""
        trained_on = self.shares > 0
        known = trained_on[playlists.items]
        counts = np.bincount(playlists.users[known], minlength=len(playlists))
        codes = np.cumsum(trained_on) - 1
        return Histories(np.concatenate([[0], np.cumsum(counts)]), codes[playlists.items[known]])

    def parameters(self) -> Parameters:
        return Parameters(self.neighbours.arrays())

    def take(self, saved: Saved) -> None:
        self.neighbours = ItemNeighbours.of_arrays(saved.arrays)


class HybridConfig(Config):
    """Candidates; the one with the highest validation NDCG@10 is used, without validation the first."""

    content_weight: Annotated[tuple[Annotated[float, Field(ge=0, le=1)], ...], Range(0.0, 1.0)] = Field(
        default=(0.5, 0.0, 0.02, 0.05, 0.1, 0.2, 0.3, 0.4, 0.6, 0.7, 0.8, 0.9, 1.0), min_length=1
    )
    """Of `MeanVector`; the rest is that of `ItemKNN`."""


class Hybrid(PlaylistModel):
    """Weighted hybrid (Burke 2002) of `ItemKNN`, which knows who goes with whom, and `MeanVector`, which knows content.

    The scores of each are standardised over the catalogue, playlist by playlist, and added up with weights.

    >>> import pandas as pd
    >>> from attrec.playlists import Hybrid
    >>> playlists = pd.DataFrame(
    ...     [(p, 2 * n + p % 2) for p in range(20) for n in range(6) if (p + n) % 3], columns=["user_id", "item_id"]
    ... )
    >>> songs = pd.DataFrame({"item_id": range(12), "energy": 6 * [0.0, 1.0], "tempo": [n / 12 for n in range(12)]})
    >>> model = Hybrid().fit(playlists, songs)
    >>> sorted(model.recommend([0, 2], k=4)["item_id"])
    [4, 6, 8, 10]
    """

    needs_content = True
    config_class = HybridConfig
    seeded = False

    config: HybridConfig
    itemknn: ItemKNN
    chosen: float
    """The weight of content that was chosen."""

    def _fit(
        self,
        playlists: Histories,
        validation: EvaluatedPlaylists | None,
        checkpoint: Path | None,
        progress: Progress | None,
    ) -> None:
        self.itemknn = self._beside_me(ItemKNN())
        self.itemknn._fit(playlists, validation, None, None)
        self.chosen = self.config.content_weight[0]
        if validation is not None:
            values = {}
            for weight in self.config.content_weight:
                self.chosen = weight
                values[weight] = validation_ndcg(self, validation)
            self.chosen = max(values, key=values.__getitem__)

    def _score(self, playlists: Histories) -> np.ndarray:
        cooccurrence = _standardised(self.itemknn._score(playlists))
        content = _standardised(self._beside_me(MeanVector())._score(playlists))
        scores: np.ndarray = ((1 - self.chosen) * cooccurrence + self.chosen * content).astype("float32")
        return scores

    def _beside_me(self, model: M) -> M:
        """The model with the catalogue of this one."""
        model.songs, model.shares = self.songs, self.shares
        return model

    def parameters(self) -> Parameters:
        return Parameters(self.itemknn.parameters().arrays, {"chosen": self.chosen})

    def take(self, saved: Saved) -> None:
        self.chosen, self.itemknn = saved.values["chosen"], self._beside_me(ItemKNN())
        self.itemknn.take(saved)


def _standardised(scores: np.ndarray) -> np.ndarray:
    """Each row [n, songs] less its mean, over its standard deviation; zeros where all its scores are the same."""
    spread = scores.std(axis=1, keepdims=True, dtype=np.float64)
    centred = scores - scores.mean(axis=1, keepdims=True, dtype=np.float64)
    standardised: np.ndarray = centred / np.where(spread > 0, spread, 1.0)
    return standardised
