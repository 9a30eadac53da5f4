"""Sequences of unequal length without padding: every layer works on one run of rows, only attention pads, and it
pads sequences of like length together.

Padding to 200 would be 46 % of the positions of ML-1M. Rows stand sequence after sequence, so [p, d] tensors go
through linear layers, norms and the output as they are.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional

CELLS = 2**20  # attention weights computed at once: with their gradients they stay in a core's cache
LONGEST_SAVED = 512  # beyond it weights are not kept for the backward pass: memory stays linear in the length
SLACK = 1.15  # the longest sequence of a group may be this much longer than the shortest
# oneDNN compiles a kernel for each shape that it meets, which takes as long as a few products: shapes are rounded up.
ROW_STEP, LENGTH_STEP, SEQUENCE_STEP = 512, 16, 4


@dataclass(frozen=True)
class Group:
    """b sequences of like length, which attention pads to n; the last few may be all padding."""

    sequences: int
    """How many of the b are real."""
    size: int
    """Rows of the group, p."""
    rows: Tensor
    """[b, n] row of each position, 0 … p - 1; padding repeats row 0."""
    real: Tensor
    """[b, n] bool, False where padded; real positions come first."""
    heads: int
    _to_heads: dict[int, Tensor] = field(default_factory=dict, init=False, repr=False, compare=False)
    _to_rows: dict[int, Tensor] = field(default_factory=dict, init=False, repr=False, compare=False)

    @cached_property
    def kept(self) -> Tensor | None:
        """[b * heads, n, 1] 0 where padded, else 1; None where nothing is padded."""
        if bool(self.real.all()):
            return None
        return self.real.repeat_interleave(self.heads, 0).unsqueeze(2).float()

    def to_heads(self, parts: int) -> Tensor:
        """[parts * b * heads * n]: which row of [p * parts * heads, d / heads] stands where in
        [parts, b * heads, n, d / heads], of so many parts side by side. Worked out once."""
        if parts not in self._to_heads:
            head = torch.arange(self.heads, device=self.rows.device)[:, None]
            part = torch.arange(parts, device=self.rows.device)[:, None, None, None]
            index = (self.rows[:, None, :] * parts + part) * self.heads + head
            self._to_heads[parts] = index.flatten()
        return self._to_heads[parts]

    def to_rows(self, parts: int) -> Tensor:
        """The way back: [p * parts * heads]."""
        if parts not in self._to_rows:
            b, n = self.rows.shape
            head = torch.arange(self.heads, device=self.rows.device)
            part = torch.arange(parts, device=self.rows.device)[:, None]
            sequence, position = (index[:, None, None] for index in self.real.nonzero(as_tuple=True))
            index = ((part * b + sequence) * self.heads + head) * n + position
            self._to_rows[parts] = index.flatten()
        return self._to_rows[parts]

    def by_head(self, packed: Tensor, parts: int) -> Tensor:
        """[parts, b * heads, n, d / heads] of [p, parts * d]."""
        b, n = self.rows.shape
        width = packed.shape[1] // (parts * self.heads)
        found = packed.reshape(-1, width).index_select(0, self.to_heads(parts))
        return found.view(parts, b * self.heads, n, width)

    def packed(self, by_head: Tensor, parts: int, out: Tensor) -> None:
        """The way back, into `out` [p, parts * d]."""
        width = by_head.shape[-1]
        torch.index_select(by_head.view(-1, width), 0, self.to_rows(parts), out=out.view(-1, width))


@dataclass(frozen=True)
class PackedLayout:
    """How p rows are sequences."""

    lengths: Tensor
    """[b] rows of each sequence, which stand one after the other."""
    groups: tuple[Group, ...]
    tail: int
    """Rows after them that belong to no sequence; nothing may be made of them."""

    @classmethod
    def of(
        cls, lengths: Sequence[int] | np.ndarray, heads: int = 1, device: torch.device | str = "cpu"
    ) -> PackedLayout:
        """Lay out sequences of these lengths, best in ascending order; none may be empty."""
        sizes = np.asarray(lengths, dtype=np.int64)
        start = np.concatenate([[0], np.cumsum(sizes)])
        groups = []
        for first, last in _like_lengths(sizes, heads):
            own = np.zeros(_padded_sequences(last - first), dtype=np.int64)
            own[: last - first] = sizes[first:last]
            column = np.arange(_rounded(own.max(), LENGTH_STEP))
            real = column < own[:, None]
            offset = np.concatenate([[0], np.cumsum(own[:-1])])
            rows = np.where(real, offset[:, None] + column, 0)
            where, known = torch.from_numpy(rows).to(device), torch.from_numpy(real).to(device)
            groups.append(Group(last - first, int(own.sum()), where, known, heads))
        tail = _rounded(start[-1], ROW_STEP) - start[-1] if start[-1] > ROW_STEP else 0
        return cls(torch.from_numpy(sizes).to(device), tuple(groups), int(tail))

    @property
    def rows(self) -> int:
        """Rows in all, the tail included."""
        return sum(group.size for group in self.groups) + self.tail

    def by_group(self, rows: Tensor) -> Iterator[tuple[Tensor, Group]]:
        """The rows of each group [p, …]."""
        parts = rows.split([*(group.size for group in self.groups), self.tail])
        return zip(parts[:-1], self.groups, strict=True)

    def side_by_side(self, read: Tensor, written: Tensor) -> Iterator[tuple[tuple[Tensor, Group], Tensor]]:
        """By group its rows of `read`, the group and its rows of `written`; the tail of `written` becomes 0."""
        written[self.rows - self.tail :] = 0
        parts = (part for part, _ in self.by_group(written))
        return zip(self.by_group(read), parts, strict=True)

    @property
    def newest(self) -> Tensor:
        """[b] the last row of each sequence."""
        return self.lengths.cumsum(0) - 1

    def ages(self) -> Tensor:
        """[p] how many rows of the same sequence come after each row: 0 for the newest, and for the tail."""
        after = torch.repeat_interleave(self.newest, self.lengths)
        return functional.pad(after - torch.arange(len(after), device=after.device), (0, self.tail))


def shifted(rows: Tensor, layout: PackedLayout, steps: int) -> Tensor:
    """[p, d] what stands `steps` > 0 rows earlier in the same sequence, 0 where nothing does."""
    first = layout.newest + 1 - layout.lengths
    position = torch.arange(len(rows), device=rows.device)
    start = functional.pad(torch.repeat_interleave(first, layout.lengths), (0, layout.tail), value=len(rows))
    there = position - start >= steps
    return rows.roll(steps, 0) * there.unsqueeze(1).to(rows)


def padded_length(length: int) -> int:
    """What attention pads sequences of this length to."""
    return _rounded(length, LENGTH_STEP)


def _padded_sequences(number: int) -> int:
    """Few stay as they are: three of padding beside one would be most of the work on long sequences."""
    return number if number < SEQUENCE_STEP else _rounded(number, SEQUENCE_STEP)


def _rounded(number: int, step: int) -> int:
    return int(-(-number // step) * step)


def _like_lengths(sizes: np.ndarray, heads: int) -> Iterator[tuple[int, int]]:
    """Runs of sequences that are padded together."""
    first, shortest, longest = 0, int(sizes.max(initial=0)), 0
    for position, size in enumerate(sizes):
        shortest, longest = min(shortest, size), max(longest, size)
        padded = _padded_sequences(position + 1 - first)
        too_many = padded * heads * _rounded(longest, LENGTH_STEP) ** 2 > CELLS
        if position > first and (too_many or longest > SLACK * shortest + 2):
            yield first, position
            first, shortest, longest = position, size, size
    if len(sizes):
        yield first, len(sizes)


def packed_attention(
    qkv: Tensor, layout: PackedLayout, causal: bool, by_distance: Tensor | None = None
) -> Tensor:
    """Scaled dot-product attention within each sequence [p, d] of queries, keys and values [p, 3d] side by side.

    `causal` lets a position see itself and what came before it alone. `by_distance` [heads, 2 length - 1] is added to
    the scores: its middle column where query and key are one position, the next one where the key comes right after.
    """
    longest = max((group.rows.shape[1] for group in layout.groups), default=0)
    # Autocast would compute the weights in float32, which takes copies of all of them there and back.
    with torch.autocast(qkv.device.type, enabled=False):
        if longest <= LONGEST_SAVED and qkv.device.type == "cpu":
            result: Tensor = _SavedAttention.apply(qkv, by_distance, layout, causal)
            return result
        attended = [_flash(part, by_distance, group, causal) for part, group in layout.by_group(qkv)]
    return torch.cat([*attended, qkv.new_zeros(layout.tail, qkv.shape[1] // 3)])


def newest_attention(
    query: Tensor, key_value: Tensor, layout: PackedLayout, by_distance: Tensor | None = None
) -> Tensor:
    """What the newest row of each sequence attends to: `packed_attention` of the queries [b, d] of these rows alone.

    `key_value` [p, 2d] has the keys and values of all rows.
    """
    attended = []
    queries = query.split([group.sequences for group in layout.groups])
    for own, (part, group) in zip(queries, layout.by_group(key_value), strict=True):
        key, value = group.by_head(part, 2)
        asked = functional.pad(own, (0, 0, 0, len(group.rows) - len(own))).reshape(len(key), 1, -1)
        weights = _weights(asked, key, group, False, _newest_bias(by_distance, group))  # [b * heads, 1, n]
        attended.append(torch.bmm(weights, value).view(len(group.rows), -1)[: len(own)])
    return torch.cat(attended)


def attention_weights(
    qkv: Tensor, layout: PackedLayout, causal: bool, by_distance: Tensor | None = None
) -> list[Tensor]:
    """The weights of each sequence [heads, n, n], in the order of the layout: row attends to column."""
    weights = []
    for part, group in layout.by_group(qkv):
        query, key, _ = group.by_head(part, 3)
        bias = _bias(by_distance, group.rows.shape[1], query)
        padded = _weights(query, key, group, causal, bias).unflatten(0, (-1, group.heads))
        sizes = group.real.sum(1).tolist()[: group.sequences]
        weights += [own[:, :size, :size] for own, size in zip(padded, sizes, strict=False)]
    return weights


def _flash(qkv: Tensor, by_distance: Tensor | None, group: Group, causal: bool) -> Tensor:
    b, n = group.rows.shape
    query, key, value = (part.view(b, group.heads, n, -1) for part in group.by_head(qkv, 3))
    mask = None if causal else _first_or(group.real)[:, None, None, :]
    bias = _bias(by_distance, n, query)
    if bias is not None:
        seen = torch.ones(n, n, dtype=torch.bool, device=qkv.device).tril() if mask is None else mask
        mask, causal = bias.masked_fill(~seen, -math.inf), False
    attended = functional.scaled_dot_product_attention(query, key, value, attn_mask=mask, is_causal=causal)
    return attended.transpose(1, 2)[group.real].flatten(1)


def _bias(by_distance: Tensor | None, n: int, like: Tensor) -> Tensor | None:
    """[heads, n, n] of `by_distance`, by query and key."""
    if by_distance is None:
        return None
    window = _window(by_distance, n).to(like.dtype)
    # Rows of a Toeplitz matrix are one run of numbers, each begun a step further, upside down.
    return window.unfold(1, n, 1).flip(1)


def _window(by_distance: Tensor, n: int) -> Tensor:
    """[heads, 2n - 1] of the distances that n positions have."""
    length = (by_distance.shape[1] + 1) // 2
    return by_distance[:, length - n : length + n - 1]


def _newest_bias(by_distance: Tensor | None, group: Group) -> Tensor | None:
    """[b, heads, 1, n] by sequence, for each has its newest row elsewhere."""
    if by_distance is None:
        return None
    n = group.rows.shape[1]
    length = (by_distance.shape[1] + 1) // 2
    column = torch.arange(n, device=group.rows.device)
    place = length - group.real.sum(1).clamp(min=1)[:, None] + column  # [b, n]
    return by_distance[:, place.clamp(max=2 * length - 2)].transpose(0, 1).unsqueeze(2)


def _weights(query: Tensor, key: Tensor, group: Group, causal: bool, bias: Tensor | None = None) -> Tensor:
    """Softmax over keys [b * heads, queries, n], of scores and a bias [heads, queries, n] or [b, heads, queries, n]."""
    if causal:
        # Real positions come first, so that what a real one may see is real.
        hidden = query.new_full((query.shape[1], key.shape[1]), -math.inf).triu(1)
    else:
        hidden = query.new_zeros(group.real.shape).masked_fill_(~_first_or(group.real), -math.inf)
        hidden = hidden.repeat_interleave(group.heads, 0).unsqueeze(1)
    scores = torch.baddbmm(hidden, query, key.transpose(1, 2), alpha=1 / math.sqrt(query.shape[2]))
    if bias is not None:
        scores.unflatten(0, (-1, group.heads)).add_(bias)
    return torch.softmax(scores, -1)


def _first_or(real: Tensor) -> Tensor:
    """[b, n] `real`, and the first position of what is all padding, which would be undefined if it saw nothing."""
    seen = real.clone()
    seen[:, 0] = True
    return seen


class _SavedAttention(torch.autograd.Function):
    """Attention that keeps its weights: torch's own keeps neither them nor short sequences in cache, and its backward
    pass in bfloat16 is slower than these four products a group."""

    @staticmethod
    def forward(
        ctx: Any, qkv: Tensor, by_distance: Tensor | None, layout: PackedLayout, causal: bool
    ) -> Tensor:
        attended = qkv.new_empty(len(qkv), qkv.shape[1] // 3)
        saved = []
        for (part, group), result in layout.side_by_side(qkv, attended):
            query, key, value = group.by_head(part, 3)
            weights = _weights(query, key, group, causal, _bias(by_distance, group.rows.shape[1], query))
            group.packed(torch.bmm(weights, value), 1, result)
            if ctx.needs_input_grad[0]:
                saved += [query, key, value, weights]
        ctx.save_for_backward(by_distance, *saved)
        ctx.layout = layout
        return attended

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor | None, None, None]:
        by_distance, *saved = ctx.saved_tensors
        layout: PackedLayout = ctx.layout
        of_qkv = gradient.new_empty(len(gradient), 3 * gradient.shape[1])
        of_distance = None if by_distance is None else torch.zeros_like(by_distance)
        for (part, group), result in layout.side_by_side(gradient.contiguous(), of_qkv):
            (query, key, value, weights), saved = saved[:4], saved[4:]
            (of_attended,) = group.by_head(part, 1)
            if group.kept is not None:
                of_attended *= group.kept.to(of_attended.dtype)
            stacked = of_attended.new_empty(3, *of_attended.shape)
            torch.bmm(weights.transpose(1, 2), of_attended, out=stacked[2])
            of_weights = torch.bmm(of_attended, value.transpose(1, 2))
            of_scores = torch._softmax_backward_data(of_weights, weights, -1, weights.dtype)
            scale = 1 / math.sqrt(query.shape[2])
            torch.bmm(of_scores, key, out=stacked[0]).mul_(scale)
            torch.bmm(of_scores.transpose(1, 2), query, out=stacked[1]).mul_(scale)
            group.packed(stacked, 3, result)
            if of_distance is not None:
                by_pair = of_scores.unflatten(0, (-1, group.heads)).sum(0)  # [heads, n, n]
                _window(of_distance, by_pair.shape[1]).add_(_diagonals(by_pair))
        return of_qkv, of_distance, None, None


def _diagonals(matrices: Tensor) -> Tensor:
    """[heads, 2n - 1] sums along the diagonals of [heads, n, n], from the lowest left to the upmost right."""
    heads, n, _ = matrices.shape
    # Padded to rows of 2n and read in rows of 2n - 1, each row stands a step further right than the one above.
    skewed = functional.pad(matrices.flip(1), (0, n)).flatten(1)[:, : n * (2 * n - 1)]
    return skewed.view(heads, n, 2 * n - 1).sum(1)
