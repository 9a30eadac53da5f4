"""Change every test rating, and nothing but the test scores may change: not one bit of a model or a prediction."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from prefect import flow
from prefect.settings import PREFECT_TASKS_REFRESH_CACHE, temporary_settings
from prefect.task_runners import ThreadPoolTaskRunner

from flows.comparison import score
from flows.fitting import fit_models
from flows.prepare import PreparedRun, prepare_dataset
from flows.prepare_params import PrepareParams
from flows.rating_params import RatingSection
from tasks.comparison.score import read_scores
from tasks.engine import environment
from tasks.families.ratings.family import RATINGS

pytestmark = pytest.mark.slow

TINY = {"training": {"epochs": 3}}
MODELS = {
    "global-mean": {"kind": "global-mean"},
    "user-item-bias": {"kind": "user-item-bias"},
    "rsattae+xgboost": {
        "kind": "rsattae+xgboost",
        "recipe": "quick",
        "changes": {
            "folds": 2,
            "user_autoencoders": [TINY],
            "item_autoencoders": [TINY],
            "head": {"trees": [5, 10], "max_depth": 3},
        },
    },
    **{
        name: {
            "kind": "rsattae+xgboost",
            "recipe": name,
            "changes": {
                "folds": 2,
                "partitions": 1,
                "user_autoencoders": [TINY],
                "item_autoencoders": [TINY],
                "machine": {"iterations": 5, "burn_in": 1},
                "head": {"trees": [5, 10], "max_depth": 3},
            },
        }
        for name in ("stacked", "stacked+time")
    },
    **{
        f"{embedding}+{head}": {
            "kind": "pair-network",
            "embedding": embedding,
            "head": head,
            "changes": {"dimension": 4, **TINY},
        }
        for embedding, head in (
            ("simple", "mlp1"),
            ("autoencoder", "inner"),
            ("rsattae", "mlp1"),
            ("attentive", "mlp2"),
        )
    },
    **{
        f"{embedding}+xgboost": {
            "kind": "pair-network",
            "embedding": embedding,
            "head": "xgboost",
            "changes": {
                "network": {"dimension": 4, **TINY},
                "folds": 2,
                "boosting": {"trees": [5, 10], "max_depth": 3},
            },
        }
        for embedding in ("simple", "autoencoder", "attentive")
    },
    "KNNBaseline": {"kind": "surprise", "algorithm": "KNNBaseline"},
    "SVDpp": {"kind": "surprise", "algorithm": "SVDpp", "options": {"n_epochs": 2}},
    "SVD-imputed": {"kind": "imputed-svd"},
    "residual-neighbours": {"kind": "residual-neighbours"},
    "bayesian-fm": {"kind": "bayesian-fm", "changes": {"iterations": 5, "burn_in": 1, "ordered": True}},
    "bayesian-fm+time": {
        "kind": "bayesian-fm",
        "recipe": "small+time",
        "changes": {"iterations": 5, "burn_in": 1, "chains": 1},
    },
    "bayesian-mf": {"kind": "bayesian-mf", "changes": {"iterations": 5, "burn_in": 1}},
    "glocal-k": {"kind": "glocal-k", "changes": {"pretraining_rounds": 2, "fine_tuning_rounds": 2}},
    "blend": {"kind": "blend", "members": ["attentive+mlp2", "SVDpp", "user-item-bias"]},
}


@flow(name="leak-test", task_runner=ThreadPoolTaskRunner(max_workers=64))
def compared(ratings: pd.DataFrame):
    file = environment.ROOT / "data" / "incoming" / "leak.csv"
    file.parent.mkdir(parents=True, exist_ok=True)
    ratings.to_csv(file, index=False)
    csv = {"path": "leak.csv", "timestamp_column": "timestamp"}
    params = PrepareParams.model_validate({"dataset": "csv", "prepare": {"csv": csv}})
    done = prepare_dataset(params)
    fitted = fit_models(RATINGS, RatingSection.model_validate({"models": MODELS}).models, [0], done.prepared)
    return done, fitted, score(RATINGS, done.prepared, fitted)


def read_split(done: PreparedRun) -> pd.DataFrame:
    return pd.read_parquet(done.split.path / "split.parquet")


def test_no_model_sees_a_test_rating(prefect_server):
    generator = np.random.default_rng(5)
    pairs = pd.MultiIndex.from_product([range(30), range(100, 125)], names=["user_id", "item_id"]).to_frame(
        index=False
    )
    ratings = pairs[generator.random(len(pairs)) < 0.6].assign(
        rating=lambda rows: generator.integers(1, 6, len(rows)),
        timestamp=lambda rows: 1_000_000_000 + generator.integers(0, 10_000_000, len(rows)),
    )
    before, fitted, scores = compared(ratings)

    is_test = (read_split(before)["part"] == "test").to_numpy()
    assert is_test.sum() > 50
    changed = ratings.assign(rating=np.where(is_test, 6 - ratings["rating"], ratings["rating"]))
    changed.loc[is_test & (ratings["rating"] == 3).to_numpy(), "rating"] = 5
    assert (changed["rating"] != ratings["rating"]).to_numpy().tolist() == is_test.tolist()
    # Without this the second fit would come from the cache, and say nothing.
    with temporary_settings({PREFECT_TASKS_REFRESH_CACHE: True}):
        after, refitted, rescored = compared(changed)

    assert before.raw != after.raw
    assert read_split(before).equals(read_split(after))
    # Artefacts are named by the hash of their bytes.
    assert before.prepared.training == after.prepared.training
    assert before.prepared.test_pairs == after.prepared.test_pairs
    assert before.prepared.test_ratings != after.prepared.test_ratings
    assert fitted == refitted
    assert len({model.test[0].sha256 for model in fitted}) == len(MODELS)
    assert scores["validation"] == rescored["validation"]
    old, new = read_scores(scores["test"]), read_scores(rescored["test"])
    assert (old["value"] != new["value"]).all()
