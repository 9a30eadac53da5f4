"""The interface that every playlist model has: a playlist is the set of its songs, a song a point and an id."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar, Self

import numpy as np
import pandas as pd
from scipy.sparse import csr_array

from attrec.datasets.histories import Histories
from attrec.errors import DataError
from attrec.files import StrPath
from attrec.frames import check_ids, checked_features, sorted_ids
from attrec.metrics.top_lists import TopLists, block_size, check_k
from attrec.models.base import Model, Parameters, Saved
from attrec.models.training import Progress
from attrec.playlists.quality import Quality
from attrec.prepare.playlist_splits import EvaluatedPlaylists
from attrec.prepare.songs import Vectors

_POPULARITY = 1e-3


class PlaylistModel(Model):
    """Scores every song of its catalogue as one that belongs to a playlist.

    The catalogue is all songs whose features are known, in a training playlist or not. A playlist is a set: order and
    repetition mean nothing. One that nobody has seen is scored as well as any: nothing is retrained.
    """

    served_by: ClassVar[str] = "attrec.serving.playlists"
    remembers = "songs"

    explains: ClassVar[bool] = False
    """Whether it can `explain` what of a playlist counted."""
    needs_content: ClassVar[bool] = False
    """Whether it knows songs by their features, and nothing without."""

    songs: Vectors
    """The catalogue, in code order."""
    shares: np.ndarray
    """[songs] share of the training playlists that have the song (float32)."""
    labels: np.ndarray | None = None
    """[songs] the cluster of each song, from 0, and `NO_CLUSTER` for noise; None of what clusters nothing."""
    trials: tuple[Quality, ...] = ()
    """The clusterings that were tried, in order."""
    chosen: float | None = None
    """The candidate of `trials`, or the one number, that was chosen on validation."""

    @property
    def items(self) -> pd.Index:
        """Ids of the catalogue in code order."""
        return self.songs.ids

    def fit(
        self,
        playlists: pd.DataFrame,
        songs: pd.DataFrame | Vectors | None = None,
        validation: EvaluatedPlaylists | None = None,
        *,
        checkpoint: StrPath | None = None,
        progress: Progress | None = None,
    ) -> Self:
        """Fit on whole playlists (user_id, which names the playlist, and item_id); choices are made on `validation`.

        What is trained by epochs shows `progress`; killed, it resumes from `checkpoint` and ends as if it had not been.

        Args:
            songs: The catalogue: features of songs that distances may be taken of, numbers of like spread, as
                `attrec.prepare.songs.TableCleaner` makes them; item_id is the index, or a column. Without it the
                catalogue are the songs of the playlists, of which nothing else is known.
            validation: Playlists that no row of `playlists` is of, some songs given and the rest asked for, as
                `attrec.prepare.playlist_splits.split_playlists` has them.

        Raises:
            DataError: there is no playlist, a column or an id is missing, a song is twice in the catalogue, one of a
                playlist is not in it, or the model needs features and there are none.
            TrainingDiverged: the loss became infinite or undefined.
        """
        training = self._remember(playlists, self._catalogue(playlists, songs))
        self._fit(training, validation, None if checkpoint is None else Path(checkpoint), progress)
        return self

    def _catalogue(self, playlists: pd.DataFrame, songs: pd.DataFrame | Vectors | None) -> Vectors:
        check_ids(playlists, "playlists")
        if songs is None:
            ids = sorted_ids(playlists["item_id"])
            songs = Vectors(ids, (), np.zeros((len(ids), 0), dtype="float32"))
        elif not isinstance(songs, Vectors):
            table = checked_features(songs, "songs", "item_id")
            columns = tuple(map(str, table))
            songs = Vectors(table.index.rename("item_id"), columns, table.to_numpy("float32"))
        if self.needs_content and not songs.columns:
            raise DataError(
                f"{type(self).__name__} knows songs by their features: give `songs`, a frame of item_id and columns of"
                " numbers."
            )
        return songs

    def _remember(self, playlists: pd.DataFrame, songs: Vectors) -> Histories:
        """The catalogue and the shares are there after this; returns the playlists as sets of codes."""
        if playlists.empty:
            raise DataError("There is no playlist to fit a model on; give at least one with a song.")
        if not songs.ids.is_unique:
            repeated = songs.ids[songs.ids.duplicated()][0]
            raise DataError(f"The song {repeated} is in the catalogue more than once; keep one row of it.")
        absent = ~playlists["item_id"].isin(songs.ids)
        if absent.any():
            raise DataError(
                f"The song {playlists.loc[absent, 'item_id'].iloc[0]} is in a playlist but not in the catalogue;"
                " give its features, or leave it out."
            )
        self.songs = songs
        training = distinct(Histories.of(playlists, pd.Index(playlists["user_id"].unique()), songs.ids))
        counts = np.bincount(training.items, minlength=len(songs))
        self.shares = (counts / len(training)).astype("float32")
        return training

    def score(self, playlists: Histories) -> np.ndarray:
        """Scores [n, songs] (float32, finite) of every song; larger is likelier.

        Songs that occur more than once count once. An empty playlist is answered with popularity.
        """
        playlists = distinct(playlists)
        empty = playlists.counts == 0
        scores = np.empty((len(playlists), len(self.songs)), dtype="float32")
        scores[empty] = self.shares
        if not empty.all():
            scores[~empty] = self._score(playlists.take(np.flatnonzero(~empty)))
        return scores

    def recommend(self, playlists: Sequence[int | str] | pd.DataFrame, k: int = 10) -> pd.DataFrame:
        """The k songs that suit each playlist best, none that it has already: user_id, item_id, rank (from 1), score.

        One playlist is a list of song ids, whose answer has no user_id; several are a frame (user_id, which names the
        playlist, and item_id). Ids that the catalogue does not have are left out; equal scores come in its order.

        Raises:
            DataError: a playlist is empty, or none of its songs is known; the one playlist has all songs there are (of
                several it has no row); or k is below 1.
        """
        check_k(k)
        if isinstance(playlists, pd.DataFrame):
            asked = Histories.asked(playlists, self.items)
            asked.require_known("song", "playlist")
        else:
            known = self.codes(playlists)
            if len(known) == len(self.items):
                raise DataError(
                    "The playlist has every item of the catalogue, so there is none to recommend."
                )
            asked = Histories.of_lists([known.tolist()])

        def best(rows: np.ndarray) -> TopLists:
            theirs = asked.take(rows)
            return TopLists.best(self.score(theirs), k, theirs.seen(len(self.items)))

        blocks = asked.batches(block_size(len(self.items)))
        return TopLists.in_blocks(blocks, best).frame(self.items, asked.ids)

    def codes(self, songs: Sequence[int | str]) -> np.ndarray:
        """Codes, ascending and each once, of those of these ids that the catalogue has.

        Raises:
            DataError: there is no id, or none of them is known.
        """
        if len(songs) == 0:
            raise DataError("The playlist is empty; give at least one item.")
        codes = self.items.get_indexer(pd.Index(list(songs)))
        known: np.ndarray = np.unique(codes[codes >= 0])
        if len(known) == 0:
            raise DataError(
                f"No item of this playlist is in the catalogue, whose ids are such as"
                f" {self.items[:1].tolist()[0]!r}; give others."
            )
        return known

    def space(self, songs: Sequence[int | str]) -> tuple[np.ndarray, np.ndarray]:
        """`points`, and among them the centroid [d] of a playlist of these ids.

        Raises:
            DataError: the playlist is empty, or none of its songs is known.
        """
        return self.points, self.centroids(Histories.of_lists([self.codes(songs).tolist()]))[0]

    @property
    def points(self) -> np.ndarray:
        """[songs, d] where the model sees the songs of the catalogue."""
        return self.songs.values

    def centroids(self, playlists: Histories) -> np.ndarray:
        """[n, d] among them the centroid of each playlist, none of which is empty."""
        sums = np.add.reduceat(self.songs.values[playlists.items], playlists.start[:-1])
        return sums / playlists.counts[:, None]

    def explain(self, songs: Sequence[int | str]) -> pd.DataFrame:
        """What of a playlist counted: item_id, weight, and attention where the model has it; each sums to one.

        Raises:
            DataError: the model cannot tell (see `explains`), or not of this playlist.
        """
        raise DataError(f"{type(self).__name__} does not weigh the items of a playlist; ask an ARS.")

    @property
    def ranked_by(self) -> str:
        """How the order of `recommend` comes about, and what the distance to the centroid of `space` has to do with
        it, to whoever gave a playlist."""
        return "The best score first; this model does not go by the distance, which is to the mean of your items."

    def known(self) -> Parameters:
        arrays = {"vectors": self.songs.values, "shares": self.shares}
        columns = list(self.songs.columns)
        return Parameters(arrays, {"ids": self.items.tolist(), "name": self.items.name, "columns": columns})

    def take_known(self, saved: Saved) -> None:
        ids = pd.Index(saved.values["ids"], name=saved.values["name"])
        self.songs = Vectors(ids, tuple(saved.values["columns"]), saved.arrays["vectors"])
        self.shares = saved.arrays["shares"]

    @abstractmethod
    def _fit(
        self,
        playlists: Histories,
        validation: EvaluatedPlaylists | None,
        checkpoint: Path | None,
        progress: Progress | None,
    ) -> None:
        """Fit on playlists without repetitions; `songs` and `shares` are there."""

    @abstractmethod
    def _score(self, playlists: Histories) -> np.ndarray:
        """Scores [n, songs] for playlists without repetitions, none of them empty."""


def distinct(playlists: Histories) -> Histories:
    """The same playlists with each song once, in the order of the codes: sets."""
    order = np.lexsort((playlists.items, playlists.users))
    users, items = playlists.users[order], playlists.items[order]
    first = np.ones(len(items), dtype=bool)
    first[1:] = (users[1:] != users[:-1]) | (items[1:] != items[:-1])
    counts = np.bincount(users[first], minlength=len(playlists))
    return Histories(np.concatenate([[0], np.cumsum(counts)]), items[first], playlists.ids)


def popular_first(distances: np.ndarray, shares: np.ndarray) -> np.ndarray:
    """Scores [..., songs] (float32) by distances, negative: of songs at the same one the more popular are ahead.

    Films of one year and the same genres are one point. A song that every training playlist has counts as 0.001 nearer
    than one that none has, standardised features being of the order of 1. Scores tell shares apart that differ by
    0.001: of songs that are about as popular the order is that of the catalogue.

    Args:
        shares: [songs] share of the training playlists that have the song.
    """
    scores: np.ndarray = (_POPULARITY * shares - distances).astype("float32")
    return scores


def squared_distances(points: np.ndarray, songs: np.ndarray | csr_array) -> np.ndarray:
    """[n, m] squared Euclidean distances (float64) of points [n, d] to songs [m, d] (float64); never below zero.

    Costs n operations for each number of a song that is stored, and no memory but the result.
    """
    points = points.astype(np.float64)
    distances: np.ndarray = (songs @ points.T).T
    distances *= -2
    distances += (points**2).sum(axis=1)[:, None]
    distances += (songs**2).sum(axis=1)
    return np.maximum(distances, 0, out=distances)
