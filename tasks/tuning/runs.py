"""The MLflow runs of a study: one that all its workers share, and below it one a trial."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from optuna.study import Study

from attrec.reporting.plots import tuning as plots
from attrec.reporting.tuned import Found, read_trials
from tasks.engine import run_store, tracking
from tasks.engine.artifacts import Artifact
from tasks.tuning.study import Budget, Search

RUN = "run"


@contextmanager
def study_run(study: Study, search: Search, budget: Budget) -> Iterator[tuple[str, dict[str, str]]]:
    """The run of a study: the one that it has had before, if the store has it still.

    Yields:
        The run id, and the tags of its trials.
    """
    tags = {"dataset": search.dataset, "split": search.split, "dvc.stage": "none", "study": study.study_name}
    name = f"tune {search.family} {search.model}"
    params = {"model": search.model, "seed": search.seed, "budget": str(budget)}
    about = f"A search around {search.model} on {search.dataset}, on validation alone: {budget}."
    before = study.user_attrs.get(RUN)
    with run_store.one_sentence_faults():
        known = before if before and run_store.is_active(run_store.find_run(before)) else None
    with tracking.tracked_run(name, params, tags, description=about, resumed=known) as run_id:
        study.set_user_attr(RUN, run_id)
        yield run_id, {**tags, "model": search.model}


def log_found(run_id: str, folder: Artifact, found: Found) -> None:
    """What a study has found, in its run, with its course and what counted as pictures."""
    tracking.log_files(run_id, folder.path, "tuning")
    drawn = {
        "course.png": plots.course(read_trials(folder.path), found.metric, found.lower_is_better, found.start)
    }
    if found.importance:
        drawn["importance.png"] = plots.importance(found.importance)
    with tempfile.TemporaryDirectory() as scratch:
        for file, figure in drawn.items():
            figure.savefig(Path(scratch) / file, dpi=120, bbox_inches="tight")
        tracking.log_files(run_id, Path(scratch), "tuning")
    known = {"best": found.best, "start": found.start, "gain": found.gain}
    figures = {name: value for name, value in known.items() if value is not None}
    counts = {"trials": found.trials, "pruned": found.pruned, "tried": found.tried}
    tracking.log_metrics(
        run_id,
        {
            **{f"{name}/validation/{found.metric}": value for name, value in figures.items()},
            **{f"study/{name}": float(value) for name, value in counts.items()},
            "study/cpu_seconds": found.cpu_seconds,
        },
    )
