"""Sequences of unequal length without padding: every layer works on one run of rows, only attention pads, and it
pads sequences of like length together.

Padding to 200 would be 46 % of the positions of ML-1M. Rows stand sequence after sequence, so [p, d] tensors go
through linear layers, norms and the output as they are.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.autograd.function import FunctionCtx
from torch.nn import functional

CELLS = 2**19  # attention weights computed at once: with their gradients they stay in a core's cache
LONGEST_SAVED = 512  # beyond it weights are not kept for the backward pass: memory stays linear in the length
SLACK = 1.15  # the longest sequence of a group may be this much longer than the shortest


@dataclass(frozen=True)
class Group:
    """b sequences of like length, which attention pads to n."""

    size: int
    """Rows of the group, p."""
    rows: Tensor
    """[b, n] row of each position, 0 … p - 1; padding repeats row 0."""
    real: Tensor
    """[b, n] bool, False where padded; real positions come first."""


@dataclass(frozen=True)
class PackedLayout:
    """How p rows are sequences."""

    lengths: Tensor
    """[b] rows of each sequence, which stand one after the other."""
    groups: tuple[Group, ...]

    @classmethod
    def of(cls, lengths: Sequence[int] | np.ndarray, heads: int = 1, device: str = "cpu") -> PackedLayout:
        """Lay out sequences of these lengths, best in ascending order; none may be empty."""
        sizes = np.asarray(lengths, dtype=np.int64)
        start = np.concatenate([[0], np.cumsum(sizes)])
        groups = []
        for first, last in _like_lengths(sizes, heads):
            n = sizes[first:last].max()
            column = np.arange(n)
            real = column < sizes[first:last, None]
            rows = np.where(real, start[first:last, None] - start[first] + column, 0)
            size = int(start[last] - start[first])
            groups.append(Group(size, torch.from_numpy(rows).to(device), torch.from_numpy(real).to(device)))
        return cls(torch.from_numpy(sizes).to(device), tuple(groups))

    @property
    def newest(self) -> Tensor:
        """[b] the last row of each sequence."""
        return self.lengths.cumsum(0) - 1

    def ages(self) -> Tensor:
        """[p] how many rows of the same sequence come after each row: 0 for the newest."""
        after = torch.repeat_interleave(self.newest, self.lengths)
        return after - torch.arange(len(after), device=after.device)


def _like_lengths(sizes: np.ndarray, heads: int) -> Iterator[tuple[int, int]]:
    """Runs of sequences that are padded together."""
    first, shortest, longest = 0, math.inf, 0.0
    for position, size in enumerate(sizes):
        shortest, longest = min(shortest, size), max(longest, size)
        too_many = (position + 1 - first) * heads * longest**2 > CELLS
        if position > first and (too_many or longest > SLACK * shortest + 2):
            yield first, position
            first, shortest, longest = position, size, size
    if len(sizes):
        yield first, len(sizes)


def packed_attention(qkv: Tensor, layout: PackedLayout, heads: int, causal: bool) -> Tensor:
    """Scaled dot-product attention within each sequence [p, d] of queries, keys and values [p, 3d] side by side.

    `causal` lets a position see itself and what came before it alone.
    """
    parts = qkv.split([group.size for group in layout.groups])
    return torch.cat(
        [
            (_attend_group if group.rows.shape[1] <= LONGEST_SAVED and qkv.device.type == "cpu" else _flash)(
                part, group, heads, causal
            )
            for part, group in zip(parts, layout.groups, strict=True)
        ]
    )


def newest_attention(query: Tensor, key_value: Tensor, layout: PackedLayout, heads: int) -> Tensor:
    """What the newest row of each sequence attends to: `packed_attention` of the queries [b, d] of these rows alone.

    `key_value` [p, 2d] has the keys and values of all rows.
    """
    attended = []
    sizes = [len(group.rows) for group in layout.groups]
    rows = key_value.split([group.size for group in layout.groups])
    for own, part, group in zip(query.split(sizes), rows, layout.groups, strict=True):
        key, value = _gather(part, _padded_index(group, 2, heads), heads)
        asked = own.reshape(key.shape[0], 1, key.shape[2])
        weights = _weights(asked, key, group, heads, causal=False)  # [b * heads, 1, n]
        attended.append(torch.bmm(weights, value).view(len(own), -1))
    return torch.cat(attended)


def attention_weights(qkv: Tensor, layout: PackedLayout, heads: int, causal: bool) -> list[Tensor]:
    """The weights of each sequence [heads, n, n], in the order of the layout: row attends to column."""
    weights = []
    for part, group in zip(qkv.split([group.size for group in layout.groups]), layout.groups, strict=True):
        query, key, _ = _split_heads(part, group, heads)
        padded = _weights(query, key, group, heads, causal)
        sizes = group.real.sum(1).tolist()
        by_sequence = padded.view(len(sizes), heads, *padded.shape[1:])
        weights += [own[:, :size, :size] for own, size in zip(by_sequence, sizes, strict=True)]
    return weights


def _flash(qkv: Tensor, group: Group, heads: int, causal: bool) -> Tensor:
    b, n = group.rows.shape
    query, key, value = (part.view(b, heads, n, -1) for part in _split_heads(qkv, group, heads))
    mask = None if causal else group.real[:, None, None, :]
    attended = functional.scaled_dot_product_attention(query, key, value, attn_mask=mask, is_causal=causal)
    return attended.transpose(1, 2)[group.real].flatten(1)


def _attend_group(qkv: Tensor, group: Group, heads: int, causal: bool) -> Tensor:
    result: Tensor = _GroupAttention.apply(qkv, group, heads, causal)
    return result


def _split_heads(qkv: Tensor, group: Group, heads: int) -> Tensor:
    """[3, b * heads, n, d / heads] of rows [p, 3d]."""
    return _gather(qkv, _padded_index(group, 3, heads), heads)


def _padded_index(group: Group, parts: int, heads: int) -> Tensor:
    """[parts, b, heads, n]: which row of a tensor [p * parts * heads, d / heads] stands where."""
    part = torch.arange(parts, device=group.rows.device)[:, None, None, None]
    head = torch.arange(heads, device=group.rows.device)[None, None, :, None]
    return (group.rows[None, :, None, :] * parts + part) * heads + head


def _packed_index(group: Group, parts: int, heads: int) -> Tensor:
    """[p, parts, heads]: the way back."""
    b, n = group.rows.shape
    device = group.rows.device
    part = torch.arange(parts, device=device)[None, :, None]
    head = torch.arange(heads, device=device)[None, None, :]
    sequence, position = (index[:, None, None] for index in group.real.nonzero(as_tuple=True))
    return ((part * b + sequence) * heads + head) * n + position


def _gather(rows: Tensor, index: Tensor, heads: int) -> Tensor:
    parts, b, _, n = index.shape
    width = rows.shape[1] // (parts * heads)
    return rows.reshape(-1, width).index_select(0, index.flatten()).view(parts, b * heads, n, width)


def _weights(query: Tensor, key: Tensor, group: Group, heads: int, causal: bool) -> Tensor:
    """Softmax over keys [b * heads, n, n]."""
    width = query.shape[2]
    if causal:
        # Real positions come first, so that what a real one may see is real.
        hidden = query.new_full((query.shape[1], key.shape[1]), -math.inf).triu(1)
    else:
        hidden = query.new_zeros(group.real.shape).masked_fill_(~group.real, -math.inf)
        hidden = hidden.repeat_interleave(heads, 0).unsqueeze(1)
    scores = torch.baddbmm(hidden, query, key.transpose(1, 2), alpha=1 / math.sqrt(width))
    return torch.softmax(scores, -1)


class _GroupAttention(torch.autograd.Function):
    """Attention of one group: torch's own keeps neither the weights nor short sequences in cache, and its backward
    pass in bfloat16 is slower than these five products."""

    @staticmethod
    def forward(ctx: FunctionCtx, qkv: Tensor, group: Group, heads: int, causal: bool) -> Tensor:
        query, key, value = _split_heads(qkv, group, heads)
        weights = _weights(query, key, group, heads, causal)
        attended = torch.bmm(weights, value)
        back = _packed_index(group, 1, heads).flatten()
        ctx.save_for_backward(query, key, value, weights)
        ctx.group, ctx.heads = group, heads  # type: ignore[attr-defined]
        return attended.view(-1, attended.shape[2]).index_select(0, back).view(len(qkv), -1)

    @staticmethod
    def backward(ctx: FunctionCtx, gradient: Tensor) -> tuple[Tensor, None, None, None]:
        query, key, value, weights = ctx.saved_tensors  # type: ignore[attr-defined]
        group, heads = ctx.group, ctx.heads  # type: ignore[attr-defined]
        (by_head,) = _gather(gradient, _padded_index(group, 1, heads), heads)
        if not bool(group.real.all()):
            padded = ~group.real.repeat_interleave(heads, 0)
            by_head[padded] = 0
        stacked = by_head.new_empty(3, *by_head.shape)
        torch.bmm(weights.transpose(1, 2), by_head, out=stacked[2])
        of_weights = torch.bmm(by_head, value.transpose(1, 2))
        of_scores = torch._softmax_backward_data(of_weights, weights, -1, weights.dtype)
        scale = 1 / math.sqrt(query.shape[2])
        torch.bmm(of_scores, key, out=stacked[0]).mul_(scale)
        torch.bmm(of_scores.transpose(1, 2), query, out=stacked[1]).mul_(scale)
        back = _packed_index(group, 3, heads).flatten()
        packed = stacked.view(-1, stacked.shape[3]).index_select(0, back)
        return packed.view(len(gradient), -1), None, None, None
