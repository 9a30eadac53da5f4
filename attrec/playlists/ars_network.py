"""The network of ARS: pairs of encoder and decoder over the songs of a playlist, pooled to one point.

Of song vectors X [n, d] (Mousaei & Asgharivahed, "ARS", Section IV and Fig. 3; p counts the pairs):

    H_p = softmax(Q Kᵀ / √d) V + X     Q, K, V = X W_q, X W_k, X W_v     encoder
    D_p = H_p + network_p(H_p)         one hidden layer                  decoder
    h   = W mean_s mean_p D_ps + b     pairs and songs averaged, linear layer
    c   = sigmoid(h)                                                     centroid

The paper has one centroid a playlist and does not say how n outputs become one. A mean is defined for any number of
songs and does not depend on their order.

W_v and the decoders' last layers begin at zero and W at the identity: untrained, the centroid is the sigmoid of the
mean of the playlist's songs, from which every pair finds its own way.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Literal, cast

import torch
from torch import Tensor, nn

from attrec.models.layers import Dropout, linear

Similarity = Literal["distance", "learned"]


class Pair(nn.Module):
    """One encoder and its decoder."""

    def __init__(
        self, dimension: int, hidden: int, attention: bool, dropout: float, generator: torch.Generator
    ) -> None:
        super().__init__()
        self.attends = attention
        if attention:
            self.query = linear(dimension, dimension, generator, bias=False)
            self.key = linear(dimension, dimension, generator, bias=False)
            self.value = zeroed(linear(dimension, dimension, generator, bias=False))
        self.inner = linear(dimension, hidden, generator)
        self.outer = zeroed(linear(hidden, dimension, generator))
        self.drop = Dropout(dropout, generator)

    def forward(self, songs: Tensor, present: Tensor) -> Tensor:
        """D [b, n, d] of songs [b, n, d]."""
        encoded = songs
        if self.attends:
            encoded = songs + self.attention(songs, present) @ self.value(songs)
        decoded: Tensor = encoded + self.outer(self.drop(self.inner(encoded).relu()))
        return decoded

    def attention(self, songs: Tensor, present: Tensor) -> Tensor:
        """[b, n, n]: how each song of songs [b, n, d] shares out its attention, a row a song; rows sum to one."""
        fit = self.query(songs) @ self.key(songs).transpose(1, 2) / math.sqrt(songs.shape[2])
        weights: Tensor = fit.masked_fill(~present.unsqueeze(1), -math.inf).softmax(2)
        return weights


class ARSNetwork(nn.Module):
    """What turns the songs of a playlist into h, and scores songs by h."""

    def __init__(
        self,
        dimension: int,
        hidden: int,
        pairs: int,
        attention: bool,
        similarity: Similarity,
        popularity: bool,
        dropout: float,
        generator: torch.Generator,
    ) -> None:
        super().__init__()
        self.similarity = similarity
        self.pairs = nn.ModuleList(
            Pair(dimension, hidden, attention, dropout, generator) for _ in range(pairs)
        )
        self.output = nn.Linear(dimension, dimension)
        nn.init.eye_(self.output.weight)
        nn.init.zeros_(self.output.bias)
        first = 8.0 if similarity == "distance" else 4.0 / dimension
        self.log_scale = nn.Parameter(torch.tensor(math.log(first)))
        self.popularity = nn.Parameter(torch.tensor(0.1)) if popularity else None
        self.drop = Dropout(dropout, generator)

    def forward(self, songs: Tensor, present: Tensor) -> Tensor:
        """h [b, d] of padded playlists.

        Args:
            songs: [b, n, d]
            present: [b, n] bool, False for padding; no playlist is empty.
        """
        songs = self.drop(songs) * present.unsqueeze(2)
        decoded = torch.stack([pair(songs, present) for pair in self.pairs]).mean(0)
        weights = (present / present.sum(1, keepdim=True)).to(songs).unsqueeze(1)  # [b, 1, n] of the mean
        hidden: Tensor = self.output((weights @ decoded).squeeze(1))
        return hidden

    def attention(self, songs: Tensor) -> Tensor:
        """[n] the share of attention that each song of a playlist [n, d] receives; they sum to one.

        The mean of the weights over the pairs, and over the songs that attend, the song itself among them.
        """
        present = torch.ones(1, len(songs), dtype=torch.bool, device=songs.device)
        pairs = cast(Iterable[Pair], self.pairs)
        weights = torch.cat([pair.attention(songs.unsqueeze(0), present) for pair in pairs])
        return weights.mean((0, 1))

    def scores(self, hidden: Tensor, songs: Tensor, counts: Tensor) -> Tensor:
        """[b, n]: -τ ‖sigmoid(h) - sigmoid(x)‖², or τ h·x where similarity is learned; + β log(1 + playlists).

        Args:
            hidden: h [b, d]
            songs: x [n, d]
            counts: [n] training playlists of each song.
        """
        scale = self.log_scale.exp()
        if self.similarity == "learned":
            scores = scale * hidden @ songs.T
        else:
            centroids, points = hidden.sigmoid(), songs.sigmoid()
            squares = centroids.square().sum(1, keepdim=True) + points.square().sum(1)
            scores = scale * (2 * centroids @ points.T - squares)
        return scores if self.popularity is None else scores + self.popularity * counts.log1p()


def zeroed(layer: nn.Linear) -> nn.Linear:
    """The layer with all its weights zero."""
    for parameter in layer.parameters():
        nn.init.zeros_(parameter)
    return layer
