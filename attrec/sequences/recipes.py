"""Named configurations of the sequence transformers.

`quick`: seconds on 100,000 actions; `small`: minutes on as many; `paper`: as published; `field`: softmax over all
items at a width that the field compares at; `full`: wider, with neighbours and distances, chosen on the
validation targets of ML-1M with one seed. BERT4Rec `quick` and `full` begin as SASRec does, and some of the later steps
stay so.
"""

from __future__ import annotations

from typing import Any

from attrec.models.training import TrainingConfig
from attrec.sequences.bert4rec import BERT4RecConfig
from attrec.sequences.item_losses import ItemLossConfig
from attrec.sequences.sasrec import SASRecConfig
from attrec.sequences.transformer import TransformerConfig

_QUICK = TransformerConfig(dimension=32, length=50, dropout=0.2)


def _training(epochs: int, **options: Any) -> TrainingConfig:
    """In bfloat16, ended after five epochs without a gain, with a checkpoint an epoch."""
    defaults = {"patience": 5, "precision": "bfloat16", "checkpoint_every": 1}
    return TrainingConfig.model_validate({**defaults, "epochs": epochs, **options})


SASREC_RECIPES: dict[str, SASRecConfig] = {
    # Smaller batches: of a few hundred users an epoch is a few steps, and the loss stays for some epochs as it was.
    "quick": SASRecConfig(
        network=_QUICK,
        start="cooccurrence",
        batch=32,
        training=_training(30, learning_rate=8e-3, matrix_rate=4e-3, average_decay=0.98, patience=5),
    ),
    "small": SASRecConfig(
        network=TransformerConfig(dimension=64, length=100, dropout=0.4),
        older=True,
        batch=128,
        training=_training(200, patience=20, average_decay=0.99),
    ),
    "paper": SASRecConfig(
        network=TransformerConfig(dimension=50, heads=1, length=200, dropout=0.2),
        loss=ItemLossConfig(kind="bce"),
        batch=128,
        training=_training(300, patience=40, validate_every=5, precision="float32", beta2=0.98),
    ),
    "field": SASRecConfig(training=_training(40, average_decay=0.999)),
    "full": SASRecConfig(
        network=TransformerConfig(dimension=128, hidden=256, neighbours=3, distances=True, dropout=0.3),
        training=_training(60, average_decay=0.999),
    ),
}
"""`paper` is Kang & McAuley's for ML-1M: one random item against the target, d 50, one head, length 200.

Published tables fit it in bfloat16. It departs from theirs in that the random item may be one that the user has had,
and no attention weight is dropped."""

BERT4REC_RECIPES: dict[str, BERT4RecConfig] = {
    "quick": BERT4RecConfig(
        network=_QUICK,
        masked=1.0,
        causal_epochs=10,
        causal_share=0.3,
        start="cooccurrence",
        batch=32,
        training=_training(40, learning_rate=8e-3, matrix_rate=4e-3, average_decay=0.98, patience=8),
    ),
    "small": BERT4RecConfig(
        network=TransformerConfig(dimension=64, length=100, dropout=0.3, activation="gelu"),
        hidden_share=0.2,
        older=True,
        batch=128,
        training=_training(300, patience=30, average_decay=0.99),
    ),
    "paper": BERT4RecConfig(batch=128),
    "field": BERT4RecConfig(
        network=TransformerConfig(activation="gelu"),
        hidden_share=0.2,
        training=_training(150, patience=15, average_decay=0.999),
    ),
    "full": BERT4RecConfig(
        network=TransformerConfig(
            dimension=128, hidden=256, neighbours=3, distances=True, dropout=0.3, activation="gelu"
        ),
        hidden_share=0.3,
        masked=1.0,
        newest_hidden=0.2,
        causal_epochs=16,
        causal_share=0.5,
        training=_training(44, patience=8, average_decay=0.999),
    ),
}
"""`paper` is Lin & Yao's: length 128, 15 % hidden, the step size divided by ten every 25 of 100 epochs."""
