"""From pretrained autoencoders to the whole model: XGBoost heads, assembly, and what selection has chosen."""

from __future__ import annotations

from attrec.ratings.boosting import BoostedTrees
from attrec.ratings.rsattae.autoencoder import PretrainedAutoencoder
from attrec.ratings.rsattae.cross_fitting import RSAttAEXGBoostConfig, chosen_config
from attrec.ratings.rsattae.model import RSAttAEXGBoost
from attrec.ratings.rsattae.training_tables import TrainingTables, fit_head, training_tables
from tasks.data.prepared import RatingRows, RatingTraining
from tasks.engine.artifacts import Artifact, writing
from tasks.engine.caching import cached_task
from tasks.engine.training_data import Phase
from tasks.families.ratings.pretrain import pretraining_part
from tasks.families.ratings.sample_machine import read_machine


@cached_task("fit-head", task_run_name="fit head {number} {phase}")
def fit_one_head(
    number: int,
    config: RSAttAEXGBoostConfig,
    seed: int,
    data: RatingTraining,
    phase: Phase,
    autoencoders: dict[str, Artifact],
    machines: dict[str, Artifact],
) -> Artifact:
    """Fit one booster on the features that the autoencoders and the machines give to the training rows.

    Args:
        number: Which of the model's boosters, from 0.
        autoencoders: Saved autoencoders by the name of their job.
        machines: What machines expect, by the name of their job.

    Returns:
        Folder of the saved booster.
    """
    rows = data.load(phase)
    tables = _tables(rows, config, seed, _loaded(autoencoders), machines)
    with writing("head") as draft:
        fit_head(tables, rows.ratings, config, seed + number, rows.validation).save(draft.folder)
    return draft.artifact


@cached_task("assemble", task_run_name="assemble {phase}")
def assemble(
    config: RSAttAEXGBoostConfig,
    seed: int,
    data: RatingTraining,
    phase: Phase,
    autoencoders: dict[str, Artifact],
    machines: dict[str, Artifact],
    heads: list[Artifact],
) -> Artifact:
    """Make one model of its parts.

    Returns:
        Folder of the saved model.
    """
    rows = data.load(phase)
    loaded = _loaded(autoencoders)
    tables = _tables(rows, config, seed, loaded, machines)
    boosters = [BoostedTrees.load(head.path) for head in heads]
    model = RSAttAEXGBoost(config, seed).assemble(rows.ratings, tables, boosters, loaded)
    with writing("model") as draft:
        model.save(draft.folder)
    return draft.artifact


@cached_task("choose")
def choose(
    config: RSAttAEXGBoostConfig, autoencoders: dict[str, Artifact], heads: list[Artifact]
) -> RSAttAEXGBoostConfig:
    """The configuration of the final fit: epochs and trees as selected on validation."""
    return chosen_config(config, _loaded(autoencoders), [BoostedTrees.load(head.path) for head in heads])


def _tables(
    rows: RatingRows,
    config: RSAttAEXGBoostConfig,
    seed: int,
    autoencoders: dict[str, PretrainedAutoencoder],
    machines: dict[str, Artifact],
) -> TrainingTables:
    expected = {name: read_machine(artifact) for name, artifact in machines.items()}
    return training_tables(
        rows.ratings, rows.user_features, rows.item_features, config, seed, autoencoders, expected
    )


def _loaded(autoencoders: dict[str, Artifact]) -> dict[str, PretrainedAutoencoder]:
    return {name: PretrainedAutoencoder.load(artifact.path) for name, artifact in autoencoders.items()}


@cached_task("epochs")
def epochs(chosen: RSAttAEXGBoostConfig) -> RSAttAEXGBoostConfig:
    """What the final pretraining reads of the chosen configuration."""
    return pretraining_part(chosen)
