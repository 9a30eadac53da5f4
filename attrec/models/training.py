"""The training loop of every torch model: seeded, early-stopped on validation, resumable: on a CPU bit for bit."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal, Protocol, runtime_checkable

import pandas as pd
import torch
from pydantic import Field
from torch import Tensor, nn

from attrec.errors import NotFinite, TrainingDiverged
from attrec.models.base import Config
from attrec.models.checkpoints import Checkpoint, read_checkpoint, write_checkpoint
from attrec.models.distributed import agree, average_gradients, of_first, share
from attrec.models.tunable import Range
from attrec.parameters import Rounds


class TrainingConfig(Config):
    """How one network is optimised: by Adam, and the matrices of its layers by Muon if they have a step size."""

    epochs: Rounds = 300
    """Passes over the training data, at most; exactly that many where nothing is validated."""
    learning_rate: Annotated[float, Range(3e-4, 1e-2, log=True)] = Field(default=1e-3, gt=0)
    """Adam's step size."""
    matrix_rate: float | None = Field(default=None, gt=0)
    """Muon's step size for the weight matrices of linear layers (Jordan et al., 2024; as large as Adam's would be after
    Liu et al., 2025); None leaves them to Adam, as tables, biases and norms are."""
    beta2: float = Field(default=0.999, gt=0, lt=1)
    """Adam's decay of squared gradients. Where the first ones are far larger than all later ones, steps stay small
    until they are forgotten: sooner with 0.98."""
    rate_factors: dict[str, float] = Field({})
    """Multiples of Adam's step size for the parameters whose name begins so; embeddings, of which a batch moves few,
    often want a larger one."""
    precision: Literal["float32", "bfloat16"] = "float32"
    """What training computes in; weights, their moments and validation are float32. With bfloat16 the residuals and
    softmaxes of transformers are of that precision too, and not their matrix products alone."""
    schedule: Literal["constant", "cosine", "steps"] = "constant"
    """`cosine` lets the step size fall to zero over `epochs`; `steps` divides it by ten every `step_epochs`."""
    step_epochs: int = Field(default=25, ge=1)
    """Epochs between two steps of the schedule `steps`."""
    weight_decay: float = Field(default=0.0, ge=0)
    """L2 penalty on weight matrices and tables (part of the gradient, as in a ridge; of what Muon moves, a share of the
    step size), never on biases, norms or scalars."""
    average_decay: float = Field(default=0.0, ge=0, lt=1)
    """Validate and keep an exponential moving average of the weights with this decay a step; 0 is none."""
    patience: int = Field(default=30, ge=1)
    """Epochs without a better validation loss before training stops."""
    validate_every: int = Field(default=1, ge=1)
    """Epochs between two looks at the validation loss."""
    checkpoint_every: int = Field(default=50, ge=1)
    """Epochs between two checkpoints, where a checkpoint file is given."""


class Progress(Protocol):
    """Called after every epoch and its checkpoint, or after every iteration of a sampler.

    A loss is None where it was not measured, as none is while a posterior is sampled.
    """

    def __call__(self, epoch: int, train_loss: float | None, validation_loss: float | None) -> None: ...


@runtime_checkable
class StepProgress(Progress, Protocol):
    """A `Progress` that wants to know of each step too: of how many rows, of all processes, its loss was the mean."""

    def step(self, rows: float) -> None: ...


@dataclass
class Losses:
    """Losses by epoch, and the epoch whose weights were kept."""

    epochs: list[int] = field(default_factory=list)
    train_loss: list[float] = field(default_factory=list)
    validation_loss: list[float | None] = field(default_factory=list)
    best_epoch: int = 0
    best_loss: float = math.inf

    def frame(self) -> pd.DataFrame:
        """Columns epoch, train_loss, validation_loss (NaN where it was not measured)."""
        losses = pd.Series(self.validation_loss, dtype="float64")
        return pd.DataFrame({"epoch": self.epochs, "train_loss": self.train_loss, "validation_loss": losses})


def train(
    network: nn.Module,
    *,
    batches: Callable[[torch.Generator, int], Iterable[Any]],
    loss: Callable[[nn.Module, Any], Tensor],
    config: TrainingConfig,
    generator: torch.Generator,
    validate: Callable[[nn.Module], float] | None = None,
    validate_from: int = 1,
    checkpoint: Path | None = None,
    fingerprint: str = "",
    progress: Progress | None = None,
    weigh: Callable[[Any], float] = lambda batch: 1.0,
) -> Losses:
    """Optimise `network` in place, on the device it is on, and return its losses.

    With `validate` (lower is better) training stops early and the network ends with its best weights; without
    it, the network trains for `config.epochs` and ends with its last ones. Epochs before `validate_from` are not
    validated: nothing of them is kept, and patience begins after them.

    `batches` gives those of an epoch, counted from 1. `generator` must be the one the network was initialised with and
    draws its dropout from: its state is part of the checkpoint, so a killed training that is called again with the same
    `checkpoint` ends bit-identical to one that was never interrupted. A checkpoint of another `fingerprint` (of data,
    configuration and seed) is ignored.

    Among processes that `torchrun` started, `batches` must yield this process's share, as many times on each, and
    `weigh` say of how many rows a batch's loss is the mean; the first process decides when to stop, writes and shows.
    """
    average = _copy(network.state_dict()) if config.average_decay else {}
    state = _State(network, _optimizers(network, config), generator, Losses(), average, {})
    first = 1
    if checkpoint is not None and state.restore(checkpoint, fingerprint):
        first = len(state.course.epochs) + 1
    course = state.course
    shown = progress if share().is_first else None

    for epoch in range(first, config.epochs + 1):
        if course.best_epoch and epoch - 1 - course.best_epoch >= config.patience:
            break
        for group in (group for optimizer in state.optimizers for group in optimizer.param_groups):
            group["lr"] = group["rate"] * _share_of_rate(config, epoch)
        agree(generator)
        train_loss = _run_epoch(state, batches(generator, epoch), loss, weigh, config, shown)
        whole = all(bool(torch.isfinite(weight).all()) for weight in network.parameters())
        if not (math.isfinite(train_loss) and whole):
            raise TrainingDiverged(
                f"The training loss is {train_loss} in epoch {epoch}{'' if whole else ' and weights are not finite'}:"
                f" lower {_rates(config)}."
            )

        validation_loss = None
        due = epoch % config.validate_every == 0 or epoch == config.epochs
        if validate is not None and epoch >= validate_from and due:
            trained = _copy(network.state_dict())
            network.load_state_dict(state.average or trained)
            network.eval()
            with torch.no_grad():
                try:
                    validation_loss = of_first(validate(network))
                except NotFinite as error:
                    raise TrainingDiverged(
                        f"What the model says is not finite in epoch {epoch}: lower {_rates(config)}."
                    ) from error
            if validation_loss < course.best_loss:
                course.best_epoch, course.best_loss = epoch, validation_loss
                state.best = _copy(network.state_dict())
            network.load_state_dict(trained)

        course.epochs.append(epoch)
        course.train_loss.append(train_loss)
        course.validation_loss.append(validation_loss)
        if checkpoint is not None and share().is_first and epoch % config.checkpoint_every == 0:
            state.save(checkpoint, fingerprint)
        if shown is not None:
            shown(epoch, train_loss, validation_loss)

    kept = state.best or state.average
    if kept:
        network.load_state_dict(kept)
    if not state.best:
        course.best_epoch = len(course.epochs)
    network.eval()
    return course


def _copy(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name: value.clone() for name, value in weights.items()}


def _run_epoch(
    state: _State,
    batches: Iterable[Any],
    loss: Callable[[nn.Module, Any], Tensor],
    weigh: Callable[[Any], float],
    config: TrainingConfig,
    shown: Progress | None,
) -> float:
    state.network.train()
    device = next(state.network.parameters()).device.type
    told = shown.step if isinstance(shown, StepProgress) else None
    total, count = 0.0, 0
    for batch in batches:
        state.network.zero_grad()
        with torch.autocast(device, torch.bfloat16, enabled=config.precision == "bfloat16"):
            value = loss(state.network, batch)
        value.backward()
        value, rows = average_gradients(state.network.parameters(), value, weigh(batch))
        for optimizer in state.optimizers:
            optimizer.step()
        state.steps += 1
        if state.average:
            # The first steps would weigh on the average for long, so it begins as a plain running mean.
            decay = min(config.average_decay, (1 + state.steps) / (10 + state.steps))
            for name, weight in state.network.state_dict().items():
                state.average[name].lerp_(weight, 1 - decay)
        total += value.item()
        count += 1
        if told is not None:
            told(rows)
    return total / max(count, 1)


def _share_of_rate(config: TrainingConfig, epoch: int) -> float:
    if config.schedule == "constant":
        return 1.0
    if config.schedule == "steps":
        return float(0.1 ** ((epoch - 1) // config.step_epochs))
    return 0.5 * (1 + math.cos(math.pi * (epoch - 1) / config.epochs))


def _rates(config: TrainingConfig) -> str:
    muon = "" if config.matrix_rate is None else f", or matrix_rate, which is {config.matrix_rate:g}"
    return f"the learning rate, which is {config.learning_rate:g}{muon}"


def _optimizers(network: nn.Module, config: TrainingConfig) -> list[torch.optim.Optimizer]:
    """Adam, and Muon where it is asked for; of each group `rate` is the step size that the schedule begins with."""
    layers = [module for module in network.modules() if isinstance(module, nn.Linear)]
    # Two layers may have one matrix.
    by_muon = {id(layer.weight): layer.weight for layer in layers} if config.matrix_rate is not None else {}
    groups: dict[tuple[float, float], list[nn.Parameter]] = {}
    for name, parameter in network.named_parameters():
        if id(parameter) in by_muon:
            continue
        factors = [factor for prefix, factor in config.rate_factors.items() if name.startswith(prefix)]
        decay = config.weight_decay if parameter.ndim > 1 else 0.0
        groups.setdefault((decay, factors[-1] if factors else 1.0), []).append(parameter)
    by_adam = [
        {"params": parameters, "weight_decay": decay, "rate": config.learning_rate * factor}
        for (decay, factor), parameters in groups.items()
    ]
    found: list[torch.optim.Optimizer] = []
    if by_adam:
        found.append(torch.optim.Adam(by_adam, betas=(0.9, config.beta2)))
    if by_muon:
        group = {
            "params": list(by_muon.values()),
            "weight_decay": config.weight_decay,
            "rate": config.matrix_rate,
        }
        found.append(torch.optim.Muon([group], adjust_lr_fn="match_rms_adamw"))
    return found


@dataclass
class _State:
    """All that the next epoch depends on."""

    network: nn.Module
    optimizers: list[torch.optim.Optimizer]
    generator: torch.Generator
    course: Losses
    average: dict[str, Tensor]
    """Moving average of the weights; empty where none is asked for."""
    best: dict[str, Tensor]
    """Weights of the best validation loss so far; empty before the first."""
    steps: int = 0

    def save(self, path: Path, fingerprint: str) -> None:
        tensors = {f"network.{name}": value for name, value in self.network.state_dict().items()}
        tensors |= {f"average.{name}": value for name, value in self.average.items()}
        tensors |= {f"best.{name}": value for name, value in self.best.items()}
        tensors["generator"] = self.generator.get_state()
        for place, optimizer in enumerate(self.optimizers):
            for index, moments in optimizer.state_dict()["state"].items():
                tensors |= {f"optimizer.{place}.{index}.{name}": value for name, value in moments.items()}
        notes = {"course": json.dumps(asdict(self.course)), "steps": str(self.steps)}
        write_checkpoint(path, fingerprint, Checkpoint(tensors, notes))

    def restore(self, path: Path, fingerprint: str) -> bool:
        """Take over the checkpoint; False, changing nothing, if there is none of this training."""
        checkpoint = read_checkpoint(path, fingerprint)
        if checkpoint is None:
            return False
        part, notes = checkpoint.part, checkpoint.notes
        device = next(self.network.parameters()).device
        self.network.load_state_dict(part("network."))
        self.average = {name: weight.to(device) for name, weight in part("average.").items()}
        self.best = part("best.")
        self.steps = int(notes["steps"])
        for place, optimizer in enumerate(self.optimizers):
            moments: dict[int, dict[str, Tensor]] = {}
            for name, value in part(f"optimizer.{place}.").items():
                index, moment = name.split(".")
                moments.setdefault(int(index), {})[moment] = value
            optimizer.load_state_dict({**optimizer.state_dict(), "state": moments})
        self.generator.set_state(checkpoint.tensors["generator"])
        self.course = Losses(**json.loads(notes["course"]))
        return True
