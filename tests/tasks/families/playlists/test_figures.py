"""Figures of held-out ranks, against values worked out by hand; folds are pooled playlist by playlist."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from attrec.metrics.ranking import MISS
from tasks.comparison.family import Fitted
from tasks.engine.artifacts import Artifact, writing
from tasks.families.playlists.data import PlaylistTraining, PreparedPlaylists
from tasks.families.playlists.family import PLAYLISTS
from tasks.families.playlists.figures import evaluate_playlists

SONGS = list(range(10))


def ranks(of_playlists: dict[int, list[int]], recommended: list[int]) -> Artifact:
    """Ranks of the held-out songs of each playlist; all are recommended the same."""
    rows = [(name, 100 + place, rank) for name, own in of_playlists.items() for place, rank in enumerate(own)]
    lists = pd.DataFrame(
        {"user_id": list(of_playlists), "given": [2 + len(own) for own in of_playlists.values()]}
    )
    with writing("playlist-ranks") as draft:
        frame = pd.DataFrame(rows, columns=["user_id", "item_id", "rank"])
        frame.to_parquet(draft.folder / "ranks.parquet")
        # Known are the first of each playlist, ranked one place better.
        known = frame.drop_duplicates("user_id")
        known.assign(rank=(known["rank"] - 1).clip(lower=1)).to_parquet(draft.folder / "known_ranks.parquet")
        lists["recommended"] = [recommended] * len(lists)
        lists.to_parquet(draft.folder / "lists.parquet")
    return draft.artifact


def prepared(songs_of: dict[int, list[int]]) -> PreparedPlaylists:
    """A split with these training playlists, ten songs and no validation."""
    from attrec.models.storage import write_arrays, write_json

    rows = [(name, song) for name, songs in songs_of.items() for song in songs]
    with writing("playlist-training") as draft:
        train = pd.DataFrame(rows, columns=["user_id", "item_id"])
        for name in ("train", "validation_given", "validation_held_out"):
            train.to_parquet(draft.folder / f"{name}.parquet")
        write_json(draft.folder / "vectors.json", {"ids": SONGS, "columns": ["x"]})
        write_arrays(draft.folder / "vectors.safetensors", {"values": np.zeros((10, 1), dtype="float32")})
    return PreparedPlaylists(
        training=PlaylistTraining(folder=draft.artifact),
        facts=draft.artifact,
        test_given=draft.artifact,
        test_held_out=draft.artifact,
    )


@pytest.fixture(scope="module")
def ranked() -> tuple[list[PreparedPlaylists], list[list[Artifact]], list[list[Artifact]]]:
    splits = [prepared({1: [0, 1], 2: [0]}), prepared({3: [4]})]
    good = [[ranks({7: [1, 2], 8: [1, 60]}, [0, 1])], [ranks({9: [3]}, [4, 5])]]
    poor = [[ranks({7: [11, MISS], 8: [MISS, MISS]}, [9])], [ranks({9: [MISS]}, [9])]]
    return splits, good, poor


@pytest.fixture(scope="module")
def evaluation(ranked) -> Artifact:
    splits, good, poor = ranked
    return evaluate_playlists.fn(splits, "test", {"good": good, "poor": poor})


def table(evaluation: Artifact, name: str) -> pd.DataFrame:
    return pd.read_csv(evaluation.path / f"{name}.csv")


def test_figures_by_hand(evaluation):
    scores = table(evaluation, "scores").set_index(["model", "metric"])["value"]
    # Playlist 7: both songs first. 8: one of two first, the other past 50. 9: the only song is third.
    ideal = 1 + 1 / np.log2(3)
    assert scores["good", "r-precision"] == pytest.approx((1 + 0.5 + 0) / 3, abs=1e-6)
    assert scores["good", "ndcg@10"] == pytest.approx((1 + 1 / ideal + 1 / np.log2(4)) / 3, abs=1e-6)
    assert scores["good", "recall@50"] == pytest.approx((1 + 0.5 + 1) / 3, abs=1e-6)
    assert scores["poor", "ndcg@10"] == 0
    assert scores["poor", "recall@50"] == pytest.approx(0.5 / 3, abs=1e-6)
    assert table(evaluation, "scores")["n"].unique().tolist() == [3]
    assert PLAYLISTS.best(table(evaluation, "scores")) == "good"


def test_known_songs_have_a_table_of_their_own(evaluation):
    known = table(evaluation, "known").set_index(["model", "metric"])["value"]
    # All three playlists have one known song, at ranks 1, 1 and 2.
    assert known["good", "ndcg@10"] == pytest.approx((1 + 1 + 1 / np.log2(3)) / 3, abs=1e-6)
    assert known["good", "r-precision"] == pytest.approx(2 / 3, abs=1e-6)


def test_playlists_that_choices_were_made_on_are_left_out(ranked):
    splits, good, poor = ranked
    evaluated = evaluate_playlists.fn(splits, "test", {"good": good, "poor": poor}, [8, 1234])
    scores = table(evaluated, "scores").set_index(["model", "metric"])
    assert (scores["n"] == 2).all()
    assert scores.loc[("good", "ndcg@10"), "value"] == pytest.approx((1 + 1 / np.log2(4)) / 2, abs=1e-6)
    known = table(evaluated, "known").set_index(["model", "metric"])
    assert known.loc[("good", "r-precision"), "value"] == 0.5
    assert table(evaluated, "by_length").query("model == 'good'")["users"].sum() == 2


def test_by_fold_and_by_length(evaluation):
    folds = table(evaluation, "by_fold").query("model == 'good' and metric == 'recall@50'")
    assert folds["value"].tolist() == [0.75, 1]
    lengths = table(evaluation, "by_length").query("model == 'good'")
    assert lengths["users"].sum() == 3


def test_every_metric_is_tested(evaluation):
    tests = table(evaluation, "comparisons")
    assert tests["metric"].tolist() == ["r-precision", "ndcg@10", "recall@50"]
    assert (tests["reference"] == "good").all()
    assert (tests["difference"] < 0).all()


def test_coverage_is_of_the_lists_of_all_folds_and_popularity_of_each_fold(evaluation):
    beyond = table(evaluation, "beyond").set_index("model")
    assert beyond.loc["good", "coverage@10"] == pytest.approx(4 / 10)
    assert beyond.loc["poor", "coverage@10"] == pytest.approx(1 / 10)
    # Songs 0 and 1 are in two and one training playlists of fold 0; songs 4 and 5 in one and none of fold 1.
    assert beyond.loc["good", "popularity@10"] == pytest.approx((1.5 + 1.5 + 0.5) / 3)
    assert beyond.loc["poor", "popularity@10"] == 0


def test_the_champion_is_held_to_the_values_of_each_playlist():
    said = [ranks({7: [1, 2], 8: [MISS]}, [0]), ranks({7: [MISS, MISS], 8: [1]}, [0])]
    fitted = Fitted(name="m", config={}, seeds=[0, 1], validation=said)
    values = PLAYLISTS.on_validation(fitted, prepared({}))
    assert values.to_dict("list") == {"user_id": [7, 8], "value": [1, 0]}
