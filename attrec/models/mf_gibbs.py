"""Gibbs sampling of matrix factorisation with side information: all factors of one user or item are drawn at once.

Salakhutdinov & Mnih, "Bayesian Probabilistic Matrix Factorization using Markov Chain Monte Carlo" (ICML 2008); prior
means that hang on features: Simm et al., "Macau: Scalable Bayesian Factorization with High-Dimensional Side Information
Using MCMC" (MLSP 2017).
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple, Protocol, Self

import numpy as np
import torch
from scipy import sparse
from torch import Tensor

from attrec.models.catalogue import EncodedRatings
from attrec.models.layers import seeded_generator

INITIAL_DEVIATION = 0.1
MEAN_STRENGTH = 2.0
"""β_0 of the paper: the prior of μ is worth so many users or items."""
PAIRS = 65_536
"""Scores computed at once; their vectors stay in the cache."""


class Directions(NamedTuple):
    """Features of users or items by their singular value decomposition, without directions that hold nothing."""

    left: Tensor
    """[rows, r]"""
    scales: Tensor
    """[r] singular values."""
    right: Tensor
    """[columns, r]"""

    @classmethod
    def of(cls, features: sparse.csr_matrix) -> Self:
        """Takes min(rows, columns)³ operations and min(rows, columns)² memory."""
        wide = features.shape[0] < features.shape[1]
        narrow = features.T if wide else features
        gram = torch.from_numpy((narrow.T @ narrow).toarray())
        squares, inner = torch.linalg.eigh(gram)
        held = squares > 1e-9 * squares[-1]
        scales, inner = squares[held].sqrt(), inner[:, held]
        outer = torch.from_numpy(narrow @ inner.numpy()) / scales
        left, right = (inner, outer) if wide else (outer, inner)
        return cls(left.float(), scales.float(), right.float())


class Prior(NamedTuple):
    """What a user's or item's vector is drawn from: N(μ + slopesᵀ features, Λ⁻¹)."""

    mean: Tensor
    """μ [D]"""
    precision: Tensor
    """Λ [D, D]"""
    slopes: Tensor
    """[columns, D]"""


class Response(Protocol):
    """How a score becomes a rating."""

    precision: float
    """Of the noise on the latent scores."""

    def draw(self, scores: Tensor, generator: torch.Generator) -> Tensor:
        """Latent scores [ratings] given the scores [ratings]."""
        ...


@dataclass
class Rated:
    """The ratings as a sparse matrix whose rows are one side."""

    starts: Tensor
    """[rows + 1] where each row begins."""
    columns: Tensor
    """[ratings]"""
    order: Tensor
    """[ratings] their places among the ratings."""
    width: int

    @classmethod
    def of(cls, rows: np.ndarray, columns: np.ndarray, shape: tuple[int, int]) -> Self:
        order = np.lexsort((columns, rows))
        starts = np.concatenate([[0], np.bincount(rows, minlength=shape[0]).cumsum()])
        return cls(
            torch.from_numpy(starts), torch.from_numpy(columns[order]), torch.from_numpy(order), shape[1]
        )

    def sums(self, weights: Tensor, table: Tensor) -> Tensor:
        """Σ weight · row of `table` [width, k] over the ratings of each row: [rows, k]. Weights in `order`."""
        shape = (len(self.starts) - 1, self.width)
        with warnings.catch_warnings():  # torch calls its sparse matrices beta
            warnings.simplefilter("ignore")
            return torch.sparse_csr_tensor(self.starts, self.columns, weights, shape) @ table


class Side:
    """The users, or the items, in one chain. Vectors [n, D] are the factors and, last, the bias."""

    def __init__(
        self, rated: Rated, features: Directions | None, size: int, generator: torch.Generator
    ) -> None:
        self.rated, self.features = rated, features
        self.vectors = INITIAL_DEVIATION * torch.randn(len(rated.starts) - 1, size, generator=generator)
        self.fitted = torch.zeros_like(self.vectors)
        """Of the features' part of the prior mean."""
        self.slopes = torch.zeros(0 if features is None else len(features.scales), size)
        """[r, D] along the directions of the features."""
        self.shrinkage = 1.0

    def prior(self) -> Prior:
        """As drawn last, of the features themselves."""
        slopes = self.slopes if self.features is None else self.features.right @ self.slopes
        return Prior(self.mean, self.precision, slopes)

    def draw_prior(self, generator: torch.Generator, numbers: np.random.Generator) -> None:
        """μ and Λ (Salakhutdinov & Mnih, eq. 14), then slopes and their shrinkage (Simm et al., eq. 6)."""
        n, size = self.vectors.shape
        residuals = (self.vectors - self.fitted).double()
        centre = residuals.mean(dim=0)
        scatter = (residuals - centre).T @ (residuals - centre)
        slopes = self.slopes.double()
        inverse_scale = torch.eye(size, dtype=torch.float64) + scatter + self.shrinkage * slopes.T @ slopes
        inverse_scale += MEAN_STRENGTH * n / (MEAN_STRENGTH + n) * torch.outer(centre, centre)
        precision = draw_wishart(size + n + len(slopes), inverse_scale, numbers)
        lower = torch.linalg.cholesky(precision)
        noise = torch.from_numpy(numbers.normal(size=(size, 1))) / math.sqrt(MEAN_STRENGTH + n)
        mean = n / (MEAN_STRENGTH + n) * centre
        mean += torch.linalg.solve_triangular(lower.T, noise, upper=True)[:, 0]
        self.mean, self.precision = mean.float(), precision.float()
        if self.features is not None:
            self._draw_slopes(self.features, lower, generator, numbers)

    def _draw_slopes(
        self, features: Directions, lower: Tensor, generator: torch.Generator, numbers: np.random.Generator
    ) -> None:
        left, scales, _ = features
        strength = (scales**2 + self.shrinkage)[:, None]
        expected = scales[:, None] / strength * (left.T @ (self.vectors - self.mean))
        noise = torch.randn(expected.shape, generator=generator).double()
        coloured = torch.linalg.solve_triangular(lower, noise, upper=False, left=False)
        self.slopes = expected + coloured.float() / strength.sqrt()
        self.fitted = left @ (scales[:, None] * self.slopes)
        size = torch.square(self.slopes.double() @ lower).sum().item()
        self.shrinkage = float(numbers.gamma((1 + self.slopes.numel()) / 2, 2 / (0.01 + size)))

    def draw_vectors(
        self, other: Tensor, latent: Tensor, noise_precision: float, generator: torch.Generator
    ) -> None:
        """Every vector from its conditional posterior (Salakhutdinov & Mnih, eq. 11), given those of the other side.

        Args:
            other: [width, D]
            latent: [ratings] in the order of the ratings.
        """
        prior_mean = self.mean + self.fitted
        precision, right = conditional(
            self.rated, other, latent[self.rated.order], noise_precision, prior_mean, self.precision
        )
        lower = torch.linalg.cholesky(precision)
        whitened = torch.linalg.solve_triangular(lower, right[:, :, None], upper=False)
        whitened += torch.randn(whitened.shape, generator=generator)
        self.vectors = torch.linalg.solve_triangular(lower.mT, whitened, upper=True)[:, :, 0]


def conditional(
    rated: Rated,
    other: Tensor,
    latent: Tensor,
    noise_precision: float,
    prior_mean: Tensor,
    prior_precision: Tensor,
) -> tuple[Tensor, Tensor]:
    """Precision A [n, D, D] and A · mean [n, D] of the vectors of one side, given those of the other.

    Args:
        other: [width, D]
        latent: [ratings] in the order of `rated`.
        prior_mean: [n, D]
        prior_precision: [D, D]
    """
    n, size = prior_mean.shape
    inputs = other.clone()
    inputs[:, -1] = 1  # times the own bias
    above = torch.triu_indices(size, size)
    products = rated.sums(torch.ones_like(latent), inputs[:, above[0]] * inputs[:, above[1]])
    precision = torch.empty(n, size, size)
    precision[:, above[0], above[1]] = precision[:, above[1], above[0]] = products
    targets = latent - other[rated.columns, -1]
    right = noise_precision * rated.sums(targets, inputs) + prior_mean @ prior_precision
    return noise_precision * precision + prior_precision, right


def draw_wishart(freedom: int, inverse_scale: Tensor, numbers: np.random.Generator) -> Tensor:
    """One draw [D, D] by Bartlett's decomposition; its mean is freedom · inverse_scale⁻¹."""
    size = len(inverse_scale)
    triangle = np.tril(numbers.normal(size=(size, size)), -1)
    np.fill_diagonal(triangle, np.sqrt(numbers.chisquare(freedom - np.arange(size))))
    root = torch.linalg.cholesky(torch.linalg.inv(inverse_scale)) @ torch.from_numpy(triangle)
    return root @ root.T


def pair_scores(users: Tensor, items: Tensor, user_codes: Tensor, item_codes: Tensor) -> Tensor:
    """<p_u, q_i> + b_u + b_i [n] of vectors [n_users, D] and [n_items, D]."""
    parts = []
    for batch, other in zip(user_codes.split(PAIRS), item_codes.split(PAIRS), strict=True):
        user, item = users[batch], items[other]
        parts.append((user[:, :-1] * item[:, :-1]).sum(dim=1) + user[:, -1] + item[:, -1])
    return torch.cat(parts) if parts else torch.zeros(0)


class Sample(NamedTuple):
    """One draw of everything; the tensors are not changed afterwards."""

    users: Tensor
    items: Tensor
    user_prior: Prior


def gibbs(
    ratings: EncodedRatings,
    features: tuple[Directions | None, Directions | None],
    response: Response,
    rank: int,
    seed: int,
) -> Iterator[Sample]:
    """Draw one chain, without end.

    Args:
        features: of users and of items.
    """
    generator, numbers = seeded_generator(seed), np.random.default_rng(seed)
    codes = torch.from_numpy(ratings.users), torch.from_numpy(ratings.items)
    shape = ratings.n_users, ratings.n_items
    users = Side(Rated.of(ratings.users, ratings.items, shape), features[0], rank + 1, generator)
    items = Side(Rated.of(ratings.items, ratings.users, shape[::-1]), features[1], rank + 1, generator)
    while True:
        latent = response.draw(pair_scores(users.vectors, items.vectors, *codes), generator).float()
        for side, other in ((users, items), (items, users)):
            side.draw_prior(generator, numbers)
            side.draw_vectors(other.vectors, latent, response.precision, generator)
        yield Sample(users.vectors, items.vectors, users.prior())
