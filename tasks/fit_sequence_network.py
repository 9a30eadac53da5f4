"""Train one SASRec or BERT4Rec."""

from __future__ import annotations

from attrec.sequences.bert4rec import BERT4Rec, BERT4RecConfig
from attrec.sequences.sasrec import SASRec, SASRecConfig
from tasks.engine.artifacts import Artifact, writing
from tasks.engine.caching import cached_task
from tasks.engine.progress import resumable_training
from tasks.families.sequences.data import load_sequence_data


@cached_task("fit-sequence-network", task_run_name="fit {name} seed {seed}")
def fit_sequence_network(
    name: str, config: SASRecConfig | BERT4RecConfig, seed: int, fit: Artifact, exclude_seen: bool
) -> Artifact:
    """Train with early stopping on validation, resuming from the checkpoint of a killed training.

    Args:
        name: Shown beside the progress bar.

    Returns:
        Folder of the saved model.
    """
    data = load_sequence_data(fit)
    model = SASRec(config, seed) if isinstance(config, SASRecConfig) else BERT4Rec(config, seed)
    identity = [config.model_dump_json(), seed, fit.sha256, exclude_seen]
    label, epochs = f"fit {name}", config.training.epochs
    with resumable_training(label, epochs, __name__, *identity, unit="targets", validation="1 - NDCG@10") as (
        checkpoint,
        show,
    ):
        model.fit(
            data.actions, data.validation, exclude_seen=exclude_seen, checkpoint=checkpoint, progress=show
        )
        with writing("sequence-model") as draft:
            model.save(draft.folder)
    return draft.artifact
