"""GLocal-K: an item autoencoder with kernelised weights, fine-tuned on ratings smoothed by one global kernel.

Han et al., "GLocal-K: Global and Local Kernels for Recommender Systems" (CIKM 2021).
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import numpy as np
import pandas as pd
import torch
from pydantic import Field
from torch import Tensor

from attrec.errors import TrainingDiverged
from attrec.models.base import Parameters, Saved
from attrec.models.checkpoints import Checkpoint, read_checkpoint, write_checkpoint
from attrec.models.layers import seeded_generator
from attrec.models.training import Losses, Progress
from attrec.parameters import Rounds
from attrec.ratings.baselines import UserItemBias, UserItemBiasConfig
from attrec.ratings.catalogue import EncodedRatings
from attrec.ratings.glocal_k.network import GLocalKNetwork, GLocalKNetworkConfig
from attrec.ratings.model import RatingConfig, RatingData, RatingModel


class GLocalKConfig(RatingConfig):
    """The network and its two trainings with L-BFGS."""

    network: GLocalKNetworkConfig = GLocalKNetworkConfig()
    """Layers, kernels and penalties."""
    pretraining_rounds: Rounds = 60
    """Rounds on the rating matrix, at most; exactly that many where nothing is validated. (The paper: 30.)"""
    fine_tuning_rounds: Rounds = 40
    """Rounds on the convolved matrix, likewise. (The paper: the best of 60, by test error.)"""
    steps: Rounds = 5
    """L-BFGS steps a round. A round forgets the curvature that the last one met; kept, it led to overfitting."""
    patience: int = Field(default=8, ge=1)
    """Rounds without a better validation loss before a training stops."""
    bias: Annotated[UserItemBiasConfig, {"user_regularizations": None, "item_regularizations": None}] = (
        UserItemBiasConfig()
    )
    """For the users whom the network cannot predict."""


class GLocalK(RatingModel):
    """Pretrains the autoencoder on the ratings, fine-tunes it on the convolved ratings.

    The network has one input and one output for each user with training ratings. All other users, with history or
    without, and unknown items are predicted by user and item bias alone. An item that is known but that nobody rated
    is predicted by the network, to which this says something. The convolution mixes neighbours in the order of the
    feature tables, as the paper does in the order of ids.

    Fitting holds several dense matrices of n_items x n_users.

    >>> import pandas as pd
    >>> from attrec.ratings import GLocalK
    >>> ratings = pd.DataFrame(
    ...     [(u, i, 5 if (u + i) % 2 == 0 else 1) for u in range(20) for i in range(12) if (u + i) % 5],
    ...     columns=["user_id", "item_id", "rating"],
    ... )
    >>> model = GLocalK(pretraining_rounds=4, fine_tuning_rounds=4).fit(ratings)
    >>> model.predict(pd.DataFrame({"user_id": [0], "item_id": [10]})).shape
    (1,)
    """

    config_class = GLocalKConfig
    round_name = "round"

    config: GLocalKConfig

    @property
    def rounds(self) -> int:
        return self.config.pretraining_rounds + self.config.fine_tuning_rounds

    def _fit(self, data: RatingData) -> None:
        """The features serve only to name users and items.

        Validation keeps the best round of either training; without it all rounds are run. Progress is told of every
        round, counted through both trainings.

        Raises:
            TrainingDiverged: the loss is infinite or not a number.
        """
        encoded, held_out = data.encoded, data.held_out
        tables = data.ratings, data.user_features, data.item_features, data.validation
        self.bias = UserItemBias(self.config.bias).fit(*tables)
        training = _Training(self.config, self.seed, encoded, held_out)
        training.run(data.checkpoint, self._fingerprint(encoded, held_out), data.progress)
        self.pretraining, self.fine_tuning = training.pretraining, training.fine_tuning
        self.reconstruction = (
            training.reconstruction(smooth=True).T.contiguous().numpy()
        )  # [n_users, n_items]
        self.rated_users = np.bincount(encoded.users, minlength=encoded.n_users) > 0

    def chosen_config(self) -> GLocalKConfig:
        chosen = {
            "pretraining_rounds": self.pretraining.best_epoch,
            "fine_tuning_rounds": self.fine_tuning.best_epoch,
            "bias": self.bias.chosen_config(),
        }
        return self.config.model_copy(update=chosen)

    @property
    def losses(self) -> dict[str, Losses]:
        return {"pretraining": self.pretraining, "fine-tuning": self.fine_tuning}

    def _predict(self, pairs: pd.DataFrame, history: pd.DataFrame | None) -> np.ndarray:
        predicted = self.bias._predict(pairs, history)
        users, items = self.catalogue.encode(pairs)
        known = (users >= 0) & (items >= 0) & self.rated_users[users]
        predicted[known] = self.reconstruction[users[known], items[known]].clip(*self.rating_range)
        return predicted

    def score_known(self, users: np.ndarray) -> np.ndarray:
        rated = self.rated_users[users]
        scores = self.bias.score_known(users)
        scores[rated] = self.reconstruction[users[rated]].clip(*self.rating_range)
        return scores

    def parameters(self) -> Parameters:
        return Parameters(
            {"reconstruction": self.reconstruction, "rated_users": self.rated_users},
            {"pretraining": asdict(self.pretraining), "fine_tuning": asdict(self.fine_tuning)},
            {"bias": self.bias},
        )

    def take(self, saved: Saved) -> None:
        self.bias = UserItemBias.load(saved.folder / "bias")
        self.pretraining = Losses(**saved.values["pretraining"])
        self.fine_tuning = Losses(**saved.values["fine_tuning"])
        self.reconstruction = saved.arrays["reconstruction"]
        self.rated_users = saved.arrays["rated_users"]

    def _fingerprint(self, encoded: EncodedRatings, held_out: EncodedRatings | None) -> str:
        """Identifies a training, so that a checkpoint is never continued by another one."""
        digest = hashlib.sha256(f"{self.seed} {self.config.model_dump_json()}".encode())
        for part in (encoded, held_out):
            for array in () if part is None else (part.users, part.items, part.values):
                digest.update(array.tobytes())
        return digest.hexdigest()


class _Training:
    """Both trainings, round by round; all that the next round depends on are weights and histories."""

    def __init__(
        self, config: GLocalKConfig, seed: int, ratings: EncodedRatings, held_out: EncodedRatings | None
    ) -> None:
        self.config = config
        self.network = GLocalKNetwork(
            ratings.n_items, ratings.n_users, config.network, seeded_generator(seed)
        )
        self.ratings, self.observed = torch.zeros(2, ratings.n_items, ratings.n_users)
        self.ratings[ratings.items, ratings.users] = torch.tensor(ratings.values)
        self.observed[ratings.items, ratings.users] = 1.0
        self.rating_range = float(ratings.values.min()), float(ratings.values.max())
        self.held_out = held_out
        self.pretraining, self.fine_tuning = Losses(), Losses()
        self.best: dict[str, Tensor] = {}
        """Weights of the best round of the training under way; empty where nothing is validated."""

    def run(self, checkpoint: Path | None, fingerprint: str, progress: Progress | None) -> None:
        """Pretrain and fine-tune; the network ends with the weights to keep."""
        if checkpoint is not None:
            self._restore(checkpoint, fingerprint)
        limits = self.config.pretraining_rounds, self.config.fine_tuning_rounds
        for course, limit in zip((self.pretraining, self.fine_tuning), limits, strict=True):
            smooth = course is self.fine_tuning
            if not smooth and self.fine_tuning.epochs:
                continue
            while len(course.epochs) < limit and not self._is_out_of_patience(course):
                self._run_round(course, smooth)
                if checkpoint is not None:
                    self._save(checkpoint, fingerprint)
                if progress is not None:
                    rounds = len(self.pretraining.epochs) + len(self.fine_tuning.epochs)
                    progress(rounds, course.train_loss[-1], course.validation_loss[-1])
            if self.best:
                self.network.load_state_dict(self.best)
                self.best = {}
            else:
                course.best_epoch = len(course.epochs)

    def reconstruction(self, smooth: bool) -> Tensor:
        """[n_items, n_users]."""
        with torch.no_grad():
            reconstruction, _ = self.network(self.ratings, smooth)
        return reconstruction

    def _run_round(self, course: Losses, smooth: bool) -> None:
        optimizer = torch.optim.LBFGS(
            self.network.parameters(),
            max_iter=self.config.steps,
            max_eval=25 * self.config.steps,  # torch's default ends a round early for its line searches
            history_size=10,
            line_search_fn="strong_wolfe",
        )

        def objective() -> Tensor:
            optimizer.zero_grad()
            reconstruction, penalty = self.network(self.ratings, smooth)
            errors = (reconstruction - self.ratings) * self.observed
            value = (errors.square().sum() + penalty) / 2
            value.backward()
            # Checked here, since the line search fails in ways of its own on what is not finite.
            gradients = (weight.grad for weight in self.network.parameters() if weight.grad is not None)
            if not all(tensor.isfinite().all() for tensor in (value, *gradients)):
                raise TrainingDiverged(
                    "GLocal-K's loss or its gradient is not finite: raise its weight penalty, which is"
                    f" {self.config.network.weight_penalty:g}, or lower its kernel scale."
                )
            return value

        optimizer.step(objective)
        reconstruction = self.reconstruction(smooth).clamp(*self.rating_range)
        errors = (reconstruction - self.ratings) * self.observed
        train_rmse = float((errors.square().sum() / self.observed.sum()).sqrt())
        validation_rmse = None
        if self.held_out is not None:
            predicted = reconstruction[self.held_out.items, self.held_out.users].numpy()
            validation_rmse = float(np.sqrt(np.mean((predicted - self.held_out.values) ** 2)))
            if validation_rmse < course.best_loss:
                course.best_epoch, course.best_loss = len(course.epochs) + 1, validation_rmse
                self.best = {name: weight.clone() for name, weight in self.network.state_dict().items()}
        course.epochs.append(len(course.epochs) + 1)
        course.train_loss.append(train_rmse)
        course.validation_loss.append(validation_rmse)

    def _is_out_of_patience(self, course: Losses) -> bool:
        return bool(course.best_epoch) and len(course.epochs) - course.best_epoch >= self.config.patience

    def _save(self, path: Path, fingerprint: str) -> None:
        tensors = {f"network.{name}": weight for name, weight in self.network.state_dict().items()}
        tensors |= {f"best.{name}": weight for name, weight in self.best.items()}
        notes = {
            "pretraining": json.dumps(asdict(self.pretraining)),
            "fine_tuning": json.dumps(asdict(self.fine_tuning)),
        }
        write_checkpoint(path, fingerprint, Checkpoint(tensors, notes))

    def _restore(self, path: Path, fingerprint: str) -> None:
        """Take over the checkpoint, if there is one of this training."""
        checkpoint = read_checkpoint(path, fingerprint)
        if checkpoint is None:
            return
        self.network.load_state_dict(checkpoint.part("network."))
        self.best = checkpoint.part("best.")
        self.pretraining = Losses(**json.loads(checkpoint.notes["pretraining"]))
        self.fine_tuning = Losses(**json.loads(checkpoint.notes["fine_tuning"]))
