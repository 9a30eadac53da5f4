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
    attentive = embedding == "attentive"
    training: dict[str, Any] = {"epochs": 40, "patience": 3, "average_decay": 0.99}
    if attentive:
        training |= {"learning_rate": 5e-3, "weight_decay": 1e-6}
    else:
        training |= {"learning_rate": 3e-3, "weight_decay": 3e-5}
    if head != "inner":
        training |= {"learning_rate": 1e-3, "precision": "bfloat16"}
        training |= {"rate_factors": {"embedding": 5.0}} if attentive else {}
    return PairNetworkConfig(
        embedding={"simple": "simple", "attentive": "attentive"}.get(embedding, "pretrained"),
        head=head,
        dimension=128 if embedding in ("autoencoder", "rsattae") else 64,
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
                epochs=100,
                learning_rate=1e-3,
                weight_decay=1e-3,
                average_decay=0.95,
                patience=100,
                validate_every=10,
                precision="bfloat16",
            ),
            centre="bias",
        )
        for side, hidden in (("user", 512), ("item", 128))
    }
    return RSAttAEXGBoostConfig(
        user_autoencoders=(sides["user"],), item_autoencoders=(sides["item"],), embeddings="attended"
    )
