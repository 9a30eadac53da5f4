"""The comparisons of sequence models whose tables are kept under results/."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from attrec.prepare.sequence_splits import SequenceConfig, SequenceSplitConfig
from flows.sequence_models import BaselineSpec, BERT4RecSpec, SASRecSpec, SequenceModelSpec


class SequenceComparison(BaseModel):
    """Models, and the sequences they are compared on."""

    model_config = ConfigDict(extra="forbid")

    dataset: str
    actions: SequenceConfig = SequenceConfig()
    split: SequenceSplitConfig = SequenceSplitConfig()
    seeds: list[int] = Field([0, 1, 2], min_length=1)
    models: dict[str, SequenceModelSpec]
    ablation: dict[str, SequenceModelSpec] = {}
    """Steps that are compared with the first of their kind, on validation alone, with the first seed."""
    example: list[str] = []
    """Titles behind which every model shows what it recommends."""


BASELINES: dict[str, SequenceModelSpec] = {
    kind: BaselineSpec.model_validate({"kind": kind}) for kind in ("popularity", "markov-chain", "item-knn")
}


def _sasrec(recipe: str, **changes: Any) -> SASRecSpec:
    return SASRecSpec.model_validate({"kind": "sasrec", "recipe": recipe, "changes": changes})


_ALIKE = {"epochs": 20, "patience": 20}
"""As many epochs as every step of the ablation has."""


def _step(**changes: Any) -> SASRecSpec:
    """The recipe `field` with one change."""
    return _sasrec("field", training=_ALIKE, **changes)


def _bert4rec_step(**changes: Any) -> BERT4RecSpec:
    """The recipe `full` with these changes."""
    return BERT4RecSpec(kind="bert4rec", recipe="full", changes={"training": _ALIKE, **changes})


_FASTER = {"training": {"precision": "bfloat16"}}
"""The papers' recipes in bfloat16, as all others: in less time."""

STEPS: dict[str, SequenceModelSpec] = {
    "field: softmax, d 64, length 200, dropout 0.2": _step(),
    "loss: binary, one negative": _step(loss={"kind": "bce"}),
    "loss: gBCE, 256 negatives": _step(loss={"kind": "gbce", "negatives": 256}),
    "loss: sampled softmax, 256 negatives": _step(loss={"kind": "sampled-softmax", "negatives": 256}),
    "loss: sampled softmax, 1024 negatives": _step(loss={"kind": "sampled-softmax", "negatives": 1024}),
    "length 50": _step(network={"length": 50}),
    "length 100": _step(network={"length": 100}),
    "d 32": _step(network={"dimension": 32}),
    "d 128": _step(network={"dimension": 128}),
    "dropout 0": _step(network={"dropout": 0.0}),
    "dropout 0.4": _step(network={"dropout": 0.4}),
    "batch 128": _step(batch=128),
    "older stretches": _step(older=True),
    "neighbours 3": _step(network={"neighbours": 3}),
    "distances": _step(network={"distances": True}),
    "all of `full`": _sasrec("full", training=_ALIKE),
    "bert4rec, hidden actions alone": _bert4rec_step(causal_epochs=0, causal_share=0.0),
    "bert4rec, half of the steps causal": _bert4rec_step(causal_epochs=0),
    "bert4rec, 8 epochs causal and half of the later steps": _bert4rec_step(causal_epochs=8),
}
"""What each choice of `sasrec` contributed, and what causal steps do for `bert4rec`."""

HARRY_POTTER = [
    "Harry Potter and the Sorcerer's Stone",
    "Harry Potter and the Chamber of Secrets",
    "Harry Potter and the Prisoner of Azkaban",
    "Harry Potter and the Goblet of Fire",
]
"""The example of Lin & Yao: four films in, the later ones expected."""

SEQUENCE_COMPARISONS = {
    "ml-1m-sequences": SequenceComparison(
        dataset="ml-1m-sequences",
        models={
            **BASELINES,
            "sasrec": _sasrec("full"),
            "bert4rec-causal": BERT4RecSpec(kind="bert4rec", recipe="full"),
        },
        ablation=STEPS,
    ),
    "ml-1m-papers": SequenceComparison(
        dataset="ml-1m-sequences",
        models={
            "sasrec-paper": _sasrec("paper", **_FASTER),
            "bert4rec-paper": BERT4RecSpec(kind="bert4rec", recipe="paper", changes=_FASTER),
        },
    ),
    "ml-latest-small": SequenceComparison(
        dataset="ml-latest-small",
        actions=SequenceConfig(min_rating=4.0, min_length=5),
        models={
            **BASELINES,
            "sasrec": _sasrec("small"),
            "bert4rec": BERT4RecSpec(kind="bert4rec", recipe="small"),
        },
        example=HARRY_POTTER,
    ),
}
