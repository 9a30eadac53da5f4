"""Ranks and what is made of them: by hand, against a plain sort, and against the model where it cannot decide."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from attrec.datasets.histories import Histories
from attrec.metrics.ranking import (
    METRICS,
    MISS,
    SAMPLED_METRICS,
    draw_negatives,
    hit_rate_at,
    ndcg_at,
    reciprocal_rank_at,
    sampled_ranks,
    target_ranks,
    top_items,
)

SCORES = np.array([[0.1, 0.9, 0.5, 0.7], [0.4, 0.4, 0.4, 0.1], [3.0, 2.0, 1.0, 0.0]], dtype="float32")


def test_ranks_by_hand() -> None:
    # The third best; level with two others, which stand ahead; the last.
    assert target_ranks(SCORES, np.array([2, 0, 3])).tolist() == [3, 3, 4]
    seen = np.array([[False, True, False, False], [False, False, True, False], [True, True, True, False]])
    assert target_ranks(SCORES, np.array([2, 0, 3]), seen).tolist() == [2, 2, 1]


def test_what_cannot_be_ranked_is_a_miss_at_any_cut_off() -> None:
    seen = np.zeros((3, 4), dtype=bool)
    seen[1, 0] = True
    ranks = target_ranks(SCORES, np.array([-1, 0, 0]), seen)
    assert ranks.tolist() == [MISS, MISS, 1]
    for name, values in METRICS.items():
        assert values(ranks).tolist() == [0, 0, 1], name
    assert ndcg_at(ranks, 10**9).tolist() == [0, 0, 1]


def test_equal_scores_are_worth_nothing() -> None:
    flat = np.zeros((5, 30), dtype="float32")
    assert target_ranks(flat, np.arange(5)).tolist() == [30] * 5


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_scores_must_be_finite(bad: float) -> None:
    scores = SCORES.copy()
    scores[2, 3] = bad
    for rank in (
        lambda: target_ranks(scores, np.zeros(3, dtype=int)),
        lambda: top_items(scores, 2),
        lambda: sampled_ranks(scores, np.zeros(3, dtype=int), np.ones((3, 1), dtype=int)),
    ):
        with pytest.raises(ValueError, match="finite"):
            rank()


def test_values_by_hand() -> None:
    ranks = np.array([1, 2, 5, 6, 11, MISS])
    assert ndcg_at(ranks, 5).tolist() == pytest.approx([1, 1 / np.log2(3), 1 / np.log2(6), 0, 0, 0])
    assert hit_rate_at(ranks, 10).tolist() == [1, 1, 1, 1, 0, 0]
    assert reciprocal_rank_at(ranks, 20).tolist() == pytest.approx([1, 1 / 2, 1 / 5, 1 / 6, 1 / 11, 0])
    assert list(METRICS) == [f"{name}@{k}" for name in ("ndcg", "hr", "mrr") for k in (5, 10, 20)]
    assert list(SAMPLED_METRICS) == ["ndcg@20-sampled-uniform100", "recall@20-sampled-uniform100"]
    assert METRICS["ndcg@10"](ranks).tolist() == ndcg_at(ranks, 10).tolist()


@pytest.mark.parametrize("k", [5, 10, 20])
def test_the_last_rank_of_a_cut_off_counts_and_the_next_does_not(k: int) -> None:
    ranks = np.array([k, k + 1])
    assert METRICS[f"hr@{k}"](ranks).tolist() == [1, 0]
    assert METRICS[f"ndcg@{k}"](ranks).tolist() == pytest.approx([1 / np.log2(k + 1), 0])
    assert METRICS[f"mrr@{k}"](ranks).tolist() == pytest.approx([1 / k, 0])


def test_lists_by_hand() -> None:
    assert top_items(SCORES, 3).tolist() == [[1, 3, 2], [0, 1, 2], [0, 1, 2]]
    seen = np.array([[False, True, False, False], [True, True, True, False], [False] * 4])
    assert top_items(SCORES, 2, seen).tolist() == [[3, 2], [3, -1], [0, 1]]
    assert top_items(SCORES, 6)[0].tolist() == [1, 3, 2, 0, -1, -1]
    assert top_items(SCORES, 0).shape == (3, 0)


def test_of_many_that_are_level_the_first_fill_up() -> None:
    scores = np.zeros((3, 100), dtype="float32")
    scores[:, 50], scores[:, :20] = 1, -1
    assert top_items(scores, 3).tolist() == 3 * [[50, 20, 21]]


@st.composite
def worlds(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Scores with many ties [b, items], targets of which some are unknown [b], seen [b, items]."""
    users, items = draw(st.integers(1, 6)), draw(st.integers(1, 12))
    rng = np.random.default_rng(draw(st.integers(0, 999)))
    scores = rng.integers(0, draw(st.sampled_from([2, 5, 1000])), (users, items)).astype("float32")
    return (
        scores,
        rng.integers(-1, items, users),
        rng.random((users, items)) < draw(st.sampled_from([0, 0.4, 1])),
    )


@settings(max_examples=100)
@given(worlds(), st.integers(1, 14))
def test_ranks_and_lists_are_those_of_a_plain_sort(
    world: tuple[np.ndarray, np.ndarray, np.ndarray], k: int
) -> None:
    scores, targets, seen = world
    ranks, lists = target_ranks(scores, targets, seen), top_items(scores, k, seen)
    for user, target in enumerate(targets):
        allowed = [item for item in range(scores.shape[1]) if not seen[user, item]]
        best_first = sorted(allowed, key=lambda item: (-scores[user, item], item))
        assert [item for item in lists[user] if item >= 0] == best_first[:k]
        if target in allowed:
            others_first = sorted(allowed, key=lambda item: (-scores[user, item], item == target))
            assert ranks[user] == others_first.index(target) + 1
        else:
            assert ranks[user] == MISS


@settings(max_examples=50)
@given(worlds(), st.integers(1, 5))
def test_negatives_are_distinct_unseen_and_not_the_target(
    world: tuple[np.ndarray, np.ndarray, np.ndarray], n: int
) -> None:
    scores, targets, seen = world
    n_items = scores.shape[1]
    histories = Histories.of_lists([np.flatnonzero(row).tolist() for row in seen])
    negatives = draw_negatives(histories, targets, n_items, n)
    ranks = sampled_ranks(scores, targets, negatives)
    for user, target in enumerate(targets):
        free = set(range(n_items)) - set(np.flatnonzero(seen[user])) - {int(target)}
        drawn = [int(item) for item in negatives[user] if item >= 0]
        assert set(negatives[user]) <= {*free, -1}
        assert len(set(drawn)) == len(drawn) == min(n, len(free))
        assert set(drawn) <= free
        if target >= 0:
            assert ranks[user] == 1 + sum(scores[user, item] >= scores[user, target] for item in drawn)
        else:
            assert ranks[user] == MISS


def test_negatives_are_uniform_and_seeded() -> None:
    histories = Histories.of_lists([[0, 1]] * 3000)
    targets = np.full(3000, 2)
    negatives = draw_negatives(histories, targets, 12, 3, seed=5)
    shares = np.bincount(negatives.ravel(), minlength=12) / 3000
    assert shares[:3].tolist() == [0, 0, 0]
    assert shares[3:] == pytest.approx(np.full(9, 1 / 3), abs=0.04)
    assert (draw_negatives(histories, targets, 12, 3, seed=5) == negatives).all()
    assert (draw_negatives(histories, targets, 12, 3, seed=6) != negatives).any()


def test_negatives_are_those_that_were_always_drawn() -> None:
    """Sampled figures of a table are comparable with those of an earlier one as long as this holds."""
    histories = Histories.of_lists([[0, 1], []])
    negatives = draw_negatives(histories, np.array([2, -1]), 9, 4)
    assert negatives.tolist() == [[5, 6, 7, 4], [1, 0, 7, 8]]
    assert draw_negatives(histories, np.array([2, -1]), 200).shape == (2, 100)
