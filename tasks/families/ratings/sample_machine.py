"""Sample the factorisation machine of one member of a cross-fitted model."""

from __future__ import annotations

import numpy as np

from attrec.models.storage import read_arrays, write_arrays
from attrec.ratings.bayesian.factorization_machine import BayesianFM
from attrec.ratings.boosting import BoostingConfig
from attrec.ratings.rsattae.cross_fitting import MachineJob, RSAttAEXGBoostConfig, run_machine_job
from tasks.data.prepared import RatingTraining
from tasks.engine.artifacts import Artifact, writing
from tasks.engine.caching import cached_task
from tasks.engine.progress import sampling_bar
from tasks.engine.training_data import Phase


def machine_part(config: RSAttAEXGBoostConfig) -> RSAttAEXGBoostConfig:
    """The configuration with all that a machine does not read at its default, so that it does not enter the key."""
    read = {"folds", "partitions", "embeddings", "machine"}
    return RSAttAEXGBoostConfig(**{name: getattr(config, name) for name in read}, head=BoostingConfig())


@cached_task("sample-machine", task_run_name="sample {job.name} {phase}")
def sample_machine(
    job: MachineJob, config: RSAttAEXGBoostConfig, seed: int, data: RatingTraining, phase: Phase
) -> Artifact:
    """Sample one machine; there is nothing to choose.

    Args:
        job: Which rows.
        config: From `machine_part`.
        seed: Of the model; it draws the folds.

    Returns:
        Folder with the ratings that the machine expects of all pairs.
    """
    rows = data.load(phase)
    with sampling_bar(f"{phase} {job.name}", BayesianFM(config.machine).rounds) as show:
        expected = run_machine_job(
            job, rows.ratings, rows.user_features, rows.item_features, config, seed, show
        )
    with writing("machine") as draft:
        write_arrays(draft.folder / "machine.safetensors", {"expected": expected})
    return draft.artifact


def read_machine(artifact: Artifact) -> np.ndarray:
    """Expected ratings [n_users, n_items]."""
    return read_arrays(artifact.path / "machine.safetensors")["expected"]
