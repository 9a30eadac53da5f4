"""Train one ARS."""

from __future__ import annotations

from attrec.models.ars import ARS, ARSConfig
from tasks.artifacts import Artifact, writing
from tasks.caching import cached_task
from tasks.playlists import load_playlist_data
from tasks.training_progress import resumable_training


@cached_task("fit-ars", task_run_name="fit {name} seed {seed}")
def fit_ars(name: str, config: ARSConfig, seed: int, fit: Artifact) -> Artifact:
    """Train with early stopping on validation, resuming from the checkpoint of a killed training.

    Args:
        name: Shown beside the progress bar.

    Returns:
        Folder of the saved model.
    """
    data = load_playlist_data(fit)
    model = ARS(config, seed)
    identity = [config.model_dump_json(), seed, fit.sha256]
    with resumable_training(f"fit {name}", config.training.epochs, __name__, *identity) as (checkpoint, show):
        model.fit(data.train, data.songs, data.validation, checkpoint, show)
        with writing("playlist-model") as draft:
            model.save(draft.folder)
    return draft.artifact
