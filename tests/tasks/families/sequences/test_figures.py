"""Figures of ranks, against values worked out by hand."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from attrec.metrics.ranking import MISS
from tasks.engine.artifacts import Artifact, writing
from tasks.families.sequences.data import PreparedSequences, SequenceTraining
from tasks.families.sequences.family import SEQUENCES
from tasks.families.sequences.figures import evaluate_sequences

USERS = [1, 2, 3, 4]


CEILING = pd.DataFrame({"ndcg@10": [1.0, 0.5, 1.0, 0.0], "hr@10": [1.0, 1.0, 1.0, 0.0]})


def ranks(places: list[int], recommended: list[list[int]], sampled: bool = True) -> Artifact:
    frame = pd.DataFrame({"user_id": USERS, "item_id": [10, 11, 12, 99], "rank": places})
    if sampled:
        frame["sampled_rank"] = places
    with writing("ranks") as draft:
        frame.assign(recommended=pd.Series(recommended)).to_parquet(draft.folder / "ranks.parquet")
    return draft.artifact


@pytest.fixture(scope="module")
def evaluation() -> Artifact:
    # Items 10, 11, 12 are done 4, 2 and 2 times; item 99 never.
    done = [(1, 10), (1, 11), (2, 10), (2, 12), (3, 10), (3, 11), (4, 10), (4, 12)]
    actions = pd.DataFrame(done, columns=["user_id", "item_id"])
    with writing("sequence-training") as fit:
        actions.to_parquet(fit.folder / "actions.parquet")
        actions.head(0).to_parquet(fit.folder / "validation.parquet")
    with writing("sequence-test-histories") as histories:
        pd.concat([actions, actions.tail(2)]).to_parquet(histories.folder / "histories.parquet")
    with writing("sequence-test-targets") as targets:
        CEILING.to_parquet(targets.folder / "ceiling.parquet")
    sequences = PreparedSequences(
        training=SequenceTraining(folder=fit.artifact),
        facts=fit.artifact,
        test_histories=histories.artifact,
        test_targets=targets.artifact,
    )
    first = [[10, 11], [10, 12], [10], [10]]
    of_models = {
        "good": [ranks([1, 3, 1, MISS], [[10], [11], [12], []]), ranks([1, 1, 1, MISS], first)],
        "bad": [ranks([20, 7, MISS, MISS], first)],
        "of few items": [ranks([20, 7, MISS, MISS], first, sampled=False)],
    }
    artifact: Artifact = evaluate_sequences.fn(sequences, "test", of_models)
    return artifact


def table(evaluation: Artifact, name: str) -> pd.DataFrame:
    return pd.read_csv(evaluation.path / f"{name}.csv")


def test_figures_are_means_over_users_and_seeds(evaluation):
    scores = table(evaluation, "scores").set_index(["model", "metric"])
    assert scores.loc[("good", "ndcg@10"), "value"] == pytest.approx(((1 + 0.5 + 1) / 4 + 3 / 4) / 2)
    assert scores.loc[("good", "mrr@10"), "value"] == pytest.approx(
        ((1 + 1 / 3 + 1) / 4 + 3 / 4) / 2, abs=1e-6
    )
    assert scores.loc[("bad", "hr@20"), "value"] == 0.5
    assert scores.loc[("bad", "hr@10"), "value"] == 0.25
    assert scores.loc[("bad", "ndcg@20-sampled-uniform100"), "value"] == pytest.approx(
        (1 / np.log2(21) + 1 / 3) / 4, abs=1e-6
    )
    assert not any("sampled" in metric for metric in scores.loc["of few items"].index)
    assert set(scores["n"]) == {4}
    assert scores.loc[("good", "hr@5"), "seeds"] == 2
    # Of four users no interval can be told.
    assert scores[["ci_low", "ci_high"]].isna().all(axis=None)
    assert SEQUENCES.best(table(evaluation, "scores")) == "good"


def test_what_is_possible_is_the_mean_over_users(evaluation):
    ceiling = table(evaluation, "ceiling").set_index("metric")["value"]
    assert ceiling.to_dict() == {"ndcg@10": 0.625, "hr@10": 0.75}


def test_what_is_recommended_beside_what_hits(evaluation):
    beyond = table(evaluation, "beyond").set_index("model")
    assert beyond.loc["good", "coverage@10"] == 1
    assert beyond.loc["bad", "popularity@10"] == pytest.approx((3 + 3 + 4 + 4) / 4)
    # The targets are done 4, 2, 2 and 0 times: two times on average.
    assert beyond.loc["bad", "popularity-lift@10"] == pytest.approx(3.5 / 2 - 1)


def test_by_length_counts_every_user_once(evaluation):
    by_length = table(evaluation, "by_length")
    assert by_length.groupby("model")["users"].sum().to_dict() == {"good": 4, "bad": 4, "of few items": 4}
    good = by_length[by_length["model"] == "good"]
    assert (good["value"] * good["users"]).sum() / 4 == pytest.approx(0.6875)
