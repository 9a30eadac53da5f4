"""Ordered probit against closed forms, numerical optimisation and scipy's truncated normal distribution."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.optimize import minimize
from scipy.special import ndtr, ndtri
from scipy.stats import truncnorm

from attrec.errors import DataError
from attrec.ratings.bayesian.ordered_probit import (
    OrderedProbit,
    expected_latent,
    expected_rating,
    rating_values,
)


def draw(response: OrderedProbit, scores: torch.Tensor) -> torch.Tensor:
    return response.draw(scores, torch.Generator().manual_seed(0), np.random.default_rng(0))


def simulated(n: int, cutpoints: list[float]) -> tuple[torch.Tensor, torch.Tensor]:
    """Scores, and the class of each with noise."""
    numbers = np.random.default_rng(0)
    scores = numbers.normal(size=n)
    classes = np.searchsorted(cutpoints, scores + numbers.normal(size=n))
    return torch.from_numpy(scores), torch.from_numpy(classes)


def test_rating_values_and_expected_rating_by_hand() -> None:
    assert rating_values(np.array([4.0, 1.0, 4.0, 2.5])) == [1.0, 2.5, 4.0]
    # P(1) = 0.1, P(2.5) = 0.3, P(4) = 0.6
    assert expected_rating(np.array([[0.9, 0.6]]), [1.0, 2.5, 4.0]) == pytest.approx([0.1 + 0.75 + 2.4])
    for ratings in (np.full(5, 3.0), np.arange(21.0)):
        with pytest.raises(DataError, match="2 to 20 rating values"):
            rating_values(ratings)


def test_cutpoints_of_equal_scores_are_quantiles_of_the_shares() -> None:
    response = OrderedProbit(torch.tensor([0] * 20 + [1] * 50 + [2] * 30), 3)
    draw(response, torch.zeros(100))
    assert response.cutpoints.numpy() == pytest.approx(ndtri([0.2, 0.7]))


def test_cutpoints_go_to_the_maximum_of_the_likelihood() -> None:
    scores, classes = simulated(2_000, [-1.5, 0.2, 0.5])
    response = OrderedProbit(classes, 4)
    for _ in range(8):
        draw(response, scores)

    def loss(cutpoints: np.ndarray) -> float:
        ends = np.concatenate([[-np.inf], cutpoints, [np.inf]])
        inside = ndtr(ends[classes + 1] - scores.numpy()) - ndtr(ends[classes] - scores.numpy())
        return -float(np.log(np.maximum(inside, 1e-300)).sum())

    best = minimize(loss, [-1.0, 0.0, 1.0], method="Nelder-Mead", options={"xatol": 1e-6, "fatol": 1e-6}).x
    # The prior, N(quantile, 10²), is worth next to nothing.
    assert response.cutpoints.numpy() == pytest.approx(best, abs=1e-3)
    assert response.cutpoints.numpy() == pytest.approx([-1.5, 0.2, 0.5], abs=0.12)


def test_a_step_of_the_cutpoints_is_the_same_in_pieces(monkeypatch) -> None:
    scores, classes = simulated(2_000, [-1.5, 0.2, 0.5])
    whole, pieces = OrderedProbit(classes, 4), OrderedProbit(classes, 4)
    draw(whole, scores)
    monkeypatch.setattr("attrec.ratings.bayesian.ordered_probit.RATINGS_AT_ONCE", 300)
    draw(pieces, scores)
    assert torch.allclose(whole.cutpoints, pieces.cutpoints, rtol=1e-12)


@pytest.mark.parametrize("precision", [torch.float32, torch.float64])
@pytest.mark.parametrize("at_once", [20_000, 4_096])
def test_latent_scores_are_truncated_normals(precision, at_once, monkeypatch) -> None:
    monkeypatch.setattr("attrec.ratings.bayesian.ordered_probit.RATINGS_AT_ONCE", at_once)
    scores, classes = simulated(20_000, [-0.5, 0.5])
    response = OrderedProbit(classes, 3)
    latent = draw(response, scores.to(precision))
    assert latent.dtype == precision
    ends = torch.cat([torch.tensor([-torch.inf]), response.cutpoints, torch.tensor([torch.inf])])
    rounding = 8 * torch.finfo(precision).eps
    assert (latent > ends[classes] - rounding).all()
    assert (latent < ends[classes + 1] + rounding).all()
    low, high = (ends[classes] - scores).numpy(), (ends[classes + 1] - scores).numpy()
    # Each draw at its own place in its own distribution is uniform.
    place = truncnorm.cdf((latent - scores).numpy(), low, high)
    assert np.histogram(place, 10, (0, 1))[0] == pytest.approx(2_000, abs=200)
    expected = expected_latent(classes, scores, response.cutpoints)
    assert (expected - scores).numpy() == pytest.approx(truncnorm.mean(low, high), abs=1e-6)


@pytest.mark.parametrize("precision", [torch.float32, torch.float64])
def test_latent_scores_keep_to_their_class_where_it_is_all_but_impossible(precision) -> None:
    """Scores far from both ends, where probabilities are next to 0 and to 1, or have no digits left."""
    classes = torch.tensor([0, 1, 2] * 4)
    response = OrderedProbit(classes, 3)
    scores = torch.tensor(
        [9.0, 9.0, -9.0, 20.0, -20.0, -20.0, 5.0, 7.0, -7.0, 0.0, 0.0, 0.0], dtype=precision
    )
    latent = draw(response, scores)
    ends = torch.cat([torch.tensor([-torch.inf]), response.cutpoints, torch.tensor([torch.inf])])
    assert torch.isfinite(response.cutpoints).all()
    assert (torch.diff(response.cutpoints) > 0).all()
    rounding = 20 * torch.finfo(precision).eps
    assert (latent >= ends[classes] - rounding).all()
    assert (latent <= ends[classes + 1] + rounding).all()
    low, high = (ends[classes] - scores).numpy(), (ends[classes + 1] - scores).numpy()
    expected = expected_latent(classes, scores, response.cutpoints)
    assert (expected - scores).numpy() == pytest.approx(truncnorm.mean(low, high), abs=1e-4)


def test_one_rating_against_all_odds_does_not_upset_the_cutpoints() -> None:
    scores, classes = simulated(2_000, [-0.5, 0.5])
    response = OrderedProbit(classes, 3)
    for _ in range(8):
        draw(response, scores)
    before = response.cutpoints.clone()
    odd = OrderedProbit(torch.cat([classes, torch.tensor([0])]), 3)
    for _ in range(8):
        draw(odd, torch.cat([scores, torch.tensor([9.0])]))
    assert odd.cutpoints.numpy() == pytest.approx(before.numpy(), abs=0.05)


def test_the_least_number_that_is_drawn_is_no_outlier(monkeypatch) -> None:
    monkeypatch.setattr(torch, "rand", lambda *size, dtype, **_: torch.zeros(*size, dtype=dtype))
    response = OrderedProbit(torch.tensor([0, 1, 2] * 4), 3)
    for precision, far in ((torch.float32, 6), (torch.float64, 9)):
        assert (draw(response, torch.zeros(12, dtype=precision)).abs() < far).all()


def test_a_class_that_is_next_to_nothing_leaves_all_finite_in_single_precision() -> None:
    scores, _ = simulated(2_000, [0.3])
    classes = 2 * (scores > 0.3).long()
    classes[0] = 1
    response = OrderedProbit(classes, 3)
    # As of one rating of its value among many millions: in single precision nothing is between the two.
    response.cutpoints = torch.tensor([0.3, 0.3 + 1e-8], dtype=torch.float64)
    latent = draw(response, scores.float())
    assert torch.isfinite(response.cutpoints).all()
    assert (torch.diff(response.cutpoints) > 0).all()
    assert torch.isfinite(latent).all()
