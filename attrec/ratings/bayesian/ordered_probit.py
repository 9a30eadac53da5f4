"""Ratings as classes of a latent score: the class between whose cutpoints score + N(0, 1) falls.

Albert & Chib, "Bayesian Analysis of Binary and Polychotomous Response Data", JASA 88(422), 1993.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor
from torch.special import erfc, ndtri

from attrec.errors import DataError

MAX_CLASSES = 20
CUTPOINT_DEVIATION = 10.0
RATINGS_AT_ONCE = 65_536
"""All that is computed of so many stays in the cache."""


def rating_values(ratings: np.ndarray) -> list[float]:
    """The values that occur, ascending.

    Raises:
        DataError: there is one alone, or there are more than 20.
    """
    values = np.unique(ratings)
    if not 2 <= len(values) <= MAX_CLASSES:
        raise DataError(
            f"ordered probit needs 2 to {MAX_CLASSES} rating values, and there are {len(values):,}; set ordered: false."
        )
    return [float(value) for value in values]


def expected_rating(above: np.ndarray, values: list[float]) -> np.ndarray:
    """Expected rating [n] from the probabilities [n, classes - 1] to be above each cutpoint."""
    return np.asarray(values[0] + above @ np.diff(values))


def expected_latent(classes: Tensor, scores: Tensor, cutpoints: Tensor) -> Tensor:
    """E[latent score | class, score] [n] of classes [n] and scores [n]."""
    low, high = _ends(classes, scores.double(), cutpoints.double())
    return scores + (_density(low) - _density(high)) / _between(low, high)


class OrderedProbit:
    """The latent side of a Gibbs sampler: cutpoints, and latent scores that lie between those of their class.

    The cutpoints are not drawn. Each iteration takes one step of Newton's method towards the maximum of their posterior
    given the scores, the latent scores integrated out; a draw would differ from it by some 1 / √n, n being the ratings
    of the classes on both sides.
    """

    precision = 1.0

    def __init__(self, classes: Tensor, number: int) -> None:
        """
        Args:
            classes: [ratings] int64 codes, 0 … number - 1, each of which occurs.
        """
        self.classes = classes
        shares = torch.bincount(classes, minlength=number).double().cumsum(0) / len(classes)
        self.start = ndtri(shares[:-1])
        self.cutpoints = self.start

    def draw(self, scores: Tensor, generator: torch.Generator, numbers: np.random.Generator) -> Tensor:
        """Latent scores [ratings] given the scores [ratings], in their precision, after a step of the cutpoints."""
        self._step(scores)
        latent = torch.empty_like(scores)
        for classes, given, drawn in self._pieces(scores, latent):
            low, high = _ends(classes, given, self.cutpoints)
            mirrored, low, high = _nearer(low, high)
            below, above = _cumulative(low), _cumulative(high)
            uniform = torch.rand(len(given), generator=generator, dtype=given.dtype)
            # The least number above 0 stands for all below the next one: of 0 itself the draw would be far outside.
            uniform = uniform.clamp_(torch.finfo(given.dtype).eps / 4)
            place = ndtri(_possible(below.lerp_(above, uniform)))
            # Where no digit is left of a probability, the draw is at the nearer end.
            place = place.clamp_(low, high)
            torch.add(given, torch.where(mirrored, -place, place), out=drawn)
        return latent

    def _step(self, scores: Tensor) -> None:
        """One step of Newton's method on the log posterior of the cutpoints, halved until they are in order."""
        # Cutpoint k is the upper end of class k and the lower one of class k + 1; an infinite end has density 0.
        sums = torch.zeros(5, len(self.cutpoints) + 1, dtype=torch.float64)
        for classes, given in self._pieces(scores):
            # In double precision: both ends of a rare class are nearly one number.
            low, high = _ends(classes, given.double(), self.cutpoints)
            inside = _between(low, high)
            from_high, from_low = _density(high) / inside, _density(low) / inside
            curved_high = _times(high, from_high) + from_high**2
            curved_low = from_low**2 - _times(low, from_low)
            parts = torch.stack([from_high, from_low, curved_high, curved_low, from_high * from_low])
            sums.index_add_(1, classes, parts)
        up, down, up_twice, down_twice, both = sums
        precision = CUTPOINT_DEVIATION**-2
        gradient = up[:-1] - down[1:] - precision * (self.cutpoints - self.start)
        curvature = torch.diag(up_twice[:-1] + down_twice[1:] + precision)
        curvature -= torch.diag(both[1:-1], 1) + torch.diag(both[1:-1], -1)
        step = torch.linalg.solve(curvature, gradient)
        while (torch.diff(self.cutpoints + step) <= 0).any():
            step = step / 2
        self.cutpoints = self.cutpoints + step

    def _pieces(self, *of_ratings: Tensor) -> Iterator[tuple[Tensor, ...]]:
        """The classes and other tensors [ratings], some ratings at a time."""
        return zip(*(tensor.split(RATINGS_AT_ONCE) for tensor in (self.classes, *of_ratings)), strict=True)


def _ends(classes: Tensor, scores: Tensor, cutpoints: Tensor) -> tuple[Tensor, Tensor]:
    """Lower and upper end [n] of the classes [n], as distances from the scores [n]."""
    infinity = torch.tensor([math.inf], dtype=cutpoints.dtype)
    ends = torch.cat([-infinity, cutpoints, infinity]).to(scores.dtype)
    return ends[:-1].index_select(0, classes) - scores, ends[1:].index_select(0, classes) - scores


def _nearer(low: Tensor, high: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Where both ends are above the score, and the ends, there mirrored, for it is the lower tail that has digits."""
    mirrored = low > 0
    return mirrored, torch.where(mirrored, -high, low), torch.where(mirrored, -low, high)


def _between(low: Tensor, high: Tensor) -> Tensor:
    """P(low < N(0, 1) < high)."""
    _, low, high = _nearer(low, high)
    return _possible(_cumulative(high) - _cumulative(low))


def _possible(probability: Tensor) -> Tensor:
    """Neither 0 nor 1, so that what hangs on it stays finite: in single precision that is 13 deviations on the one side
    and 5 on the other, in double precision 37 and 8."""
    about = torch.finfo(probability.dtype)
    return probability.clamp_(about.tiny, 1 - about.eps)


def _cumulative(values: Tensor) -> Tensor:
    """P(N(0, 1) < value); torch's own `ndtr` has no digits below -8."""
    return erfc(values * -math.sqrt(0.5)).div_(2)


def _density(values: Tensor) -> Tensor:
    return torch.exp(-(values**2) / 2) / math.sqrt(2 * math.pi)


def _times(ends: Tensor, densities: Tensor) -> Tensor:
    """ends · densities, 0 where an end is infinite."""
    return torch.where(ends.isinf(), 0.0, ends * densities)
