"""Configurations of the embedding + head pairs: the nine of the paper as measured best on validation inside the CIL
training folds, those with XGBoost on MovieLens-100K validation."""

from __future__ import annotations

from typing import Any, Literal

from attrec.models.training import TrainingConfig
from attrec.ratings.boosting import BoostingConfig
from attrec.ratings.pairs.model import PairNetworkConfig
from attrec.ratings.pairs.xgboost import EmbeddedXGBoostConfig
from attrec.ratings.rsattae.autoencoder import AutoencoderConfig
from attrec.ratings.rsattae.cross_fitting import RSAttAEXGBoostConfig
from attrec.ratings.rsattae.network import RSAttAEConfig

EmbeddingName = Literal["simple", "autoencoder", "rsattae", "attentive"]
NetworkHead = Literal["inner", "mlp1", "mlp2"]
HeadName = Literal[NetworkHead, "xgboost"]


def pair_recipe(embedding: EmbeddingName, head: NetworkHead) -> PairNetworkConfig:
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


def embedded_xgboost_recipe(embedding: EmbeddingName) -> EmbeddedXGBoostConfig:
    """Trees over what an embedding has learned under the inner product."""
    boosting = BoostingConfig(
        trees=(50, 100, 150, 200, 250, 300, 350, 400, 450, 500),
        max_depth=5,
        learning_rate=0.05,
        subsample=0.7,
        column_sample=0.3,
        min_child_weight=20,
        reg_lambda=10,
        reg_alpha=0,
    )
    return EmbeddedXGBoostConfig(network=pair_recipe(embedding, "inner"), boosting=boosting)


def pretraining_recipe(
    embedding: EmbeddingName, dimension: int, folds: int = 1
) -> RSAttAEXGBoostConfig | None:
    """The autoencoders that an embedding starts from, one a side and fold, which it is trained without (with one fold,
    on all rows); None where it starts from noise."""
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
        user_autoencoders=(sides["user"],),
        item_autoencoders=(sides["item"],),
        folds=folds,
        # What the trees of RSAttAE + XGBoost would read: autoencoders of several folds must not be pooled there.
        embeddings="attended" if folds == 1 else "none",
    )
