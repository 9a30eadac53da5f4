"""Train one ARS."""

from __future__ import annotations

from attrec.models.ars import ARS, ARSConfig
from tasks.artifacts import Artifact, writing
from tasks.caching import cached_task
from tasks.playlists import load_playlist_data
from tasks.training_progress import training_checkpoint, training_progress


@cached_task("fit-ars", task_run_name="fit {name} seed {seed}")
def fit_ars(name: str, config: ARSConfig, seed: int, fit: Artifact) -> Artifact:
    """Train with early stopping on validation, resuming from the checkpoint of a killed training.

    Args:
        name: Shown beside the progress bar.

    Returns:
        Folder of the saved model.
    """
    data = load_playlist_data(fit)
    checkpoint = training_checkpoint(__name__, config.model_dump_json(), seed, fit.sha256)
    model = ARS(config, seed)
    with training_progress(f"fit {name}", config.training.epochs) as show:
        model.fit(data.train, data.songs, data.validation, checkpoint, show)
    with writing("playlist-model") as draft:
        model.save(draft.folder)
    checkpoint.unlink(missing_ok=True)
    return draft.artifact
