"""Fit one embedding + head pair, from noise or from pretrained autoencoders."""

from __future__ import annotations

from attrec.ratings.pairs.model import NeuralCF, PairNetworkConfig
from tasks.engine.artifacts import Artifact, writing
from tasks.engine.caching import cached_task
from tasks.engine.progress import resumable_training
from tasks.families.ratings.data import Phase, load_fit_data


@cached_task("fit-pair-network", task_run_name="fit {config.embedding}+{config.head} {phase} seed {seed}")
def fit_pair_network(
    config: PairNetworkConfig,
    seed: int,
    fit: Artifact,
    phase: Phase,
    selected: Artifact | None = None,
    autoencoders: dict[str, Artifact] | None = None,
) -> Artifact:
    """Train one pair network, resuming from its checkpoint if it was killed.

    Args:
        phase: `select` stops early on validation; `final` runs the epochs that selection has chosen.
        selected: The model of the phase `select`, for the phase `final`.
        autoencoders: One a side, for look-up tables that start from their embeddings.

    Returns:
        Folder of the saved model.
    """
    if selected is not None:
        config = NeuralCF.load(selected.path).chosen_config()
    data = load_fit_data(fit, phase)
    parts = NeuralCF.read_parts({name: artifact.path for name, artifact in (autoencoders or {}).items()})
    model = NeuralCF(config, seed)
    label, epochs = f"{phase} {config.embedding}+{config.head}", config.training.epochs
    identity = [config.model_dump_json(), seed, fit.sha256, phase]
    with resumable_training(label, epochs, __name__, *identity) as (checkpoint, show):
        tables = data.ratings, data.user_features, data.item_features, data.validation
        model.fit(*tables, checkpoint=checkpoint, progress=show, **parts)
        with writing("model") as draft:
            model.save(draft.folder)
    return draft.artifact
