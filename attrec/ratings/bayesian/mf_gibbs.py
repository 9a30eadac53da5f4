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
from functools import cached_property
from typing import NamedTuple, Protocol, Self

import numpy as np
import torch
from scipy import sparse
from torch import Tensor
from torch.nn.functional import embedding

from attrec.models.layers import seeded_generator
from attrec.ratings.catalogue import EncodedRatings

# Here and once, for the filters of a process are shared by its threads.
warnings.filterwarnings("ignore", message="Sparse CSR tensor support is in beta")

INITIAL_DEVIATION = 0.1
MEAN_STRENGTH = 2.0
"""β_0 of the paper: the prior of μ is worth so many users or items."""
SHRINKAGE_SHAPE, SHRINKAGE_RATE = 0.5, 0.005
"""Of the gamma prior of the slopes' shrinkage: wide, around 100."""
PAIRS = 65_536
"""Scores computed at once; their vectors stay in the cache."""
PADDED, LONGER = 16_384, 1.25
"""Ratings of rows that are summed at once, for the same reason; the longest of these has so many for one of the
shortest."""
EXACT_CELLS = 100_000_000
LEADING_DIRECTIONS = 512


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
        """All directions, by min(rows, columns)³ operations, or the 512 leading ones of more than 100 million cells."""
        if math.prod(features.shape) > EXACT_CELLS:
            from sklearn.utils.extmath import randomized_svd

            left, scales, right = randomized_svd(features, LEADING_DIRECTIONS, random_state=0)
            return cls(*(torch.from_numpy(part).float() for part in (left, scales, right.T)))
        wide = features.shape[0] < features.shape[1]
        narrow = features.T if wide else features
        squares, inner = torch.linalg.eigh(torch.from_numpy((narrow.T @ narrow).toarray()))
        held = squares > 1e-12 * squares[-1]
        scales, inner = squares[held].sqrt(), inner[:, held]
        outer = torch.from_numpy(narrow @ inner.numpy()).div_(scales)
        left, right = (inner, outer) if wide else (outer, inner)
        return cls(left.float(), scales.float(), right.float())

    @classmethod
    def none(cls, rows: int, columns: int) -> Self:
        """Of features that say nothing."""
        return cls(torch.zeros(rows, 0), torch.zeros(0), torch.zeros(columns, 0))


class Prior(NamedTuple):
    """What a user's or item's vector is drawn from: N(μ + slopesᵀ rightᵀ features, Λ⁻¹)."""

    mean: Tensor
    """μ [D]"""
    precision: Tensor
    """Λ [D, D]"""
    slopes: Tensor
    """[r, D] along the directions of the features."""


class Response(Protocol):
    """How a score becomes a rating."""

    precision: float
    """Of the noise on the latent scores."""

    def draw(self, scores: Tensor, generator: torch.Generator, numbers: np.random.Generator) -> Tensor:
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

    @cached_property
    def padded(self) -> list[tuple[Tensor, Tensor]]:
        """Rows of nearly the same length together: their places [m], and the columns [m, longest] of the ratings,
        filled up with `width`. Rows without a rating are in none."""
        counts = torch.diff(self.starts)
        order = counts.argsort(stable=True)
        order = order[counts[order] > 0]
        lengths, groups, first = counts[order].tolist(), [], 0
        while first < len(lengths):
            end, most = first + 1, lengths[first] * LONGER + 1
            while end < len(lengths) and lengths[end] <= min(most, PADDED / (end + 1 - first)):
                end += 1
            rows, step = order[first:end], torch.arange(lengths[end - 1])
            place = (self.starts[rows, None] + step).clamp(max=len(self.columns) - 1)
            own = torch.where(step < counts[rows, None], self.columns[place], self.width)
            groups.append((rows, own))
            first = end
        return groups

    def sums(self, weights: Tensor, table: Tensor) -> Tensor:
        """Σ weight · row of `table` [width, k] over the ratings of each row: [rows, k]. Weights in `order`."""
        shape = (len(self.starts) - 1, self.width)
        matrix = torch.sparse_csr_tensor(self.starts, self.columns, weights, shape, check_invariants=False)
        return matrix @ table


class Side:
    """The users, or the items, in one chain. Vectors [n, D] are the factors and, last, the bias."""

    def __init__(self, rated: Rated, features: Directions, size: int, generator: torch.Generator) -> None:
        self.rated, self.features = rated, features
        self.vectors = INITIAL_DEVIATION * torch.randn(len(rated.starts) - 1, size, generator=generator)
        self.prior = Prior(torch.zeros(size), torch.eye(size), torch.zeros(len(features.scales), size))
        self.fitted = torch.zeros_like(self.vectors)
        """[n, D] what the features add to the prior means."""
        self.shrinkage = 1.0

    def draw_prior(self, generator: torch.Generator, numbers: np.random.Generator) -> None:
        """μ and Λ given the slopes (Salakhutdinov & Mnih, eq. 14), then slopes and shrinkage given those."""
        n, size = self.vectors.shape
        slopes = self.prior.slopes.double()
        residuals = (self.vectors - self.fitted).double()
        centre = residuals.mean(dim=0)
        scatter = (residuals - centre).T @ (residuals - centre)
        inverse_scale = torch.eye(size, dtype=torch.float64) + scatter + self.shrinkage * slopes.T @ slopes
        inverse_scale += MEAN_STRENGTH * n / (MEAN_STRENGTH + n) * torch.outer(centre, centre)
        precision = draw_wishart(size + n + len(slopes), inverse_scale, numbers)
        lower = torch.linalg.cholesky(precision)
        noise = torch.from_numpy(numbers.normal(size=(size, 1))) / math.sqrt(MEAN_STRENGTH + n)
        mean = n / (MEAN_STRENGTH + n) * centre
        mean += torch.linalg.solve_triangular(lower.T, noise, upper=True)[:, 0]
        self.prior = Prior(mean.float(), precision.float(), self.prior.slopes)
        if len(slopes):
            slopes = self._draw_slopes(lower, generator)
            spread = torch.square(slopes.double() @ lower).sum().item()
            shape, rate = SHRINKAGE_SHAPE + slopes.numel() / 2, SHRINKAGE_RATE + spread / 2
            self.shrinkage = float(numbers.gamma(shape, 1 / rate))
            self.prior = self.prior._replace(slopes=slopes)
            self.fitted = self.features.left @ (self.features.scales[:, None] * slopes)

    def _draw_slopes(self, lower: Tensor, generator: torch.Generator) -> Tensor:
        """Regression of the vectors on the directions; the slopes' prior is N(0, (shrinkage · Λ)⁻¹) (Simm et al.).

        Args:
            lower: [D, D] Cholesky factor of Λ.
        """
        left, scales, _ = self.features
        strength = (scales**2 + self.shrinkage)[:, None]
        expected = scales[:, None] / strength * (left.T @ (self.vectors - self.prior.mean))
        noise = torch.randn(expected.shape, generator=generator).double()
        coloured = torch.linalg.solve_triangular(lower, noise, upper=False, left=False)
        return expected + coloured.float() / strength.sqrt()

    def draw_vectors(
        self, other: Tensor, latent: Tensor, noise_precision: float, generator: torch.Generator
    ) -> None:
        """Every vector from its conditional posterior (Salakhutdinov & Mnih, eq. 11), given those of the other side.

        Args:
            other: [width, D]
            latent: [ratings] in the order of the ratings.
        """
        lower = torch.linalg.cholesky(self.prior.precision + noise_precision * information(self.rated, other))
        pull = noise_precision * evidence(self.rated, other, latent.index_select(0, self.rated.order))
        pull += (self.prior.mean + self.fitted) @ self.prior.precision
        whitened = torch.linalg.solve_triangular(lower, pull[:, :, None], upper=False)
        whitened += torch.randn(whitened.shape, generator=generator)
        self.vectors = torch.linalg.solve_triangular(lower.mT, whitened, upper=True)[:, :, 0]


def information(rated: Rated, other: Tensor) -> Tensor:
    """Σ x xᵀ [n, D, D] over the ratings of each row, x being the other side's factors and 1 for the own bias.

    Args:
        other: [width, D]
    """
    size = other.shape[1]
    inputs = torch.cat([_inputs(other), torch.zeros(1, size)])
    sums = torch.zeros(len(rated.starts) - 1, size, size)
    for rows, columns in rated.padded:
        own = embedding(columns, inputs)  # [rows, longest, D]
        sums[rows] = torch.bmm(own.mT, own)
    return sums


def evidence(rated: Rated, other: Tensor, latent: Tensor) -> Tensor:
    """Σ x (latent score - the other side's bias) [n, D]; x as in `information`.

    Args:
        latent: [ratings] in the order of `rated`.
    """
    return rated.sums(latent - other[:, -1].index_select(0, rated.columns), _inputs(other))


def _inputs(other: Tensor) -> Tensor:
    return torch.cat([other[:, :-1], torch.ones(len(other), 1)], dim=1)


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
        user, item = embedding(batch, users), embedding(other, items)
        parts.append((user[:, :-1] * item[:, :-1]).sum(dim=1) + user[:, -1] + item[:, -1])
    return torch.cat(parts) if parts else torch.zeros(0)


class Sample(NamedTuple):
    """One draw of everything; the tensors are not changed afterwards."""

    users: Tensor
    items: Tensor
    user_prior: Prior


def gibbs(
    ratings: EncodedRatings, features: tuple[Directions, Directions], response: Response, rank: int, seed: int
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
        scores = pair_scores(users.vectors, items.vectors, *codes)
        latent = response.draw(scores, generator, numbers).float()
        for side, other in ((users, items), (items, users)):
            side.draw_prior(generator, numbers)
            side.draw_vectors(other.vectors, latent, response.precision, generator)
        yield Sample(users.vectors, items.vectors, users.prior)
