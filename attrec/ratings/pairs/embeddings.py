"""How a user and an item become vectors: by look-up, or by attention over what the user has rated.

Hutter et al., "Attentive Neural Collaborative Filtering", section II-A.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from attrec.models.layers import Dropout
from attrec.ratings.pairs.rated_items import Padded

ROW_STEP = 512


class Targets(NamedTuple):
    """Items to be scored for b users, t each, of which only the real ones count (n in all)."""

    users: Tensor  # [b] user codes, -1 for somebody unknown
    items: Tensor  # [b, t] item codes
    real: Tensor  # [b, t] bool
    context: Padded  # [b, c] what these users have rated


class EmbeddedPairs(NamedTuple):
    """The real targets, one row each."""

    user: Tensor  # [n, d]
    item: Tensor  # [n, d]
    users: Tensor  # [n] user codes
    items: Tensor  # [n] item codes

    def rounded_up(self) -> EmbeddedPairs:
        """Rows of zeros added, so that few batches have a shape of their own (as `COLUMN_STEP` of rated items)."""
        added = -len(self.items) % ROW_STEP if len(self.items) > ROW_STEP else 0
        return EmbeddedPairs(
            *(functional.pad(part, (0, 0, 0, added)) for part in (self.user, self.item)),
            *(functional.pad(codes, (0, added)) for codes in (self.users, self.items)),
        )


def table(rows: int, dimension: int, deviation: float, generator: torch.Generator) -> nn.Parameter:
    """Normally distributed embeddings [rows, dimension]."""
    return nn.Parameter(torch.randn(rows, dimension, generator=generator) * deviation)


class LookUpEmbedding(nn.Module):
    """A vector a user and a vector an item; the paper's `simple`, or `autoencoder` when its tables start from
    pretrained embeddings. Somebody unknown is the mean user."""

    def __init__(
        self, user: nn.Parameter, item: nn.Parameter, dropout: float, generator: torch.Generator
    ) -> None:
        super().__init__()
        self.user = user  # [n_users, d]
        self.item = item  # [n_items, d]
        self.dropout = Dropout(dropout, generator)

    def forward(self, targets: Targets) -> EmbeddedPairs:
        users = targets.users.unsqueeze(1).expand_as(targets.items)[targets.real]  # [n]
        items = targets.items[targets.real]  # [n]
        user = self.user[users.clamp(min=0)]
        if bool((users < 0).any()):
            user = torch.where((users < 0).unsqueeze(1), self.user.mean(0), user)
        return EmbeddedPairs(self.dropout(user), self.dropout(self.item[items]), users, items)


class AttentiveEmbedding(nn.Module):
    """A user is what they rated, seen from the target item i (eq. 1): u_ki = Σ_j att(i, j) · r̃_kj · t_j.

    att is the softmax over the context of m_i·m_j/√d, so all targets of a user are one masked attention. The
    target is never in its own context. A default vector stands for users without ratings; with
    `default_always` it competes with the context at all times, which shrinks users of few ratings.
    """

    def __init__(
        self,
        item: nn.Parameter,
        opinion: nn.Parameter,
        middle: float,
        half_range: float,
        dropout: float,
        attention_dropout: float,
        default_always: bool,
        generator: torch.Generator,
    ) -> None:
        super().__init__()
        self.item = item  # [n_items, d] M: what an item is
        self.opinion = opinion  # [n_items, d] T: what liking an item says about a user
        self.default = nn.Parameter(torch.zeros(item.shape[1]))
        self.default_key = nn.Parameter(torch.zeros(item.shape[1]))
        self.middle, self.half_range = middle, half_range
        self.default_always = default_always
        self.dropout = Dropout(dropout, generator)
        self.attention_dropout = attention_dropout
        self.generator = generator

    def forward(self, targets: Targets) -> EmbeddedPairs:
        context = targets.context
        weights = self.attention(targets)  # [b, t, c + 1]
        scaled = (context.ratings - self.middle) / self.half_range  # r̃ in [-1, 1]
        opinions = self.opinion[context.items] * scaled.unsqueeze(2)  # [b, c, d]
        default = self.default.expand(len(opinions), 1, -1)  # [b, 1, d]
        user = weights @ torch.cat([opinions, default], dim=1)  # [b, t, d]
        items = targets.items[targets.real]  # [n]
        users = targets.users.unsqueeze(1).expand_as(targets.items)[targets.real]  # [n]
        return EmbeddedPairs(self.dropout(user[targets.real]), self.dropout(self.item[items]), users, items)

    def attention(self, targets: Targets) -> Tensor:
        """Weights [b, t, c + 1] of the context, the last one of the default vector; rows sum to one."""
        context = targets.context
        query = self.item[targets.items]  # [b, t, d]
        default_key = self.default_key.expand(len(query), 1, -1)
        key = torch.cat([self.item[context.items], default_key], dim=1)  # [b, c + 1, d]
        scores = (query @ key.transpose(1, 2)) / math.sqrt(query.shape[2])
        hidden = ~context.real.unsqueeze(1) | (targets.items.unsqueeze(2) == context.items.unsqueeze(1))
        if self.training and self.attention_dropout:
            hidden |= torch.rand(hidden.shape, generator=self.generator) < self.attention_dropout
        no_default = ~hidden.all(2, keepdim=True) & (not self.default_always)
        hidden = torch.cat([hidden, no_default], dim=2)
        return scores.masked_fill(hidden, -math.inf).softmax(2)
