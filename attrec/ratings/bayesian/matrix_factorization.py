"""Bayesian matrix factorisation: vectors of users and items whose prior means hang on who has rated what.

latent score = <p_u, q_i> + b_u + b_i + noise, averaged over a Gibbs sample of its posterior (see `mf_gibbs`); with
ordered probit the rating is the class between whose cutpoints the latent score falls. What `BayesianFM` samples one
column at a time is drawn here a whole vector at once, so that an iteration takes a fraction of the time.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, fields
from functools import cached_property
from itertools import islice
from typing import Annotated, Self

import numpy as np
import pandas as pd
import torch
from pydantic import Field
from scipy import sparse
from torch import Tensor
from torch.special import ndtr

from attrec.metrics.top_lists import TopLists
from attrec.models.base import Parameters, Saved
from attrec.models.tunable import Choice, Range
from attrec.parameters import Rounds, Width
from attrec.ratings.baselines import Biases
from attrec.ratings.bayesian.mf_gibbs import (
    Directions,
    Rated,
    Sample,
    evidence,
    gibbs,
    information,
    pair_scores,
)
from attrec.ratings.bayesian.ordered_probit import OrderedProbit, expected_latent, rating_values
from attrec.ratings.bayesian.relation_blocks import rated_together
from attrec.ratings.bayesian.sampled_model import SampledModel, SamplingConfig, chain_seed
from attrec.ratings.catalogue import EncodedRatings, Newcomers
from attrec.ratings.model import RatingData

NEW_USER_ROUNDS = 10
_SHORTLIST = 4
"""Items that are scored at first, for each of the k best that are sought."""


class BayesianMFConfig(SamplingConfig):
    """What the prior means hang on, and how the posterior is sampled; chosen on validation ratings of ETH CIL."""

    rank: Annotated[Width, Range(4, 64, log=True)] = 16
    """Size of the factors p and q."""
    burn_in: int = Field(default=60, ge=0)
    """First iterations of a chain that are dropped."""
    kept_samples: Rounds = 120
    """Samples kept of all chains, evenly spaced, one a chain at least; size and prediction time grow with it."""
    ordered: Annotated[bool, Choice((True, False))] = True
    """Ordered probit over the rating values; else Gaussian."""


class Gaussian:
    """Ratings that are latent scores, standardised, with noise of a precision that is drawn."""

    def __init__(self, values: Tensor) -> None:
        self.values = values
        self.precision = 1.0
        self.cutpoints = torch.zeros(0, dtype=torch.float64)

    def draw(self, scores: Tensor, generator: torch.Generator, numbers: np.random.Generator) -> Tensor:
        """The ratings, after a draw of the precision given the scores; its prior is Gamma(½, ½)."""
        error = torch.square(self.values - scores).sum().item()
        self.precision = float(numbers.gamma((1 + len(scores)) / 2, 2 / (1 + error)))
        return self.values


@dataclass(frozen=True)
class MFPosterior:
    """S samples, float32."""

    users: Tensor
    """[S, n_users, D] factors and bias."""
    items: Tensor
    """[S, n_items, D]"""
    mean: Tensor
    """[S, D] μ of the prior of users."""
    precision: Tensor
    """[S, D, D] Λ"""
    slopes: Tensor
    """[S, columns, D] on what a user has rated and on the features."""
    cutpoints: Tensor
    """[S, classes - 1] of ordered probit; [S, 0] of a Gaussian."""
    noise_precision: Tensor
    """[S]"""

    @classmethod
    def of(cls, samples: Iterator[tuple[Sample, Tensor, float]], directions: Tensor) -> Self:
        """Of samples with the cutpoints and the noise precision at each.

        Args:
            directions: [columns, r] of users, along which the slopes are sampled.
        """
        rows = []
        for (users, items, (mean, precision, slopes)), cutpoints, noise in samples:
            rows.append((users, items, mean, precision, directions @ slopes, cutpoints, torch.tensor(noise)))
        return cls(*(torch.stack(own).float() for own in zip(*rows, strict=True)))

    @cached_property
    def _all_items(self) -> Tensor:
        """[items, S (D - 1)] the factors of each item in all samples, side by side."""
        return self.items[:, :, :-1].permute(1, 0, 2).flatten(1)

    def mean_scores(self, users: np.ndarray) -> Tensor:
        """Mean latent scores [n, items] of all items by users, by code: one product for all samples."""
        own = self.users[:, torch.from_numpy(users)]
        scores = own[:, :, :-1].permute(1, 0, 2).flatten(1) @ self._all_items.T
        scores /= len(self.users)
        scores += own[:, :, -1:].mean(dim=0)
        scores += self.items[:, :, -1].mean(dim=0)
        return scores

    def named(self) -> Iterator[tuple[str, Tensor]]:
        """What it consists of."""
        return ((field.name, getattr(self, field.name)) for field in fields(self))

    def __iter__(self) -> Iterator[MFPosterior]:
        """Each sample, its tensors without S."""
        for own in zip(*(getattr(self, field.name) for field in fields(self)), strict=True):
            yield MFPosterior(*own)


class BayesianMF(SampledModel):
    """Factors of the users and items of one catalogue.

    Somebody outside the catalogue with a history gets, in every sample, the vector that is most probable given their
    ratings, as ten rounds find it; nothing is retrained.

    Takes 0.3 seconds an iteration on one core for a million ratings of 10,000 users × 1,000 items at rank 16 (in
    proportion to ratings × rank²), and a few seconds before the first for the directions of the rating pattern.

    >>> import pandas as pd
    >>> from attrec.ratings import BayesianMF
    >>> ratings = pd.DataFrame(
    ...     [(u, i, 5 if (u + i) % 2 == 0 else 1) for u in range(20) for i in range(12) if (u + i) % 5],
    ...     columns=["user_id", "item_id", "rating"],
    ... )
    >>> model = BayesianMF(rank=4, iterations=100).fit(ratings)
    >>> sorted(model.recommend(0, k=2)["item_id"])
    [0, 10]
    >>> newcomer = pd.DataFrame({"user_id": "me", "item_id": [1, 3, 4], "rating": [5, 5, 1]})
    >>> model.recommend("me", k=1, history=newcomer)["item_id"].item() % 2
    1
    """

    config_class = BayesianMFConfig

    config: BayesianMFConfig

    def _fit(self, data: RatingData) -> None:
        """There is nothing to choose on validation.

        Raises:
            DataError: ordered probit is asked for and the ratings have one value alone or more than 20.
        """
        config, encoded = self.config, data.encoded
        self.biases = Biases.fit(encoded, 5.0, 5.0)
        self.values = rating_values(encoded.values) if config.ordered else []
        self.deviation = float(encoded.values.std(dtype="float64")) or 1.0
        self.mean_features = _scaled(data.user_features).mean(axis=0)
        given = self._given(encoded.values.astype("float64"))
        directions = self._directions(encoded, data.user_features, data.item_features)

        def kept() -> Iterator[tuple[Sample, Tensor, float]]:
            wanted = set(config.kept.tolist())
            for chain in range(config.chains):
                response: OrderedProbit | Gaussian = (
                    OrderedProbit(given, len(self.values)) if config.ordered else Gaussian(given)
                )
                samples = gibbs(encoded, directions, response, config.rank, chain_seed(self.seed, chain))
                for iteration, sample in enumerate(islice(samples, config.iterations)):
                    if iteration in wanted:
                        yield sample, response.cutpoints, response.precision
                    if data.progress is not None:
                        data.progress(chain * config.iterations + iteration + 1, None, None)

        self.posterior = MFPosterior.of(kept(), directions[0].right)

    def parameters(self) -> Parameters:
        arrays = {f"posterior.{name}": tensor.numpy() for name, tensor in self.posterior.named()}
        arrays |= {"biases.user": self.biases.user, "biases.item": self.biases.item}
        arrays |= {"mean_features": self.mean_features}
        values = {"values": self.values, "mean": self.biases.mean, "deviation": self.deviation}
        return Parameters(arrays, values)

    def take(self, saved: Saved) -> None:
        arrays, values = saved.arrays, saved.values
        self.values, self.deviation = values["values"], values["deviation"]
        self.biases = Biases(values["mean"], arrays["biases.user"], arrays["biases.item"])
        self.mean_features = arrays["mean_features"]
        # torch wants arrays that may be written to, and what was read may not.
        parts = (torch.tensor(arrays[f"posterior.{field.name}"]) for field in fields(MFPosterior))
        self.posterior = MFPosterior(*parts)

    def _directions(
        self, encoded: EncodedRatings, user_features: pd.DataFrame, item_features: pd.DataFrame
    ) -> tuple[Directions, Directions]:
        config = self.config
        users, items, shape = encoded.users, encoded.items, (encoded.n_users, encoded.n_items)
        rated = rated_together(users, items, shape) if config.implicit_users else None
        raters = rated_together(items, users, shape[::-1]) if config.implicit_items else None
        return (
            _directions(shape[0], rated, user_features if config.side_features else None),
            _directions(shape[1], raters, item_features if config.side_features else None),
        )

    def _given(self, ratings: np.ndarray) -> Tensor:
        """What a latent score is drawn from: the class [n] of a rating, the nearest one; or it is standardised."""
        if not self.config.ordered:
            return torch.from_numpy((ratings - self.biases.mean) / self.deviation)
        middles = (np.array(self.values[1:]) + self.values[:-1]) / 2
        return torch.from_numpy(np.searchsorted(middles, ratings))

    def _averaged(self, users: np.ndarray, items: np.ndarray, pairs: pd.DataFrame) -> np.ndarray:
        return self._averaged_of(self.posterior.users, users, items)

    def _averaged_of(self, vectors: Tensor, users: np.ndarray, items: np.ndarray) -> np.ndarray:
        """As `_averaged`, of users by their row in `vectors` [S, users, D]."""
        codes = torch.from_numpy(users), torch.from_numpy(items)
        averaged = torch.zeros(len(users), max(1, self.posterior.cutpoints.shape[1]), dtype=torch.float64)
        for user, sample in zip(vectors, self.posterior, strict=True):
            scores = pair_scores(user, sample.items, *codes)[:, None]
            if self.config.ordered:
                averaged += ndtr(scores - sample.cutpoints)
            else:
                averaged += self.biases.mean + self.deviation * scores
        return (averaged / len(vectors)).numpy()

    def _expected_known(self, users: np.ndarray) -> np.ndarray:
        if not self.config.ordered:
            return (self.biases.mean + self.deviation * self.posterior.mean_scores(users)).double().numpy()
        codes, steps = torch.from_numpy(users), np.diff(self.values).tolist()
        expected = torch.zeros(len(users), len(self.catalogue.items), dtype=torch.float64)
        for sample in self.posterior:
            user = sample.users[codes]
            scores = user[:, :-1] @ sample.items[:, :-1].T + user[:, -1:] + sample.items[:, -1]
            for step, cutpoint in zip(steps, sample.cutpoints, strict=True):
                expected += ndtr(scores - cutpoint).mul_(step)
        return (self.values[0] + expected / len(self.posterior.users)).numpy()

    def best_known(self, users: np.ndarray, k: int, seen: np.ndarray | None) -> TopLists | None:
        """By the mean latent score, which is one product, the items that can be among the best; these are scored.

        An expected rating is at most g(m) + κ v / 2 where the latent score has the mean m and the variance v over the
        samples, and g is the expected rating of a latent score, whose second derivative is κ at most. As long as an
        item that was not scored could be better by this, four times as many are. The v of these is not known: it is
        taken to be no larger than the largest among those that were scored, so that an item of which the samples agree
        less than of all of these could be missed.
        """
        if not self.config.ordered:
            return None
        latent = self.posterior.mean_scores(users)
        if seen is not None:
            latent.masked_fill_(torch.from_numpy(seen), -math.inf)
        n_items, curvature = latent.shape[1], self._curvature()
        k = min(k, n_items)
        lists = TopLists(np.full((len(users), k), -1), np.zeros((len(users), k)))
        left, size = np.arange(len(users)), _SHORTLIST * k
        while len(left):
            best = latent[left].topk(min(size + 1, n_items))
            # In the order of the catalogue, which decides where scores are equal.
            short = best.indices[:, :size].sort().values
            expected, variance = self._rescored(users[left], short)
            out = latent[left].gather(1, short).isneginf()
            found = TopLists.best(expected.clamp(*self.rating_range).numpy(), k, out.numpy())
            lists.codes[left] = np.where(
                found.codes < 0, -1, np.take_along_axis(short.numpy(), found.codes, 1)
            )
            lists.scores[left] = found.scores
            if size >= n_items:
                break
            next_best = best.values[:, size]
            highest = self._expected_of(next_best) + curvature / 2 * variance.masked_fill(out, 0).amax(dim=1)
            sure = (found.codes[:, -1] >= 0) & (
                found.scores[:, -1] > highest.numpy()
            ) | next_best.isneginf().numpy()
            left, size = left[~sure], 4 * size
        return lists

    def _rescored(self, users: np.ndarray, items: Tensor) -> tuple[Tensor, Tensor]:
        """Expected ratings [n, m] of items [n, m] by users [n], and the variance of the latent scores over the
        samples, each counted from its cutpoints."""
        codes, steps = torch.from_numpy(users), np.diff(self.values).tolist()
        expected, total, squares = torch.zeros(3, *items.shape, dtype=torch.float64)
        for sample in self.posterior:
            user, item = sample.users[codes], sample.items[items]
            scores = (item[:, :, :-1] @ user[:, :-1, None])[:, :, 0] + user[:, -1:] + item[:, :, -1]
            for step, cutpoint in zip(steps, sample.cutpoints, strict=True):
                expected += ndtr(scores - cutpoint).mul_(step)
            scores -= sample.cutpoints.mean()
            total += scores
            squares += scores.square_()
        draws = len(self.posterior.users)
        return self.values[0] + expected / draws, squares / draws - (total / draws).square()

    def _expected_of(self, latent: Tensor) -> Tensor:
        """Expected rating [n] of mean latent scores [n] that no sample departs from."""
        cutpoints = self.posterior.cutpoints
        centred = cutpoints - cutpoints.mean(dim=1, keepdim=True) + cutpoints.mean()
        above = ndtr(latent.double()[:, None, None] - centred).mean(dim=1)
        return self.values[0] + above @ torch.tensor(np.diff(self.values))

    def _curvature(self) -> float:
        """The largest second derivative of `_expected_of`."""
        step = 0.05
        grid = torch.arange(-12, 12, step, dtype=torch.float64) + float(self.posterior.cutpoints.mean())
        return float(self._expected_of(grid).diff(n=2).max()) / step**2

    def _predict_new(self, newcomers: Newcomers, users: np.ndarray, items: np.ndarray) -> np.ndarray:
        return self._expected(self._averaged_of(self._new_vectors(newcomers), users, items))

    def _new_vectors(self, newcomers: Newcomers) -> Tensor:
        """Vectors [S, newcomers, D] by expectation maximisation.

        In turns the mean given the latent scores, and the latent scores that are expected given vector and rating.
        """
        shape = len(newcomers.ids), len(self.catalogue.items)
        features = []
        if self.config.implicit_users:
            features.append(rated_together(newcomers.users, newcomers.items, shape))
        if self.config.side_features:
            features.append(sparse.csr_matrix(np.tile(self.mean_features, (shape[0], 1))))
        known = sparse.hstack([sparse.csr_matrix((shape[0], 0)), *features], format="csr").astype("float32")
        asked, place = np.unique(newcomers.items, return_inverse=True)
        rated = Rated.of(newcomers.users, place, (shape[0], len(asked)))
        given = self._given(newcomers.ratings)[rated.order]
        rows = torch.from_numpy(newcomers.users)[rated.order]
        found = []
        for sample in self.posterior:
            items, noise = sample.items[torch.from_numpy(asked)], sample.noise_precision
            prior_mean = sample.mean + torch.from_numpy(known @ sample.slopes.numpy())
            lower = torch.linalg.cholesky(sample.precision + noise * information(rated, items))
            vectors = prior_mean
            for _ in range(NEW_USER_ROUNDS if self.config.ordered else 1):
                latent = given
                if self.config.ordered:
                    scores = pair_scores(vectors, items, rows, rated.columns)
                    latent = expected_latent(given, scores, sample.cutpoints)
                pull = prior_mean @ sample.precision + noise * evidence(rated, items, latent.float())
                vectors = torch.cholesky_solve(pull[:, :, None], lower)[:, :, 0]
            found.append(vectors)
        return torch.stack(found)


def _scaled(features: pd.DataFrame) -> np.ndarray:
    """Rows of size 1 in the mean, like those of what was rated, for one shrinkage serves both."""
    values = features.to_numpy("float64")
    return np.asarray(values / (math.sqrt(np.square(values).sum() / len(values)) or 1.0))


def _directions(rows: int, rated: sparse.csr_matrix | None, features: pd.DataFrame | None) -> Directions:
    """Of both side by side."""
    parts = [sparse.csr_matrix((rows, 0))] if rated is None else [rated]
    if features is not None:
        parts.append(sparse.csr_matrix(_scaled(features)))
    columns = sparse.hstack(parts, format="csr")
    return Directions.of(columns) if columns.nnz else Directions.none(rows, columns.shape[1])
