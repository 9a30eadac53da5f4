"""Named configurations of the sequence transformers."""

from __future__ import annotations

from typing import Literal

from attrec.models.bert4rec import BERT4RecConfig
from attrec.models.item_losses import ItemLossConfig
from attrec.models.sasrec import SASRecConfig
from attrec.models.transformer import TransformerConfig
from attrec.training import TrainingConfig

SequenceRecipe = Literal["quick", "small", "paper", "field", "full"]
"""`quick`: seconds on 100,000 actions; `small`: minutes on as many; `paper`: as published; `field`: softmax over all
items at the width the field compares at; `full`: chosen on the validation targets of ML-1M."""

_QUICK = TransformerConfig(dimension=32, length=50, dropout=0.2)


def sasrec_recipe(name: SequenceRecipe) -> SASRecConfig:
    """`paper` is Kang & McAuley's for ML-1M: one random item against the target, d 50, one head, length 200.

    It departs from theirs in that the random item may be one that the user has had, no attention weight is dropped, and
    Adam's β₂ is 0.999 (0.98 in their code).
    """
    if name == "quick":
        return SASRecConfig(
            network=_QUICK,
            training=TrainingConfig(epochs=30, learning_rate=3e-3, patience=5, precision="bfloat16"),
        )
    if name == "paper":
        return SASRecConfig(
            network=TransformerConfig(dimension=50, heads=1, length=200, dropout=0.2),
            loss=ItemLossConfig(kind="bce"),
            training=TrainingConfig(epochs=400, patience=40, validate_every=5),
        )
    if name == "small":
        return SASRecConfig(
            network=TransformerConfig(dimension=64, length=100, dropout=0.4),
            older=True,
            training=TrainingConfig(epochs=200, patience=20, average_decay=0.99, precision="bfloat16"),
        )
    if name == "field":
        return SASRecConfig(training=TrainingConfig(epochs=200, patience=20, precision="bfloat16"))
    return SASRecConfig(
        network=TransformerConfig(dimension=128, hidden=256, length=200, dropout=0.3),
        older=True,
        training=TrainingConfig(epochs=200, patience=20, average_decay=0.999, precision="bfloat16"),
    )


def bert4rec_recipe(name: SequenceRecipe) -> BERT4RecConfig:
    """`paper` is Lin & Yao's: length 128, 15 % hidden, the step size divided by ten every 25 of 100 epochs."""
    if name == "quick":
        return BERT4RecConfig(
            network=_QUICK,
            training=TrainingConfig(epochs=40, learning_rate=3e-3, patience=8, precision="bfloat16"),
        )
    if name == "paper":
        return BERT4RecConfig()
    if name == "small":
        return BERT4RecConfig(
            network=TransformerConfig(dimension=64, length=100, dropout=0.3, activation="gelu"),
            hidden_share=0.2,
            older=True,
            training=TrainingConfig(epochs=300, patience=30, average_decay=0.99, precision="bfloat16"),
        )
    if name == "field":
        return BERT4RecConfig(
            network=TransformerConfig(length=200, activation="gelu"),
            hidden_share=0.2,
            training=TrainingConfig(epochs=300, patience=30, precision="bfloat16"),
        )
    return BERT4RecConfig(
        network=TransformerConfig(dimension=128, hidden=256, length=200, dropout=0.2, activation="gelu"),
        hidden_share=0.2,
        newest_hidden=0.1,
        older=True,
        training=TrainingConfig(epochs=300, patience=30, average_decay=0.999, precision="bfloat16"),
    )
