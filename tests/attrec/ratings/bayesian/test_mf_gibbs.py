"""Each conditional of the sampler against its closed form."""

from __future__ import annotations

from itertools import islice

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy import sparse

from attrec.ratings.bayesian.mf_gibbs import (
    MEAN_STRENGTH,
    SHRINKAGE_RATE,
    SHRINKAGE_SHAPE,
    Directions,
    Prior,
    Rated,
    Side,
    draw_wishart,
    evidence,
    gibbs,
    information,
    pair_scores,
)
from attrec.ratings.catalogue import EncodedRatings

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


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 6)), max_size=60), st.integers(1, 20))
def test_rows_that_are_summed_together_have_each_of_their_ratings_once(pairs, at_once) -> None:
    users, items = np.array(pairs, dtype="int64").reshape(-1, 2).T
    rated = Rated.of(users, items, (10, 7))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("attrec.ratings.bayesian.mf_gibbs.PADDED", at_once)
        groups = rated.padded
    found = [
        (row, item)
        for rows, columns in groups
        for row, own in zip(rows.tolist(), columns.tolist(), strict=True)
        for item in own
        if item < 7
    ]
    assert sorted(found) == sorted(zip(users.tolist(), items.tolist(), strict=True))
    assert all(len(rows) == 1 or columns.numel() <= at_once for rows, columns in groups)


def test_score_by_hand() -> None:
    users, items = torch.tensor([[1.0, 2.0, 0.5]]), torch.tensor([[0.0, 0.0, 9.0], [3.0, -1.0, 0.25]])
    # <(1, 2), (3, -1)> + ½ + ¼
    assert pair_scores(users, items, torch.tensor([0]), torch.tensor([1])).tolist() == [1.75]


def test_vectors_are_drawn_by_bayesian_linear_regression() -> None:
    """Of each user on the vectors of what they rated; somebody without ratings has the prior."""
    generator = torch.Generator().manual_seed(0)
    side = Side(Rated.of(USERS, ITEMS, SHAPE), Directions.none(4, 0), 3, generator)
    root, items, latent = normal(3, 3, seed=3), normal(4, 3), normal(6, seed=1)
    side.prior = Prior(normal(3, seed=4), root @ root.T + torch.eye(3), side.prior.slopes)
    side.fitted = normal(4, 3, seed=2)
    draws = []
    for _ in range(4_000):
        side.draw_vectors(items, latent, 2.5, generator)
        draws.append(side.vectors)
    drawn = torch.stack(draws)
    for user in range(4):
        own = np.flatnonzero(user == USERS)
        inputs = torch.cat([items[ITEMS[own], :2], torch.ones(len(own), 1)], dim=1)
        targets = latent[own] - items[ITEMS[own], 2]
        assert torch.allclose(information(side.rated, items)[user], inputs.T @ inputs, atol=1e-5)
        by_row = evidence(side.rated, items, latent[side.rated.order])
        assert torch.allclose(by_row[user], inputs.T @ targets, atol=1e-5)
        precision = side.prior.precision + 2.5 * inputs.T @ inputs
        before = side.prior.precision @ (side.prior.mean + side.fitted[user])
        mean = torch.linalg.solve(precision, before + 2.5 * inputs.T @ targets)
        assert torch.allclose(drawn[:, user].mean(dim=0), mean, atol=0.05)
        assert torch.allclose(drawn[:, user].T.cov(), torch.linalg.inv(precision), atol=0.05)


def test_wishart_has_its_mean_and_spread() -> None:
    numbers = np.random.default_rng(0)
    inverse_scale = torch.tensor([[2.0, 0.5], [0.5, 1.0]], dtype=torch.float64)
    draws = torch.stack([draw_wishart(7, inverse_scale, numbers) for _ in range(8_000)])
    scale = torch.linalg.inv(inverse_scale)
    assert torch.allclose(draws.mean(dim=0), 7 * scale, atol=0.2)
    # var W_jk = freedom (S_jk² + S_jj S_kk)
    spread = 7 * (scale**2 + torch.outer(scale.diag(), scale.diag()))
    assert torch.allclose(draws.var(dim=0), spread, rtol=0.1)


def test_prior_of_few_vectors_is_drawn_from_its_conditional() -> None:
    """Five vectors and four directions, so that every term of the prior weighs."""
    generator, numbers = torch.Generator().manual_seed(0), np.random.default_rng(0)
    features = Directions.of(sparse.csr_matrix(numbers.normal(size=(5, 4))))
    side = Side(Rated.of(np.arange(5), np.zeros(5, int), (5, 1)), features, 2, generator)
    vectors, slopes, shrinkage = normal(5, 2) + 1, normal(4, 2, seed=1), 3.0
    fitted = features.left @ (features.scales[:, None] * slopes)
    means, precisions, drawn, errors, shrinkages = [], [], [], [], []
    for _ in range(8_000):
        side.vectors, side.fitted, side.shrinkage = vectors, fitted, shrinkage
        side.prior = side.prior._replace(slopes=slopes)
        side.draw_prior(generator, numbers)
        mean, precision, new = side.prior
        means.append(mean)
        precisions.append(precision)
        # The slopes less their mean given μ, in units of their spread given Λ: standard normal.
        strength = (features.scales**2 + shrinkage)[:, None]
        expected = features.scales[:, None] / strength * (features.left.T @ (vectors - mean))
        drawn.append((new - expected) * strength.sqrt() @ torch.linalg.cholesky(precision))
        spread = torch.trace(new @ precision @ new.T)
        errors.append(side.shrinkage / ((SHRINKAGE_SHAPE + 8 / 2) / (SHRINKAGE_RATE + spread / 2)))
        shrinkages.append(side.shrinkage)

    # Normal-Wishart (Salakhutdinov & Mnih, eq. 14) with the slopes as further draws of precision shrinkage · Λ.
    left = vectors - fitted
    centre, strength_of_mean = left.mean(dim=0), MEAN_STRENGTH + 5
    inverse = torch.eye(2) + (left - centre).T @ (left - centre) + shrinkage * slopes.T @ slopes
    inverse += MEAN_STRENGTH * 5 / strength_of_mean * torch.outer(centre, centre)
    freedom = 2 + 5 + 4
    scale = torch.linalg.inv(inverse)
    assert torch.allclose(torch.stack(precisions).mean(dim=0), freedom * scale, rtol=0.04, atol=0.02)
    assert torch.allclose(torch.stack(means).mean(dim=0), 5 / strength_of_mean * centre, atol=0.02)
    # Cov μ = E[Λ⁻¹] / strength, and E[Λ⁻¹] = inverse / (freedom - size - 1).
    covariance = inverse / (freedom - 3) / strength_of_mean
    assert torch.allclose(torch.stack(means).T.cov(), covariance, rtol=0.1, atol=0.01)
    standard = torch.stack(drawn)
    assert torch.allclose(standard.mean(dim=0), torch.zeros(4, 2), atol=0.05)
    assert torch.allclose(standard.flatten(1).T.cov(), torch.eye(8), atol=0.08)
    assert np.mean(errors) == pytest.approx(1, abs=0.02)
    assert np.std(shrinkages) > 0.1


def test_slopes_are_found() -> None:
    generator, numbers = torch.Generator().manual_seed(0), np.random.default_rng(0)
    n = 6_000
    inputs, slopes = numbers.normal(size=(n, 3)), np.array([[1.0, -1.0], [0.5, 0.0], [0.0, 2.0]])
    noise = numbers.normal(size=(n, 2)) @ [[0.5, 0.3], [0.0, 0.4]]
    features = Directions.of(sparse.csr_matrix(inputs))
    side = Side(Rated.of(np.arange(n), np.zeros(n, int), (n, 1)), features, 2, generator)
    side.vectors = torch.from_numpy(noise + inputs @ slopes + [1.0, -2.0]).float()
    for _ in range(30):
        side.draw_prior(generator, numbers)
    assert side.prior.mean.numpy() == pytest.approx([1.0, -2.0], abs=0.04)
    assert torch.linalg.inv(side.prior.precision).numpy() == pytest.approx(np.cov(noise.T), abs=0.03)
    assert (features.right @ side.prior.slopes).numpy() == pytest.approx(slopes, abs=0.04)
    assert side.fitted.numpy() == pytest.approx(inputs @ slopes, abs=0.15)


def test_many_cells_have_their_leading_directions(monkeypatch: pytest.MonkeyPatch) -> None:
    numbers = np.random.default_rng(0)
    dense = numbers.normal(size=(30, 3)) @ numbers.normal(size=(3, 20))
    whole = Directions.of(sparse.csr_matrix(dense))
    monkeypatch.setattr("attrec.ratings.bayesian.mf_gibbs.EXACT_CELLS", 500)
    monkeypatch.setattr("attrec.ratings.bayesian.mf_gibbs.LEADING_DIRECTIONS", 3)
    leading = Directions.of(sparse.csr_matrix(dense))
    assert leading.scales.numpy() == pytest.approx(whole.scales.flip(0).numpy(), rel=1e-4)
    assert (leading.left * leading.scales @ leading.right.T).numpy() == pytest.approx(dense, abs=1e-4)


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

    def draw(
        self, scores: torch.Tensor, generator: torch.Generator, numbers: np.random.Generator
    ) -> torch.Tensor:
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
    nothing = Directions.none(300, 0), Directions.none(40, 0)
    for features in (nothing[0], told):
        chain = gibbs(ratings, (features, nothing[1]), Exact(latent, 4.0), 2, 0)
        samples = list(islice(chain, 100, 300))
        codes = (torch.arange(300).repeat_interleave(40), torch.arange(40).repeat(300))
        mean = torch.stack([pair_scores(one.users, one.items, *codes) for one in samples]).mean(dim=0)
        errors[features is told] = float(np.sqrt(np.mean((mean.numpy().reshape(300, 40) - everything) ** 2)))
    assert errors[True] < 0.3 < 0.5 < errors[False]
