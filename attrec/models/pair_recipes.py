"""Configurations of the nine embedding + head pairs, as measured best on validation inside the CIL training folds."""

from __future__ import annotations

from typing import Any, Literal

from attrec.models.autoencoder import AutoencoderConfig
from attrec.models.cross_fitting import RSAttAEXGBoostConfig
from attrec.models.pair_network import PairNetworkConfig
from attrec.models.rsattae import RSAttAEConfig
from attrec.training import TrainingConfig

EmbeddingName = Literal["simple", "autoencoder", "rsattae", "attentive"]
HeadName = Literal["inner", "mlp1", "mlp2"]


def pair_recipe(embedding: EmbeddingName, head: HeadName) -> PairNetworkConfig:
    """Embedding and head, trained as suits the pair."""
    attentive, pretrained = embedding == "attentive", embedding in ("autoencoder", "rsattae")
    training: dict[str, Any] = {"epochs": 40, "patience": 2, "average_decay": 0.99, "precision": "bfloat16"}
    if attentive:
        training |= {"weight_decay": 3e-6, "learning_rate": 1e-2 if head == "inner" else 1e-3}
        # An item is in many more contexts than batches have targets of it: its vectors bear larger steps.
        training |= {} if head == "inner" else {"rate_factors": {"embedding": 5.0}}
    else:
        training |= {"weight_decay": 6e-5, "learning_rate": 3e-3 if head == "inner" else 1e-3}
    return PairNetworkConfig(
        embedding="pretrained" if pretrained else "attentive" if attentive else "simple",
        head=head,
        dimension=128 if pretrained else 64,
        deviation=0.3 if pretrained and head != "inner" else 0.1,
        biases=head == "inner",
        training=TrainingConfig(**training),
    )


def pretraining_recipe(embedding: EmbeddingName, dimension: int) -> RSAttAEXGBoostConfig | None:
    """The autoencoders that an embedding starts from, one a side; None where it starts from noise."""
    if embedding not in ("autoencoder", "rsattae"):
        return None
    sides = {
        side: AutoencoderConfig(
            network=RSAttAEConfig(
                dimension=dimension,
                hidden=hidden,
                attention=embedding == "rsattae",
                dropout=0.3,
                input_dropout=0.5,
                linear_output=True,
            ),
            training=TrainingConfig(
                epochs=epochs,
                learning_rate=1e-3,
                weight_decay=1e-4,
                average_decay=0.99,
                patience=6,
                validate_every=2,
                precision="bfloat16",
            ),
            batch=batch,
            centre="bias",
        )
        for side, hidden, epochs, batch in (("user", 512, 24, 128), ("item", 128, 40, 32))
    }
    return RSAttAEXGBoostConfig(
        user_autoencoders=(sides["user"],), item_autoencoders=(sides["item"],), embeddings="attended"
    )
