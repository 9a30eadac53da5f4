"""SASRec: causal self-attention that says at every action what comes next.

Kang & McAuley, "Self-Attentive Sequential Recommendation" (2018). The paper trains against one random item with a
binary loss; cross-entropy over all items is the default here (Klenitskiy & Vasilev, 2023).
"""

from __future__ import annotations

from collections.abc import Iterator

import torch

from attrec.datasets.histories import Histories
from attrec.errors import DataError
from attrec.models.distributed import shuffled
from attrec.sequences.item_losses import ItemLossConfig
from attrec.sequences.network import (
    Batch,
    SequenceNetworkConfig,
    SequenceTransformer,
)


class SASRecConfig(SequenceNetworkConfig):
    """SASRec: the network, and what it minimises."""

    loss: ItemLossConfig = ItemLossConfig()
    """Cross-entropy over all items, or a sampled one."""


class SASRec(SequenceTransformer):
    """Predicts the next action at every position of a history, each from what came before it.

    >>> import pandas as pd
    >>> from attrec.sequences import SASRec
    >>> actions = pd.DataFrame(
    ...     [(u, (u + step) % 7) for u in range(30) for step in range(4)], columns=["user_id", "item_id"]
    ... )
    >>> brief = {"epochs": 30, "learning_rate": 0.02}
    >>> model = SASRec(network={"dimension": 16, "length": 8}, training=brief).fit(actions)
    >>> model.recommend([1, 2], k=1)["item_id"].tolist()
    [3]
    """

    config_class = SASRecConfig
    CAUSAL = True
    config: SASRecConfig

    @property
    def loss(self) -> ItemLossConfig:
        return self.config.loss

    def batches(self, actions: Histories, generator: torch.Generator, epoch: int) -> Iterator[Batch]:
        # A stretch holds one action more than the network reads: the last one is a target alone.
        cut = self.read(actions, epoch, further=1)
        if not len(cut):
            raise DataError(
                "No user has two training actions, so there is no next action to learn; raise min_length to 4 at least."
            )
        for group in shuffled(cut, self.config.batch, generator):
            yield self.next_actions(group)

    def questions(self, histories: Histories) -> Histories:
        return histories.last(self.config.network.length)
