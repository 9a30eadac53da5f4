"""BERT4Rec: attention in both directions that fills in what is hidden, and asks for a hidden next action.

Sun et al. (2019); Lin & Yao, "Transformer Recommenders" (2023). The network is the one of SASRec here: layers are
normalised before they are applied (after, in Sun et al.), and scores are inner products with the item embeddings
without their projection and bias.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Self

import numpy as np
import torch
from pydantic import Field, model_validator

from attrec.datasets.histories import Histories
from attrec.models.distributed import shuffled
from attrec.models.training import TrainingConfig
from attrec.models.tunable import Range
from attrec.sequences.item_losses import ItemLossConfig
from attrec.sequences.network import (
    Batch,
    SequenceNetworkConfig,
    SequenceTransformer,
)
from attrec.sequences.transformer import TransformerConfig


class BERT4RecConfig(SequenceNetworkConfig):
    """BERT4Rec: the network, and what is hidden from it.

    Length, shares that are hidden, epochs and steps are Lin & Yao's by default; they do not state widths, heads,
    dropout and batch.
    """

    network: TransformerConfig = TransformerConfig(length=128, hidden=256, activation="gelu")
    hidden_share: Annotated[float, Range(0.1, 0.6)] = Field(default=0.15, gt=0, le=1)
    """Share of the actions that are to be guessed."""
    masked: float = Field(default=0.8, ge=0, le=1)
    """Share of these that the mask replaces; of the rest, one half becomes a random item and one half stays."""
    newest_hidden: float = Field(default=0.0, ge=0, le=1)
    """Share of the sequences of which the newest action alone is hidden, which is what a prediction asks."""
    causal_epochs: int = Field(default=0, ge=0, le=10**6)
    """Epochs at the start that are as SASRec's: an action sees what came before it alone and says what comes next, so
    that every action is a target. Hidden actions are few and learn slowly."""
    causal_share: float = Field(default=0.0, ge=0, le=1)
    """Share of the steps after these epochs that still are, drawn at random."""
    training: TrainingConfig = TrainingConfig(
        epochs=100, learning_rate=1e-3, schedule="steps", step_epochs=25, patience=100, checkpoint_every=1
    )

    @model_validator(mode="after")
    def _something_is_hidden(self) -> Self:
        if self.causal_epochs >= self.training.epochs:
            raise ValueError(
                f"causal_epochs ({self.causal_epochs}) must be fewer than training.epochs ({self.training.epochs}):"
                " what is hidden is learnt after them"
            )
        if self.causal_share == 1:
            raise ValueError("causal_share must be below 1: what is hidden is learnt in the other steps")
        return self


class BERT4Rec(SequenceTransformer):
    """Guesses hidden actions from those on both sides; a prediction is a guess behind the newest action.

    >>> import pandas as pd
    >>> from attrec.sequences import BERT4Rec
    >>> actions = pd.DataFrame(
    ...     [(u, (u + step) % 7) for u in range(30) for step in range(4)], columns=["user_id", "item_id"]
    ... )
    >>> brief = {"epochs": 50, "learning_rate": 0.02}
    >>> model = BERT4Rec(network={"dimension": 16, "length": 8}, training=brief).fit(actions)
    >>> model.recommend([1, 2], k=1)["item_id"].tolist()
    [3]
    """

    config_class = BERT4RecConfig
    CAUSAL = False
    config: BERT4RecConfig

    @property
    def loss(self) -> ItemLossConfig:
        return ItemLossConfig()

    def batches(self, actions: Histories, generator: torch.Generator, epoch: int) -> Iterator[Batch]:
        cut = self.read(actions, epoch)
        steps = -(-len(cut) // self.config.batch)
        causal = np.full(steps, epoch <= self.config.causal_epochs)
        if self.config.causal_share:
            # Before the processes that train together part ways: a step is of one kind for all of them.
            causal |= torch.rand(steps, generator=generator).numpy() < self.config.causal_share
        for back, group in zip(causal, shuffled(cut, self.config.batch, generator), strict=False):
            longer = group.take(np.flatnonzero(group.counts > 1)) if back else group
            yield self.next_actions(longer) if back and len(longer) else self._hide(group, generator)

    @property
    def untested(self) -> int:
        return self.config.causal_epochs

    def questions(self, histories: Histories) -> Histories:
        """The history, and the mask behind it."""
        cut = histories.last(self.config.network.length - 1)
        start = cut.start + np.arange(len(cut.start))
        items = np.full(start[-1], len(self.items), dtype=np.int64)
        place = np.ones(len(items), dtype=bool)
        place[start[1:] - 1] = False
        items[place] = cut.items
        return Histories(start, items, cut.ids)

    def _hide(self, group: Histories, generator: torch.Generator) -> Batch:
        """Hide actions of each sequence, one at least."""
        n = len(group.items)
        chance = torch.rand(n, generator=generator).numpy()
        newest_alone = torch.rand(len(group), generator=generator).numpy() < self.config.newest_hidden
        hidden = (chance < self.config.hidden_share) & ~newest_alone[group.users]
        smallest = np.minimum.reduceat(chance, group.start[:-1])
        none = ~np.logical_or.reduceat(hidden, group.start[:-1]) & ~newest_alone
        hidden |= none[group.users] & (chance == smallest[group.users])
        hidden[group.start[1:][newest_alone] - 1] = True

        rows = np.flatnonzero(hidden)
        kind = torch.rand(len(rows), generator=generator).numpy()
        random = torch.randint(len(self.items), (len(rows),), generator=generator).numpy()
        shown = group.items.copy()
        half = (1 - self.config.masked) / 2
        shown[rows] = np.select(
            [kind < self.config.masked, kind < self.config.masked + half],
            [np.full(len(rows), len(self.items)), random],
            group.items[rows],
        )
        inputs = self.inputs(Histories(group.start, shown, group.ids))
        return Batch(inputs, torch.from_numpy(rows), torch.from_numpy(group.items[rows]))
