"""Train one ARS."""

from __future__ import annotations

from attrec.playlists.ars import ARS, ARSConfig
from tasks.engine.artifacts import Artifact, writing
from tasks.engine.caching import cached_task
from tasks.engine.progress import resumable_training
from tasks.families.playlists.data import load_playlist_data


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
        model.fit(data.train, data.songs, data.validation, checkpoint=checkpoint, progress=show)
        with writing("playlist-model") as draft:
            model.save(draft.folder)
    return draft.artifact
