"""Neural collaborative filtering as embedding + head: every embedding goes with every head.

Hutter et al., "Attentive Neural Collaborative Filtering"; the nine pairs of its Table II are nine configurations.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
import pandas as pd
import torch
from pydantic import Field
from torch import Tensor, nn

from attrec.errors import DataError
from attrec.models.base import Parameters, Saved
from attrec.models.layers import seeded_generator
from attrec.models.network import NetworkModel
from attrec.models.training import TrainingConfig, train
from attrec.models.tunable import Choice, Range
from attrec.parameters import BatchSize, Width
from attrec.ratings.baselines import Biases
from attrec.ratings.catalogue import EncodedRatings
from attrec.ratings.model import RatingConfig, RatingData, RatingModel
from attrec.ratings.pairs.batches import batches_of_pairs, batches_of_users, questions
from attrec.ratings.pairs.embeddings import AttentiveEmbedding, EmbeddedPairs, LookUpEmbedding, Targets, table
from attrec.ratings.pairs.heads import MLP1, MLP2, Head, InnerProduct
from attrec.ratings.pairs.rated_items import RatedItems
from attrec.ratings.rsattae.autoencoder import PretrainedAutoencoder

MAX_CLASSES = 20
Vectors = tuple[np.ndarray, np.ndarray]
"""Of users [n_users, d] and of items [n_items, d]."""


class PairNetworkConfig(RatingConfig):
    """One embedding, one head, and how they are trained."""

    embedding: Literal["simple", "pretrained", "attentive"] = "attentive"
    """`simple`: look-up tables; `pretrained`: look-up tables that start from given vectors; `attentive`: eq. 1."""
    head: Literal["inner", "mlp1", "mlp2"] = "mlp2"
    """Inner product, MLP with squared error, MLP with cross-entropy over the rating values."""
    dimension: Annotated[Width, Choice((16, 32, 64, 128))] = 64
    """Size d of the vectors."""
    deviation: float = Field(default=0.1, gt=0)
    """Standard deviation of the tables at the start; pretrained vectors are standardised to it."""
    hidden: tuple[int, ...] | None = None
    """Widths of the head's layers; None: 200, 100 in mlp1 and 256, 128, 64 in mlp2."""
    biases: bool = False
    """Give the inner product user and item biases, which the paper's has not."""
    dropout: Annotated[float, Range(0.0, 0.5)] = Field(default=0.0, ge=0, lt=1)
    """Share of hidden activations of the head dropped in training."""
    embedding_dropout: Annotated[float, Range(0.0, 0.5)] = Field(default=0.0, ge=0, lt=1)
    """Share of the entries of both vectors dropped in training."""
    attention_dropout: float = Field(default=0.0, ge=0, lt=1)
    """Share of its context that a target cannot see in a training step."""
    context: int | None = Field(default=None, ge=1)
    """Ratings drawn anew as a user's context in each training step (the paper: 64); None is all."""
    asked_context: int | None = Field(default=None, ge=1)
    """Ratings drawn, once and for all, as a user's context in predictions (the paper: 128); None is all."""
    default_always: bool = True
    """The default vector competes with the context; False: it serves users without context alone, as in the paper."""
    batch: BatchSize = 4096
    """Ratings a step, about."""
    training: Annotated[
        TrainingConfig,
        {"learning_rate": Range(3e-4, 3e-2, log=True), "weight_decay": Range(1e-7, 1e-3, log=True)},
    ] = TrainingConfig(epochs=30, learning_rate=1e-3, patience=3)
    """Epochs, step size, weight decay, early stopping."""

    @property
    def widths(self) -> tuple[int, ...]:
        """Layers of the head."""
        if self.hidden is not None:
            return self.hidden
        return {"inner": (), "mlp1": (200, 100), "mlp2": (256, 128, 64)}[self.head]


class PairNetwork(nn.Module):
    """Embedding, then head."""

    def __init__(self, embedding: LookUpEmbedding | AttentiveEmbedding, head: Head) -> None:
        super().__init__()
        self.embedding = embedding
        self.head = head

    def forward(self, targets: Targets) -> Tensor:
        """Outputs of the head for the real targets [n, …]."""
        pairs: EmbeddedPairs = self.embedding(targets)
        output: Tensor = self.head(pairs.rounded_up())
        return output[: len(pairs.items)]

    def rating(self, targets: Targets) -> Tensor:
        """Predicted ratings of the real targets [n]."""
        return self.head.rating(self(targets))


class NeuralCF(NetworkModel, RatingModel):
    """A pair network over the ratings of one catalogue.

    An attentive user is their ratings, so somebody new with a history is scored as well as anybody, and nobody's
    arrival changes a parameter. With look-up tables somebody new is the mean user. Items that nobody rated in training,
    unknown users without history and, with look-up tables, users without ratings are predicted by the biases alone.

    >>> import pandas as pd
    >>> from attrec.ratings import NeuralCF
    >>> ratings = pd.DataFrame(
    ...     [(u, i, 5 if (u + i) % 2 == 0 else 1) for u in range(20) for i in range(12) if (u + i) % 5],
    ...     columns=["user_id", "item_id", "rating"],
    ... )
    >>> brief = {"epochs": 30, "learning_rate": 0.02}
    >>> model = NeuralCF(head="inner", dimension=8, batch=32, training=brief).fit(ratings)
    >>> sorted(model.recommend(0, k=2)["item_id"])
    [0, 10]
    >>> model.explain(0, 10).columns.tolist()  # which of their ratings a prediction rests on
    ['item_id', 'rating', 'weight']
    """

    config_class = PairNetworkConfig

    config: PairNetworkConfig
    network: PairNetwork

    @classmethod
    def read_parts(cls, folders: Mapping[str, Path]) -> dict[str, Any]:
        """`initial`, of autoencoders, one a side, whatever they are called."""
        autoencoders = [PretrainedAutoencoder.load(folder) for folder in folders.values()]
        return {"initial": starting_vectors(autoencoders)} if autoencoders else {}

    def _fit(self, data: RatingData, initial: Vectors | None = None) -> None:
        """The features serve only to name users and items.

        Validation keeps the best epoch; without it all `config.training.epochs` are run.

        Args:
            initial: Pretrained vectors [n_users, d] and [n_items, d] in the order of the feature tables, fitted on
                the ratings alone; needed by the embedding `pretrained`.

        Raises:
            ValueError: `initial` is missing or not asked for.
            DataError: there are more than 20 rating values, too many for mlp2's classes.
        """
        if (self.config.embedding == "pretrained") != (initial is not None):
            raise ValueError("initial vectors are given to the embedding 'pretrained', and to no other")
        encoded, held_out = data.encoded, data.held_out
        self.biases = Biases.fit(encoded, 5.0, 5.0)
        self.rated = RatedItems.of(encoded)
        self.values = _rating_values(encoded, self.config)
        generator = seeded_generator(self.seed)
        self.network = self._build(generator, initial)
        self.course = train(
            self.network,
            batches=lambda g, _: self._training_batches(encoded, g),
            loss=_loss,
            config=self.config.training,
            generator=generator,
            validate=None if held_out is None else lambda _: self._rmse(held_out),
            checkpoint=data.checkpoint,
            fingerprint=self._fingerprint(encoded, held_out, initial),
            progress=data.progress,
        )

    def chosen_config(self) -> PairNetworkConfig:
        training = self.config.training.model_copy(update={"epochs": max(1, self.course.best_epoch)})
        return self.config.model_copy(update={"training": training})

    def _predict(self, pairs: pd.DataFrame, history: pd.DataFrame | None) -> np.ndarray:
        users, items = self.catalogue.encode(pairs)
        predicted = self.biases.predict(users, items)
        contexts = self.rated
        known_items = np.bincount(contexts.items, minlength=len(self.catalogue.items)) > 0
        # A look-up row that no rating has trained is noise.
        known_users = (contexts.counts > 0) | (self.config.embedding == "attentive")
        scored = (users >= 0) & known_users[users]
        if history is not None and len(history):
            new_users, contexts = self._with_new_users(history)
            codes = new_users.get_indexer(pd.Index(pairs["user_id"]))
            new = (users < 0) & (codes >= 0)
            users = np.where(new, codes + len(self.catalogue.users), users)
            scored |= new
        scored &= (items >= 0) & known_items[items]
        if scored.any():
            predicted[scored] = self._ratings(contexts, users[scored], items[scored])
        return np.clip(predicted, *self.rating_range)

    def score_known(self, users: np.ndarray) -> np.ndarray | None:
        embedding, head = self.network.embedding, self.network.head
        if not (isinstance(embedding, LookUpEmbedding) and isinstance(head, InnerProduct)):
            return None
        scores = self.biases.predict(users[:, None], np.arange(len(self.catalogue.items)))
        rated = np.bincount(self.rated.items, minlength=scores.shape[1]) > 0
        known = self.rated.counts[users] > 0
        with torch.no_grad():
            codes = torch.from_numpy(users[known])
            logits = embedding.user[codes] @ embedding.item.T
            if head.biases:
                logits += head.user_bias[codes] + head.item_bias.T + head.constant
            scores[known] = np.where(rated, head.rating(logits).numpy(), scores[known])
        return np.clip(scores, *self.rating_range)

    @property
    def attends(self) -> bool:
        return self.config.embedding == "attentive"

    def explain(
        self, user_id: int | str, item_id: int | str, history: pd.DataFrame | None = None
    ) -> pd.DataFrame:
        """As `RatingModel.explain`; with the default vector's, which has no row, the weights sum to one."""
        embedding = self.network.embedding
        if not isinstance(embedding, AttentiveEmbedding):
            return super().explain(user_id, item_id, history)
        users, items = self.catalogue.encode(pd.DataFrame({"user_id": [user_id], "item_id": [item_id]}))
        contexts = self.rated
        if users[0] < 0 and history is not None:
            new_users, contexts = self._with_new_users(history)
            code = new_users.get_indexer(pd.Index([user_id]))[0]
            users = np.array([code + len(self.catalogue.users) if code >= 0 else -1])
        if items[0] < 0:
            raise DataError(f"item {item_id} is unknown to this model.")
        if users[0] < 0 or not contexts.counts[users[0]]:
            raise DataError(
                f"user {user_id} has no rating this model knows; pass some of their ratings as history."
            )
        padded = self._read(contexts).padded(users)
        targets = Targets(
            torch.from_numpy(users),
            torch.from_numpy(items).unsqueeze(0),
            torch.ones(1, 1, dtype=torch.bool),
            padded,
        )
        with torch.no_grad():
            weights = embedding.attention(targets)[0, 0, :-1].numpy()
        rated = padded.items[0].numpy()
        shown = pd.DataFrame(
            {
                "item_id": self.catalogue.items[rated],
                "rating": padded.ratings[0].numpy(),
                "weight": weights,
            }
        )
        shown = shown[padded.real[0].numpy() & (rated != items[0])]
        return shown.sort_values("weight", ascending=False, kind="stable", ignore_index=True)

    def parameters(self) -> Parameters:
        network = self.network_parameters()
        biases = {"biases.user": self.biases.user, "biases.item": self.biases.item}
        rated = {f"rated.{name}": value for name, value in asdict(self.rated).items()}
        values = {"values": self.values, "mean": self.biases.mean, **network.values}
        return Parameters({**network.arrays, **biases, **rated}, values)

    def take(self, saved: Saved) -> None:
        arrays = saved.arrays
        self.biases = Biases(saved.values["mean"], arrays["biases.user"], arrays["biases.item"])
        self.rated = RatedItems(*(arrays[f"rated.{name}"] for name in RatedItems.__dataclass_fields__))
        self.values = saved.values["values"]
        self.take_network(saved, self._build(seeded_generator(self.seed), None))

    @classmethod
    def has_classes(cls, config: RatingConfig) -> bool:
        return isinstance(config, PairNetworkConfig) and config.head == "mlp2"

    @property
    def classes(self) -> list[float] | None:
        return self.values if self.config.head == "mlp2" else None

    def probabilities(self, pairs: pd.DataFrame) -> np.ndarray:
        """As `RatingModel.probabilities`; mlp2 only."""
        head = self.network.head
        if not isinstance(head, MLP2):
            raise DataError(f"the head {self.config.head!r} has no class probabilities; ask one with mlp2.")
        users, items = self.catalogue.encode(pairs)

        def classes(targets: Targets) -> Tensor:
            return head.probabilities(self.network(targets))

        return self._by_user(classes, len(self.values), self.rated, users, items)

    def _build(self, generator: torch.Generator, initial: Vectors | None) -> PairNetwork:
        config = self.config
        n_users, n_items = len(self.catalogue.users), len(self.catalogue.items)
        low, high = self.rating_range

        def start(rows: int, given: np.ndarray | None = None) -> nn.Parameter:
            if given is not None:
                centred = given - given.mean(0)
                standard = centred / np.maximum(centred.std(0), 1e-6) * config.deviation
                return nn.Parameter(torch.tensor(standard, dtype=torch.float32))
            return table(rows, config.dimension, config.deviation, generator)

        embedding: LookUpEmbedding | AttentiveEmbedding
        if config.embedding == "attentive":
            embedding = AttentiveEmbedding(
                start(n_items),
                start(n_items),
                (low + high) / 2,
                max(high - low, 1e-6) / 2,
                config.embedding_dropout,
                config.attention_dropout,
                config.default_always,
                generator,
            )
        else:
            user, item = initial or (None, None)
            embedding = LookUpEmbedding(
                start(n_users, user), start(n_items, item), config.embedding_dropout, generator
            )
        head: Head
        if config.head == "inner":
            named_users = 0 if config.embedding == "attentive" else n_users
            head = InnerProduct(low, high, named_users, n_items, config.biases)
        elif config.head == "mlp1":
            head = MLP1(low, high, config.dimension, config.widths, config.dropout, generator)
        else:
            head = MLP2(self.values, config.dimension, config.widths, config.dropout, generator)
        return PairNetwork(embedding, head)

    def _training_batches(
        self, encoded: EncodedRatings, generator: torch.Generator
    ) -> Iterator[tuple[Targets, Tensor]]:
        config = self.config
        if config.embedding == "attentive":
            return batches_of_users(self.rated, config.batch, config.context, generator)
        return batches_of_pairs(encoded, config.batch, generator)

    def _rmse(self, held_out: EncodedRatings) -> float:
        predicted = self._ratings(self.rated, held_out.users, held_out.items).clip(*self.rating_range)
        return float(np.sqrt(np.mean((predicted - held_out.values) ** 2)))

    def _ratings(self, contexts: RatedItems, users: np.ndarray, items: np.ndarray) -> np.ndarray:
        """Predictions [n] of coded pairs; codes past the catalogue's users are those of new ones."""
        return self._by_user(lambda t: self.network.rating(t).unsqueeze(1), 1, contexts, users, items)[:, 0]

    def _by_user(
        self,
        function: Callable[[Targets], Tensor],
        width: int,
        contexts: RatedItems,
        users: np.ndarray,
        items: np.ndarray,
    ) -> np.ndarray:
        """Rows [n, width] of `function(targets)` for coded pairs, computed some users at a time."""
        asked = RatedItems.of(
            EncodedRatings(
                users,
                items,
                np.zeros(len(users), dtype="float32"),
                len(contexts.counts),
                len(self.catalogue.items),
            )
        )
        seen = self._read(contexts) if self.config.embedding == "attentive" else None
        result = np.empty((len(users), width), dtype="float32")
        with torch.no_grad():
            for rows, targets in questions(asked, seen, len(self.catalogue.users)):
                result[rows] = function(targets).float().numpy()
        return result

    def _read(self, contexts: RatedItems) -> RatedItems:
        """What of the contexts predictions look at."""
        size = self.config.asked_context
        return contexts if size is None else contexts.sampled(size, self.seed)

    def _with_new_users(self, history: pd.DataFrame) -> tuple[pd.Index, RatedItems]:
        """The users of `history`, and contexts in which they follow those of the catalogue."""
        items = self.catalogue.items.get_indexer(pd.Index(history["item_id"]))
        known = items >= 0
        people = pd.Index(history["user_id"][known].unique())
        codes = people.get_indexer(pd.Index(history["user_id"][known]))
        theirs = EncodedRatings(
            codes,
            items[known],
            history["rating"].to_numpy("float32")[known],
            len(people),
            len(self.catalogue.items),
        )
        new, old = RatedItems.of(theirs), self.rated
        return people, RatedItems(
            np.concatenate([old.start, old.start[-1] + new.start[1:]]),
            np.concatenate([old.items, new.items]),
            np.concatenate([old.ratings, new.ratings]),
            np.concatenate([old.rows, new.rows]),
        )

    def _fingerprint(
        self,
        encoded: EncodedRatings,
        held_out: EncodedRatings | None,
        initial: Vectors | None,
    ) -> str:
        """Identifies a training, so that a checkpoint is never continued by another one."""
        digest = hashlib.sha256(f"{self.seed} {self.config.model_dump_json()}".encode())
        for part in (encoded, held_out):
            for array in () if part is None else (part.users, part.items, part.values):
                digest.update(array.tobytes())
        for array in initial or ():
            digest.update(np.ascontiguousarray(array).tobytes())
        return digest.hexdigest()


def starting_vectors(autoencoders: Iterable[PretrainedAutoencoder]) -> Vectors:
    """Where the tables of one network start: the embeddings of users and of items by its autoencoders, one a side."""
    attended = {autoencoder.side: autoencoder.attended for autoencoder in autoencoders}
    return attended["user"], attended["item"]


def _loss(network: nn.Module, batch: tuple[Targets, Tensor]) -> Tensor:
    assert isinstance(network, PairNetwork)
    targets, ratings = batch
    return network.head.loss(network(targets), ratings)


def _rating_values(encoded: EncodedRatings, config: PairNetworkConfig) -> list[float]:
    values = [float(value) for value in np.unique(encoded.values)]
    if config.head == "mlp2" and len(values) > MAX_CLASSES:
        raise DataError(
            f"mlp2 needs ratings of at most {MAX_CLASSES} different values, and these have {len(values):,}: use mlp1."
        )
    return values
