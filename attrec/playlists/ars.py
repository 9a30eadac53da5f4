"""ARS: self-attention over the songs of a playlist gives a centroid, and the songs nearest to it are recommended.

Mousaei & Asgharivahed, "ARS: Attention-based Recommender Systems", Section IV. Its authors described the model and
never implemented it. Two things are not theirs, and the recipe `paper` does without them: songs also know the training
playlists that they are in, and popular songs are preferred.

What a song's vector is stands in `attrec.playlists.song_space`, the network in `attrec.playlists.ars_network`; songs
and centroids are points in [0, 1]^d, as the paper has it, by a sigmoid.

The paper leaves the objective open. Here a random part of each training playlist is given, between the two ends of
`given_share`, and the rest has to be told from the whole catalogue: cross-entropy over all songs that were not given,
the mean over a playlist's hidden songs. That is what is asked of a recommender; no label supervises it; and it draws
sub-playlists of all sizes from every playlist, anew in every epoch.

The k nearest are found exactly, at any size of the catalogue: distances to some songs at a time, so that memory holds,
beside the vectors, one score for each song and playlist of a batch. An index of approximate neighbours would leave out
songs that popularity puts among the best. Training past `max_candidates` songs contrasts with a sample of so many a
step.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import pandas as pd
import torch
from pydantic import Field, model_validator
from torch import Tensor, nn

from attrec.datasets.histories import Histories
from attrec.errors import DataError
from attrec.models.base import Config, Parameters, Saved
from attrec.models.distributed import default_device
from attrec.models.layers import seeded_generator
from attrec.models.network import NetworkModel
from attrec.models.training import Progress, TrainingConfig, train
from attrec.models.tunable import Choice, Range
from attrec.parameters import BatchSize, Width
from attrec.playlists.ars_network import ARSNetwork, Similarity
from attrec.playlists.batches import Batch, candidates, playlist_batches
from attrec.playlists.model import PlaylistModel
from attrec.playlists.ranking import validation_mean
from attrec.playlists.song_space import SongSpace
from attrec.prepare.playlist_splits import EvaluatedPlaylists

_CELLS_AT_ONCE = 2**22  # of the attention of one batch of playlists: 16 MB a pair
_SONGS_AT_ONCE = 2**16  # of the catalogue: 32 MB of points at d = 64

MOST_EXPLAINED = 200
"""Songs of a playlist that `explain` takes: about a second."""

SLOW_PAIRS = {"network.pairs.": 0.1}
"""Encoders and decoders take steps of a tenth."""


class ARSConfig(Config):
    """Shape of ARS, and how it is trained."""

    dimension: Annotated[Width, Choice((16, 32, 64, 128))] = 64
    """d of the song vectors and of all layers."""
    pairs: Annotated[int, Range(1, 3)] = Field(default=2, ge=1, le=1024)
    """Encoder-decoder pairs that are averaged."""
    hidden: Annotated[Width, Choice((32, 64, 128))] = 64
    """Width inside a decoder."""
    attention: bool = True
    """Whether songs attend to each other; else each is decoded alone."""
    similarity: Similarity = "distance"
    """`distance`: squared, between points in [0, 1]^d; `learned`: inner product of the vectors before the sigmoid."""
    popularity: bool = True
    """Whether songs of many playlists are preferred, by a learned factor."""
    cooccurrence: Annotated[int, Choice((0, 16, 32, 64, 128))] = Field(default=64, ge=0, le=2**16)
    """Length of the learned vectors of training playlists, of which songs know in which they are; 0 leaves a song with
    its content."""
    dropout: Annotated[float, Range(0.0, 0.5)] = Field(default=0.2, ge=0, lt=1)
    """Of the songs that the network reads, and inside decoders."""
    feature_dropout: Annotated[float, Range(0.0, 0.3)] = Field(default=0.1, ge=0, lt=1)
    """Of what is known of a song, its content and its playlists."""
    given_share: tuple[float, float] = (0.2, 0.8)
    """Least and largest share of a training playlist that is given."""
    max_given: int = Field(default=100, ge=1)
    """Songs of a training playlist that are given, at most."""
    max_candidates: int = Field(default=20_000, ge=1)
    """A larger catalogue is sampled in training."""
    batch: Annotated[BatchSize, Choice((16, 32, 64))] = 32
    """Playlists a step."""
    training: Annotated[TrainingConfig, {"learning_rate": Range(1e-3, 3e-2, log=True)}] = TrainingConfig(
        epochs=100, learning_rate=3e-3, rate_factors=SLOW_PAIRS, average_decay=0.98, patience=20
    )
    """Epochs, step size; early stopping on 1 - the mean of the three metrics on validation."""

    @model_validator(mode="after")
    def _check_shares(self) -> ARSConfig:
        low, high = self.given_share
        if not 0 < low <= high < 1:
            raise ValueError("given_share must be two shares between 0 and 1, the smaller first")
        return self


class ARS(NetworkModel, PlaylistModel):
    """Recommends the songs nearest to the centroid that attention makes of a playlist.

    >>> import pandas as pd
    >>> from attrec.playlists import ARS
    >>> playlists = pd.DataFrame(
    ...     [(p, 2 * n + p % 2) for p in range(20) for n in range(6) if (p + n) % 3], columns=["user_id", "item_id"]
    ... )
    >>> model = ARS(dimension=16, cooccurrence=8, batch=4, training={"epochs": 10}).fit(playlists)
    >>> sorted(model.recommend([0, 2], k=4)["item_id"])
    [4, 6, 8, 10]
    >>> model.explain([0, 2]).columns.tolist()  # what of a playlist counted
    ['item_id', 'weight', 'attention']
    """

    config_class = ARSConfig
    explains = True

    config: ARSConfig
    network: ARSNetwork
    vectors: np.ndarray
    """[songs, d] x of the whole catalogue (float32)."""
    counts: np.ndarray
    """[songs] training playlists of each song (float32)."""

    def __init__(self, config: ARSConfig | None = None, seed: int = 0, **fields: Any) -> None:
        super().__init__(config, seed, **fields)
        self.device = default_device()

    def centroid(self, songs: Sequence[int | str]) -> np.ndarray:
        """[d] the point in [0, 1]^d that a playlist of these ids is looked for around; `points` are the songs'.

        Raises:
            DataError: the playlist is empty, or none of its songs is known.
        """
        return self.centroids(Histories.of_lists([self.codes(songs).tolist()]))[0]

    @property
    def points(self) -> np.ndarray:
        """[songs, d] where the songs of the catalogue are in [0, 1]^d."""
        return _sigmoid(self.vectors)

    def centroids(self, playlists: Histories) -> np.ndarray:
        return _sigmoid(self._encode(playlists))

    def explain(self, songs: Sequence[int | str]) -> pd.DataFrame:
        """What of a playlist counted: item_id, weight, and attention where the network has it; each sums to one.

        `weight` is how far the centroid would move without the song, the largest first: songs that are unlike the
        others move it most. `attention` is the share of attention that the song receives, the mean over the pairs and
        over the songs that attend; it leaves out what the values and the decoders make of a song. Ids that the
        catalogue does not have are left out.

        Raises:
            DataError: the playlist is empty, none of its songs is known, or more than `MOST_EXPLAINED` are: each is
                left out in turn, which takes as many passes.
        """
        known = self.codes(songs)
        if len(known) > MOST_EXPLAINED:
            raise DataError(
                f"The playlist has {len(known)} items; how each moves the centroid is told of {MOST_EXPLAINED} at most."
            )
        moved = np.ones(len(known))
        if len(known) > 1:
            without = [np.delete(known, place).tolist() for place in range(len(known))]
            centroids = _sigmoid(self._encode(Histories.of_lists([known.tolist(), *without])))
            moved = np.linalg.norm(centroids[1:] - centroids[0], axis=1)
        weights = moved / moved.sum() if moved.any() else np.full(len(known), 1 / len(known))
        explained = pd.DataFrame({"item_id": self.items[known], "weight": weights})
        if self.config.attention:
            with torch.no_grad():
                received = self.network.attention(torch.from_numpy(self.vectors[known]).to(self.device))
            explained["attention"] = received.cpu().numpy().astype(np.float64)
        return explained.sort_values("weight", ascending=False, kind="stable", ignore_index=True)

    @property
    def ranked_by(self) -> str:
        if self.config.similarity == "learned":
            popular = ", with how popular the item is" if self.config.popularity else ""
            return (
                f"The best score first: the inner product of an item's vector and that of your items together{popular};"
                " this model does not go by the distance, which is to the centroid of your items."
            )
        if not self.config.popularity:
            return "The nearest to the centroid of your items first."
        return (
            "The best score first: how near the centroid of your items, with how popular an item is; distance is the"
            " former alone."
        )

    def _fit(
        self,
        playlists: Histories,
        validation: EvaluatedPlaylists | None,
        checkpoint: Path | None,
        progress: Progress | None,
    ) -> None:
        generator = seeded_generator(self.seed)
        self.counts = np.bincount(playlists.items, minlength=len(self.songs)).astype("float32")
        self.network = self._build(generator)
        space = SongSpace(
            self.songs.values,
            playlists,
            dimension=self.config.dimension,
            cooccurrence=self.config.cooccurrence,
            dropout=self.config.feature_dropout,
            generator=generator,
        )
        trained = nn.ModuleDict({"space": space, "network": self.network}).to(self.device)
        validate = None
        if validation is not None:

            def validate(_: nn.Module) -> float:
                self._place(space)
                return 1 - validation_mean(self, validation)

        self.course = train(
            trained,
            batches=lambda drawn, _: playlist_batches(
                playlists, self.config.batch, self.config.given_share, self.config.max_given, drawn
            ),
            loss=lambda _, batch: self._loss(space, batch, generator),
            config=self.config.training,
            generator=generator,
            validate=validate,
            checkpoint=checkpoint,
            fingerprint=self._fingerprint(playlists, validation),
            progress=progress,
            weigh=lambda batch: len(batch.given),
        )
        self._place(space)

    def _loss(self, space: SongSpace, batch: Batch, generator: torch.Generator) -> Tensor:
        """Cross-entropy of the hidden songs, the mean over a playlist's and then over playlists."""
        songs, log_weights = candidates(batch, len(self.songs), self.config.max_candidates, generator)
        vectors, counts = space(
            torch.from_numpy(songs).to(self.device), torch.from_numpy(batch.playlists).to(self.device)
        )
        given = Histories(batch.given.start, np.searchsorted(songs, batch.given.items))
        padded, present = _padded(given)
        hidden = self.network(vectors[padded.to(self.device)], present.to(self.device))
        scores = self.network.scores(hidden, vectors, counts) + log_weights.to(self.device)
        places = batch.hidden.users, np.searchsorted(songs, batch.hidden.items)
        rows, columns = (torch.from_numpy(place).to(self.device) for place in places)
        weights = torch.from_numpy(1 / batch.hidden.counts).to(scores)[rows] / len(batch.hidden)
        return -(scores.log_softmax(1)[rows, columns] * weights).sum()

    def _place(self, space: SongSpace) -> None:
        """Compute the vectors of the whole catalogue."""
        nobody = torch.empty(0, dtype=torch.int64, device=self.device)
        codes = torch.arange(len(self.songs), device=self.device).split(_SONGS_AT_ONCE)
        space.eval()
        with torch.no_grad():
            parts = [space(some, without=nobody)[0].cpu() for some in codes]
        self.vectors = torch.cat(parts).numpy()

    def _encode(self, playlists: Histories) -> np.ndarray:
        """h [n, d] (float32)."""
        hidden = np.empty((len(playlists), self.config.dimension), dtype="float32")
        self.network.eval()
        order = np.argsort(playlists.counts, kind="stable")
        counts = playlists.counts[order]
        first = 0
        while first < len(order):
            cells = np.arange(1, len(order) - first + 1) * counts[first:] ** 2
            last = first + max(1, int(np.searchsorted(cells, _CELLS_AT_ONCE, side="right")))
            batch = order[first:last]
            padded, present = _padded(playlists.take(batch))
            songs = torch.from_numpy(self.vectors)[padded].to(self.device)
            with torch.no_grad():
                hidden[batch] = self.network(songs, present.to(self.device)).cpu().numpy()
            first = last
        return hidden

    def _score(self, playlists: Histories) -> np.ndarray:
        # In float64: what tells near songs apart is far smaller than the squares it is the difference of.
        hidden, vectors, counts = (
            torch.from_numpy(values) for values in (self._encode(playlists), self.vectors, self.counts)
        )
        scores = np.empty((len(playlists), len(self.songs)), dtype="float32")
        for first in range(0, len(self.songs), _SONGS_AT_ONCE):
            some = slice(first, first + _SONGS_AT_ONCE)
            parts = (part.to(self.device).double() for part in (hidden, vectors[some], counts[some]))
            with torch.no_grad():
                scores[:, some] = self.network.scores(*parts).cpu().numpy()
        return scores

    def parameters(self) -> Parameters:
        network = self.network_parameters()
        return Parameters({**network.arrays, "vectors": self.vectors, "counts": self.counts}, network.values)

    def take(self, saved: Saved) -> None:
        self.vectors, self.counts = saved.arrays["vectors"], saved.arrays["counts"]
        self.take_network(saved, self._build(seeded_generator(self.seed)))

    def _build(self, generator: torch.Generator) -> ARSNetwork:
        network = ARSNetwork(
            dimension=self.config.dimension,
            hidden=self.config.hidden,
            pairs=self.config.pairs,
            attention=self.config.attention,
            similarity=self.config.similarity,
            popularity=self.config.popularity,
            dropout=self.config.dropout,
            generator=generator,
        )
        return network.to(self.device)

    def _fingerprint(self, playlists: Histories, validation: EvaluatedPlaylists | None) -> str:
        """Identifies a training, so that a checkpoint is never continued by another one."""
        digest = hashlib.sha256(f"ARS {self.seed} {self.config.model_dump_json()}".encode())
        for array in (playlists.start, playlists.items, self.songs.values):
            digest.update(np.ascontiguousarray(array).data)
        if validation is not None:
            for frame in (validation.given, validation.held_out):
                digest.update(pd.util.hash_pandas_object(frame, index=False).to_numpy().tobytes())
        return digest.hexdigest()


def _padded(playlists: Histories) -> tuple[Tensor, Tensor]:
    """Codes [b, n], 0 past the end of a playlist, and where there are songs [b, n]."""
    present = np.arange(playlists.counts.max()) < playlists.counts[:, None]
    codes = np.zeros(present.shape, dtype=np.int64)
    codes[present] = playlists.items
    return torch.from_numpy(codes), torch.from_numpy(present)


def _sigmoid(values: np.ndarray) -> np.ndarray:
    points: np.ndarray = 1 / (1 + np.exp(-values.astype(np.float64)))
    return points
