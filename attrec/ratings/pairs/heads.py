"""How the vectors of a user and an item become a rating.

Hutter et al., "Attentive Neural Collaborative Filtering", section II-B: inner product, MLP1 and MLP2.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from attrec.models.layers import Dropout, linear
from attrec.ratings.pairs.embeddings import EmbeddedPairs


class Head(nn.Module, ABC):
    """Turns embedded pairs into outputs [n, …], these into ratings [n], and both into a loss."""

    @abstractmethod
    def forward(self, pairs: EmbeddedPairs) -> Tensor: ...

    @abstractmethod
    def rating(self, output: Tensor) -> Tensor:
        """Predicted ratings [n]."""

    def loss(self, output: Tensor, ratings: Tensor) -> Tensor:
        """Mean squared error, where a head has no loss of its own."""
        return functional.mse_loss(self.rating(output), ratings)


class InnerProduct(Head):
    """σ(u·m) on the rating scale (eq. 3 and 4); with `biases`, σ(u·m + b_u + b_i + c).

    `n_users` is 0 where the embedding knows no users by name.
    """

    def __init__(self, low: float, high: float, n_users: int, n_items: int, biases: bool) -> None:
        super().__init__()
        self.low, self.high = low, high
        self.biases = biases
        if biases:
            self.user_bias = nn.Parameter(torch.zeros(n_users + 1, 1))  # the last is of the unknown
            self.item_bias = nn.Parameter(torch.zeros(n_items, 1))
            self.constant = nn.Parameter(torch.zeros(()))

    def forward(self, pairs: EmbeddedPairs) -> Tensor:
        logit = (pairs.user * pairs.item).sum(1)  # [n]
        if self.biases:
            known = torch.where(pairs.users < len(self.user_bias) - 1, pairs.users, -1)
            logit = logit + self.user_bias[known, 0] + self.item_bias[pairs.items, 0] + self.constant
        return logit

    def rating(self, output: Tensor) -> Tensor:
        return self.low + (self.high - self.low) * torch.sigmoid(output.float())


class _Perceptron(Head):
    def __init__(
        self, dimension: int, hidden: Sequence[int], outputs: int, dropout: float, generator: torch.Generator
    ) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        width = 3 * dimension
        for size in hidden:
            layers += [linear(width, size, generator), nn.ReLU(), Dropout(dropout, generator)]
            width = size
        self.layers = nn.Sequential(*layers, linear(width, outputs, generator))

    def forward(self, pairs: EmbeddedPairs) -> Tensor:
        composed = torch.cat([pairs.user, pairs.item, pairs.user * pairs.item], dim=1)  # [n, 3d]
        return self.layers(composed).float()


class MLP1(_Perceptron):
    """Hidden layers of 200 and 100 over [u, m, u∘m], one sigmoid on the rating scale, squared error."""

    def __init__(
        self,
        low: float,
        high: float,
        dimension: int,
        hidden: Sequence[int],
        dropout: float,
        generator: torch.Generator,
    ) -> None:
        super().__init__(dimension, hidden, 1, dropout, generator)
        self.low, self.high = low, high

    def rating(self, output: Tensor) -> Tensor:
        return self.low + (self.high - self.low) * torch.sigmoid(output[:, 0])


class MLP2(_Perceptron):
    """Deeper, a softmax over the rating values, cross-entropy; predicts the expected rating."""

    def __init__(
        self,
        values: Sequence[float],
        dimension: int,
        hidden: Sequence[int],
        dropout: float,
        generator: torch.Generator,
    ) -> None:
        super().__init__(dimension, hidden, len(values), dropout, generator)
        self.values: Tensor
        self.register_buffer("values", torch.tensor(values, dtype=torch.float32))

    def probabilities(self, output: Tensor) -> Tensor:
        """[n, classes], rows sum to one."""
        return output.softmax(1)

    def rating(self, output: Tensor) -> Tensor:
        return self.probabilities(output) @ self.values

    def loss(self, output: Tensor, ratings: Tensor) -> Tensor:
        return functional.cross_entropy(output, torch.searchsorted(self.values, ratings.contiguous()))
