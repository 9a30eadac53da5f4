"""Flow `rating`: fit every rating model, score it once on test, track it, let the best challenge the champion."""

from __future__ import annotations

import re
import shutil
from collections.abc import Mapping, Sequence
from typing import Any, Self, get_args

from prefect import flow, tags
from pydantic import BaseModel, ConfigDict, Field, model_validator

from attrec.parameters import ModelName, Seeds
from attrec.ratings.pairs.recipes import EmbeddingName, HeadName
from attrec.ratings.surprise.baselines import Algorithm
from flows.rating_models import (
    BayesianFMSpec,
    BayesianMFSpec,
    BlendSpec,
    Fit,
    GLocalKSpec,
    ImputedSVDSpec,
    ModelSpec,
    PairNetworkSpec,
    RSAttAEXGBoostSpec,
    SingleSpec,
    SurpriseSpec,
)
from flows.stage import run_stage
from tasks import tracking
from tasks.engine import environment
from tasks.engine.artifacts import Artifact, publish
from tasks.engine.processes import process_tag
from tasks.engine.runner import RunnerConfig, gather, task_runner
from tasks.families.ratings.blending import assemble_blend, combine, fit_blend
from tasks.families.ratings.data import Prepared, adopt_prepared, load_facts
from tasks.families.ratings.figures import best_model, evaluate
from tasks.families.ratings.predictions import predict
from tasks.families.ratings.shown import write_rating_outputs
from tasks.scores import read_scores
from tasks.track_models import FittedModel, challenge_champion, track_model

REGISTERED = "attrec-rating"


class Matrix(BaseModel):
    """Every embedding with every head, each pair a model of its own under the name embedding+head."""

    model_config = ConfigDict(extra="forbid")

    embeddings: list[EmbeddingName] = []
    heads: list[HeadName] = []

    @model_validator(mode="after")
    def _both_or_neither(self) -> Self:
        if bool(self.embeddings) != bool(self.heads):
            there, missing = ("embeddings", "heads") if self.embeddings else ("heads", "embeddings")
            raise ValueError(f"{there} without {missing} make no pair: give both, or leave both out")
        return self

    def models(self) -> dict[str, PairNetworkSpec | RSAttAEXGBoostSpec]:
        """The pairs by name."""
        return {
            f"{embedding}+{head}": RSAttAEXGBoostSpec(kind="rsattae+xgboost")
            if (embedding, head) == ("rsattae", "xgboost")
            else PairNetworkSpec(embedding=embedding, head=head)
            for embedding in self.embeddings
            for head in self.heads
        }


class RatingSection(BaseModel):
    """Section `rating` of params.yaml."""

    model_config = ConfigDict(extra="forbid")

    seeds: Seeds = Field([0], description="each model is fitted once a seed; the top-level seed is added")
    matrix: Matrix = Matrix()
    models: dict[ModelName, ModelSpec] = Field({}, description="name in every table: what it is")

    @model_validator(mode="after")
    def _models_fit_together(self) -> Self:
        if not self.all_models():
            raise ValueError("there is no model: name one in rating.models, or a pair in rating.matrix")
        twice = self.matrix.models().keys() & self.models.keys()
        if twice:
            raise ValueError(f"{min(twice)} is both in rating.matrix and in rating.models")
        check_models(self.all_models())
        return self

    def all_models(self) -> dict[str, SingleSpec | BlendSpec]:
        """Those of the matrix and those that are named."""
        return {**self.matrix.models(), **self.models}


def check_models(models: Mapping[str, SingleSpec | BlendSpec]) -> None:
    """Raises: ValueError if a blend's member is no single model, or a name says that the model is another one
    (see `_check_name`)."""
    for name, spec in models.items():
        _check_name(name, spec)
        members = {
            member: models.get(member) for member in (spec.members if isinstance(spec, BlendSpec) else [])
        }
        if isinstance(spec, BlendSpec) and len(members) < len(spec.members):
            raise ValueError(f"{name} names a member twice")
        for member, single in members.items():
            if single is None or isinstance(single, BlendSpec):
                raise ValueError(f"{name} blends {member!r}, which is no single model of rating.models")
        uses_time = spec.uses_time or any(single.uses_time for single in members.values() if single)
        if uses_time != name.endswith("+time"):
            says = "uses timestamps: its name must end in +time" if uses_time else "does not use timestamps"
            raise ValueError(f"{name} {says}")


PUBLISHED_NAMES: dict[type, str] = {
    GLocalKSpec: "glocal-k",
    ImputedSVDSpec: "SVD-imputed",
    BayesianFMSpec: "bayesian-fm",
    BayesianMFSpec: "bayesian-mf",
}
"""Models that a reader knows by a name, by what a name of theirs begins with."""


def _check_name(name: str, spec: SingleSpec | BlendSpec) -> None:
    """Raises: ValueError if a name of an embedding and a head, of an algorithm of a library or of a published model is
    not its model's; which recipe it has is not looked at."""
    own = PUBLISHED_NAMES.get(type(spec), "")
    if isinstance(spec, PairNetworkSpec):
        own = f"{spec.embedding}+{spec.head}"
    elif isinstance(spec, RSAttAEXGBoostSpec):
        own = spec.kind
    elif isinstance(spec, SurpriseSpec):
        own = spec.algorithm
    pairs = {f"{embedding}+{head}" for embedding in get_args(EmbeddingName) for head in get_args(HeadName)}
    named = pairs | set(PUBLISHED_NAMES.values())
    said = {known for known in named if re.match(rf"{re.escape(known)}($|[-+])", name)}
    said |= {name} & set(get_args(Algorithm))
    if said - {own}:
        raise ValueError(
            f"{name} would be taken for {min(said)}, which this model is not: give it another name"
        )
    if isinstance(spec, PairNetworkSpec) and not said:
        raise ValueError(f"the name {name} must begin with the embedding and the head: {own}")


class RatingParams(BaseModel):
    """What the flow reads from params.yaml."""

    model_config = ConfigDict(extra="forbid")

    dataset: str
    seed: int = Field(0, ge=0)
    runner: RunnerConfig = RunnerConfig()
    rating: RatingSection


def fit_models(
    models: Mapping[str, SingleSpec | BlendSpec],
    seeds: Sequence[int],
    prepared: Prepared,
    label: str = "fit and predict",
    compare_on_validation: bool = True,
) -> list[FittedModel]:
    """Select, refit and predict all models, as cached tasks side by side; for any flow that compares models.

    Without `compare_on_validation` nothing is fitted for validation that neither chooses nor is blended, and blends
    are not assembled into models that could be registered.
    """
    singles = {name: spec for name, spec in models.items() if not isinstance(spec, BlendSpec)}
    blends = {name: spec for name, spec in models.items() if isinstance(spec, BlendSpec)}
    blended = {member for spec in blends.values() for member in spec.members}
    keys = [(name, seed) for name, spec in singles.items() for seed in _seeds_of(spec, seeds)]
    validated = [key for key in keys if compare_on_validation or key[0] in blended]
    fit = prepared.fit
    selected = {
        (name, seed): singles[name].submit(seed, fit, "select")
        for name, seed in keys
        if singles[name].chooses or (name, seed) in validated
    }
    final = {
        (name, seed): singles[name].submit(seed, fit, "final", selected.get((name, seed)))
        for name, seed in keys
    }
    validation = {key: predict.submit(selected[key].model, fit, "validation") for key in validated}
    test = {key: predict.submit(final[key].model, prepared.test_pairs, "test") for key in keys}
    fits = [future for made in (*selected.values(), *final.values()) for future in made.futures()]
    gather([*fits, *validation.values(), *test.values()], label)
    fitted = {}
    for name, spec in singles.items():
        own = [(name, seed) for seed in _seeds_of(spec, seeds)]
        first = selected.get(own[0])
        fitted[name] = FittedModel(
            name=name,
            config=spec.resolved(),
            seeds=[seed for _, seed in own],
            selected=[selected[key].model.result() for key in own if key in selected],
            models=[final[key].model.result() for key in own],
            validation=[validation[key].result() for key in own if key in validation],
            test=[test[key].result() for key in own],
            autoencoders={job: f.result() for job, f in first.autoencoders.items()} if first else {},
            heads=[head.result() for head in final[own[0]].heads],
            fits=[_results([selected.get(key) if spec.chooses else None, final[key]]) for key in own],
        )
    for name, blend in blends.items():
        members = {member: fitted[member] for member in blend.members}
        fitted[name] = blend_models(name, blend, members, prepared.fit, compare_on_validation)
    return [fitted[name] for name in models]


def blend_models(
    name: str, spec: BlendSpec, members: Mapping[str, FittedModel], fit: Artifact, assemble_model: bool
) -> FittedModel:
    """Blend fitted models seed by seed; a member that no seed changes goes into every blend."""
    seeds = max((member.seeds for member in members.values()), key=len)
    validation, test, models, fits = [], [], [], []
    for position in range(len(seeds)):

        def of_seed(artifacts: Sequence[Artifact], position: int = position) -> Artifact:
            return artifacts[min(position, len(artifacts) - 1)]

        blend = fit_blend(
            spec.config(), fit, {name: of_seed(member.validation) for name, member in members.items()}
        )
        validation.append(blend)
        test.append(combine(blend, {name: of_seed(member.test) for name, member in members.items()}))
        parts = [
            artifact
            for member in members.values()
            for artifact in (*member.fits[min(position, len(member.fits) - 1)], of_seed(member.selected))
        ]
        fits.append([*dict.fromkeys(parts), blend])
        if assemble_model:
            models.append(
                assemble_blend(blend, {name: of_seed(member.models) for name, member in members.items()})
            )
    return FittedModel(
        name=name,
        config=spec.resolved(),
        seeds=seeds,
        models=models,
        validation=validation,
        test=test,
        fits=fits,
        members=list(members),
    )


def select_models(models: Mapping[str, SingleSpec], seeds: Sequence[int], prepared: Prepared) -> Artifact:
    """Evaluation of each model on validation (see `evaluate`); nothing is fitted for the test part."""
    keys = [(name, seed) for name in models for seed in seeds]
    selected = {(name, seed): models[name].submit(seed, prepared.fit, "select") for name, seed in keys}
    predictions = {key: predict.submit(selected[key].model, prepared.fit, "validation") for key in keys}
    fits = [future for fit in selected.values() for future in fit.futures()]
    gather([*fits, *predictions.values()], "select on validation")
    by_model = {name: [predictions[name, seed].result() for seed in seeds] for name in models}
    return evaluate(prepared, "validation", by_model, None)


def score(prepared: Prepared, fitted: Sequence[FittedModel]) -> dict[str, Artifact]:
    """Evaluate on validation, which names the best model, then on test."""
    on_validation = evaluate(prepared, "validation", {model.name: model.validation for model in fitted}, None)
    best = best_model(read_scores(on_validation))
    on_test = evaluate(prepared, "test", {model.name: model.test for model in fitted}, best)
    return {"validation": on_validation, "test": on_test}


@flow(name="rating", flow_run_name="rating")
def rating(params: RatingParams) -> None:
    """Compare the rating models of params.yaml on the prepared data."""
    prepared = adopt_prepared(environment.ROOT / "data" / "processed")
    seeds = [params.seed + seed for seed in params.rating.seeds]
    facts = load_facts(prepared.fit)
    if facts["feedback"] == "actions":
        print(
            f"Nobody rates in {facts['dataset']}: no rating model is fitted; "
            "the stages sequence and playlist have its models."
        )
        leave_no_ratings(facts)
        return
    outs = tracking.stage_outs("prepare")
    run_tags = {
        "dvc.stage": "rating",
        "dataset": facts["dataset"],
        "split": facts["split"]["name"],
        "split.hash": facts["split"]["hash"],
        **{f"dvc.{path}": md5 for path, md5 in outs.items()},
    }
    with tracking.tracked_run(
        f"rating {facts['dataset']}", params.model_dump(mode="json"), run_tags
    ) as parent:
        tracking.log_dataset(
            parent, facts["dataset"], outs.get("data/processed", prepared.fit.sha256), "data/processed",
            facts["split"]["train_ratings"] + facts["split"]["validation_ratings"], "training",
        )  # fmt: skip
        fitted = fit_models(params.rating.all_models(), seeds, prepared)
        evaluations = score(prepared, fitted)
        scores = {part: read_scores(evaluation) for part, evaluation in evaluations.items()}
        runs = {
            model.name: track_model(model, parent, prepared.fit, scores, {**run_tags, "model": model.name})
            for model in fitted
        }
        best = next(model for model in fitted if model.name == best_model(scores["validation"]))
        decision = challenge_champion(REGISTERED, best, *runs[best.name], prepared.fit, facts, params.seed)
        tracking.set_tags(parent, {"champion": decision})
        print(decision)
        output = write_rating_outputs(facts, fitted, evaluations, best.name)
        publish(output.path, environment.ROOT / "reports" / "rating")
        publish(best.models[0].path, environment.ROOT / "models" / "rating")
        tracking.log_files(parent, output.path, "rating")
        run_ids = {name: run_id for name, (run_id, _) in runs.items()}
        tracking.write_runs("rating", run_ids | {"rating": parent}, decision)


def leave_no_ratings(facts: Mapping[str, Any]) -> None:
    """The outs of data that nobody rates in: a summary, and no figures."""
    output = write_rating_outputs(facts, [], {}, None)
    publish(output.path, environment.ROOT / "reports" / "rating")
    shutil.rmtree(environment.ROOT / "models" / "rating", ignore_errors=True)
    (environment.ROOT / "models" / "rating").mkdir(parents=True)
    tracking.write_runs("rating", {}, "Nobody rates in these data.")


def _results(fits: Sequence[Fit | None]) -> list[Artifact]:
    """What the tasks of these fits left, each artefact once."""
    futures = [future for fit in fits if fit is not None for future in fit.futures()]
    return list(dict.fromkeys(future.result() for future in futures))


def _seeds_of(spec: SingleSpec, seeds: Sequence[int]) -> Sequence[int]:
    return seeds if spec.seeded else seeds[:1]


def run(params: RatingParams) -> None:
    """Run the flow with the task runner of the params, under the tag of this process."""
    with tags(process_tag()):
        rating.with_options(task_runner=task_runner(params.runner))(params)


if __name__ == "__main__":
    run_stage(RatingParams, run)
