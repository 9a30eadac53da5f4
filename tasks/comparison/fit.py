"""Fit one model of any family: read what it may see, fit, write what was fitted."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from attrec.models.base import Config, Model
from attrec.models.training import Progress, StepProgress
from tasks.engine.artifacts import Artifact, writing
from tasks.engine.caching import cached_task, loaded_source_hash
from tasks.engine.progress import resumable_training
from tasks.engine.timings import Timing, taken_so_far, total
from tasks.engine.training_data import Phase, TrainingData


class Watch(Protocol):
    """Called after each epoch of a fit and its checkpoint; a `Stopped` that it raises ends the fit for good."""

    def __call__(self, epoch: int, validation_loss: float | None, taken: Timing) -> None: ...


_watch: ContextVar[Watch | None] = ContextVar("watch", default=None)


@contextmanager
def watched_by(watch: Watch) -> Iterator[None]:
    """Let `watch` see the fits that are submitted in this block to threads of this process."""
    token = _watch.set(watch)
    try:
        yield
    finally:
        _watch.reset(token)


@cached_task("fit", shown=["name"], task_run_name="{name} seed {seed}: fit {phase}")
def fit(
    name: str,
    model: type[Model],
    config: Config,
    seed: int,
    data: TrainingData,
    phase: Phase = "select",
    selected: Artifact | None = None,
    parts: Mapping[str, Artifact] | None = None,
) -> Artifact:
    """Fit one model, resuming from its checkpoint if it was killed and is one that can.

    Args:
        name: Shown beside the bar.
        model: Its class. The key of this task has the code that it reaches, and that of no other model.
        phase: `select` makes every choice on validation.
        selected: The model of the phase `select`, whose choices a fit in the phase `final` takes over.
        parts: What was fitted before it and it starts from, by name (see `Model.read_parts`).

    Returns:
        Folder of the saved model.
    """
    if selected is not None:
        config = model.load(selected.path).chosen_config()
    fitted: Any = model(config, seed)
    parts = parts or {}
    begun_from = model.read_parts({part: artifact.path for part, artifact in parts.items()})
    hashes = [artifact.sha256 for artifact in parts.values()]
    seen = [loaded_source_hash(type(data).__module__), data.model_dump_json(), phase]
    identity = [config.model_dump_json(), seed, *seen, hashes]
    before = total(list(parts.values())) or Timing()
    with watched(fitted, f"{phase} {name}", *identity, before=before) as (checkpoint, progress):
        fitted.fit(**data.arguments(phase), **begun_from, checkpoint=checkpoint, progress=progress)
        with writing("model") as draft:
            fitted.save(draft.folder)
    return draft.artifact


@contextmanager
def watched(
    model: Model, label: str, *identity: object, before: Timing | None = None
) -> Iterator[tuple[Path | None, Progress | None]]:
    """A checkpoint and a bar for a model that is fitted by rounds; neither for one that is fitted in one go.

    Args:
        before: What its parts took, for whoever watches the fit.
    """
    if model.rounds is None:
        yield None, None
        return
    with resumable_training(
        label,
        model.rounds,
        __name__,
        loaded_source_hash(type(model).__module__),
        type(model).__qualname__,
        *identity,
        unit=model.row_name,
        validation=model.validation_name,
        round_name=model.round_name,
    ) as (checkpoint, bar):
        watch = _watch.get()
        yield checkpoint, bar if watch is None else _Watched(bar, watch, before or Timing())


@dataclass
class _Watched:
    """A bar, and whoever watches the fit."""

    bar: StepProgress
    watch: Watch
    before: Timing

    def step(self, rows: float) -> None:
        self.bar.step(rows)

    def __call__(self, epoch: int, train_loss: float | None, validation_loss: float | None) -> None:
        self.bar(epoch, train_loss, validation_loss)
        taken = taken_so_far()
        taken.add(self.before)
        self.watch(epoch, validation_loss, taken)
