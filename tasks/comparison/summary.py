"""The folder that a comparison leaves, for every family alike: small tables for DVC's metrics and for the report."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from attrec.shown import as_cells
from tasks.comparison.examples import example_table
from tasks.comparison.family import Family, Fitted
from tasks.comparison.score import read_scores
from tasks.engine.artifacts import Artifact, writing
from tasks.engine.caching import cached_task
from tasks.engine.training_data import TrainingData

RANKED = ["model", "value", "ci_low", "ci_high"]


@cached_task("summary")
def write_summary(
    family: Family[Any, Any],
    facts: dict[str, Any],
    training: TrainingData,
    fitted: list[Fitted],
    evaluations: dict[str, Artifact],
    champion: str,
) -> Artifact:
    """Gather the small tables that a comparison leaves for DVC's metrics and plots and for the report.

    Args:
        champion: On validation.

    Returns:
        Folder with `best.json` (see `headline`), `metrics.json` of all models and parts, a folder with the other tables
        of each part's evaluation, `models.csv` (see `ranked`), `loss_curves.csv`, `examples.csv` (see `example_table`),
        `summary.json` (what is told of the data, the champion, seeds and what each model is), and what the family shows
        (see its `write_shown`).
    """
    with writing("summary") as draft:
        metrics = {}
        for part, evaluation in evaluations.items():
            ignored = shutil.ignore_patterns("metrics.json")
            shutil.copytree(evaluation.path, draft.folder / part, ignore=ignored)
            metrics[part] = json.loads((evaluation.path / "metrics.json").read_text())
        _write_json(draft.folder / "metrics.json", metrics)
        scores = {part: read_scores(evaluation) for part, evaluation in evaluations.items()}
        _write_json(draft.folder / "best.json", headline(family, scores, champion))
        ranked(family, scores["test"]).to_csv(draft.folder / "models.csv", index=False, float_format="%.6f")
        curves = loss_curves(family.curves(fitted))
        curves.to_csv(draft.folder / "loss_curves.csv", index=False, float_format="%.6f")
        summary = {
            **family.described(facts),
            "champion_on_validation": champion,
            "seeds": {model.name: model.seeds for model in fitted},
            "tried": {model.name: model.tried for model in fitted},
            "descriptions": {model.name: model.sentence for model in fitted},
        }
        _write_json(draft.folder / "summary.json", summary)
        best = next(model for model in fitted if model.name == champion)
        shown = example_table(champion, family.examples(training, best), family.items(training))
        as_cells(shown).to_csv(draft.folder / "examples.csv", index=False, float_format="%.2f")
        family.write_shown(draft.folder, training, fitted, champion)
    return draft.artifact


@cached_task("nothing-to-compare")
def write_nothing(facts: dict[str, Any]) -> Artifact:
    """What data that have nothing for a family leave: a summary of what is told of them, and no figures.

    The curves and the models are there, without a row: DVC draws them.
    """
    with writing("summary") as draft:
        for name in ("metrics.json", "best.json"):
            _write_json(draft.folder / name, {})
        pd.DataFrame(columns=RANKED).to_csv(draft.folder / "models.csv", index=False)
        loss_curves([]).to_csv(draft.folder / "loss_curves.csv", index=False)
        _write_json(draft.folder / "summary.json", {**facts, "champion_on_validation": None, "seeds": {}})
    return draft.artifact


def headline(
    family: Family[Any, Any], scores: Mapping[str, pd.DataFrame], champion: str
) -> dict[str, dict[str, float]]:
    """What DVC's tables show of a stage: of the model that validation chose, the metric it was chosen by.

    On the test part it stands under the metric's name, on validation under `val`.
    The names are short, and no other family's: DVC puts the path of the file before names that several files have.
    """
    metric = family.contest.metric.lower()
    figures = {
        part: table.set_index(["model", "metric"])["value"][champion, metric]
        for part, table in scores.items()
    }
    named = {metric.partition("@")[0]: figures["test"], "val": figures["validation"]}
    return {family.name: {name: round(float(value), 6) for name, value in named.items()}}


def ranked(family: Family[Any, Any], scores: pd.DataFrame) -> pd.DataFrame:
    """model, value, ci_low, ci_high: all models by the metric that the family chooses by, the best first."""
    contest = family.contest
    own = scores[scores["metric"] == contest.metric.lower()]
    return own.sort_values(["value", "model"], ascending=[contest.lower_is_better, True])[RANKED]


def loss_curves(histories: Iterable[tuple[str, pd.DataFrame]]) -> pd.DataFrame:
    """model, epoch, train, validation: of losses by epoch under the names given."""
    curves = [pd.DataFrame(columns=["model", "epoch", "train", "validation"])]
    for label, history in histories:
        renamed = history.rename(columns={"train_loss": "train", "validation_loss": "validation"})
        curves.append(renamed.assign(model=label)[["model", "epoch", "train", "validation"]])
    return pd.concat(curves[1:] or curves, ignore_index=True)


def _write_json(file: Path, content: Mapping[str, Any]) -> None:
    file.write_text(json.dumps(content, indent=2) + "\n")
