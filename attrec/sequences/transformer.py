"""Transformer over packed sequences: x + Dropout(g(LayerNorm(x))), g attention or a two-layer network.

Kang & McAuley, "Self-Attentive Sequential Recommendation" (2018), section III; Vaswani et al. (2017).
"""

from __future__ import annotations

from typing import Annotated, Literal

import torch
from pydantic import Field, model_validator
from torch import Tensor, nn
from torch.nn import functional

from attrec.models.base import Config
from attrec.models.layers import linear
from attrec.models.tunable import Choice, Range
from attrec.parameters import Width
from attrec.sequences.packed import (
    PackedLayout,
    attention_weights,
    newest_attention,
    packed_attention,
    padded_length,
    shifted,
)


class TransformerConfig(Config):
    """Shape of the network."""

    dimension: Annotated[Width, Choice((32, 64, 128))] = 64
    """Width d of items and of every layer."""
    blocks: Annotated[int, Range(1, 3)] = Field(default=2, ge=1, le=1024)
    """Attention and feed-forward pairs, one after the other."""
    heads: Annotated[int, Choice((1, 2))] = Field(default=2, ge=1, le=1024)
    """Attentions side by side, each d / heads wide."""
    hidden: int | None = Field(default=None, ge=1, le=2**16)
    """Width inside the feed-forward network; None is d, as in SASRec."""
    activation: Literal["relu", "gelu"] = "relu"
    """Of the feed-forward network."""
    length: Width = 200
    """Newest actions that are looked at."""
    neighbours: int = Field(default=0, ge=0, le=2**16)
    """Actions right before each one that are mixed into it, with a weight a channel, ahead of attention (depth-wise
    convolution, after So et al., "Primer", 2021, who mix queries, keys and values)."""
    distances: bool = False
    """Whether each head adds to its scores a number for how far apart two actions are (Raffel et al., "T5", 2020)."""
    dropout: Annotated[float, Range(0.0, 0.6)] = Field(default=0.2, ge=0, le=0.99)
    """Share of what each sublayer and the input add that is dropped in training."""

    @model_validator(mode="after")
    def _heads_divide(self) -> TransformerConfig:
        if self.dimension % self.heads:
            raise ValueError(f"heads ({self.heads}) must divide dimension ({self.dimension})")
        return self


class Transformer(nn.Module):
    """Blocks over rows [p, d] of packed sequences."""

    def __init__(self, config: TransformerConfig, generator: torch.Generator) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(Block(config, generator) for _ in range(config.blocks))
        self.norm = nn.LayerNorm(config.dimension)
        self.drop = ResidualDropout(config.dropout, generator)

    def drop_input(self, rows: Tensor) -> Tensor:
        """Dropout of the embeddings [p, d], before they come to `forward`."""
        return self.drop(torch.zeros_like(rows), rows) if self.training else rows

    def forward(self, rows: Tensor, layout: PackedLayout, causal: bool) -> Tensor:
        for block in self.blocks:
            rows = block(rows, layout, causal)
        result: Tensor = self.norm(rows)
        return result

    def newest(self, rows: Tensor, layout: PackedLayout, causal: bool) -> Tensor:
        """[b, d]: `forward` at the newest row of each sequence, all that a prediction needs."""
        *blocks, last = self.blocks
        for block in blocks:
            rows = block(rows, layout, causal)
        result: Tensor = self.norm(last(rows, layout, causal, newest=True))
        return result

    def attention(self, rows: Tensor, layout: PackedLayout, causal: bool) -> list[list[Tensor]]:
        """By block and sequence, what each position attends to [heads, n, n]."""
        weights = []
        for block in self.blocks:
            assert isinstance(block, Block)
            normal = block.attention_norm(rows)
            if block.mix is not None:
                normal = block.mix(normal, layout)
            qkv = block.query_key_value(normal)
            weights.append(attention_weights(qkv, layout, causal, block.by_distance))
            rows = block(rows, layout, causal)
        return weights


class Block(nn.Module):
    """Attention, then the point-wise network, each a residual of its normalised input."""

    def __init__(self, config: TransformerConfig, generator: torch.Generator) -> None:
        super().__init__()
        width, hidden = config.dimension, config.hidden or config.dimension
        self.heads = config.heads
        self.attention_norm = nn.LayerNorm(width)
        self.mix = NeighbourMix(width, config.neighbours) if config.neighbours else None
        shape = (config.heads, 2 * padded_length(config.length) - 1)
        self.by_distance = nn.Parameter(torch.zeros(shape)) if config.distances else None
        self.query_key_value = linear(width, 3 * width, generator)
        self.attention_output = linear(width, width, generator)
        self.network_norm = nn.LayerNorm(width)
        self.expand = linear(width, hidden, generator)
        self.contract = linear(hidden, width, generator)
        self.activation = functional.relu if config.activation == "relu" else functional.gelu
        self.drop = ResidualDropout(config.dropout, generator)

    def forward(self, rows: Tensor, layout: PackedLayout, causal: bool, newest: bool = False) -> Tensor:
        """[p, d], or with `newest` [b, d]: the newest row of each sequence alone."""
        normal, width = self.attention_norm(rows), rows.shape[1]
        if self.mix is not None:
            normal = self.mix(normal, layout)
        if newest:
            weight, bias = self.query_key_value.weight, self.query_key_value.bias
            query = functional.linear(normal[layout.newest], weight[:width], bias[:width])  # [b, d]
            key_value = functional.linear(normal, weight[width:], bias[width:])  # [p, 2d]
            attended = newest_attention(query, key_value, layout, self.by_distance)
            rows = rows[layout.newest]
        else:
            qkv = self.query_key_value(normal)  # [p, 3d]
            attended = packed_attention(qkv, layout, causal, self.by_distance)
        rows = self.drop(rows, self.attention_output(attended))
        hidden = self.activation(self.expand(self.network_norm(rows)))  # [p, hidden]
        result: Tensor = self.drop(rows, self.contract(hidden))
        return result


class NeighbourMix(nn.Module):
    """x_i + Σ_s w_s ∘ x_(i-s) over the neighbours before; w starts at 0.

    A hidden action would see what follows it through those behind, and the newest one has none to learn that from.
    """

    def __init__(self, width: int, neighbours: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(neighbours, width))  # [neighbours, d]

    def forward(self, rows: Tensor, layout: PackedLayout) -> Tensor:
        mixed = rows
        for step, weight in enumerate(self.weight, start=1):
            mixed = torch.addcmul(mixed, shifted(rows, layout, step), weight.to(rows.dtype))
        return mixed


class ResidualDropout(nn.Module):
    """rows + Dropout(added) in one pass. The share is rounded to a 256th: a byte of chance an entry, for drawing
    numbers would cost more than the layers."""

    def __init__(self, probability: float, generator: torch.Generator) -> None:
        super().__init__()
        self.dropped = round(probability * 256)
        self.generator = generator

    def forward(self, rows: Tensor, added: Tensor) -> Tensor:
        if not self.training or not self.dropped:
            return rows + added
        return torch.addcmul(rows, added, self.kept(added), value=256 / (256 - self.dropped))

    def kept(self, like: Tensor) -> Tensor:
        """1 where an entry stays, 0 where it is dropped."""
        words = torch.empty(-(-like.numel() // 8), dtype=torch.int64)
        # From the lowest number on and without an end: all 64 bits are drawn.
        words.random_(-(2**63), None, generator=self.generator)
        chance = words.view(torch.uint8)[: like.numel()].view(like.shape)
        # Compared into the wanted type at once: a tensor of booleans takes ten times as long to convert.
        return torch.ge(chance.to(like.device), self.dropped, out=torch.empty_like(like))
