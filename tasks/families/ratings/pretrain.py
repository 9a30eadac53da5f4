"""Pretrain one autoencoder: one side, one fold, one seed, one phase."""

from __future__ import annotations

from attrec.ratings.boosting import BoostingConfig
from attrec.ratings.rsattae.cross_fitting import AutoencoderJob, RSAttAEXGBoostConfig, run_autoencoder_job
from tasks.data.prepared import RatingTraining
from tasks.engine.artifacts import Artifact, writing
from tasks.engine.caching import cached_task
from tasks.engine.progress import resumable_training
from tasks.engine.training_data import Phase


def pretraining_part(config: RSAttAEXGBoostConfig) -> RSAttAEXGBoostConfig:
    """The configuration with all that pretraining does not read at its default, so that it does not enter the key."""
    read = {"user_autoencoders", "item_autoencoders", "folds", "partitions", "embeddings"}
    return RSAttAEXGBoostConfig(**{name: getattr(config, name) for name in read}, head=BoostingConfig())


@cached_task("pretrain", task_run_name="pretrain {job.name} {phase}")
def pretrain(
    job: AutoencoderJob, config: RSAttAEXGBoostConfig, seed: int, data: RatingTraining, phase: Phase
) -> Artifact:
    """Train one autoencoder, resuming from its checkpoint if it was killed.

    Args:
        job: Which rows and which configuration.
        config: From `pretraining_part`.
        seed: Of the model; it draws the folds.
        phase: `select` stops early on validation; `final` runs the epochs that selection has chosen.

    Returns:
        Folder of the saved autoencoder.
    """
    rows = data.load(phase)
    variants = config.user_autoencoders if job.side == "user" else config.item_autoencoders
    label, epochs = f"{phase} {job.name}", variants[job.variant].training.epochs
    identity = [job, config.model_dump_json(), seed, data.folder.sha256, phase]
    with resumable_training(label, epochs, __name__, *identity) as (checkpoint, show):
        fitted = run_autoencoder_job(
            job,
            rows.ratings,
            rows.user_features,
            rows.item_features,
            config,
            seed,
            validation=rows.validation,
            checkpoint=checkpoint,
            progress=show,
        )
        with writing("autoencoder") as draft:
            fitted.save(draft.folder)
    return draft.artifact
