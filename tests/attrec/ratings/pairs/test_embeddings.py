"""The attentive embedding against eq. 1 worked out by hand, and what it must never see."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from attrec.models.layers import seeded_generator
from attrec.ratings.catalogue import EncodedRatings
from attrec.ratings.pairs.embeddings import AttentiveEmbedding, LookUpEmbedding, Targets
from attrec.ratings.pairs.rated_items import Padded, RatedItems


def attentive(
    n_items: int = 6, d: int = 4, default_always: bool = False, **options: float
) -> AttentiveEmbedding:
    generator = seeded_generator(0)
    item, opinion = (nn.Parameter(torch.randn(n_items, d, generator=generator)) for _ in range(2))
    dropouts = {"dropout": 0.0, "attention_dropout": 0.0} | options
    embedding = AttentiveEmbedding(
        item, opinion, 3.0, 2.0, **dropouts, default_always=default_always, generator=generator
    )
    with torch.no_grad():
        embedding.default.fill_(0.25)
        embedding.default_key.fill_(0.5)
    return embedding.eval()


def padded(*users: dict[int, float]) -> Padded:
    rows = [list(user.items()) for user in users]
    width = max(map(len, rows))
    items = torch.tensor([[i for i, _ in row] + [0] * (width - len(row)) for row in rows]).long()
    ratings = torch.tensor([[r for _, r in row] + [0.0] * (width - len(row)) for row in rows])
    real = torch.tensor([[True] * len(row) + [False] * (width - len(row)) for row in rows]).bool()
    return Padded(
        items.reshape(len(rows), width), ratings.reshape(len(rows), width), real.reshape(len(rows), width)
    )


def targets(items: list[list[int]], context: Padded) -> Targets:
    shown = torch.tensor(items)
    return Targets(torch.arange(len(items)), shown, torch.ones_like(shown, dtype=torch.bool), context)


def by_hand(embedding: AttentiveEmbedding, user: dict[int, float], target: int) -> np.ndarray:
    """Eq. 1 with plain loops."""
    m, t = embedding.item.detach().numpy(), embedding.opinion.detach().numpy()
    d = m.shape[1]
    terms = [(m[target] @ m[j] / math.sqrt(d), (r - 3) / 2 * t[j]) for j, r in user.items() if j != target]
    if embedding.default_always or not terms:
        key = embedding.default_key.detach().numpy()
        terms.append((m[target] @ key / math.sqrt(d), embedding.default.detach().numpy()))
    total = sum(math.exp(score) for score, _ in terms)
    return sum(math.exp(score) / total * value for score, value in terms)


@pytest.mark.parametrize("default_always", [False, True])
def test_equation_1_for_every_target_at_once(default_always: bool) -> None:
    embedding = attentive(default_always=default_always)
    users = [{0: 5.0, 2: 1.0, 3: 4.0}, {1: 2.0}, {}]
    asked = [[0, 4, 3], [1, 2, 5], [0, 1, 2]]
    got = embedding(targets(asked, padded(*users)))
    expected = [
        by_hand(embedding, user, item) for user, row in zip(users, asked, strict=True) for item in row
    ]
    np.testing.assert_allclose(got.user.detach().numpy(), np.stack(expected), rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(got.items.numpy(), np.ravel(asked))
    np.testing.assert_array_equal(got.item.detach().numpy(), embedding.item.detach().numpy()[np.ravel(asked)])


def test_default_vector_serves_users_without_context_alone() -> None:
    embedding = attentive()
    weights = embedding.attention(targets([[2, 1], [3, 1]], padded({1: 4.0}, {})))
    np.testing.assert_allclose(weights[0, 0].detach(), [1, 0])  # rated another item
    np.testing.assert_allclose(weights[0, 1].detach(), [0, 1])  # rated the target alone: no context is left
    np.testing.assert_allclose(weights[1, 0].detach(), [0, 1])


@settings(max_examples=50)
@given(
    st.dictionaries(st.integers(0, 5), st.floats(1, 5, width=32), max_size=6), st.integers(0, 5), st.randoms()
)
def test_own_rating_order_and_padding_do_not_matter(user, target, random) -> None:  # type: ignore[no-untyped-def]
    embedding = attentive(default_always=True)
    first = embedding(targets([[target]], padded(user))).user
    shuffled = list(user.items())
    random.shuffle(shuffled)
    changed = {item: (6 - rating if item == target else rating) for item, rating in shuffled}
    longer = padded(changed, dict.fromkeys(range(6), 3.0))
    second = embedding(targets([[target], [target]], longer)).user[:1]
    np.testing.assert_allclose(first.detach(), second.detach(), rtol=1e-5, atol=1e-6)


def test_padding_is_never_a_target() -> None:
    embedding = attentive()
    context = padded({1: 5.0, 2: 1.0}, {3: 4.0})
    shown = targets([[1, 2], [3, 0]], context)
    real = Targets(shown.users, shown.items, context.real, context)
    embedding(real).item.sum().backward()
    assert embedding.item.grad is not None
    assert embedding.item.grad[0].abs().sum() == 0


def test_attention_dropout_hides_context_in_training_alone() -> None:
    embedding = attentive(attention_dropout=0.9, default_always=True)
    shown = targets([[0] * 50], padded(dict.fromkeys(range(1, 6), 5.0)))
    assert torch.equal(embedding.attention(shown), embedding.attention(shown))
    embedding.train()
    kept = (embedding.attention(shown)[:, :, :-1] > 0).float().mean()
    assert 0.02 < float(kept.detach()) < 0.25


def test_sampled_context_is_real_distinct_and_of_the_asked_size() -> None:
    context = padded(dict.fromkeys(range(6), 5.0), {2: 1.0})
    sample = context.sampled(3, seeded_generator(0))
    assert sample.items.shape == (2, 3)
    assert len(set(sample.items[0].tolist())) == 3
    assert sample.real.tolist() == [[True] * 3, [True, False, False]]
    assert sample.items[1, 0] == 2
    assert sample.ratings[1, 0] == 1


def test_look_up_and_the_mean_user_for_somebody_unknown() -> None:
    user, item = nn.Parameter(torch.tensor([[1.0, 0], [3, 2]])), nn.Parameter(torch.eye(2))
    embedding = LookUpEmbedding(user, item, 0.0, seeded_generator(0))
    nothing = Padded(torch.zeros(0, 0).long(), torch.zeros(0, 0), torch.zeros(0, 0).bool())
    shown = Targets(torch.tensor([1, -1]), torch.tensor([[0], [1]]), torch.ones(2, 1).bool(), nothing)
    got = embedding(shown)
    assert got.user.tolist() == [[3, 2], [2, 1]]
    assert got.item.tolist() == [[1, 0], [0, 1]]


@settings(max_examples=30)
@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 9)), unique=True, min_size=1), st.integers(1, 20))
def test_rated_items_keep_every_rating_with_its_user(pairs, size: int) -> None:  # type: ignore[no-untyped-def]
    users, items = np.array(pairs).T
    values = np.arange(len(pairs), dtype="float32")
    rated = RatedItems.of(EncodedRatings(users, items, values, 5, 10))
    groups = list(rated.batches(size))
    assert sorted(np.concatenate(groups)) == sorted(set(users))
    found = {}
    for group in groups:
        batch = rated.padded(group)
        for row, user in enumerate(group):
            for item, rating, real in zip(*(part[row].tolist() for part in batch), strict=True):
                if real:
                    found[user, item] = rating
    assert found == {(u, i): v for u, i, v in zip(users, items, values, strict=True)}
