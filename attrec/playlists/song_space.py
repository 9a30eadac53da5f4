"""Where ARS puts a song: a vector of what the song is and of the playlists that have it.

    f_s = [content of s, Σ u_q / √n over the n training playlists q that have s]
    x_s = W f_s + b

u_q is learned for each training playlist. Two songs of the same playlists have nearly the same second part, which is
what co-occurrence says; a song of none has zeros there, and its content alone places it: a new song needs no training.
The paper's songs have content alone (`cooccurrence` 0).

In training the playlists of a batch are left out of the second part. A hidden song would otherwise be told by the very
playlist that it is to be found for, and the network would trust co-occurrence more than it can where the playlist is
new.

The u_q begin as right singular vectors of the song-playlist matrix over its singular values: the second part of a song
is then its left singular vector, but for √n, and nearness what PureSVD calls likely (Cremonesi et al. 2010).

Of thousands of columns for artists and genres a song has one or two that are not zero. What such columns give to W f_s
is a sum of as many columns of W, and is computed as one; dropout draws for what is not zero alone.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from scipy.sparse import csr_array, csr_matrix
from torch import Tensor, nn
from torch.nn import functional

from attrec.datasets.histories import Histories
from attrec.models.layers import Dropout

_FILLED = 1 / 5  # of a column, not zero: beyond that a product with all of it is faster


class SongSpace(nn.Module):
    """Vectors of the songs of one catalogue."""

    content: Tensor
    """[songs, columns that are `filled`]"""
    labels: csr_array
    """[songs, m] the others."""
    filled: Tensor
    """Places in f_s of what is multiplied whole: such columns, and all of u."""

    def __init__(
        self,
        content: np.ndarray,
        playlists: Histories,
        dimension: int,
        cooccurrence: int,
        dropout: float,
        generator: torch.Generator,
    ) -> None:
        """
        Args:
            content: [songs, m] (float32), scaled here so that the typical song has length 1.
            playlists: what is trained on, no song twice in one.
            dimension: d.
            cooccurrence: Length of u_q at most; 0 leaves them out.
            dropout: Share of the numbers of f_s that is dropped in training.
            generator: Draws W and what is dropped.
        """
        super().__init__()
        songs = len(content)
        self.labels = csr_array(content)
        filled = np.bincount(self.labels.indices, minlength=content.shape[1]) > _FILLED * songs
        self.labels.data[filled[self.labels.indices]] = 0
        self.labels.eliminate_zeros()
        dense = content[:, filled]
        square = np.square(dense, dtype=np.float64).sum(axis=1).mean()
        square += np.square(self.labels.data, dtype=np.float64).sum() / songs
        typical = np.float32(np.sqrt(square) or 1.0)
        self.labels.data /= typical
        self.register_buffer("content", torch.from_numpy(dense / typical), persistent=False)
        self.playlists = len(playlists)
        order = np.argsort(playlists.items, kind="stable")
        counts = np.bincount(playlists.items, minlength=songs)
        self.playlists_of = Histories(np.concatenate([[0], np.cumsum(counts)]), playlists.users[order])
        first = singular_playlists(playlists, songs, cooccurrence)
        self.of_playlists = nn.Parameter(torch.from_numpy(first)) if first.size else None  # [playlists, r]
        whole = np.append(filled, np.ones(first.shape[1], dtype=bool))
        self.register_buffer("filled", torch.from_numpy(np.flatnonzero(whole)), persistent=False)
        inputs = len(whole)
        weight = nn.init.orthogonal_(torch.empty(dimension, inputs), generator=generator)
        # Where the dimension is too small to keep distances, they are kept on average.
        self.weight = nn.Parameter(weight * math.sqrt(max(inputs / dimension, 1.0)))  # [d, m + r]
        self.bias = nn.Parameter(torch.zeros(dimension))
        self.drop = Dropout(dropout, generator)

    def forward(self, songs: Tensor, without: Tensor) -> tuple[Tensor, Tensor]:
        """Vectors x [n, d] and numbers of playlists [n] of the songs [n], the playlists `without` left out."""
        present = self.weight.new_ones(self.playlists)
        present[without] = 0
        of_songs = self.playlists_of.take(songs.cpu().numpy())
        users, playlists, start = (
            torch.from_numpy(codes).to(self.weight.device)
            for codes in (of_songs.users, of_songs.items, of_songs.start[:-1])
        )
        counts = torch.zeros(len(songs)).to(present).index_add(0, users, present[playlists])
        features = self.content[songs]
        if self.of_playlists is not None:
            counted = self.of_playlists * present.unsqueeze(1)
            sums = functional.embedding_bag(playlists, counted, start, mode="sum")
            features = torch.cat([features, sums / counts.clamp(min=1).sqrt().unsqueeze(1)], 1)
        vectors = self.drop(features) @ self.weight[:, self.filled].T + self.bias
        if self.labels.nnz:
            of_labels = self.labels[songs.cpu().numpy()]
            columns, values, start = (
                torch.from_numpy(part).to(self.weight.device)
                for part in (of_labels.indices, of_labels.data, of_labels.indptr[:-1])
            )
            vectors = vectors + functional.embedding_bag(
                columns, self.weight.T.contiguous(), start, mode="sum", per_sample_weights=self.drop(values)
            )
        return vectors, counts


def singular_playlists(playlists: Histories, songs: int, length: int) -> np.ndarray:
    """Right singular vectors over singular values [playlists, at most `length`] (float32) of the song-playlist matrix.

    Scaled so that the typical playlist has length 1. Singular values that are as good as zero are left out.
    """
    shape = (songs, len(playlists))
    ones = np.ones(len(playlists.items))
    matrix = csr_matrix((ones, (playlists.items, playlists.users)), shape=shape)
    if length <= 0:
        return np.zeros((len(playlists), 0), dtype="float32")
    if length < min(shape):
        from scipy.sparse.linalg import svds

        _, values, right = svds(matrix, k=length, v0=np.ones(min(shape)))
        values, right = values[::-1], right[::-1]
    else:
        _, values, right = np.linalg.svd(matrix.toarray(), full_matrices=False)
    kept = values > values[0] * 1e-6
    # Their signs are arbitrary: the largest entry is positive.
    right = right[kept]
    signs = np.sign(right[np.arange(len(right)), np.abs(right).argmax(axis=1)])
    scaled = (right * signs[:, None]).T / values[kept]
    typical = np.sqrt(np.square(scaled).sum(axis=1).mean())
    return (scaled / typical).astype("float32")
