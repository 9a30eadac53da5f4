"""Each conditional of the sampler against its closed form."""

from __future__ import annotations

from itertools import islice

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy import sparse

from attrec.models.catalogue import EncodedRatings
from attrec.models.mf_gibbs import Directions, Rated, Side, conditional, draw_wishart, gibbs, pair_scores

USERS, ITEMS = np.array([2, 0, 0, 2, 1, 0]), np.array([1, 0, 3, 0, 1, 1])
SHAPE = 4, 4  # user 3 and item 2 have no rating


def normal(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(seed).normal(size=shape)).float()


def test_sums_over_the_ratings_of_each_row() -> None:
    rated = Rated.of(USERS, ITEMS, SHAPE)
    weights, table = normal(6), normal(4, 3, seed=1)
    expected = torch.zeros(4, 3)
    for user, item, weight in zip(USERS, ITEMS, weights, strict=True):
        expected[user] += weight * table[item]
    assert torch.allclose(rated.sums(weights[rated.order], table), expected, atol=1e-6)


def test_score_by_hand() -> None:
    users, items = torch.tensor([[1.0, 2.0, 0.5]]), torch.tensor([[0.0, 0.0, 9.0], [3.0, -1.0, 0.25]])
    # <(1, 2), (3, -1)> + ½ + ¼
    assert pair_scores(users, items, torch.tensor([0]), torch.tensor([1])).tolist() == [1.75]


def test_conditional_is_bayesian_linear_regression() -> None:
    """Of each user on the vectors of what they rated; somebody without ratings has the prior."""
    rated = Rated.of(USERS, ITEMS, SHAPE)
    items, latent, prior_mean = normal(4, 3), normal(6, seed=1), normal(4, 3, seed=2)
    root = normal(3, 3, seed=3)
    prior_precision, noise_precision = root @ root.T + torch.eye(3), 2.5
    precision, right = conditional(
        rated, items, latent[rated.order], noise_precision, prior_mean, prior_precision
    )
    for user in range(4):
        own = np.flatnonzero(user == USERS)
        inputs = torch.cat([items[ITEMS[own], :2], torch.ones(len(own), 1)], dim=1)
        targets = latent[own] - items[ITEMS[own], 2]
        expected = prior_precision + noise_precision * inputs.T @ inputs
        assert torch.allclose(precision[user], expected, atol=1e-5)
        mean = torch.linalg.solve(
            expected, prior_precision @ prior_mean[user] + noise_precision * inputs.T @ targets
        )
        assert torch.allclose(torch.linalg.solve(precision[user], right[user]), mean, atol=1e-5)
    assert torch.allclose(precision[3], prior_precision)


def test_vectors_are_drawn_from_their_conditional() -> None:
    generator = torch.Generator().manual_seed(0)
    side = Side(Rated.of(USERS, ITEMS, SHAPE), None, 2, generator)
    side.mean, side.precision = torch.tensor([0.5, -0.5]), torch.tensor([[2.0, 0.5], [0.5, 1.0]])
    items, latent = normal(4, 2), normal(6, seed=1)
    draws = []
    for _ in range(4_000):
        side.draw_vectors(items, latent, 1.5, generator)
        draws.append(side.vectors)
    drawn = torch.stack(draws)
    precision, right = conditional(
        side.rated, items, latent[side.rated.order], 1.5, side.mean.expand(4, 2), side.precision
    )
    for user in range(4):
        expected = torch.linalg.solve(precision[user], right[user])
        assert torch.allclose(drawn[:, user].mean(dim=0), expected, atol=0.05)
        assert torch.allclose(drawn[:, user].T.cov(), torch.linalg.inv(precision[user]), atol=0.07)


def test_wishart_has_its_mean_and_spread() -> None:
    numbers = np.random.default_rng(0)
    inverse_scale = torch.tensor([[2.0, 0.5], [0.5, 1.0]], dtype=torch.float64)
    draws = torch.stack([draw_wishart(7, inverse_scale, numbers) for _ in range(8_000)])
    scale = torch.linalg.inv(inverse_scale)
    assert torch.allclose(draws.mean(dim=0), 7 * scale, atol=0.2)
    # var W_jk = freedom (S_jk² + S_jj S_kk)
    spread = 7 * (scale**2 + torch.outer(scale.diag(), scale.diag()))
    assert torch.allclose(draws.var(dim=0), spread, rtol=0.1)


def test_prior_follows_the_vectors() -> None:
    """Of thousands of vectors with a known mean and covariance, without features and with some that explain a part."""
    generator, numbers = torch.Generator().manual_seed(0), np.random.default_rng(0)
    n = 6_000
    codes = np.arange(n)
    root = np.array([[0.5, 0.0], [0.3, 0.4]])
    noise = numbers.normal(size=(n, 2)) @ root.T
    inputs, slopes = numbers.normal(size=(n, 3)), np.array([[1.0, -1.0], [0.5, 0.0], [0.0, 2.0]])
    for features, level in (
        (None, noise),
        (Directions.of(sparse.csr_matrix(inputs)), noise + inputs @ slopes),
    ):
        side = Side(Rated.of(codes, 0 * codes, (n, 1)), features, 2, generator)
        side.vectors = torch.from_numpy(np.add(level, [1.0, -2.0])).float()
        for _ in range(30):
            side.draw_prior(generator, numbers)
        prior = side.prior()
        assert prior.mean.numpy() == pytest.approx([1.0, -2.0], abs=0.04)
        assert torch.linalg.inv(prior.precision).numpy() == pytest.approx(root @ root.T, abs=0.03)
        if features is not None:
            assert prior.slopes.numpy() == pytest.approx(slopes, abs=0.04)
            assert side.fitted.numpy() == pytest.approx(inputs @ slopes, abs=0.15)


@given(rows=st.integers(1, 7), columns=st.integers(1, 7), seed=st.integers(0, 99))
def test_directions_are_a_singular_value_decomposition(rows: int, columns: int, seed: int) -> None:
    dense = np.random.default_rng(seed).integers(0, 3, (rows, columns)).astype(float)
    dense[0, 0] = 1  # else there may be nothing
    left, scales, right = Directions.of(sparse.csr_matrix(dense))
    assert len(scales) == np.linalg.matrix_rank(dense)
    assert (left * scales @ right.T).numpy() == pytest.approx(dense, abs=1e-4)
    for vectors in (left, right):
        assert (vectors.T @ vectors).numpy() == pytest.approx(np.eye(len(scales)), abs=1e-4)


class Exact:
    """Latent scores that are known, with noise of a known precision."""

    def __init__(self, latent: np.ndarray, precision: float) -> None:
        self.latent, self.precision = torch.from_numpy(latent), precision

    def draw(self, scores: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        return self.latent


def test_chain_finds_factors_and_what_they_hang_on() -> None:
    """Users of two tastes, told by a feature: with two ratings each, only those who see it know the rest."""
    numbers = np.random.default_rng(0)
    taste, appeal = numbers.choice([-1.0, 1.0], 300), numbers.normal(size=40)
    users = np.repeat(np.arange(300), 2)
    items = np.concatenate([numbers.choice(40, 2, replace=False) for _ in range(300)])
    latent = taste[users] * appeal[items] + 0.5 * numbers.normal(size=600)
    ratings = EncodedRatings(users, items, latent.astype("float32"), 300, 40)
    told = Directions.of(sparse.csr_matrix(taste[:, None]))
    everything = np.outer(taste, appeal)
    errors = {}
    for features in (None, told):
        chain = gibbs(ratings, (features, None), Exact(latent, 4.0), 2, 0)
        samples = list(islice(chain, 100, 300))
        codes = (torch.arange(300).repeat_interleave(40), torch.arange(40).repeat(300))
        mean = torch.stack([pair_scores(one.users, one.items, *codes) for one in samples]).mean(dim=0)
        errors[features is told] = float(np.sqrt(np.mean((mean.numpy().reshape(300, 40) - everything) ** 2)))
    assert errors[True] < 0.3 < 0.5 < errors[False]
