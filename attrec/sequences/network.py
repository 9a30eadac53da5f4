"""What SASRec and BERT4Rec share: embeddings and a transformer over packed histories, and how they are trained."""

from __future__ import annotations

import hashlib
from abc import abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
import pandas as pd
import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional

from attrec.datasets.histories import Histories
from attrec.errors import DataError
from attrec.models.base import Config, Parameters, Saved
from attrec.models.distributed import default_device
from attrec.models.layers import seeded_generator
from attrec.models.network import NetworkModel
from attrec.models.training import Progress, TrainingConfig, train
from attrec.models.tunable import Choice
from attrec.parameters import BatchSize
from attrec.sequences.item_losses import ItemLossConfig, item_loss
from attrec.sequences.item_start import cooccurrence_vectors
from attrec.sequences.model import SequenceModel
from attrec.sequences.packed import PackedLayout
from attrec.sequences.ranking import Validation
from attrec.sequences.transformer import Transformer, TransformerConfig


class SequenceNetworkConfig(Config):
    """One network and how it is trained."""

    network: TransformerConfig = TransformerConfig()
    """Width, blocks, heads, length, dropout."""
    user_embedding: bool = False
    """Add a vector of the user to every input (explicit user modelling); somebody new has the mean user's."""
    older: bool = False
    """Train on what lies before the newest `length` actions too, in stretches of that length."""
    short_epochs: int = Field(default=0, ge=0, le=10**6)
    """Epochs at the start over all that users did, in stretches of a quarter of `length`: they cost less and are more
    steps. What stands further back has its vectors of positions from the epochs after them."""
    start: Literal["random", "cooccurrence"] = "random"
    """Where item vectors begin: anywhere, or where those are alike whose actions stand near one another."""
    batch: Annotated[BatchSize, Choice((32, 64, 128, 256))] = 32
    """Sequences a step. Each position of each is a target, so that a step of few sequences learns from thousands."""
    training: TrainingConfig = TrainingConfig(epochs=200, learning_rate=1e-3, patience=20)
    """Epochs, step size, precision; early stopping on 1 - NDCG@10 of validation."""


SHORTER = 4
"""How many times shorter the stretches of the first epochs are."""
TABLE_SPREAD = 0.02
"""Standard deviation of embeddings at the start."""
COOCCURRENCE_SPREAD = 0.04
"""That of item vectors that begin as they stand together: they know something, and need not be as small."""


@dataclass(frozen=True)
class Inputs:
    """b packed sequences of p rows in all, the tail of the layout included."""

    items: Tensor  # [p] item codes; one past the last item is the mask; any code in the tail
    users: Tensor  # [b] user codes, -1 for somebody unknown
    layout: PackedLayout
    causal: bool
    """Whether each row sees itself and what comes before it alone."""


@dataclass(frozen=True)
class Batch:
    """Inputs, and what the network shall say at some rows."""

    inputs: Inputs
    rows: Tensor | None  # [q] rows that reach the output; None is all
    targets: Tensor  # [q] item codes


class SequenceNetwork(nn.Module):
    """Item + position (+ user) embeddings, then a transformer.

    The newest action has position 0 and older ones count up, which is what padding on the left comes to.
    """

    def __init__(
        self,
        items: int,
        users: int,
        config: TransformerConfig,
        masked: bool,
        generator: torch.Generator,
    ) -> None:
        super().__init__()

        def table(rows: int) -> nn.Parameter:
            return nn.Parameter(torch.randn(rows, config.dimension, generator=generator) * TABLE_SPREAD)

        self.item = table(items)  # [items, d]
        self.mask = table(1) if masked else None  # [1, d]
        self.position = table(config.length)  # [length, d]
        self.user = table(users) if users else None  # [users, d]
        self.scale = config.dimension**0.5
        self.transformer = Transformer(config, generator)

    def forward(self, inputs: Inputs) -> Tensor:
        """Hidden vectors of all rows [p, d]."""
        hidden: Tensor = self.transformer(self.embed(inputs), inputs.layout, inputs.causal)
        return hidden

    def newest(self, inputs: Inputs) -> Tensor:
        """Hidden vectors of the newest rows [b, d]."""
        return self.transformer.newest(self.embed(inputs), inputs.layout, inputs.causal)

    def attention(self, inputs: Inputs) -> list[list[Tensor]]:
        """By block and sequence, the weights [heads, n, n]."""
        return self.transformer.attention(self.embed(inputs), inputs.layout, inputs.causal)

    def embed(self, inputs: Inputs) -> Tensor:
        """[p, d]"""
        items = self.item if self.mask is None else torch.cat([self.item, self.mask])
        rows = functional.embedding(inputs.items, items) * self.scale
        rows = rows + functional.embedding(inputs.layout.ages(), self.position)
        if self.user is not None:
            user = functional.embedding(inputs.users.clamp(min=0), self.user)
            user = torch.where((inputs.users < 0).unsqueeze(1), self.user.mean(0), user)
            user = torch.repeat_interleave(user, inputs.layout.lengths, 0)
            rows = rows + functional.pad(user, (0, 0, 0, inputs.layout.tail))
        if torch.is_autocast_enabled(rows.device.type):
            rows = rows.to(torch.get_autocast_dtype(rows.device.type))
        return self.transformer.drop_input(rows)


NEXT = "(next)"
"""The hidden action behind a history, in the place of a title."""


class SequenceTransformer(NetworkModel, SequenceModel):
    """A transformer recommender; SASRec and BERT4Rec say what it learns from and what it is asked."""

    CAUSAL: ClassVar[bool]
    """Whether an action sees what came before it alone when the network is asked; otherwise there is a mask."""
    attends = True
    row_name = "targets"
    validation_name = "1 - NDCG@10"

    config: SequenceNetworkConfig
    network: SequenceNetwork
    users: pd.Index
    """Who was trained on, where users have vectors."""
    popularity: np.ndarray
    """[items] training actions (float32)."""

    def __init__(self, config: SequenceNetworkConfig | None = None, seed: int = 0, **fields: Any) -> None:
        super().__init__(config, seed, **fields)
        self.device = default_device()

    @abstractmethod
    def batches(self, actions: Histories, generator: torch.Generator, epoch: int) -> Iterator[Batch]:
        """One epoch, counted from 1, over the training actions."""

    @abstractmethod
    def questions(self, histories: Histories) -> Histories:
        """What the network reads to say at its newest row what comes next."""

    @property
    @abstractmethod
    def loss(self) -> ItemLossConfig:
        """What is minimised."""

    @property
    def untested(self) -> int:
        """Epochs at the start after which the network has not learnt yet what it is asked."""
        return 0

    def _fit(
        self,
        actions: pd.DataFrame,
        validation: pd.DataFrame | None,
        checkpoint: Path | None,
        progress: Progress | None,
    ) -> None:
        self.users = pd.Index(actions["user_id"].unique(), name="user_id")
        training = Histories.of(actions, self.users, self.items)
        self.popularity = np.bincount(training.items, minlength=len(self.items)).astype("float32")
        generator = seeded_generator(self.seed)
        self.network = self._build(generator)
        if self.config.start == "cooccurrence":
            width = self.config.network.dimension
            vectors = cooccurrence_vectors(training, len(self.items), width, COOCCURRENCE_SPREAD, self.seed)
            self.network.item.data.copy_(vectors)
        validate = None
        if validation is not None:
            asked = Validation(actions, validation, self.items, self.exclude_seen)

            def validate(_: nn.Module) -> float:
                return 1 - asked.ndcg(self)

        self.course = train(
            self.network,
            batches=lambda drawn, epoch: self.batches(training, drawn, epoch),
            loss=lambda network, batch: self._loss(batch, generator),
            config=self.config.training,
            generator=generator,
            validate=validate,
            validate_from=self.untested + 1,
            checkpoint=checkpoint,
            fingerprint=self._fingerprint(training, validation),
            progress=progress,
            weigh=lambda batch: len(batch.targets),
        )

    def score(self, histories: Histories) -> np.ndarray:
        scores = np.empty((len(histories), len(self.items)), dtype="float32")
        asked = self.questions(histories)
        order = np.argsort(asked.counts, kind="stable")
        order, nothing = order[asked.counts[order] > 0], order[asked.counts[order] == 0]
        # Nothing is known of somebody without history but what most people choose.
        scores[nothing] = np.log1p(self.popularity)
        self.network.eval()
        with torch.no_grad():
            if len(order):
                hidden = self.network.newest(self.inputs(asked.take(order)))
                scores[order] = (hidden @ self.network.item.T).cpu().numpy()
        return scores

    def attention(self, history: Sequence[int]) -> list[np.ndarray]:
        if not len(history):
            raise DataError("There is no attention without a history: give an item at least.")
        inputs = self.inputs(self.questions(Histories.of_lists([list(history)])))
        self.network.eval()
        with torch.no_grad():
            return [weights[0].cpu().numpy() for weights in self.network.attention(inputs)]

    def attended(self, titles: Sequence[str]) -> list[str]:
        """The newest titles that fit, and behind them what is asked for."""
        return [*titles, *([] if self.CAUSAL else [NEXT])][-self.config.network.length :]

    def read(self, actions: Histories, epoch: int, further: int = 0) -> Histories:
        """What an epoch reads, each with so many `further` actions that are targets alone."""
        length = self.config.network.length
        early = epoch <= self.config.short_epochs
        at_once = max(length // SHORTER, 1) if early else length
        return stretches(actions, at_once + further, self.config.older or early, shortest=1 + further)

    def next_actions(self, group: Histories) -> Batch:
        """What comes next, asked at every action but the last of histories of two actions at least."""
        first, last = group.start[:-1], group.start[1:] - 1
        read, wanted = np.ones((2, len(group.items)), dtype=bool)
        read[last], wanted[first] = False, False
        shown = Histories(group.start - np.arange(len(group.start)), group.items[read], group.ids)
        return Batch(self.inputs(shown, causal=True), None, torch.from_numpy(group.items[wanted]))

    def inputs(self, histories: Histories, causal: bool | None = None) -> Inputs:
        """Histories, none of them empty and best in ascending length, as the network reads them; left out, `causal` is
        as when it is asked."""
        known = -np.ones(len(histories), dtype=np.int64)
        if self.config.user_embedding and histories.ids is not None:
            known = self.users.get_indexer(histories.ids)
        layout = PackedLayout.of(histories.counts, self.config.network.heads, self.device)
        padded = np.pad(histories.items, (0, layout.tail))
        items, users = (torch.from_numpy(codes).to(self.device) for codes in (padded, known))
        return Inputs(items, users, layout, self.CAUSAL if causal is None else causal)

    def parameters(self) -> Parameters:
        network = self.network_parameters()
        users = self.users.tolist() if self.config.user_embedding else []
        return Parameters(
            {**network.arrays, "popularity": self.popularity}, {"users": users, **network.values}
        )

    def take(self, saved: Saved) -> None:
        self.users = pd.Index(saved.values["users"], name="user_id")
        self.popularity = saved.arrays["popularity"]
        self.take_network(saved, self._build(seeded_generator(self.seed)))

    def _build(self, generator: torch.Generator) -> SequenceNetwork:
        users = len(self.users) if self.config.user_embedding else 0
        network = SequenceNetwork(len(self.items), users, self.config.network, not self.CAUSAL, generator)
        return network.to(self.device)

    def _loss(self, batch: Batch, generator: torch.Generator) -> Tensor:
        hidden = self.network(batch.inputs)
        if batch.rows is not None:
            hidden = hidden[batch.rows.to(self.device)]
        counts = torch.from_numpy(self.popularity).to(self.device)
        targets = batch.targets.to(self.device)
        return item_loss(hidden, self.network.item, targets, self.loss, generator, counts)

    def _fingerprint(self, training: Histories, validation: pd.DataFrame | None) -> str:
        """Identifies a training, so that a checkpoint is never continued by another one."""
        about = f"{type(self).__name__} {self.seed} {self.exclude_seen} {self.config.model_dump_json()}"
        digest = hashlib.sha256(about.encode())
        digest.update(training.start.tobytes() + training.items.tobytes())
        if validation is not None:
            digest.update(pd.util.hash_pandas_object(validation, index=False).to_numpy().tobytes())
        return digest.hexdigest()


def stretches(histories: Histories, length: int, older: bool, shortest: int = 1) -> Histories:
    """The newest `length` actions of each user and, with `older`, what lies before them in stretches of that
    length; stretches of fewer than `shortest` actions are left out."""
    if not older:
        cut = histories.last(length)
        return cut.take(np.flatnonzero(cut.counts >= shortest))
    counts = histories.counts
    pieces = -(-counts // length)
    user = np.repeat(np.arange(len(counts)), pieces)
    back = np.arange(len(user)) - np.repeat(np.cumsum(pieces) - pieces, pieces)
    last = histories.start[1:][user] - back * length
    first = np.maximum(last - length, histories.start[:-1][user])
    kept = last - first >= shortest
    first, last, user = first[kept], last[kept], user[kept]
    start = np.concatenate([[0], np.cumsum(last - first)])
    place = np.arange(start[-1]) + np.repeat(first - start[:-1], last - first)
    ids = None if histories.ids is None else histories.ids[user]
    return Histories(start, histories.items[place], ids)
