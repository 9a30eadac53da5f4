"""RSAttAE: an autoencoder of the rows of a rating matrix whose embeddings attend to each other by feature.

Dadashzadeh Taromi et al., "RSAttAE: An Information-Aware Attention-based Autoencoder Recommender System".
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional

from attrec.models.base import Config
from attrec.models.layers import Dropout, linear
from attrec.parameters import Width


class RSAttAEConfig(Config):
    """The network; the defaults are the paper's."""

    dimension: Width = 64
    """Size d of the embeddings E and Ê."""
    hidden: int | None = Field(default=None, ge=1, le=2**16)
    """Width of the first encoder layer and the first decoder layer; None: d, as in the paper."""
    attention: bool = True
    """Mix embeddings by feature similarity (eq. 2); False is the vanilla autoencoder of Fig. 4B."""
    dropout: float = Field(default=0.0, ge=0, lt=1)
    """Share of hidden activations dropped in training."""
    input_dropout: float = Field(default=0.0, ge=0, lt=1)
    """Share of input ratings hidden in each training step, while the loss asks for all of them
    (denoising)."""
    linear_output: bool = False
    """Leave out the activation after the last layer (eq. 3), as targets of either sign need."""


class AttentionMemory(NamedTuple):
    """What embeddings attend to: rows with equal features share their key, so each distinct feature row
    is kept once."""

    features: Tensor  # [g, f] distinct feature rows
    counts: Tensor  # [g] how many rows have these features
    values: Tensor  # [g, d] sum of the embeddings E of these rows


class RSAttAEOutput(NamedTuple):
    embedding: Tensor  # [n, d] E, before attention
    attended: Tensor  # [n, d] Ê, after attention
    reconstruction: Tensor  # [n, m] R̂


class RSAttAE(nn.Module):
    """`rows` entities (users, say), each with `columns` ratings (0 where unobserved) and `features` one-
    hot features."""

    def __init__(
        self, columns: int, features: int, config: RSAttAEConfig, generator: torch.Generator
    ) -> None:
        super().__init__()
        self.config = config
        d, hidden = config.dimension, config.hidden or config.dimension
        self.encoder_1 = linear(columns, hidden, generator)
        self.encoder_2 = linear(hidden, d, generator)
        self.decoder_1 = linear(d, hidden, generator)
        self.decoder_2 = linear(hidden, columns, generator)
        self.dropout = Dropout(config.dropout, generator)
        self.input_dropout = Dropout(config.input_dropout, generator)
        if config.attention:
            self.query = linear(features, d, generator, bias=False)
            self.key = linear(features, d, generator, bias=False)
            self.alpha = nn.Parameter(torch.tensor(0.5))
            self.norm = nn.LayerNorm(d)

    def forward(self, ratings: Tensor, features: Tensor, groups: Tensor) -> RSAttAEOutput:
        """`ratings` [n, m]; `features` [g, f] distinct feature rows; `groups` [n] the feature row of each
        entity."""
        embedding = self.encode(ratings)
        attended = self.attend(embedding, features[groups], self.remember(embedding, features, groups))
        return RSAttAEOutput(embedding, attended, self.decode(attended))

    def encode(self, ratings: Tensor) -> Tensor:
        """Eq. 1: ratings [n, m] → E [n, d]."""
        hidden = self.dropout(functional.leaky_relu(self.encoder_1(self.input_dropout(ratings))))  # [n, h]
        return functional.leaky_relu(self.encoder_2(hidden))

    def remember(self, embedding: Tensor, features: Tensor, groups: Tensor) -> AttentionMemory:
        """Keys and values of the entities with these embeddings [n, d]."""
        counts = torch.bincount(groups, minlength=len(features)).to(embedding)  # [g]
        values = embedding.new_zeros(len(features), embedding.shape[1]).index_add(
            0, groups, embedding
        )  # [g, d]
        return AttentionMemory(features, counts, values)

    def attend(self, embedding: Tensor, features: Tensor, memory: AttentionMemory) -> Tensor:
        """Eq. 2: E [n, d] and its features [n, f] → Ê [n, d].

        softmax(Q'K'ᵀ)V over all remembered rows, summed by group of equal keys. Both projections have rows of
        length one, so the exponent lies in [-1, 1] and needs no shift.
        """
        if not self.config.attention:
            return embedding
        query = functional.normalize(self.query(features), dim=1)  # [n, d]
        key = functional.normalize(self.key(memory.features), dim=1)  # [g, d]
        weights = torch.exp(query @ key.T)  # [n, g]
        context = (weights @ memory.values) / (weights @ memory.counts).unsqueeze(1)  # A V: [n, d]
        return self.norm(self.alpha * context + (1 - self.alpha) * embedding)

    def decode(self, attended: Tensor) -> Tensor:
        """Eq. 3: Ê [n, d] → R̂ [n, m]."""
        hidden = self.dropout(functional.leaky_relu(self.decoder_1(self.dropout(attended))))  # [n, h]
        output = self.decoder_2(hidden)
        return output if self.config.linear_output else functional.leaky_relu(output)


def masked_rmse(reconstruction: Tensor, ratings: Tensor, observed: Tensor) -> Tensor:
    """Eq. 4: RMSE over the observed entries; `observed` [n, m] is 1 there and 0 elsewhere."""
    squared = ((reconstruction - ratings) * observed).square()
    return torch.sqrt(squared.sum() / observed.sum())
