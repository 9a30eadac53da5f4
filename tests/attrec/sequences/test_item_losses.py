"""Losses against their formulas, written out."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from pydantic import ValidationError
from torch import Tensor
from torch.nn import functional

from attrec.sequences import item_losses
from attrec.sequences.item_losses import ItemLossConfig, item_loss


@pytest.fixture
def vectors() -> tuple[Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    hidden = torch.randn(37, 6, generator=generator, dtype=torch.float64).requires_grad_()
    table = torch.randn(11, 6, generator=generator, dtype=torch.float64).requires_grad_()
    return hidden, table, torch.randint(11, (37,), generator=generator)


def generator() -> torch.Generator:
    return torch.Generator().manual_seed(5)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("kind", [torch.float32, torch.float64])
@pytest.mark.parametrize(("rows_at_once", "cache_bytes"), [(1, 2**21), (10, 2**21), (16, 400), (256, 2**21)])
def test_softmax_in_pieces_is_cross_entropy(
    monkeypatch: pytest.MonkeyPatch,
    vectors: tuple[Tensor, Tensor, Tensor],
    kind: torch.dtype,
    rows_at_once: int,
    cache_bytes: int,
) -> None:
    monkeypatch.setitem(item_losses.ROWS_AT_ONCE, "cpu", rows_at_once)
    monkeypatch.setattr(item_losses, "CACHE_BYTES", cache_bytes)
    *both, targets = vectors
    hidden, table = (part.detach().to(kind).requires_grad_() for part in both)
    expected = functional.cross_entropy(hidden @ table.T, targets)
    expected_gradients = torch.autograd.grad(3 * expected, (hidden, table))

    # Rows past the targets must not count.
    longer = torch.cat([hidden, torch.ones(5, 6, dtype=kind)])
    loss = item_loss(longer, table, targets, ItemLossConfig(), generator())
    gradients = torch.autograd.grad(3 * loss, (hidden, table))

    assert loss.item() == pytest.approx(expected.item(), rel=1e-6)
    for ours, theirs in zip(gradients, expected_gradients, strict=True):
        torch.testing.assert_close(ours.to(kind), theirs, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    ("kind", "items", "rows"),
    [
        (torch.float32, 500, 512),
        (torch.float32, 3416, 256),
        (torch.bfloat16, 3416, 512),
        (torch.float32, 16384, 64),
        (torch.float32, 16385, 512),
    ],
)
def test_logits_of_a_piece_stay_near_the_core(kind: torch.dtype, items: int, rows: int) -> None:
    found = item_losses._rows_at_once(torch.empty(1, 4, dtype=kind), items)
    assert (found, type(found)) == (rows, int)


def test_a_device_without_sizes_of_its_own_has_those_of_a_cpu() -> None:
    assert item_losses._at_once({"cpu": 3, "cuda": 5}, torch.empty(1, device="meta")) == 3


def test_softmax_in_bfloat16_is_near(vectors: tuple[Tensor, Tensor, Tensor]) -> None:
    hidden, table, targets = (part.detach() for part in vectors)
    hidden, table = hidden.bfloat16().requires_grad_(), table.float().requires_grad_()
    loss = item_loss(hidden, table, targets, ItemLossConfig(), generator())
    loss.backward()
    exact = functional.cross_entropy(hidden.float() @ table.bfloat16().float().T, targets)
    (expected,) = torch.autograd.grad(exact, table)
    assert loss.item() == pytest.approx(exact.item(), rel=0.01)
    assert table.grad is not None
    assert (table.grad - expected).norm() < 0.01 * expected.norm()


def test_batch_softmax_over_every_item_is_the_softmax(vectors: tuple[Tensor, Tensor, Tensor]) -> None:
    hidden, table, targets = vectors
    longer = torch.cat([hidden, torch.ones(5, 6, dtype=torch.float64)])
    whole = ItemLossConfig(kind="batch-softmax", negatives=11)
    loss = item_loss(longer, table, targets, whole, generator(), torch.arange(11.0))
    expected = functional.cross_entropy(hidden @ table.T, targets)
    assert loss.item() == pytest.approx(expected.item())
    gradients = (torch.autograd.grad(each, (hidden, table)) for each in (loss, expected))
    for ours, theirs in zip(*gradients, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-6)


def test_batch_softmax_by_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of four items two are targets, and as no random number is below 1/4 no other is a candidate."""
    monkeypatch.setattr(torch, "rand", lambda *size, **_: torch.full(size, 0.3))
    hidden, table = torch.tensor([[1.0], [1.0], [1.0]]), torch.tensor([[2.0], [1.0], [0.5], [9.0]])
    counts = torch.tensor([1.0, 2.0, 1.0, 4.0])
    chances = [1 - 0.75 * (1 - share) ** 2 for share in (1 / 8, 2 / 8)]
    first = math.log(math.exp(2) + math.exp(1) / chances[1]) - 2
    second = math.log(math.exp(2) / chances[0] + math.exp(1)) - 1
    config = ItemLossConfig(kind="batch-softmax", negatives=1)
    loss = item_loss(hidden, table, torch.tensor([0, 1, 0]), config, generator(), counts)
    assert loss.item() == pytest.approx((2 * first + second) / 3)


@pytest.mark.parametrize("negatives", [1, 5])
def test_what_batch_softmax_sums_over_candidates_is_the_sum_over_all_items_on_average(negatives: int) -> None:
    drawing = generator()
    table = torch.randn(11, 1, generator=drawing, dtype=torch.float64).requires_grad_()
    # The first position's loss alone has a gradient: a quarter of its probabilities, less 1 at the target.
    hidden = torch.tensor([[1.0], [0.0], [0.0], [0.0]], dtype=torch.float64)
    counts = torch.arange(1.0, 12.0)
    config = ItemLossConfig(kind="batch-softmax", negatives=negatives)
    sums = []
    for _ in range(2000):
        others = torch.multinomial(counts, 3, replacement=True, generator=drawing)
        targets = torch.cat([torch.tensor([7]), others])
        loss = item_loss(hidden, table, targets, config, drawing, counts)
        (gradient,) = torch.autograd.grad(loss, table)
        probability = 1 + 4 * gradient[7].item()
        sums.append(math.exp(table[7].item()) / probability)
    error = np.std(sums) / math.sqrt(len(sums))
    assert np.mean(sums) == pytest.approx(table.exp().sum().item(), abs=4 * error)


@pytest.mark.parametrize("negatives", [4, 8])
def test_sampled_softmax_is_the_full_one_on_average(
    vectors: tuple[Tensor, Tensor, Tensor], negatives: int
) -> None:
    """All products are near 0, so that what a normaliser is hangs on how many negatives it has, each counted items / n
    times, and not on which."""
    hidden, table, targets = (part.detach() for part in vectors)
    hidden = hidden * 0.01
    config = ItemLossConfig(kind="sampled-softmax", negatives=negatives)
    drawing = generator()
    losses = [item_loss(hidden, table, targets, config, drawing).item() for _ in range(2000)]
    # The target itself and, 11 / n times each, the draws that are not the target: 10 of 11 on average.
    full = functional.cross_entropy(hidden @ table.T, targets).item()
    drawn = np.random.default_rng(0).binomial(negatives, 10 / 11, 200_000)
    shift = np.log(1 + drawn * 11 / negatives).mean() - math.log(11)
    assert np.mean(losses) == pytest.approx(full + shift, abs=0.01)


def test_sampled_softmax_by_hand() -> None:
    hidden, table = torch.tensor([[1.0, 0.0]]), torch.tensor([[2.0, 0.0], [1.0, 0.0], [0.5, 0.0]])
    drawn = torch.randint(3, (2,), generator=generator()).tolist()
    others = [table[item, 0].item() + math.log(3 / 2) for item in drawn if item != 0]
    expected = math.log(sum(math.exp(score) for score in [2.0, *others])) - 2.0
    config = ItemLossConfig(kind="sampled-softmax", negatives=2)
    assert item_loss(hidden, table, torch.tensor([0]), config, generator()).item() == pytest.approx(expected)


@pytest.mark.parametrize("target", [0, 1])
def test_binary_losses_never_draw_the_target(target: int) -> None:
    """Of two items the negative is always the other one."""
    hidden, table = torch.tensor([[1.0]] * 50), torch.full((2, 1), -1.0)
    table[target] = 3.0
    loss = item_loss(hidden, table, torch.full((50,), target), ItemLossConfig(kind="bce"), generator())
    expected = math.log(1 + math.exp(-3.0)) + math.log(1 + math.exp(-1.0))
    assert loss.item() == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize(("calibration", "beta"), [(0.0, 1.0), (1.0, 0.2), (0.75, 0.4)])
def test_gbce_weighs_the_positive_by_the_calibration(calibration: float, beta: float) -> None:
    """1 of 5 other items is drawn, so α = 0.2 and β = α (t (1 - 1/α) + 1/α) = 1 - 0.8 t."""
    hidden, table = torch.tensor([[1.0]]), torch.tensor([[3.0]] + 5 * [[-1.0]])
    config = ItemLossConfig(kind="gbce", negatives=1, calibration=calibration)
    odds = beta  # of a positive, against one negative
    expected = beta * math.log(1 + math.exp(-3.0) / odds) + math.log(1 + math.exp(-1.0) * odds)
    assert item_loss(hidden, table, torch.tensor([0]), config, generator()).item() == pytest.approx(expected)


@pytest.mark.parametrize("at_once", [1, 12, 1000])
def test_gbce_in_pieces_is_its_formula(
    monkeypatch: pytest.MonkeyPatch, vectors: tuple[Tensor, Tensor, Tensor], at_once: int
) -> None:
    monkeypatch.setitem(item_losses.NEGATIVES_AT_ONCE, "cpu", at_once)
    hidden, table, targets = vectors
    drawn = torch.randint(10, (37, 4), generator=generator())
    drawn += drawn >= targets.unsqueeze(1)
    beta = 1 - 0.75 * (1 - 4 / 10)
    positive = (hidden * table[targets]).sum(1) + math.log(beta / 4)
    negative = torch.einsum("pd,pnd->pn", hidden, table[drawn]) + math.log(beta / 4)
    expected = -beta * positive.sigmoid().log() - (1 - negative.sigmoid()).log().sum(1)
    expected_gradients = torch.autograd.grad(3 * expected.mean(), (hidden, table))

    loss = item_loss(hidden, table, targets, ItemLossConfig(kind="gbce", negatives=4), generator())
    gradients = torch.autograd.grad(3 * loss, (hidden, table))

    assert loss.item() == pytest.approx(expected.mean().item(), rel=1e-5)
    assert loss.dtype == torch.float32
    for ours, theirs in zip(gradients, expected_gradients, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-6)


def test_gbce_begins_in_balance() -> None:
    """With all products 0 a common shift of the scores, as a shared part of the vectors makes it, changes nothing."""
    hidden, table = torch.ones(64, 1), torch.zeros(50, 1, requires_grad=True)
    config = ItemLossConfig(kind="gbce", negatives=20)
    loss = item_loss(hidden, table, torch.arange(64) % 50, config, generator())
    (gradient,) = torch.autograd.grad(loss, table)
    beta = 1 - 0.75 * (1 - 20 / 49)
    assert gradient.sum().item() == pytest.approx(0, abs=1e-6)
    assert loss.item() == pytest.approx(beta * math.log(1 + 20 / beta) + 20 * math.log(1 + beta / 20))


def test_gbce_of_a_small_catalogue_draws_no_more_than_there_is(
    vectors: tuple[Tensor, Tensor, Tensor],
) -> None:
    losses = [
        item_loss(*vectors, ItemLossConfig(kind="gbce", negatives=negatives), generator()).item()
        for negatives in (10, 256)
    ]
    assert losses[0] == losses[1]


def test_gbce_of_two_items_is_against_the_other_one_alone() -> None:
    hidden, table = torch.tensor([[1.0]]), torch.tensor([[3.0], [-1.0]])
    loss = item_loss(hidden, table, torch.tensor([0]), ItemLossConfig(kind="gbce"), generator())
    # All others are drawn, so that beta is 1 whatever the calibration.
    assert loss.item() == pytest.approx(math.log(1 + math.exp(-3.0)) + math.log(1 + math.exp(-1.0)))


@pytest.mark.parametrize(
    "fields",
    [{"negatives": 5}, {"kind": "bce", "negatives": 5}, {"kind": "sampled-softmax", "calibration": 0.5}],
)
def test_what_a_loss_would_ignore_is_refused(fields: dict[str, object]) -> None:
    with pytest.raises(ValidationError, match="means nothing to the loss"):
        ItemLossConfig.model_validate(fields)


def test_one_item_alone_has_a_loss() -> None:
    table = torch.tensor([[1.0]])
    for kind in ("softmax", "sampled-softmax", "bce", "gbce"):
        config = ItemLossConfig.model_validate({"kind": kind})
        assert math.isfinite(item_loss(table, table, torch.tensor([0]), config, generator()).item())
