"""Packed attention against the textbook's, one sequence at a time."""

from __future__ import annotations

import math
import weakref
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from attrec.sequences import packed
from attrec.sequences.packed import (
    PackedLayout,
    attention_weights,
    newest_attention,
    packed_attention,
    shifted,
)

LENGTHS = [1, 1, 2, 3, 5, 5, 6, 30, 33, 33]


def qkv_of(lengths: list[int], width: int = 8, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    rows = torch.randn(sum(lengths), 3 * width, generator=generator, dtype=torch.float64)
    return rows.requires_grad_()


def textbook_weights(query: Tensor, key: Tensor, causal: bool, by_distance: Tensor | None = None) -> Tensor:
    """[heads, n, n] of queries and keys [heads, n, width]."""
    scores = query @ key.transpose(1, 2) / math.sqrt(query.shape[2])
    if by_distance is not None:
        place = torch.arange(query.shape[1])
        scores = scores + by_distance[:, by_distance.shape[1] // 2 + place - place[:, None]]
    if causal:
        scores = scores.masked_fill(torch.ones(scores.shape[1:]).triu(1).bool(), -math.inf)
    return scores.softmax(-1)


def textbook(
    qkv: Tensor, lengths: list[int], heads: int, causal: bool, by_distance: Tensor | None = None
) -> tuple[Tensor, list[Tensor]]:
    """Attended rows [p, d], and the weights by sequence."""
    attended, weights = [], []
    for rows in qkv.split(lengths):
        query, key, value = (
            part.view(len(rows), heads, -1).transpose(0, 1) for part in rows.split(qkv.shape[1] // 3, 1)
        )
        weights.append(textbook_weights(query, key, causal, by_distance))
        attended.append((weights[-1] @ value).transpose(0, 1).flatten(1))
    return torch.cat(attended), weights


@pytest.mark.parametrize("causal", [True, False])
@pytest.mark.parametrize("heads", [1, 2, 4])
@pytest.mark.parametrize("longest_saved", [0, 512], ids=["flash", "saved"])
def test_values_and_gradients_are_the_textbooks(
    monkeypatch: pytest.MonkeyPatch, heads: int, causal: bool, longest_saved: int
) -> None:
    monkeypatch.setattr(packed, "LONGEST_SAVED", longest_saved)
    qkv = qkv_of(LENGTHS)
    layout = PackedLayout.of(LENGTHS, heads)
    assert layout.tail == 0
    expected, _ = textbook(qkv, LENGTHS, heads, causal)
    direction = torch.randn(expected.shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    (expected_gradient,) = torch.autograd.grad(expected, qkv, direction)

    attended = packed_attention(qkv, layout, causal)
    (gradient,) = torch.autograd.grad(attended, qkv, direction)

    torch.testing.assert_close(attended, expected)
    torch.testing.assert_close(gradient, expected_gradient)


@settings(max_examples=30)
@given(st.lists(st.integers(1, 12), min_size=1, max_size=12), st.booleans())
def test_any_lengths_in_any_order(lengths: list[int], causal: bool) -> None:
    qkv = qkv_of(lengths, width=4)
    attended = packed_attention(qkv, PackedLayout.of(lengths, 2), causal)
    torch.testing.assert_close(attended, textbook(qkv, lengths, 2, causal)[0])


@pytest.mark.parametrize("causal", [True, False])
def test_weights_by_sequence(causal: bool) -> None:
    qkv = qkv_of(LENGTHS)
    found = attention_weights(qkv, PackedLayout.of(LENGTHS, 2), causal)
    for ours, theirs in zip(found, textbook(qkv, LENGTHS, 2, causal)[1], strict=True):
        torch.testing.assert_close(ours, theirs)


def test_attention_of_the_newest_row_alone_is_that_row_of_all() -> None:
    qkv = qkv_of(LENGTHS)
    layout = PackedLayout.of(LENGTHS, 2)
    newest = newest_attention(qkv[layout.newest, :8], qkv[:, 8:], layout)
    torch.testing.assert_close(newest, packed_attention(qkv, layout, causal=True)[layout.newest])


@pytest.mark.parametrize("causal", [True, False])
@pytest.mark.parametrize("longest_saved", [0, 512], ids=["flash", "saved"])
def test_distances_add_to_the_scores(
    monkeypatch: pytest.MonkeyPatch, causal: bool, longest_saved: int
) -> None:
    monkeypatch.setattr(packed, "LONGEST_SAVED", longest_saved)
    qkv, layout = qkv_of(LENGTHS), PackedLayout.of(LENGTHS, 2)
    shape = (2, 2 * packed.padded_length(33) - 1)
    by_distance = torch.randn(shape, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    by_distance.requires_grad_()
    expected, weights = textbook(qkv, LENGTHS, 2, causal, by_distance)
    direction = torch.randn(expected.shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64)

    attended = packed_attention(qkv, layout, causal, by_distance)

    torch.testing.assert_close(attended, expected)
    for ours, theirs in zip(
        torch.autograd.grad(attended, (qkv, by_distance), direction),
        torch.autograd.grad(expected, (qkv, by_distance), direction),
        strict=True,
    ):
        torch.testing.assert_close(ours, theirs)
    found = attention_weights(qkv, layout, causal, by_distance)
    for of_us, of_them in zip(found, weights, strict=True):
        torch.testing.assert_close(of_us, of_them)
    newest = newest_attention(qkv[layout.newest, :8], qkv[:, 8:], layout, by_distance)
    torch.testing.assert_close(newest, attended[layout.newest])


def test_layout_knows_ages_and_newest_rows() -> None:
    layout = PackedLayout.of([1, 3, 2])
    assert layout.newest.tolist() == [0, 3, 5]
    assert layout.ages().tolist() == [0, 2, 1, 0, 1, 0]


@pytest.mark.parametrize(
    ("steps", "expected"),
    [(1, [0, 0, 2, 3, 0, 5]), (2, [0, 0, 0, 2, 0, 0]), (3, [0] * 6)],
)
def test_shifting_stays_within_a_sequence(steps: int, expected: list[int]) -> None:
    rows = torch.arange(1.0, 7.0).unsqueeze(1)
    assert shifted(rows, PackedLayout.of([1, 3, 2]), steps)[:, 0].tolist() == expected


def test_nothing_is_shifted_into_the_tail() -> None:
    layout = PackedLayout.of([300, 300])
    rows = torch.ones(layout.rows, 1)
    moved = shifted(rows, layout, 1)[:, 0]
    assert moved[:600].sum() == 598
    assert moved[600:].sum() == 0


def test_groups_hold_like_lengths_within_the_budget(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packed, "CELLS", 1000)
    layout = PackedLayout.of(sorted([*range(1, 60), *[60] * 5]), heads=2)
    assert sum(group.size for group in layout.groups) == sum(range(1, 60)) + 300
    for group in layout.groups:
        n = group.rows.shape[1]
        assert n % 16 == 0
        assert group.sequences == 1 or 2 * len(group.rows) * n * n <= 1000


def test_few_long_sequences_are_not_padded_with_more() -> None:
    layout = PackedLayout.of([700, 800, 810], heads=2)
    assert [group.rows.shape for group in layout.groups] == [(1, 704), (1, 800), (1, 816)]


def test_without_gradients_no_group_outlives_the_next(monkeypatch: pytest.MonkeyPatch) -> None:
    weights_of, made = packed._weights, []

    def watched(*given: Any) -> torch.Tensor:
        assert sum(earlier() is not None for earlier in made) <= 1
        weights = weights_of(*given)
        made.append(weakref.ref(weights))
        return weights

    monkeypatch.setattr(packed, "_weights", watched)
    layout, qkv = PackedLayout.of(LENGTHS, 2), qkv_of(LENGTHS)
    by_distance = torch.zeros(2, 2 * packed.padded_length(33) - 1, dtype=torch.float64, requires_grad=True)
    with torch.no_grad():
        packed_attention(qkv.detach(), layout, True, by_distance)
    assert len(made) > 2


def test_many_rows_have_a_tail_that_nothing_looks_at() -> None:
    lengths = [50] * 11
    layout = PackedLayout.of(lengths, heads=2)
    assert (layout.tail, layout.rows) == (1024 - 550, 1024)
    qkv = qkv_of(lengths)
    longer = torch.cat([qkv, torch.full((layout.tail, 24), torch.nan)])
    attended = packed_attention(longer, layout, causal=True)
    assert (attended[550:] == 0).all()
    expected = textbook(qkv, lengths, 2, True)[0]
    torch.testing.assert_close(attended[:550], expected)
    assert layout.ages().tolist()[548:552] == [1, 0, 0, 0]


def test_no_gradient_comes_to_the_tail() -> None:
    lengths = [50] * 11
    layout, qkv = PackedLayout.of(lengths, heads=2), qkv_of(lengths)
    longer = torch.cat([qkv.detach(), torch.zeros(layout.tail, 24, dtype=qkv.dtype)]).requires_grad_()
    direction = torch.randn(550, 8, generator=torch.Generator().manual_seed(1), dtype=qkv.dtype)
    (expected,) = torch.autograd.grad(textbook(qkv, lengths, 2, True)[0], qkv, direction)
    beyond = torch.cat([direction, torch.full((layout.tail, 8), torch.nan, dtype=qkv.dtype)])
    # Memory that was used before is not zero by chance.
    torch.full((layout.rows, 24), torch.nan, dtype=qkv.dtype)
    (gradient,) = torch.autograd.grad(packed_attention(longer, layout, causal=True), longer, beyond)
    assert (gradient[550:] == 0).all()
    torch.testing.assert_close(gradient[:550], expected)


def test_second_derivative_is_refused() -> None:
    qkv = qkv_of(LENGTHS)
    attended = packed_attention(qkv, PackedLayout.of(LENGTHS, 2), causal=True)
    (gradient,) = torch.autograd.grad(attended.square().sum(), qkv, create_graph=True)
    with pytest.raises(RuntimeError, match="once_differentiable"):
        gradient.sum().backward()
