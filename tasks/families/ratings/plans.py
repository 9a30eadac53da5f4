"""Rating models that are fitted in several steps, and blends of models that are fitted."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from prefect.futures import PrefectFuture

from attrec.models.base import Model
from attrec.models.specs import Spec
from attrec.ratings.pairs.model import NeuralCF
from attrec.ratings.pairs.recipes import pretraining_recipe
from attrec.ratings.pairs.xgboost import EmbeddedXGBoost, pretraining_jobs
from attrec.ratings.rsattae.cross_fitting import AutoencoderJob, autoencoder_jobs, machine_jobs
from attrec.ratings.rsattae.model import RSAttAEXGBoost
from tasks.comparison.family import Fitted
from tasks.comparison.fit import fit
from tasks.comparison.plan import Plan, Submitted
from tasks.data.prepared import RatingTraining
from tasks.engine.artifacts import Artifact
from tasks.engine.caching import loaded_source_hash, of_model
from tasks.engine.training_data import Phase
from tasks.families.ratings.blending import assemble_blend, combine, fit_blend, of_seed
from tasks.families.ratings.boost import assemble, choose, epochs, fit_one_head
from tasks.families.ratings.embedded_xgboost import (
    assemble_embedded,
    choose_embedded,
    chosen_networks,
    fit_embedded_trees,
    fit_fold_network,
    networks_part,
)
from tasks.families.ratings.pretrain import pretrain, pretraining_part
from tasks.families.ratings.sample_machine import machine_part, sample_machine


def rsattae_xgboost(
    name: str,
    spec: Spec,
    seed: int,
    data: RatingTraining,
    phase: Phase = "select",
    selected: Submitted | None = None,
) -> Submitted:
    """Autoencoders and machines for each fold, then the trees, then the whole."""
    config = spec.config()
    # What the final tasks do is known only when selection has chosen; how many there are is known now.
    fitted_as: Any = config
    pretrained_as: Any = pretraining_part(config)
    if selected is not None:
        fitted_as = of_model(choose, name, seed).submit(config, selected.autoencoders, selected.heads)
        pretrained_as = of_model(epochs, name, seed).submit(fitted_as)
    jobs = autoencoder_jobs(config, seed)
    autoencoders = {
        job.name: of_model(pretrain, name, seed).submit(job, pretrained_as, seed, data, phase) for job in jobs
    }
    machines = {
        job.name: of_model(sample_machine, name, seed).submit(job, machine_part(config), seed, data, phase)
        for job in machine_jobs(config, seed)
    }
    heads = [
        of_model(fit_one_head, name, seed).submit(
            number, fitted_as, seed, data, phase, autoencoders, machines
        )
        for number in range(config.head_seeds)
    ]
    model = of_model(assemble, name, seed).submit(fitted_as, seed, data, phase, autoencoders, machines, heads)
    return Submitted(model, autoencoders, drawn(jobs), heads, machines=machines)


def pair_network(
    name: str,
    spec: Any,
    seed: int,
    data: RatingTraining,
    phase: Phase = "select",
    selected: Submitted | None = None,
) -> Submitted:
    """Autoencoders where the embedding starts from theirs, then the network."""
    config = spec.config()
    by_job = pretrained(name, spec.embedding, config.dimension, 1, seed, data, phase, selected)
    autoencoders = {job.name: future for job, future in by_job.items()}
    chosen = None if selected is None else selected.model
    model = fit.submit(name, NeuralCF, config, seed, data, phase, chosen, autoencoders)
    return Submitted(model, autoencoders, drawn(by_job))


def embedded_xgboost(
    name: str,
    spec: Any,
    seed: int,
    data: RatingTraining,
    phase: Phase = "select",
    selected: Submitted | None = None,
) -> Submitted:
    """A network for each fold, then trees over all of them, then the whole."""
    config = spec.config()
    fitted_as: Any = config
    networks_as: Any = networks_part(config)
    if selected is not None:
        fitted_as = of_model(choose_embedded, name, seed).submit(config, selected.networks, selected.heads[0])
        networks_as = of_model(chosen_networks, name, seed).submit(fitted_as)
    by_job = pretrained(
        name, spec.embedding, config.network.dimension, config.folds, seed, data, phase, selected
    )
    networks = [
        of_model(fit_fold_network, name, seed).submit(
            fold,
            networks_as,
            seed,
            data,
            phase,
            [future for job, future in by_job.items() if job.fold == fold],
        )
        for fold in range(config.folds)
    ]
    trees = of_model(fit_embedded_trees, name, seed).submit(fitted_as, seed, data, phase, networks)
    model = of_model(assemble_embedded, name, seed).submit(fitted_as, seed, data, phase, networks, trees)
    autoencoders = {job.name: future for job, future in by_job.items()}
    return Submitted(model, autoencoders, drawn(by_job), [trees], networks)


def pretrained(
    name: str,
    embedding: Any,
    dimension: int,
    folds: int,
    seed: int,
    data: RatingTraining,
    phase: Phase,
    selected: Submitted | None,
) -> dict[AutoencoderJob, PrefectFuture[Artifact]]:
    """Autoencoders that an embedding starts from; none where it starts from noise."""
    pretraining = pretraining_recipe(embedding, dimension, folds)
    if pretraining is None:
        return {}
    pretrained_as: Any = pretraining_part(pretraining)
    if selected is not None:
        pretrained_as = of_model(epochs, name, seed).submit(
            of_model(choose, name, seed).submit(pretraining, selected.autoencoders, [])
        )
    return {
        job: of_model(pretrain, name, seed).submit(job, pretrained_as, seed, data, phase)
        for job in pretraining_jobs(pretraining, seed)
    }


def drawn(jobs: Iterable[AutoencoderJob]) -> dict[str, str]:
    """The autoencoders whose losses are drawn, by name: the first of each side and configuration."""
    return {job.name: job.label for job in jobs if job.partition == job.fold == 0}


PLANS: Mapping[type[Model], Plan] = {
    RSAttAEXGBoost: rsattae_xgboost,
    NeuralCF: pair_network,
    EmbeddedXGBoost: embedded_xgboost,
}
"""Of the models that are fitted in several steps."""


def blend(
    name: str, spec: Spec, members: Mapping[str, Fitted], training: RatingTraining, assemble: bool
) -> Fitted:
    """Blend fitted models seed by seed; a member that no seed changes goes into every blend."""
    seeds = max((member.seeds for member in members.values()), key=len)
    validation, test, models, fits = [], [], [], []
    for position in range(len(seeds)):
        said = {name: of_seed(member.validation, position) for name, member in members.items()}
        asked = {name: of_seed(member.test, position) for name, member in members.items()}
        blended = of_model(fit_blend, name, seeds[position])(spec.config(), training, said)
        validation.append(blended)
        test.append(of_model(combine, name, seeds[position])(blended, asked))
        parts = [
            artifact
            for member in members.values()
            for artifact in (
                *member.fits[min(position, len(member.fits) - 1)],
                of_seed(member.selected, position),
            )
        ]
        fits.append([*dict.fromkeys(parts), blended])
        if assemble:
            models.append(of_model(assemble_blend, name, seeds[position])(blended, dict(members), position))
    return Fitted(
        name=name,
        sentence=spec.sentence,
        code=" ".join([loaded_source_hash(spec.model.__module__), *(one.code for one in members.values())]),
        config=spec.resolved(),
        tried=spec.tried + sum(member.tried - 1 for member in members.values()),
        seeds=seeds,
        models=models,
        validation=validation,
        test=test,
        fits=fits,
        members=list(members),
    )
