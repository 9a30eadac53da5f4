"""What could be expected of who knows the simulated world, by hand and against models."""

from __future__ import annotations

import pandas as pd
import pytest

from attrec.datasets.simulator import SimulatorConfig, simulate
from attrec.metrics.ranking import ndcg_at
from attrec.prepare.sequence_splits import SequenceConfig, SequenceSplitConfig, split_sequences
from attrec.sequences import ItemKNN, MarkovChain
from attrec.sequences.ceiling import sequence_ceiling
from attrec.sequences.ranking import Validation

TRUTH = pd.DataFrame(
    {
        "user_id": [1, 1, 2, 2],
        "item_id": [5, 6, 5, 7],
        "rank": pd.array([pd.NA, 3, pd.NA, 11], dtype="Int32"),
    }
)


def test_by_hand() -> None:
    values = sequence_ceiling(TRUTH, pd.DataFrame({"user_id": [2, 1], "item_id": [7, 6]}))
    assert values is not None
    assert values["ndcg@10"].tolist() == [0, 0.5]
    assert values["hr@20"].tolist() == [1, 1]
    assert values["mrr@5"].tolist() == pytest.approx([0, 1 / 3])


def test_of_a_large_world_it_is_that_of_the_users_who_were_drawn() -> None:
    values = sequence_ceiling(TRUTH, pd.DataFrame({"user_id": [9, 1], "item_id": [5, 6]}))
    assert values is not None
    assert values["ndcg@10"].tolist() == [0.5]


def test_it_is_not_known_of_other_targets() -> None:
    assert sequence_ceiling(TRUTH, pd.DataFrame({"user_id": [1, 2], "item_id": [5, 7]})) is None
    assert sequence_ceiling(TRUTH.drop(columns="rank"), TRUTH[["user_id", "item_id"]]) is None
    assert sequence_ceiling(TRUTH, pd.DataFrame({"user_id": [3], "item_id": [5]})) is None


@pytest.mark.parametrize("seed", [0, 1])
def test_models_learn_the_default_world_and_stay_below_what_is_possible(seed: int) -> None:
    tables = simulate(SimulatorConfig(seed=seed))
    parts = split_sequences(tables.ratings, SequenceConfig(), SequenceSplitConfig())
    assert tables.truth is not None
    values = sequence_ceiling(tables.truth, parts.test)
    assert values is not None
    best = values["ndcg@10"].mean()
    assert 0.3 < best < 0.5
    for kind in (MarkovChain, ItemKNN):
        model = kind().fit(parts.actions, parts.validation)
        reached = Validation(parts.actions, parts.validation, model.items, True).ndcg(model)
        assert 0.4 * best < reached < best
    popular = tables.ratings["item_id"].value_counts().index[:10]
    assert parts.test["item_id"].isin(popular).mean() < 0.15
    liked = split_sequences(tables.ratings, SequenceConfig(min_rating=4), SequenceSplitConfig())
    assert sequence_ceiling(tables.truth, liked.test) is None
    assert len(ndcg_at(tables.truth["rank"].dropna().to_numpy(dtype=int), 10)) == 943
