"""Change every test target, and nothing but the test scores may change: not one bit of a model or of validation."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from prefect import flow
from prefect.settings import PREFECT_TASKS_REFRESH_CACHE, temporary_settings
from prefect.task_runners import ThreadPoolTaskRunner

from attrec.datasets.tables import Tables
from attrec.prepare.sequence_splits import SequenceConfig, SequenceSplitConfig
from flows.comparison import score
from flows.fitting import fit_models
from flows.sequence_params import SequenceSection
from tasks.comparison.score import read_scores
from tasks.engine.artifacts import writing
from tasks.families.sequences.data import load_test_targets, make_sequences
from tasks.families.sequences.family import SEQUENCES

pytestmark = pytest.mark.slow

TINY = {"network": {"dimension": 8, "length": 10}, "training": {"epochs": 3}, "batch": 16}
MODELS = {
    "popularity": {"kind": "popularity"},
    "markov-chain": {"kind": "markov-chain"},
    "item-knn": {"kind": "item-knn"},
    **{
        f"sasrec-{loss['kind']}": {"kind": "sasrec", "changes": {**TINY, "loss": loss}}
        for loss in (
            {"kind": "softmax"},
            {"kind": "sampled-softmax", "negatives": 4},
            {"kind": "bce"},
            {"kind": "gbce", "negatives": 4},
        )
    },
    "sasrec-users": {"kind": "sasrec", "changes": {**TINY, "user_embedding": True, "older": True}},
    "sasrec-short-from-counts": {
        "kind": "sasrec",
        "changes": {**TINY, "loss": {"kind": "batch-softmax"}, "short_epochs": 1, "start": "cooccurrence"},
    },
    "bert4rec": {"kind": "bert4rec", "changes": {**TINY, "causal_epochs": 1}},
}


@flow(name="sequence-leak-test", task_runner=ThreadPoolTaskRunner(max_workers=64))
def compared(actions: pd.DataFrame, split: str):
    places = {"file": pd.Categorical(["made"] * len(actions)), "line": range(1, len(actions) + 1)}
    users = pd.DataFrame({"user_id": actions["user_id"].unique()})
    items = pd.DataFrame({"item_id": range(40), "title": [f"Film {code} (1990)" for code in range(40)]})
    with writing("clean") as cleaned:
        Tables(actions.assign(**places), users, items).save(cleaned.folder)
    config = SequenceConfig(min_length=3, min_item_count=2)
    sequences = make_sequences(
        "made", cleaned.artifact, config, SequenceSplitConfig.model_validate({"name": split})
    )
    section = SequenceSection.model_validate({"models": MODELS})
    fitted = fit_models(SEQUENCES, section.models, [0], sequences)
    return sequences, fitted, score(SEQUENCES, sequences, fitted)


@pytest.mark.parametrize("split", ["leave-one-out", "temporal"])
def test_no_model_sees_a_test_target(prefect_server, split):
    rng = np.random.default_rng(5)
    actions = pd.concat(
        [
            pd.DataFrame({"user_id": user, "item_id": rng.choice(30, 12, replace=False), "rating": 5.0})
            for user in range(40)
        ],
        ignore_index=True,
    )
    actions["timestamp"] = np.tile(np.arange(12), 40) * 1000 + rng.integers(0, 999, len(actions))
    before, fitted, scores = compared(actions, split)

    targets = load_test_targets(before).assign(is_target=True)
    marked = actions.merge(targets, on=["user_id", "item_id"], how="left")
    # Items that no user has done before, so that the test has other answers and the same questions.
    changed = actions.assign(item_id=actions["item_id"].where(marked["is_target"].isna(), 35))
    assert (changed["item_id"] != actions["item_id"]).sum() == len(targets) > 10
    with temporary_settings({PREFECT_TASKS_REFRESH_CACHE: True}):
        after, refitted, rescored = compared(changed, split)

    assert before.test_histories == after.test_histories
    assert before.test_targets != after.test_targets
    assert before.training == after.training
    for old, new in zip(fitted, refitted, strict=True):
        assert old.models == new.models, old.name
        assert old.validation == new.validation, old.name
    assert scores["validation"] == rescored["validation"]
    # Nobody trained on item 35, so nobody can be right.
    assert (read_scores(rescored["test"])["value"] == 0).all()
    assert (read_scores(scores["test"]).groupby("model")["value"].max() > 0).all()
