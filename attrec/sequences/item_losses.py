"""Losses of the next item: what hidden vectors [p, d] and an item table [items, d] cost for targets [p].

Cross-entropy over all items is computed some rows at a time, gradient included, so that the logits [p, items] never
exist at once and each piece of them stays near a core.
"""

from __future__ import annotations

import math
from typing import Any, Literal

import torch
from pydantic import Field, model_validator
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional

from attrec.models.base import Config

ROWS_AT_ONCE = {"cpu": 512, "cuda": 16384}
"""By device, of softmax over all items: at most, on a CPU; a GPU is filled by them."""
CACHE_BYTES = 2**22
"""Logits of so many stay near a core; with fewer, going through the item table for each piece takes more than it saves.
Where even an eighth of the rows has more, the table itself does not fit either, and large pieces are best again."""
NEGATIVES_AT_ONCE = {"cpu": 2**14, "cuda": 2**21}
"""Vectors of negatives that are gathered at once, by device, for the same reasons."""
CANDIDATE_STEP = 64
"""Candidates of `batch-softmax` are filled up to a multiple, so that few shapes are met: oneDNN compiles a kernel for
each."""


class ItemLossConfig(Config):
    """What is minimised."""

    kind: Literal["softmax", "batch-softmax", "sampled-softmax", "bce", "gbce"] = "softmax"
    """`softmax`: cross-entropy over all items; `batch-softmax`: over all that are targets in the step and `negatives`
    random items, each weighed by the inverse of its chance to be among them (log-Q correction; Bengio & Senécal,
    2008; Yi et al., 2019); `sampled-softmax`: over the target and `negatives` random items that a step's positions
    share; `bce`: binary, against one random item a position (Kang & McAuley, 2018); `gbce`: binary
    against `negatives`, calibrated by `calibration` (Petrov & Macdonald, 2023)."""
    negatives: int = Field(default=256, ge=1)
    """Of `batch-softmax`, `sampled-softmax` and `gbce`."""
    calibration: float = Field(default=0.75, ge=0, le=1)
    """t of `gbce`: 0 is plain binary cross-entropy, 1 fully calibrated."""

    @model_validator(mode="after")
    def _nothing_is_ignored(self) -> ItemLossConfig:
        ignored = {"softmax": ("negatives", "calibration"), "bce": ("negatives", "calibration"),
                   "batch-softmax": ("calibration",), "sampled-softmax": ("calibration",), "gbce": ()}  # fmt: skip
        for name in ignored[self.kind]:
            if getattr(self, name) != type(self).model_fields[name].default:
                raise ValueError(f"{name} means nothing to the loss {self.kind}; leave it out")
        return self


def item_loss(
    hidden: Tensor,
    table: Tensor,
    targets: Tensor,
    config: ItemLossConfig,
    generator: torch.Generator,
    counts: Tensor | None = None,
) -> Tensor:
    """Mean loss over the targets.

    Args:
        hidden: [p, d] or more rows, of which the first p count.
        table: [items, d], the item embeddings that score by inner product.
        targets: [p] item codes.
        generator: draws the negatives, uniformly over all items.
        counts: [items] how often each is done in training, of which `batch-softmax` reckons how likely it is a target;
            where only the newest actions are targets, nearly so.
    """
    if config.kind == "softmax":
        # Autocast would compute the softmax in float32, which takes copies of all logits there and back.
        with torch.autocast(hidden.device.type, enabled=False):
            loss: Tensor = _Softmax.apply(_whole_pieces(hidden, len(table)), table, targets, None)
        return loss
    if config.kind == "batch-softmax":
        assert counts is not None
        return _batch_softmax(hidden, table, targets, config.negatives, counts / counts.sum(), generator)
    hidden = hidden[: len(targets)]
    if config.kind == "sampled-softmax":
        return _sampled_softmax(hidden, table, targets, config.negatives, generator)
    # Of a catalogue no larger than that, each other item once on average: the calibration is defined no further.
    negatives = 1 if config.kind == "bce" else min(config.negatives, max(len(table) - 1, 1))
    calibration = 0.0 if config.kind == "bce" else config.calibration
    return _binary(hidden, table, targets, negatives, calibration, generator)


def _batch_softmax(
    hidden: Tensor,
    table: Tensor,
    targets: Tensor,
    negatives: int,
    shares: Tensor,
    generator: torch.Generator,
) -> Tensor:
    """Cross-entropy of each target among the candidates that a step's positions share.

    An item is among them as the target of one of the p - 1 other positions with chance 1 - (1 - share)^(p - 1), and as
    a negative with negatives / items; that each counts by the inverse of both together makes the sum over candidates
    an estimate without bias of the one over all items. A position's own target is there for certain, and counts as it
    is.
    """
    items = len(table)
    drawn = min(1.0, negatives / items)
    among = (torch.rand(items, generator=generator) < drawn).to(targets.device)
    among[targets] = True
    candidates = among.nonzero().flatten()
    # As logarithms: of millions of actions an item's share is too small to be taken from 1 in single precision.
    elsewhere = (len(targets) - 1) * torch.log1p(-shares[candidates].double())
    chance = -torch.expm1(elsewhere + math.log1p(-drawn)) if drawn < 1 else torch.ones_like(elsewhere)
    # Filled up with what cannot be chosen.
    lacking = -len(candidates) % CANDIDATE_STEP
    weight = functional.pad(-chance.log().float(), (0, lacking), value=-math.inf)
    places = torch.zeros(items, dtype=torch.int64, device=targets.device)
    places[candidates] = torch.arange(len(candidates), device=targets.device)
    vectors = functional.embedding(functional.pad(candidates, (0, lacking)), table)
    with torch.autocast(hidden.device.type, enabled=False):
        whole = _whole_pieces(hidden, len(vectors))
        loss: Tensor = _Softmax.apply(whole, vectors, places[targets], weight)
    return loss


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
    (gSASRec, eq. 15 and 17); β = 1 at t = 0. Their mean over 1 + n terms is left out: it scales the loss alone.

    s is the inner product plus log(β / n), which all items share, so that it moves no rank: with products near 0, as
    at the start, β positives and n negatives are in balance. A network that has to learn first that almost everything
    is negative learns nothing else for many epochs.
    """
    items = len(table)
    share = negatives / max(items - 1, 1)
    beta = share * (calibration * (1 - 1 / share) + 1 / share)
    shape = (len(targets), negatives)
    # Uniform over all but the target: what is at or past it moves up by one.
    drawn = torch.randint(max(items - 1, 1), shape, generator=generator).to(hidden.device)
    drawn += drawn >= targets.unsqueeze(1)
    drawn.clamp_(max=items - 1)
    prior = math.log(beta / negatives)
    own = (hidden * table[targets].to(hidden)).sum(1).float() + prior
    # Autocast would take the products of the gathered vectors apart again.
    with torch.autocast(hidden.device.type, enabled=False):
        others: Tensor = _Negatives.apply(hidden, table, drawn, prior)
    return (-beta * functional.logsigmoid(own)).mean() + others


def _whole_pieces(hidden: Tensor, items: int) -> Tensor:
    """Rows added so that all pieces have one shape, for which oneDNN compiles one kernel."""
    step = _rows_at_once(hidden, items)
    return functional.pad(hidden, (0, 0, 0, -len(hidden) % step)) if len(hidden) > step else hidden


def _rows_at_once(hidden: Tensor, items: int) -> int:
    most = _at_once(ROWS_AT_ONCE, hidden)
    if hidden.device.type == "cpu":
        for rows in (most, most // 2, most // 4, most // 8):
            if 0 < rows * items * hidden.element_size() <= CACHE_BYTES:
                return rows
    return most


def _at_once(sizes: dict[str, int], hidden: Tensor) -> int:
    return sizes.get(hidden.device.type, sizes["cpu"])


class _Softmax(torch.autograd.Function):
    """Cross-entropy over the items of a table; the gradient is taken while a piece of the logits is in cache.

    `weight` [items], the logarithm of what each item counts, is added to the logits of all but a row's own target.
    """

    @staticmethod
    def forward(ctx: Any, hidden: Tensor, table: Tensor, targets: Tensor, weight: Tensor | None) -> Tensor:
        scored = table.to(hidden.dtype)
        by_column = scored.T.contiguous()  # products with rows of one run are up to twice as fast
        items = len(table)
        of_hidden = torch.empty_like(hidden)
        of_columns = torch.zeros_like(by_column, dtype=torch.float32)  # [d, items]
        loss = hidden.new_zeros((), dtype=torch.float32)
        step = _rows_at_once(hidden, items)
        workspace = hidden.new_empty(min(step, len(hidden)), items)
        piece = torch.empty_like(by_column) if by_column.dtype != of_columns.dtype else None
        weight = None if weight is None else weight.to(hidden.dtype)
        for first in range(0, len(hidden), step):
            here, wanted = hidden[first : first + step], targets[first : first + step]
            logits = torch.mm(here, by_column, out=workspace[: len(here)])  # [rows, items]
            # By position in the flat tensor: scatter_ converts all of a bfloat16 tensor there and back.
            place = wanted + items * torch.arange(len(wanted), device=wanted.device)
            if weight is not None:
                as_it_is = logits.view(-1)[place]
                logits += weight
                logits.view(-1)[place] = as_it_is
            probability = torch._softmax(logits, 1, False, out=logits)
            own = probability.view(-1)[place]
            loss -= own.float().clamp_min(1e-30).log().sum()
            probability.view(-1)[place] = own - 1
            probability[len(wanted) :] = 0
            torch.mm(probability, scored, out=of_hidden[first : first + step])
            if piece is None:
                of_columns.addmm_(here.T, probability)
            else:
                of_columns += torch.mm(here.T, probability, out=piece)
        of_table = of_columns.T.contiguous()
        ctx.save_for_backward(of_hidden, of_table)
        ctx.targets = len(targets)
        return loss / len(targets)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor, None, None]:
        return *_scaled(ctx, gradient), None, None


def _scaled(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor]:
    """Gradients of hidden vectors and table, which were summed over the targets in the forward pass."""
    of_hidden, of_table = ctx.saved_tensors
    scale = gradient / ctx.targets
    return of_hidden * scale.to(of_hidden.dtype), of_table * scale


class _Negatives(torch.autograd.Function):
    """Mean over positions of -Σ log(1 - σ(s⁻ + prior)) for negatives [p, n] of their own; gathered vectors [p, n, d],
    which would be gigabytes, exist some positions at a time, and the gradient is taken while they do."""

    @staticmethod
    def forward(ctx: Any, hidden: Tensor, table: Tensor, drawn: Tensor, prior: float) -> Tensor:
        scored = table.to(hidden.dtype)
        of_hidden = torch.empty_like(hidden)
        of_table = torch.zeros_like(table, dtype=torch.float32)
        loss = hidden.new_zeros((), dtype=torch.float32)
        step = min(max(1, _at_once(NEGATIVES_AT_ONCE, hidden) // drawn.shape[1]), len(hidden))
        for first in range(0, len(hidden), step):
            # All pieces have one shape: kernels of each that there might be would fill gigabytes.
            real = min(step, len(hidden) - first)
            here = functional.pad(hidden[first : first + real], (0, 0, 0, step - real)).unsqueeze(2)
            codes = functional.pad(drawn[first : first + real], (0, 0, 0, step - real))
            vectors = functional.embedding(codes, scored)  # [rows, n, d]
            scores = torch.bmm(vectors, here).squeeze(2).float() + prior  # [rows, n]
            loss -= functional.logsigmoid(-scores[:real]).sum()
            slope = torch.sigmoid(scores).to(hidden.dtype)
            slope[real:] = 0
            of_hidden[first : first + real] = torch.bmm(slope.unsqueeze(1), vectors).squeeze(1)[:real]
            shares = torch.mul(slope.unsqueeze(2), here.transpose(1, 2), out=vectors)
            of_table.index_add_(0, codes.flatten(), shares.flatten(0, 1).float())
        ctx.save_for_backward(of_hidden, of_table)
        ctx.targets = len(hidden)
        return loss / len(hidden)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor, None, None]:
        return *_scaled(ctx, gradient), None, None
