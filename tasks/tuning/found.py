"""What a study has found, as a folder that the report reads: trials.csv and study.json."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import optuna
import pandas as pd
from optuna.study import Study
from optuna.trial import FrozenTrial, TrialState
from pydantic import BaseModel

from attrec.models.tunable import described
from tasks.engine import environment
from tasks.engine.artifacts import Artifact, publish, writing
from tasks.engine.provenance import provenance
from tasks.tuning.study import CPU_SECONDS, FOUND, START, VALUES, Budget, Search, cpu_seconds, start_of, tried
from tasks.tuning.trials import REASON, SAME_AS

FEWEST_FOR_IMPORTANCE = 5


class Found(BaseModel):
    """What is told of a study; `study.json`."""

    family: str
    model: str
    dataset: str
    split: str
    metric: str
    lower_is_better: bool
    budget: str
    trials: int
    """That count to the budget: complete and pruned ones."""
    pruned: int
    tried: int
    """Different configurations, those before this study among them."""
    cpu_seconds: float
    best_trial: int
    best: float
    start: float
    """The figure of the configuration that it began from."""
    values: dict[str, Any]
    """What the best one changes of it, by the path of a field; nothing if the first is the best."""
    importance: dict[str, float]
    """How much of what tells good configurations from others is each field's (PED-ANOVA); nothing of few trials."""
    space: dict[str, Any]
    study: str
    """Its name in the database."""
    run_id: str
    """Of the study, in the run store."""
    git_commit: str
    git_dirty: bool

    @property
    def gain(self) -> float:
        """By how much the best is better than the start, whichever way the metric goes."""
        return self.start - self.best if self.lower_is_better else self.best - self.start


def found_folder(family: str, model: str) -> Path:
    """Where the report looks for it."""
    return environment.ROOT / "reports" / "tuning" / family / model


def read_found(family: str, model: str) -> Found | None:
    """What was left there; None if nothing was."""
    file = found_folder(family, model) / "study.json"
    return Found.model_validate_json(file.read_text()) if file.is_file() else None


def look_at(study: Study, search: Search, budget: Budget, run_id: str) -> Found | None:
    """What was found until now; None before the first configuration has a figure."""
    start = start_of(study)
    if start is None or start.value is None:
        return None
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
        start=start.value,
        values=best.user_attrs[VALUES],
        importance=_importance(study),
        space=described(search.space),
        study=study.study_name,
        run_id=run_id,
        git_commit=code["git.commit"],
        git_dirty=code["git.dirty"] == "true",
    )


def write_found(found: Found, study: Study) -> Artifact:
    """trials.csv (see `trial_table`) and study.json, in reports/tuning/ too."""
    with writing("tuning") as draft:
        trial_table(study).to_csv(draft.folder / "trials.csv", index=False, float_format="%.6g")
        (draft.folder / "study.json").write_text(json.dumps(found.model_dump(mode="json"), indent=2) + "\n")
    publish(draft.artifact.path, found_folder(found.family, found.model))
    return draft.artifact


def trial_table(study: Study) -> pd.DataFrame:
    """trial, state, value, cpu_seconds, epochs, start, same_as, reason, and a column a field: of all that ended."""
    return pd.DataFrame([_row(one) for one in study.get_trials(deepcopy=False, states=FOUND)])


def _row(trial: FrozenTrial) -> dict[str, Any]:
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
        **(trial.params if START in told else told[VALUES]),
    }


def _importance(study: Study) -> dict[str, float]:
    complete = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
    if len(complete) < FEWEST_FOR_IMPORTANCE:
        return {}
    return {name: round(share, 4) for name, share in optuna.importance.get_param_importances(study).items()}
