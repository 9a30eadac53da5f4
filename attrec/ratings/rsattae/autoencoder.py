"""Pretraining of one autoencoder: one side of the rating matrix, one set of training rows, one seed."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal, Self

import numpy as np
import pandas as pd
import torch
from pydantic import Field
from torch import Tensor, nn

from attrec.models.base import Config
from attrec.models.layers import seeded_generator
from attrec.models.storage import read_arrays, read_json, write_arrays, write_json
from attrec.models.training import Losses, Progress, TrainingConfig, train
from attrec.ratings.baselines import Biases
from attrec.ratings.catalogue import Catalogue, EncodedRatings
from attrec.ratings.rsattae.network import AttentionMemory, RSAttAE, RSAttAEConfig, masked_rmse

Side = Literal["user", "item"]
Embedding = Literal["encoded", "attended"]


class AutoencoderConfig(Config):
    """One autoencoder: its network, how it is optimised, and what its output is measured from."""

    network: RSAttAEConfig = RSAttAEConfig()
    """Layers, attention and dropout."""
    training: TrainingConfig = TrainingConfig(epochs=300, learning_rate=1e-3, patience=30)
    """Epochs, step size, weight decay, early stopping."""
    batch: int | None = Field(default=None, ge=1, le=2**31 - 1)
    """Rows a training step, which then attend to each other alone; None is all of them. Thousands of rows learn in
    far fewer epochs in batches."""
    centre: Literal["none", "mean", "bias"] = "none"
    """What the output is a deviation from: zero (the paper), the mean rating, or μ + b_u + b_i."""
    bias_regularization: float = Field(default=5.0, ge=0)
    """λ of those user and item biases."""


@dataclass(frozen=True)
class Offset:
    """What the output of an autoencoder deviates from."""

    mean: float
    user: np.ndarray  # [n_users]
    item: np.ndarray  # [n_items]
    regularization: float

    @classmethod
    def fit(cls, ratings: EncodedRatings, config: AutoencoderConfig) -> Offset:
        if config.centre == "bias":
            biases = Biases.fit(ratings, config.bias_regularization, config.bias_regularization)
            return cls(biases.mean, biases.user, biases.item, config.bias_regularization)
        mean = float(ratings.values.mean(dtype="float64")) if config.centre == "mean" else 0.0
        return cls(mean, np.zeros(ratings.n_users), np.zeros(ratings.n_items), np.inf)

    def matrix(self) -> np.ndarray:
        """[n_users, n_items] float32."""
        return (self.mean + self.user[:, None] + self.item[None, :]).astype("float32")

    def of_new_users(self, ratings: np.ndarray, observed: np.ndarray) -> np.ndarray:
        """Offsets [k, n_items] of k new users with these ratings [k, n_items]."""
        residual = (ratings - self.mean - self.item[None, :]) * observed
        user = residual.sum(1) / (observed.sum(1) + self.regularization)
        return (self.mean + user[:, None] + self.item[None, :]).astype("float32")


@dataclass(frozen=True)
class PretrainedAutoencoder:
    """A fitted autoencoder of users (rows of R) or items (rows of Rᵀ) with the embeddings of its training
    rows."""

    side: Side
    config: AutoencoderConfig
    seed: int
    catalogue: Catalogue
    network: RSAttAE
    offset: Offset
    memory: AttentionMemory
    encoded: np.ndarray
    """[n, d] E, before attention."""
    attended: np.ndarray
    """[n, d] Ê, after attention."""
    rating_range: tuple[float, float]
    course: Losses

    def embedding(self, kind: Embedding = "attended") -> pd.DataFrame:
        """E or Ê, indexed by user_id or item_id."""
        index = self.catalogue.users if self.side == "user" else self.catalogue.items
        return pd.DataFrame(self.encoded if kind == "encoded" else self.attended, index=index)

    def reconstruction(self) -> np.ndarray:
        """R̂ [n_users, n_items] float32 in rating units, users first on either side."""
        with torch.no_grad():
            rows = self.network.decode(torch.from_numpy(self.attended)).numpy()
        matrix = (rows if self.side == "user" else rows.T) + self.offset.matrix()
        return np.clip(matrix, *self.rating_range)

    def predict(self, pairs: pd.DataFrame) -> np.ndarray:
        """R̂ at `pairs` of known ids."""
        users, items = self.catalogue.encode(pairs)
        return self.reconstruction()[users, items]

    def encode_new_users(
        self, ratings: np.ndarray, observed: np.ndarray, features: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """E [k, d], Ê [k, d] and R̂ [k, n_items] of k users that training did not know (user side only).

        From their `ratings` and `observed` [k, n_items] (1 where rated, else 0) and `features` [k, f].
        Nothing is retrained: they are encoded, and attend to the training users.
        """
        if self.side != "user":
            raise ValueError("an item autoencoder has no input for new users")
        offset = self.offset.of_new_users(ratings, observed)
        with torch.no_grad():
            encoded = self.network.encode(torch.from_numpy(ratings.astype("float32")))
            attended = self.network.attend(encoded, torch.from_numpy(features.astype("float32")), self.memory)
            reconstruction = self.network.decode(attended).numpy() + offset
        return encoded.numpy(), attended.numpy(), np.clip(reconstruction, *self.rating_range)

    def save(self, directory: Path) -> None:
        arrays = {f"network.{name}": value.numpy() for name, value in self.network.state_dict().items()}
        arrays |= {f"memory.{name}": value.numpy() for name, value in self.memory._asdict().items()}
        arrays |= {"offset.user": self.offset.user, "offset.item": self.offset.item}
        arrays |= {"encoded": self.encoded, "attended": self.attended}
        write_arrays(directory / "autoencoder.safetensors", arrays)
        content = {
            "side": self.side,
            "config": self.config.model_dump(),
            "seed": self.seed,
            "catalogue": self.catalogue.to_json(),
            "mean": self.offset.mean,
            "rating_range": self.rating_range,
            "course": asdict(self.course),
        }
        write_json(directory / "autoencoder.json", content)

    @classmethod
    def load(cls, directory: Path) -> Self:
        """Raises: DataError if a file is missing or unreadable."""
        content = read_json(directory / "autoencoder.json")
        arrays = read_arrays(directory / "autoencoder.safetensors")
        config = AutoencoderConfig(**content["config"])
        catalogue = Catalogue.from_json(content["catalogue"])
        memory = AttentionMemory(
            *(torch.from_numpy(arrays[f"memory.{name}"]) for name in AttentionMemory._fields)
        )
        columns = len(catalogue.items if content["side"] == "user" else catalogue.users)
        network = RSAttAE(
            columns, memory.features.shape[1], config.network, seeded_generator(content["seed"])
        )
        weights = {
            n.removeprefix("network."): torch.from_numpy(a)
            for n, a in arrays.items()
            if n.startswith("network.")
        }
        network.load_state_dict(weights)
        network.eval()
        regularization = config.bias_regularization if config.centre == "bias" else np.inf
        return cls(
            side=content["side"],
            config=config,
            seed=content["seed"],
            catalogue=catalogue,
            network=network,
            offset=Offset(content["mean"], arrays["offset.user"], arrays["offset.item"], regularization),
            memory=memory,
            encoded=arrays["encoded"],
            attended=arrays["attended"],
            rating_range=tuple(content["rating_range"]),
            course=Losses(**content["course"]),
        )


def pretrain(
    side: Side,
    ratings: pd.DataFrame,
    user_features: pd.DataFrame,
    item_features: pd.DataFrame,
    config: AutoencoderConfig,
    seed: int,
    validation: pd.DataFrame | None = None,
    checkpoint: Path | None = None,
    progress: Progress | None = None,
) -> PretrainedAutoencoder:
    """Fit one autoencoder to `ratings` (user_id, item_id, rating).

    With `validation` (same columns) the epoch of the lowest validation RMSE is kept; its ratings are targets
    of that measurement alone, never inputs. Without it, all `config.training.epochs` are run.

    Raises:
        DataError: a rated id has no feature row, or there are no ratings.
    """
    catalogue = Catalogue.of(user_features, item_features)
    encoded_ratings = catalogue.encode_ratings(ratings)
    offset = Offset.fit(encoded_ratings, config)
    rating_range = float(encoded_ratings.values.min()), float(encoded_ratings.values.max())
    offset_matrix = torch.from_numpy(
        offset.matrix() if side == "user" else offset.matrix().T.copy()
    )  # [n, m]

    features = user_features if side == "user" else item_features
    distinct, groups = _distinct_rows(features)
    n, m = offset_matrix.shape
    rows, columns = _rows_and_columns(side, encoded_ratings)
    observed = torch.zeros(n, m)
    observed[rows, columns] = 1.0
    inputs = torch.zeros(n, m)
    inputs[rows, columns] = torch.tensor(encoded_ratings.values)
    targets = (inputs - offset_matrix) * observed

    # A batch of rows without a rating would have no error to take the mean of.
    rated = observed.any(1).nonzero().flatten()

    generator = seeded_generator(seed)
    network = RSAttAE(m, distinct.shape[1], config.network, generator)

    def batches(generator: torch.Generator, epoch: int) -> Iterable[Tensor | None]:
        if config.batch is None:
            return [None]
        return rated[torch.randperm(len(rated), generator=generator)].split(config.batch)

    def loss(model: nn.Module, batch: Tensor | None) -> Tensor:
        if batch is None:
            return masked_rmse(model(inputs, distinct, groups).reconstruction, targets, observed)
        reconstruction = model(inputs[batch], distinct, groups[batch]).reconstruction
        return masked_rmse(reconstruction, targets[batch], observed[batch])

    def validation_rmse(model: nn.Module) -> float:
        reconstruction = model(inputs, distinct, groups).reconstruction[held_rows, held_columns]
        predicted = (reconstruction + offset_matrix[held_rows, held_columns]).clamp(*rating_range)
        return float(torch.sqrt((predicted - held_values).square().mean()))

    if validation is not None:
        held_out = catalogue.encode_ratings(validation)
        held_rows, held_columns = _rows_and_columns(side, held_out)
        held_values = torch.tensor(held_out.values)

    course = train(
        network,
        batches=batches,
        loss=loss,
        config=config.training,
        generator=generator,
        validate=None if validation is None else validation_rmse,
        checkpoint=checkpoint,
        fingerprint=_fingerprint(side, encoded_ratings, distinct[groups], config, seed, validation),
        progress=progress,
    )
    with torch.no_grad():
        encoded = network.encode(inputs)
        memory = network.remember(encoded, distinct, groups)
        attended = network.attend(encoded, distinct[groups], memory)
    return PretrainedAutoencoder(
        side,
        config,
        seed,
        catalogue,
        network,
        offset,
        memory,
        encoded.numpy(),
        attended.numpy(),
        rating_range,
        course,
    )


def _distinct_rows(features: pd.DataFrame) -> tuple[Tensor, Tensor]:
    """The distinct rows [g, f] and which of them each row is [n]; without columns all rows are one zero."""
    if features.shape[1] == 0:
        return torch.zeros(1, 1), torch.zeros(len(features), dtype=torch.int64)
    return torch.unique(torch.tensor(features.to_numpy("float32")), dim=0, return_inverse=True)


def _rows_and_columns(side: Side, ratings: EncodedRatings) -> tuple[Tensor, Tensor]:
    users, items = torch.tensor(ratings.users), torch.tensor(ratings.items)
    return (users, items) if side == "user" else (items, users)


def _fingerprint(
    side: Side,
    ratings: EncodedRatings,
    features: Tensor,
    config: AutoencoderConfig,
    seed: int,
    validation: pd.DataFrame | None,
) -> str:
    """Identifies a training, so that a checkpoint is never continued by another one."""
    digest = hashlib.sha256(f"{side} {seed} {config.model_dump_json()}".encode())
    for array in (ratings.users, ratings.items, ratings.values, features.numpy()):
        digest.update(array.tobytes())
    if validation is not None:
        columns = validation[["user_id", "item_id", "rating"]]
        digest.update(pd.util.hash_pandas_object(columns, index=False).to_numpy().tobytes())
    return digest.hexdigest()
