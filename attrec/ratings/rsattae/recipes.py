"""Named configurations of RSAttAE + XGBoost."""

from __future__ import annotations

from typing import Any

from attrec.models.training import TrainingConfig
from attrec.ratings.bayesian.recipes import FM_RECIPES
from attrec.ratings.boosting import BoostingConfig
from attrec.ratings.rsattae.autoencoder import AutoencoderConfig
from attrec.ratings.rsattae.cross_fitting import RSAttAEXGBoostConfig
from attrec.ratings.rsattae.network import RSAttAEConfig


def _tuned(full: bool) -> RSAttAEXGBoostConfig:
    autoencoder = AutoencoderConfig(
        network=RSAttAEConfig(
            dimension=16,
            hidden=256 if full else 128,
            dropout=0.3,
            input_dropout=0.7 if full else 0.5,
            linear_output=True,
        ),
        training=TrainingConfig(
            epochs=150 if full else 40,
            learning_rate=1e-3 if full else 2e-3,
            weight_decay=1.5e-3,
            average_decay=0.95,
            patience=150,
            validate_every=10,
        ),
        # Forty epochs of four to seven steps reach a lower validation RMSE than eighty of one, and sooner.
        batch=None if full else 256,
        centre="bias",
    )
    head = BoostingConfig(
        trees=(200, 300, 400, 500, 600),
        max_depth=4,
        learning_rate=0.03,
        subsample=0.7,
        column_sample=0.5,
        min_child_weight=20,
        reg_lambda=10,
        reg_alpha=0,
    )
    return RSAttAEXGBoostConfig(
        user_autoencoders=(autoencoder,),
        item_autoencoders=(autoencoder,),
        folds=10 if full else 4,
        embeddings="none",
        reconstructions=True,
        statistics=True,
        affinities=True,
        start_from_reconstructions=True,
        head=head,
    )


def _stacked(time: bool) -> RSAttAEXGBoostConfig:
    """The autoencoders are those of `full`, and so are the folds: what is cached for one serves the other."""
    full = _tuned(full=True)
    # Fewer chains than a machine that stands alone: what is predicted is the mean over ten machines.
    machine = FM_RECIPES["small"].model_copy(update={"chains": 2, "kept_samples": 40})
    return full.model_copy(
        update={
            "machine": machine,
            "neighbours": True,
            "profiles": True,
            "moments": time,
            "head": full.head.model_copy(update={"trees": (200, 400, 600, 800, 1000)}),
            "head_seeds": 2,
        }
    )


RECIPES = {
    "quick": _tuned(full=False),
    "full": _tuned(full=True),
    # A fifth of the trees at eight times the learning rate, three levels shallower: on validation as good as at five
    # times and as deep, in less than half the time.
    "paper-quick": RSAttAEXGBoostConfig(
        head=BoostingConfig(trees=(260, 300, 340, 380), learning_rate=0.08, max_depth=6)
    ),
    "paper": RSAttAEXGBoostConfig(),
    "stacked": _stacked(time=False),
    "stacked+time": _stacked(time=True),
}
"""`paper`: as published; `full`: what measured best on validation; `paper-quick`, `quick`: the same made cheap;
`stacked`: `full` and a factorisation machine; `+time` sees timestamps."""

_RECONSTRUCTIONS_ALONE = {
    "side_features": False,
    "statistics": False,
    "affinities": False,
    "start_from_reconstructions": False,
}

ABLATION: dict[str, dict[str, Any]] = {
    "paper recipe": {"recipe": "paper"},
    "tuned autoencoders, in-sample Ê": {
        "recipe": "full",
        "changes": {**_RECONSTRUCTIONS_ALONE, "folds": 1, "embeddings": "attended", "reconstructions": False},
    },
    "tuned autoencoders, cross-fitted reconstructions": {"recipe": "full", "changes": _RECONSTRUCTIONS_ALONE},
    "+ side features": {"recipe": "full", "changes": {**_RECONSTRUCTIONS_ALONE, "side_features": True}},
    "+ out-of-fold statistics": {
        "recipe": "full",
        "changes": {"affinities": False, "start_from_reconstructions": False},
    },
    "+ trees start from the blended reconstructions": {"recipe": "full", "changes": {"affinities": False}},
    "+ out-of-fold affinities (full recipe)": {"recipe": "full"},
    "quick recipe": {"recipe": "quick"},
    "full recipe, two boosters of up to 1,000 trees": {
        "recipe": "full",
        "changes": {"head": {"trees": [200, 400, 600, 800, 1000]}, "head_seeds": 2},
    },
    "stacked: + factorisation machine": {
        "recipe": "stacked",
        "changes": {"neighbours": False, "profiles": False},
    },
    "stacked: + its residuals among neighbours": {"recipe": "stacked", "changes": {"profiles": False}},
    "stacked: + profiles (stacked recipe)": {"recipe": "stacked"},
}
"""What each choice gives, step by step: a recipe and what departs from it."""
