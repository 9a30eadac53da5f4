"""What DVC's tables and plots show of a comparison."""

from __future__ import annotations

import pandas as pd
import pytest

from tasks.comparison.family import Family
from tasks.comparison.summary import headline, ranked
from tasks.families.playlists.family import PLAYLISTS
from tasks.families.ratings.family import RATINGS
from tasks.families.sequences.family import SEQUENCES

HEADLINES = {RATINGS: ("rmse", ["b", "a"]), SEQUENCES: ("ndcg", ["a", "b"]), PLAYLISTS: ("ndcg", ["a", "b"])}


def scores(metric: str, a: float, b: float) -> pd.DataFrame:
    rows = [("a", metric, a), ("b", metric, b), ("a", "other", 7.0), ("b", "other", 8.0)]
    frame = pd.DataFrame(rows, columns=["model", "metric", "value"])
    return frame.assign(ci_low=frame["value"] - 1, ci_high=frame["value"] + 1)


@pytest.mark.parametrize("family", HEADLINES, ids=lambda family: family.name)
def test_the_champion_of_validation_and_all_models_best_first(family: Family) -> None:
    name, order = HEADLINES[family]
    metric = {"rmse": "rmse", "ndcg": "ndcg@10"}[name]
    parts = {"validation": scores(metric, 0.2, 0.3), "test": scores(metric, 0.6, 0.5)}
    # The model that validation chose, though the other one is better on the test part where less is better.
    assert headline(family, parts, "a") == {family.name: {name: 0.6, "val": 0.2}}
    table = ranked(family, parts["test"])
    assert table["model"].tolist() == order
    assert table.columns.tolist() == ["model", "value", "ci_low", "ci_high"]


def test_no_figure_of_one_family_has_the_name_of_anothers() -> None:
    """DVC would put the path of its file before it, which no screen bears."""
    metrics = {RATINGS: "rmse", SEQUENCES: "ndcg@10", PLAYLISTS: "ndcg@10"}
    shown = [
        headline(family, dict.fromkeys(("validation", "test"), scores(metric, 1, 2)), "a")
        for family, metric in metrics.items()
    ]
    names = [f"{family}.{name}" for figures in shown for family, own in figures.items() for name in own]
    assert len(set(names)) == len(names) == 6
