"""The one body of the stages that compare models: fit, answer, score once on test, keep, track, challenge."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import pandas as pd
from tqdm import tqdm

from attrec.models.base import Model
from attrec.models.specs import Spec
from flows.comparison_params import ComparisonParams
from flows.fitting import fit_models
from tasks.comparison.card import keep_model, size_of
from tasks.comparison.champion import Challenger, challenge
from tasks.comparison.family import Family, Fitted, P
from tasks.comparison.left import Left, figures_folder, kept_models
from tasks.comparison.prefect_artifacts import show_comparison
from tasks.comparison.registry import ensure_registered
from tasks.comparison.runs import comparison_run, log_comparison
from tasks.comparison.score import read_scores
from tasks.comparison.summary import write_nothing, write_summary
from tasks.comparison.track import track
from tasks.engine import environment, run_store, tracking
from tasks.engine.artifacts import Artifact, publish, publish_all
from tasks.engine.logs import tell
from tasks.engine.params import PARAMS_FILE
from tasks.engine.provenance import origin, stage_outs
from tasks.engine.timings import mean


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
    facts, outs = family.facts(data), stage_outs("prepare")
    dataset = tracking.DatasetVersion(
        name=facts["dataset"],
        digest=outs.get(family.source, data.training.folder.sha256),
        source=family.source,
        rows=family.training_rows(facts),
    )
    tags = {
        **origin(),
        "dvc.stage": family.name,
        "dataset": facts["dataset"],
        "split": facts["split"]["name"],
        "split.hash": facts["split"]["hash"],
        **{f"dvc.{path}": md5 for path, md5 in outs.items()},
    }
    params_file = (environment.ROOT / PARAMS_FILE).read_text()
    with comparison_run(family.name, dataset, tags, params_file) as parent:
        ensure_registered(family.name)
        fitted = fit_models(family, models, [params.seed + seed for seed in seeds], data)
        evaluations = score(family, data, fitted)
        best = family.best(read_scores(evaluations["validation"]))
        summary = write_summary(family, facts, data.training, fitted, evaluations, best)
        kept = {
            one.name: keep_model(
                one.name, family, one, data.training, facts, dataset, evaluations, challenges=one.name == best
            )
            for one in tqdm(fitted, desc="keep", unit="model", leave=False)
        }
        publish(summary.path, figures_folder(family.name))
        publish_all({name: artifact.path for name, artifact in kept.items()}, kept_models(family.name))
        timings = {one.name: mean(one.fits) for one in fitted}
        runs = {
            name: track(name, family, artifact.path, parent, tags, timings[name])
            for name, artifact in tqdm(kept.items(), desc="track", unit="model", leave=False)
        }
        challenger = Challenger(kept[best].path, runs[best], family.contest)
        decision = challenge(challenger, params.seed, partial(ask_again, family, data))
        tell(decision)
        show_comparison(family.name, dataset.name, decision)
        log_comparison(parent, family.name, dataset.name, decision)
        run_ids = {name: run.run_id for name, run in runs.items()}
        left = Left(
            runs=run_ids | {family.name: parent},
            champion=decision,
            sizes={name: size_of(artifact.path) for name, artifact in kept.items()},
            timings=timings,
            tags=tags,
            params=params_file,
            address=run_store.experiment_page(),
        )
        left.write(family.name)


def score(family: Family[P, Any], data: P, fitted: Sequence[Fitted]) -> dict[str, Artifact]:
    """Evaluate on validation, which names the best model, then on test."""
    on_validation = family.evaluate(data, "validation", {model.name: model.validation for model in fitted})
    best = family.best(read_scores(on_validation))
    on_test = family.evaluate(data, "test", {model.name: model.test for model in fitted}, best)
    return {"validation": on_validation, "test": on_test}


def ask_again(family: Family[P, Any], data: P, model: Artifact) -> pd.DataFrame:
    """Let a saved model, which may have been fitted on other data, answer what validation asks of these."""
    answered = family.answer(("champion", 0), model, Model.class_of(model.path), data, "validation").result()
    said = Fitted(name="champion", config={}, seeds=[0], validation=[answered])
    return family.on_validation(said, data.training)


def leave_nothing(family: Family[P, Any], facts: Mapping[str, Any], reason: str) -> None:
    """The outs of data that have nothing for a family: what is told of them, and no figures."""
    summary = write_nothing(dict(facts))
    publish(summary.path, figures_folder(family.name))
    models = kept_models(family.name)
    shutil.rmtree(models, ignore_errors=True)
    models.mkdir(parents=True)
    Left(champion=reason).write(family.name)
