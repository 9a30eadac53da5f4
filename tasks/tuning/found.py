"""What a study has found, as a folder that the report reads: trials.csv and study.json."""

from __future__ import annotations

import json
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import optuna
import pandas as pd
from optuna.study import Study
from optuna.trial import FrozenTrial, TrialState

from attrec.models.tunable import described, value_at
from attrec.reporting.tuned import STUDY, TRIALS, Found
from tasks.engine import environment
from tasks.engine.artifacts import Artifact, publish, writing
from tasks.engine.provenance import provenance
from tasks.tuning.study import CPU_SECONDS, FOUND, START, VALUES, Budget, Search, cpu_seconds, start_of, tried
from tasks.tuning.trials import REASON, SAME_AS

FEWEST_FOR_IMPORTANCE = 5


def found_folder(family: str, model: str) -> Path:
    """Where the report looks for it."""
    return environment.ROOT / "reports" / "tuning" / family / model


def look_at(study: Study, search: Search, budget: Budget, run_id: str) -> Found | None:
    """What was found until now; None before the first configuration has a figure."""
    if not study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,)):
        return None
    start = start_of(study)
    best, ended = study.best_trial, study.get_trials(deepcopy=False, states=FOUND)
    code = provenance()
    return Found(
        family=search.family,
        model=search.model,
        dataset=search.dataset,
        split=search.split,
        metric=search.metric,
        lower_is_better=search.lower_is_better,
        budget=str(budget),
        trials=len(ended),
        pruned=sum(one.state is TrialState.PRUNED for one in ended),
        tried=tried(search, study),
        cpu_seconds=round(cpu_seconds(study), 1),
        best_trial=best.number,
        best=study.best_value,
        start=None if start is None else start.value,
        values=best.user_attrs[VALUES],
        importance=_importance(study),
        space=described(search.space),
        study=study.study_name,
        run_id=run_id,
        git_commit=code["git.commit"],
        git_dirty=code["git.dirty"] == "true",
    )


def write_found(found: Found, study: Study, search: Search) -> Artifact:
    """trials.csv (see `trial_table`) and study.json, in reports/tuning/ too."""
    with writing("tuning") as draft:
        trial_table(study, search).to_csv(draft.folder / TRIALS, index=False, float_format="%.6g")
        (draft.folder / STUDY).write_text(json.dumps(found.model_dump(mode="json"), indent=2) + "\n")
    publish(draft.artifact.path, found_folder(found.family, found.model))
    return draft.artifact


def trial_table(study: Study, search: Search) -> pd.DataFrame:
    """As `attrec.reporting.tuned.read_trials` reads it."""
    config = search.start.config()
    start = {path: value_at(config, path) for path in search.space}
    return pd.DataFrame([_row(one, start) for one in study.get_trials(deepcopy=False, states=FOUND)])


def _row(trial: FrozenTrial, start: Mapping[str, Any]) -> dict[str, Any]:
    told = trial.user_attrs
    complete = trial.state is TrialState.COMPLETE
    return {
        "trial": trial.number,
        "state": "complete" if complete else "pruned",
        "value": trial.value if complete else None,
        "cpu_seconds": told.get(CPU_SECONDS, 0.0),
        "epochs": told.get("epochs"),
        "start": START in told,
        "same_as": told.get(SAME_AS),
        "reason": told.get(REASON, ""),
        **(start if START in told else told[VALUES]),
    }


def _importance(study: Study) -> dict[str, float]:
    complete = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
    if len(complete) < FEWEST_FOR_IMPORTANCE:
        return {}
    with warnings.catch_warnings():
        # That it may be inaccurate where a choice was tried once.
        warnings.simplefilter("ignore", UserWarning)
        shares = optuna.importance.get_param_importances(study)
    return {name: round(share, 4) for name, share in shares.items()}
