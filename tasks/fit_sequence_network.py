"""Train one SASRec or BERT4Rec."""

from __future__ import annotations

from attrec.models.bert4rec import BERT4RecConfig
from attrec.models.sasrec import SASRecConfig
from attrec.models.sequence_registry import make_transformer
from tasks.artifacts import Artifact, writing
from tasks.caching import cached_task
from tasks.sequences import load_sequence_data
from tasks.training_progress import training_checkpoint, training_progress


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
    checkpoint = training_checkpoint(__name__, config.model_dump_json(), seed, fit.sha256, exclude_seen)
    model = make_transformer(config, seed)
    with training_progress(f"fit {name}", config.training.epochs) as show:
        model.fit(data.actions, data.validation, checkpoint, show, exclude_seen=exclude_seen)
    with writing("sequence-model") as draft:
        model.save(draft.folder)
    checkpoint.unlink(missing_ok=True)
    return draft.artifact
