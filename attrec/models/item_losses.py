"""Losses of the next item: what hidden vectors [p, d] and an item table [items, d] cost for targets [p].

Cross-entropy over all items is computed some rows at a time, gradient included, so that the logits [p, items] never
exist at once and each piece of them stays in a core's cache.
"""

from __future__ import annotations

import math
from typing import Literal

import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor
from torch.autograd.function import FunctionCtx
from torch.nn import functional

ROWS_AT_ONCE = {"cpu": 256, "cuda": 16384}
"""By device: on a CPU the logits of these rows stay in cache, on a GPU they fill it."""


class ItemLossConfig(BaseModel):
    """What is minimised."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: Literal["softmax", "sampled-softmax", "bce", "gbce"] = "softmax"
    """`softmax`: cross-entropy over all items; `sampled-softmax`: over the target and `negatives` random items that
    a step's positions share; `bce`: binary, against one random item a position (Kang & McAuley, 2018); `gbce`: binary
    against `negatives`, calibrated by `calibration` (Petrov & Macdonald, 2023)."""
    negatives: int = Field(default=256, ge=1)
    """Of `sampled-softmax` and `gbce`."""
    calibration: float = Field(default=0.75, ge=0, le=1)
    """t of `gbce`: 0 is plain binary cross-entropy, 1 fully calibrated."""
    smoothing: float = Field(default=0.0, ge=0, lt=1)
    """Share of the target's probability that `softmax` spreads over all items."""


def item_loss(
    hidden: Tensor, table: Tensor, targets: Tensor, config: ItemLossConfig, generator: torch.Generator
) -> Tensor:
    """Mean loss over the rows.

    Args:
        hidden: [p, d]
        table: [items, d], the item embeddings that score by inner product.
        targets: [p] item codes.
        generator: draws the negatives, uniformly over all items.
    """
    if config.kind == "softmax":
        loss: Tensor = _Softmax.apply(hidden, table, targets, config.smoothing)
        return loss
    if config.kind == "sampled-softmax":
        return _sampled_softmax(hidden, table, targets, config.negatives, generator)
    negatives = 1 if config.kind == "bce" else config.negatives
    calibration = 0.0 if config.kind == "bce" else config.calibration
    return _binary(hidden, table, targets, negatives, calibration, generator)


def _sampled_softmax(
    hidden: Tensor, table: Tensor, targets: Tensor, negatives: int, generator: torch.Generator
) -> Tensor:
    """Cross-entropy of the target among `negatives` shared ones; one that is the target itself does not count.

    Negatives are uniform, so that the correction of their sampling probability is the same for all of them; the
    target, which is always there, stands against negatives that each count items / negatives times.
    """
    items = len(table)
    drawn = torch.randint(items, (min(negatives, items),), generator=generator).to(hidden.device)
    own = (hidden * table[targets].to(hidden)).sum(1, keepdim=True)
    others = hidden @ table[drawn].to(hidden).T + math.log(items / len(drawn))
    others = others.masked_fill(drawn == targets.unsqueeze(1), -math.inf)
    logits = torch.cat([own, others], 1).float()
    return functional.cross_entropy(logits, logits.new_zeros(len(logits), dtype=torch.int64))


def _binary(
    hidden: Tensor,
    table: Tensor,
    targets: Tensor,
    negatives: int,
    calibration: float,
    generator: torch.Generator,
) -> Tensor:
    """-log σ(s⁺)^β - Σ log(1 - σ(s⁻)), with β = α (t (1 - 1/α) + 1/α) and α the share of items that is drawn
    (gSASRec, eq. 15 and 17); β = 1 at t = 0."""
    items = len(table)
    share = negatives / max(items - 1, 1)
    beta = share * (calibration * (1 - 1 / share) + 1 / share)
    shape = (len(targets), negatives)
    # Uniform over all but the target: what is at or past it moves up by one.
    drawn = torch.randint(max(items - 1, 1), shape, generator=generator).to(hidden.device)
    drawn += drawn >= targets.unsqueeze(1)
    drawn.clamp_(max=items - 1)
    own = (hidden * table[targets].to(hidden)).sum(1).float()
    others = torch.einsum("pd,pnd->pn", hidden, table[drawn].to(hidden)).float()
    return (-beta * functional.logsigmoid(own) - functional.logsigmoid(-others).sum(1)).mean()


class _Softmax(torch.autograd.Function):
    """Cross-entropy over all items; the gradient is taken while a piece of the logits is in cache."""

    @staticmethod
    def forward(ctx: FunctionCtx, hidden: Tensor, table: Tensor, targets: Tensor, smoothing: float) -> Tensor:
        scored = table.to(hidden.dtype)
        items, rows = len(table), len(hidden)
        of_hidden = torch.empty_like(hidden)
        of_table = torch.zeros_like(table, dtype=torch.float32)
        loss = hidden.new_zeros((), dtype=torch.float32)
        step = ROWS_AT_ONCE.get(hidden.device.type, ROWS_AT_ONCE["cpu"])
        for first in range(0, rows, step):
            here, wanted = hidden[first : first + step], targets[first : first + step]
            logits = here @ scored.T  # [rows, items]
            if smoothing:
                loss -= smoothing * torch.log_softmax(logits, 1, dtype=torch.float32).mean(1).sum()
            probability = torch.softmax(logits, 1)
            place = wanted.unsqueeze(1)
            loss -= (1 - smoothing) * probability.gather(1, place).float().clamp_min_(1e-30).log_().sum()
            if smoothing:
                probability -= smoothing / items
            probability.scatter_add_(1, place, probability.new_full(place.shape, smoothing - 1))
            torch.mm(probability, scored, out=of_hidden[first : first + step])
            of_table += probability.T @ here
        ctx.save_for_backward(of_hidden, of_table)
        ctx.rows = rows  # type: ignore[attr-defined]
        return loss / rows

    @staticmethod
    def backward(ctx: FunctionCtx, gradient: Tensor) -> tuple[Tensor, Tensor, None, None]:
        of_hidden, of_table = ctx.saved_tensors  # type: ignore[attr-defined]
        scale = gradient / ctx.rows  # type: ignore[attr-defined]
        return of_hidden * scale.to(of_hidden.dtype), of_table * scale, None, None
