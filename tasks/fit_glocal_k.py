"""Fit one GLocal-K."""

from __future__ import annotations

from attrec.ratings.glocal_k.model import GLocalK, GLocalKConfig
from tasks.engine.artifacts import Artifact, writing
from tasks.engine.caching import cached_task
from tasks.engine.progress import resumable_training
from tasks.families.ratings.data import Phase, load_fit_data


@cached_task("fit-glocal-k", task_run_name="fit GLocal-K {phase} seed {seed}")
def fit_glocal_k(
    config: GLocalKConfig, seed: int, fit: Artifact, phase: Phase, selected: Artifact | None = None
) -> Artifact:
    """Pretrain and fine-tune, resuming from the checkpoint if it was killed.

    Args:
        phase: `select` counts the rounds on validation; `final` runs those of the `selected` model.

    Returns:
        Folder of the saved model.
    """
    if selected is not None:
        config = GLocalK.load(selected.path).chosen_config()
    data = load_fit_data(fit, phase)
    rounds = config.pretraining_rounds + config.fine_tuning_rounds
    identity = [config.model_dump_json(), seed, fit.sha256, phase]
    with resumable_training(f"{phase} GLocal-K", rounds, __name__, *identity) as (checkpoint, show):
        model = GLocalK(config, seed)
        tables = data.ratings, data.user_features, data.item_features, data.validation
        model.fit(*tables, checkpoint=checkpoint, progress=show)
        with writing("model") as draft:
            model.save(draft.folder)
    return draft.artifact
