"""The trials of a study, one after the other: fit, ask on validation, tell; each a run of MLflow below the study's."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import optuna
from mlflow.utils.mlflow_tags import MLFLOW_RUN_NOTE
from optuna.study import Study
from optuna.trial import FrozenTrial, Trial, TrialState
from tqdm import tqdm

from attrec.errors import TrainingDiverged
from attrec.models.specs import Spec
from attrec.shown import as_markdown
from tasks.engine import tracking
from tasks.engine.progress import Stopped
from tasks.engine.timings import Timing
from tasks.tuning.study import (
    CPU_SECONDS,
    FOUND,
    IS,
    START,
    VALUES,
    WORKER,
    Budget,
    Search,
    cpu_seconds,
    digest,
    is_superfluous,
    take_up,
    this_worker,
)

REASON, SAME_AS = "reason", "same_as"
MOST_REPEATED = 20
"""So many suggestions in a row that were tried already end a study: its space is used up."""


@dataclass(frozen=True)
class Outcome:
    """What a configuration is worth on validation, and what its fits took."""

    value: float
    cpu_seconds: float


class Superfluous(Exception):
    """A trial that is not wanted after all."""


@dataclass
class PruningWatch:
    """Ends a fit whose validation figures are below the median of the other trials' at the same epoch."""

    trial: Trial
    sign: int
    """1 where losses are what the study minimises, −1 where it maximises."""
    losses: dict[int, float] = field(default_factory=dict)
    taken: Timing = field(default_factory=Timing)
    epoch: int = 0
    pruned: bool = False

    def __call__(self, epoch: int, validation_loss: float | None, taken: Timing) -> None:
        self.epoch, self.taken = epoch, taken
        if validation_loss is None:
            return
        self.losses[epoch] = validation_loss
        self.trial.report(self.sign * validation_loss, epoch)
        # All others are held against the start: it runs to its end.
        if START not in self.trial.user_attrs and self.trial.should_prune():
            self.pruned = True
            raise Stopped(f"Pruned after epoch {epoch}: most trials were better by then.")


Try = Callable[[Spec, str, PruningWatch], Outcome]
"""Fits a configuration, watched, under a label; asks it on validation alone."""


def run_trials(
    study: Study, search: Search, budget: Budget, parent: str, tags: Mapping[str, str], attempt: Try
) -> None:
    """Try configurations until the budget is spent, by all workers together, or nothing new is suggested.

    Args:
        parent: Run id of the study.
        tags: Of every trial's run.
    """

    repeated = 0

    def objective(trial: Trial) -> float:
        nonlocal repeated
        trial.set_user_attr(WORKER, this_worker())
        if is_superfluous(study, trial, budget):
            raise Superfluous
        values = search.suggest(trial)
        trial.set_user_attr(VALUES, values)
        earlier = _same(study, trial)
        repeated = 0 if earlier is None else repeated + 1
        if earlier is not None:
            trial.set_user_attr(SAME_AS, earlier.number)
            return _told(earlier)
        value = _tried(trial, search, parent, tags, attempt)
        if value is None:
            raise optuna.TrialPruned
        return value

    with tqdm(desc=search.model, unit="trial", total=budget.most_trials, leave=True) as bar:
        while repeated < MOST_REPEATED and (take_up(study) or not budget.is_spent(study)):
            study.optimize(objective, n_trials=1, catch=(Superfluous,))
            bar.set_postfix_str(_standing(study, search, budget), refresh=False)
            bar.update(len(study.get_trials(deepcopy=False, states=FOUND)) - bar.n)


def _tried(trial: Trial, search: Search, parent: str, tags: Mapping[str, str], attempt: Try) -> float | None:
    """The figure of a configuration; None if it was pruned, diverged or cannot be."""
    values = trial.user_attrs[VALUES]
    label = f"{search.model} trial {trial.number}"
    try:
        spec = search.start.with_values(values)
    except ValueError as refused:
        trial.set_user_attr(REASON, str(refused))
        return None
    trial.set_user_attr(IS, digest(spec))
    watch = PruningWatch(trial, 1 if search.lower_is_better else -1)
    own = {**tags, "trial": str(trial.number), **({START: "true"} if START in trial.user_attrs else {})}
    with tracking.tracked_run(label, {"seed": search.seed, **spec.resolved()}, own, parent) as run_id:
        outcome, reason = None, ""
        try:
            outcome = attempt(spec, label, watch)
        except Exception as fault:
            if not (watch.pruned or isinstance(fault, TrainingDiverged)):
                raise
            reason = f"pruned after epoch {watch.epoch}" if watch.pruned else str(fault)
        taken = watch.taken.cpu_seconds if outcome is None else outcome.cpu_seconds
        trial.set_user_attr(CPU_SECONDS, round(taken, 3))
        if watch.epoch:
            trial.set_user_attr("epochs", watch.epoch)
        if watch.losses:
            tracking.log_curves(run_id, {"loss/validation": watch.losses})
        figures = {"fit/cpu_seconds": taken}
        if outcome is not None:
            figures[f"validation/{search.metric}"] = outcome.value
        tracking.log_metrics(run_id, figures)
        state = "complete" if outcome is not None else "pruned"
        tracking.set_tags(
            run_id, {"trial.state": state, **({MLFLOW_RUN_NOTE: as_markdown(reason)} if reason else {})}
        )
        if reason:
            trial.set_user_attr(REASON, reason)
    return None if outcome is None else outcome.value


def _same(study: Study, trial: Trial) -> FrozenTrial | None:
    """An earlier trial of the same configuration."""
    values = trial.user_attrs[VALUES]
    found = study.get_trials(deepcopy=False, states=FOUND)
    return next(
        (one for one in found if one.user_attrs[VALUES] == values and SAME_AS not in one.user_attrs), None
    )


def _told(earlier: FrozenTrial) -> float:
    if earlier.state is TrialState.PRUNED or earlier.value is None:
        raise optuna.TrialPruned
    return earlier.value


def _standing(study: Study, search: Search, budget: Budget) -> str:
    complete = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
    values = [one.value for one in complete if one.value is not None]
    best = (min if search.lower_is_better else max)(values, default=None)
    said = "" if best is None else f"best {search.metric} {best:.4f}, "
    return f"{said}{cpu_seconds(study) / 60:.1f} CPU-minutes of {budget}"
