"""Ratings as classes of a latent score: the class between whose cutpoints score + N(0, 1) falls.

Albert & Chib, "Bayesian Analysis of Binary and Polychotomous Response Data", JASA 88(422), 1993.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor
from torch.special import ndtr, ndtri

from attrec.errors import DataError

MAX_CLASSES = 20
CUTPOINT_DEVIATION = 10.0
SMALLEST = 1e-12
"""Probabilities keep this distance from 0 and 1, so that latent scores stay finite."""


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
    low, high = (end[classes] - scores.double() for end in _ends(cutpoints.double()))
    inside = (ndtr(high) - ndtr(low)).clamp(SMALLEST)
    return scores + (_density(low) - _density(high)) / inside


class OrderedProbit:
    """The latent side of a Gibbs sampler: cutpoints, and latent scores that lie between those of their class.

    The cutpoints are at the maximum of their posterior given the scores, the latent scores integrated out; they are not
    drawn. With n ratings a draw would differ from it by some 1 / √n.
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

    def draw(self, scores: Tensor, generator: torch.Generator) -> Tensor:
        """Latent scores [ratings] given the scores [ratings], after one step of the cutpoints to their maximum."""
        scores = scores.double()
        self._step(scores)
        low, high = _ends(self.cutpoints)
        below = ndtr(low[self.classes] - scores)
        inside = ndtr(high[self.classes] - scores) - below
        uniform = torch.rand(len(scores), generator=generator, dtype=torch.float64)
        return scores + ndtri((below + uniform * inside).clamp(SMALLEST, 1 - SMALLEST))

    def _step(self, scores: Tensor) -> None:
        """One step of Newton's method on the log posterior of the cutpoints, halved until they ascend."""
        low, high = (end[self.classes] - scores for end in _ends(self.cutpoints))
        inside = (ndtr(high) - ndtr(low)).clamp(SMALLEST)
        from_high, from_low = _density(high) / inside, _density(low) / inside
        number = len(self.cutpoints) + 1
        # Cutpoint k is the upper end of class k and the lower one of class k + 1; an infinite end has density 0.
        up, down, cross = (
            torch.zeros(number, dtype=torch.float64).index_add_(0, self.classes, part)
            for part in (from_high, from_low, from_high * from_low)
        )
        curved_up, curved_down = (
            torch.zeros(number, dtype=torch.float64).index_add_(0, self.classes, part)
            for part in (_times(high, from_high) + from_high**2, from_low**2 - _times(low, from_low))
        )
        precision = CUTPOINT_DEVIATION**-2
        gradient = up[:-1] - down[1:] - precision * (self.cutpoints - self.start)
        curvature = torch.diag(curved_up[:-1] + curved_down[1:] + precision)
        curvature -= torch.diag(cross[1:-1], 1) + torch.diag(cross[1:-1], -1)
        step = torch.linalg.solve(curvature, gradient)
        while (torch.diff(self.cutpoints + step) <= 0).any():
            step = step / 2
        self.cutpoints = self.cutpoints + step


def _ends(cutpoints: Tensor) -> tuple[Tensor, Tensor]:
    """Lower and upper end [classes] of each class."""
    infinity = torch.tensor([math.inf], dtype=torch.float64)
    return torch.cat([-infinity, cutpoints]), torch.cat([cutpoints, infinity])


def _density(values: Tensor) -> Tensor:
    return torch.exp(-(values**2) / 2) / math.sqrt(2 * math.pi)


def _times(ends: Tensor, densities: Tensor) -> Tensor:
    """ends · densities, 0 where an end is infinite."""
    return torch.where(ends.isinf(), 0.0, ends * densities)
