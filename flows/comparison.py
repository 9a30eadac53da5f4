"""The one body of the stages that compare models: fit, answer, score once on test, track, challenge, publish."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from typing import Any

from attrec.models.specs import Spec
from flows.fitting import fit_models
from flows.stage import ComparisonParams
from tasks.comparison.family import Family, Fitted, P
from tasks.comparison.score import read_scores
from tasks.comparison.summary import write_nothing, write_summary
from tasks.comparison.track import challenge_champion, track
from tasks.engine import environment, tracking
from tasks.engine.artifacts import Artifact, publish


def compare(
    family: Family[P, Any],
    models: Mapping[str, Spec],
    seeds: Sequence[int],
    data: P,
    params: ComparisonParams,
) -> None:
    """Compare the models of a family on its data, into reports/, models/ and MLflow.

    Args:
        seeds: Each model is fitted with each, the seed of the params added.
        params: What the flow read.
    """
    facts, outs = family.facts(data), tracking.stage_outs("prepare")
    run_tags = {
        "dvc.stage": family.name,
        "dataset": facts["dataset"],
        "split": facts["split"]["name"],
        "split.hash": facts["split"]["hash"],
        **{f"dvc.{path}": md5 for path, md5 in outs.items()},
    }
    with tracking.tracked_run(
        f"{family.name} {facts['dataset']}", params.model_dump(mode="json"), run_tags
    ) as parent:
        digest = outs.get(family.source, data.training.folder.sha256)
        rows = family.training_rows(facts)
        tracking.log_dataset(parent, facts["dataset"], digest, family.source, rows, "training")
        fitted = fit_models(family, models, [params.seed + seed for seed in seeds], data)
        evaluations = score(family, data, fitted)
        scores = {part: read_scores(evaluation) for part, evaluation in evaluations.items()}
        runs = {
            model.name: track(family, model, data.training, parent, scores, {**run_tags, "model": model.name})
            for model in fitted
        }
        best = next(model for model in fitted if model.name == family.best(scores["validation"]))
        decision = challenge_champion(family, best, *runs[best.name], data.training, facts, params.seed)
        tracking.set_tags(parent, {"champion": decision})
        print(decision)
        summary = write_summary(family, facts, data.training, fitted, evaluations, best.name)
        publish(summary.path, environment.ROOT / "reports" / family.name)
        publish(best.models[0].path, environment.ROOT / "models" / family.name)
        tracking.log_files(parent, summary.path, family.name)
        run_ids = {name: run_id for name, (run_id, _) in runs.items()}
        tracking.write_runs(family.name, run_ids | {family.name: parent}, decision)


def score(family: Family[P, Any], data: P, fitted: Sequence[Fitted]) -> dict[str, Artifact]:
    """Evaluate on validation, which names the best model, then on test."""
    on_validation = family.evaluate(data, "validation", {model.name: model.validation for model in fitted})
    best = family.best(read_scores(on_validation))
    on_test = family.evaluate(data, "test", {model.name: model.test for model in fitted}, best)
    return {"validation": on_validation, "test": on_test}


def leave_nothing(family: Family[P, Any], facts: Mapping[str, Any], reason: str) -> None:
    """The outs of data that have nothing for a family: what is told of them, and no figures."""
    summary = write_nothing(dict(facts))
    publish(summary.path, environment.ROOT / "reports" / family.name)
    models = environment.ROOT / "models" / family.name
    shutil.rmtree(models, ignore_errors=True)
    models.mkdir(parents=True)
    tracking.write_runs(family.name, {}, reason)
