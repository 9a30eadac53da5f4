"""Ratings as classes of a latent score: the class between whose cutpoints score + N(0, 1) falls.

Albert & Chib, "Bayesian Analysis of Binary and Polychotomous Response Data", JASA 88(422), 1993.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor
from torch.special import erfc, ndtri

from attrec.errors import DataError

MAX_CLASSES = 20
CUTPOINT_DEVIATION = 10.0
SMALLEST, LARGEST = 1e-300, 1 - 1e-16
"""Probabilities stay between, so that latent scores stay finite: 37 deviations on the one side, 8 on the other."""


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
        """Latent scores [ratings] given the scores [ratings], after a step of the cutpoints."""
        scores = scores.double()
        self._step(scores)
        low, high = _ends(self.classes, scores, self.cutpoints)
        # Where both ends are above the score the probabilities are near 1: there the mirror image is drawn.
        mirrored = low > 0
        below = _cumulative(torch.where(mirrored, -high, low))
        uniform = torch.rand(len(scores), generator=generator, dtype=torch.float64)
        drawn = ndtri((below + uniform * _between(low, high)).clamp(SMALLEST, LARGEST))
        return scores + torch.where(mirrored, -drawn, drawn)

    def _step(self, scores: Tensor) -> None:
        """One step of Newton's method on the log posterior of the cutpoints, halved until they are in order."""
        low, high = _ends(self.classes, scores, self.cutpoints)
        inside = _between(low, high)
        from_high, from_low = _density(high) / inside, _density(low) / inside
        curved_high = _times(high, from_high) + from_high**2
        curved_low = from_low**2 - _times(low, from_low)
        # Cutpoint k is the upper end of class k and the lower one of class k + 1; an infinite end has density 0.
        up, down, up_twice, down_twice, both = (
            torch.zeros(len(self.cutpoints) + 1, dtype=torch.float64).index_add_(0, self.classes, part)
            for part in (from_high, from_low, curved_high, curved_low, from_high * from_low)
        )
        precision = CUTPOINT_DEVIATION**-2
        gradient = up[:-1] - down[1:] - precision * (self.cutpoints - self.start)
        curvature = torch.diag(up_twice[:-1] + down_twice[1:] + precision)
        curvature -= torch.diag(both[1:-1], 1) + torch.diag(both[1:-1], -1)
        step = torch.linalg.solve(curvature, gradient)
        while (torch.diff(self.cutpoints + step) <= 0).any():
            step = step / 2
        self.cutpoints = self.cutpoints + step


def _ends(classes: Tensor, scores: Tensor, cutpoints: Tensor) -> tuple[Tensor, Tensor]:
    """Lower and upper end [n] of the classes [n], as distances from the scores [n]."""
    infinity = torch.tensor([math.inf], dtype=torch.float64)
    ends = torch.cat([-infinity, cutpoints, infinity])
    return ends[classes] - scores, ends[classes + 1] - scores


def _between(low: Tensor, high: Tensor) -> Tensor:
    """P(low < N(0, 1) < high), from the tail that both are nearer to, where digits are not lost."""
    mirrored = low > 0
    low, high = torch.where(mirrored, -high, low), torch.where(mirrored, -low, high)
    return (_cumulative(high) - _cumulative(low)).clamp(SMALLEST)


def _cumulative(values: Tensor) -> Tensor:
    """P(N(0, 1) < value); torch's own `ndtr` has no digits below -8."""
    return erfc(values * -math.sqrt(0.5)) / 2


def _density(values: Tensor) -> Tensor:
    return torch.exp(-(values**2) / 2) / math.sqrt(2 * math.pi)


def _times(ends: Tensor, densities: Tensor) -> Tensor:
    """ends · densities, 0 where an end is infinite."""
    return torch.where(ends.isinf(), 0.0, ends * densities)
