"""XGBoost as the head of an embedding: a network for each fold, the trees over all of them, and the whole model."""

from __future__ import annotations

from attrec.ratings.boosting import BoostedTrees, BoostingConfig
from attrec.ratings.pairs.fold_network import FoldNetwork
from attrec.ratings.pairs.model import starting_vectors
from attrec.ratings.pairs.xgboost import (
    EmbeddedXGBoost,
    EmbeddedXGBoostConfig,
    chosen_config,
    fit_trees,
    train_fold_network,
)
from attrec.ratings.rsattae.autoencoder import PretrainedAutoencoder
from tasks.data.prepared import RatingTraining
from tasks.engine.artifacts import Artifact, writing
from tasks.engine.caching import cached_task
from tasks.engine.progress import resumable_training
from tasks.engine.training_data import Phase


def networks_part(config: EmbeddedXGBoostConfig) -> EmbeddedXGBoostConfig:
    """The configuration with the default trees: no network reads them, so they shall not enter the key."""
    return config.model_copy(update={"boosting": BoostingConfig()})


@cached_task("fit-fold-network", task_run_name="fit network of fold {fold} {phase}")
def fit_fold_network(
    fold: int,
    config: EmbeddedXGBoostConfig,
    seed: int,
    data: RatingTraining,
    phase: Phase,
    autoencoders: list[Artifact],
) -> Artifact:
    """Train the network that sees all rows but those of one fold, resuming from its checkpoint if it was killed.

    Args:
        config: From `networks_part`.
        phase: `select` stops early on validation; `final` runs the epochs that selection has chosen.
        autoencoders: The fold's own, one a side, where the tables start from their embeddings; else none.

    Returns:
        Folder of the saved network.
    """
    rows = data.load(phase)
    loaded = [PretrainedAutoencoder.load(artifact.path) for artifact in autoencoders]
    initial = starting_vectors(loaded) if loaded else None
    label, epochs = f"{phase} {config.network.embedding} fold {fold}", config.network.training.epochs
    identity = [fold, config.model_dump_json(), seed, data.folder.sha256, phase]
    with resumable_training(label, epochs, __name__, *identity) as (checkpoint, show):
        network = train_fold_network(
            fold,
            rows.ratings,
            rows.user_features,
            rows.item_features,
            config,
            seed,
            rows.validation,
            initial,
            checkpoint,
            show,
        )
        with writing("fold-network") as draft:
            network.save(draft.folder)
    return draft.artifact


@cached_task("fit-trees", task_run_name="fit trees {phase}")
def fit_embedded_trees(
    config: EmbeddedXGBoostConfig, seed: int, data: RatingTraining, phase: Phase, networks: list[Artifact]
) -> Artifact:
    """Fit the booster on each row as the network of its fold describes it.

    Returns:
        Folder of the saved booster.
    """
    rows = data.load(phase)
    trees = fit_trees(_loaded(networks), rows.ratings, config, seed, rows.validation)
    with writing("head") as draft:
        trees.save(draft.folder)
    return draft.artifact


@cached_task("assemble-embedded-xgboost", task_run_name="assemble {phase}")
def assemble_embedded(
    config: EmbeddedXGBoostConfig,
    seed: int,
    data: RatingTraining,
    phase: Phase,
    networks: list[Artifact],
    trees: Artifact,
) -> Artifact:
    """Make one model of its parts.

    Returns:
        Folder of the saved model.
    """
    ratings = data.load(phase).ratings
    model = EmbeddedXGBoost(config, seed)
    model.assemble(ratings, _loaded(networks), BoostedTrees.load(trees.path))
    with writing("model") as draft:
        model.save(draft.folder)
    return draft.artifact


@cached_task("choose-embedded-xgboost")
def choose_embedded(
    config: EmbeddedXGBoostConfig, networks: list[Artifact], trees: Artifact
) -> EmbeddedXGBoostConfig:
    """The configuration of the final fit: epochs and trees as selected on validation."""
    return chosen_config(config, _loaded(networks), BoostedTrees.load(trees.path))


@cached_task("chosen-networks")
def chosen_networks(chosen: EmbeddedXGBoostConfig) -> EmbeddedXGBoostConfig:
    """What the final networks read of the chosen configuration."""
    return networks_part(chosen)


def _loaded(networks: list[Artifact]) -> list[FoldNetwork]:
    return [FoldNetwork.load(artifact.path) for artifact in networks]
