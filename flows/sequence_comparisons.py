"""The comparisons of sequence models whose tables are kept under results/."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from attrec.prepare.sequences import SequenceConfig, SequenceSplitConfig
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
    """Steps that are compared on validation alone, with the first seed."""


BASELINES: dict[str, SequenceModelSpec] = {
    kind: BaselineSpec.model_validate({"kind": kind}) for kind in ("popularity", "markov-chain", "item-knn")
}


def _sasrec(recipe: str, **changes: Any) -> SASRecSpec:
    return SASRecSpec.model_validate({"kind": "sasrec", "recipe": recipe, "changes": changes})


SASREC_STEPS: dict[str, SequenceModelSpec] = {
    "binary loss, one negative": _sasrec("paper", network={"dimension": 64, "heads": 2}),
    "softmax over all items": _sasrec("field"),
    "gBCE, 256 negatives": _sasrec("field", loss={"kind": "gbce", "negatives": 256}),
    "sampled softmax, 256 negatives": _sasrec("field", loss={"kind": "sampled-softmax", "negatives": 256}),
    "softmax, length 50": _sasrec("field", network={"length": 50}),
    "softmax, dropout 0.4": _sasrec("field", network={"dropout": 0.4}),
    "softmax, d 128": _sasrec("field", network={"dimension": 128}),
    "softmax, d 128, older stretches": _sasrec("field", network={"dimension": 128}, older=True),
    "full recipe": _sasrec("full"),
}
"""What each choice of `sasrec` contributed."""

SEQUENCE_COMPARISONS = {
    "ml-1m-sequences": SequenceComparison(
        dataset="ml-1m-sequences",
        models={
            **BASELINES,
            "sasrec-paper": _sasrec("paper"),
            "sasrec": _sasrec("full"),
            "bert4rec-paper": BERT4RecSpec(kind="bert4rec", recipe="paper"),
            "bert4rec": BERT4RecSpec(kind="bert4rec", recipe="full"),
        },
        ablation=SASREC_STEPS,
    ),
    "ml-latest-small": SequenceComparison(
        dataset="ml-latest-small",
        actions=SequenceConfig(min_rating=4.0, min_length=5),
        models={
            **BASELINES,
            "sasrec": _sasrec("small"),
            "bert4rec": BERT4RecSpec(kind="bert4rec", recipe="small"),
        },
    ),
}
