"""Fit a baseline of the sequence models."""

from __future__ import annotations

from typing import Literal

from attrec.sequences.baselines import ItemKNN, MarkovChain, Popularity
from attrec.sequences.model import SequenceModel
from tasks.engine.artifacts import Artifact, writing
from tasks.engine.caching import cached_task
from tasks.families.sequences.data import load_sequence_data

SequenceBaselineKind = Literal["popularity", "item-knn", "markov-chain"]
BASELINES: dict[SequenceBaselineKind, type[SequenceModel]] = {
    "popularity": Popularity,
    "item-knn": ItemKNN,
    "markov-chain": MarkovChain,
}


@cached_task("fit-sequence-baseline", task_run_name="fit {kind}")
def fit_sequence_baseline(kind: SequenceBaselineKind, fit: Artifact, exclude_seen: bool) -> Artifact:
    """Count; what there is to choose is chosen on validation.

    Returns:
        Folder of the saved model.
    """
    data = load_sequence_data(fit)
    model = BASELINES[kind]().fit(data.actions, data.validation, exclude_seen=exclude_seen)
    with writing("sequence-model") as draft:
        model.save(draft.folder)
    return draft.artifact
