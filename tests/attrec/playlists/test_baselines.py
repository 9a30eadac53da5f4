"""The baselines by hand, what they choose, and the contract of each."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from attrec.datasets.histories import Histories
from attrec.playlists.baselines import Hybrid, HybridConfig, ItemKNN, MeanVector, Popularity, Random
from attrec.playlists.clusters import DBSCAN, KMeans, KMeansConfig
from attrec.prepare.songs import Vectors
from tests.attrec.playlists.contract import CATALOGUE, SPLIT, PlaylistContract


class TestRandom(PlaylistContract):
    kind = "random"
    finds_the_style = False


class TestPopularity(PlaylistContract):
    kind = "popularity"
    finds_the_style = False


class TestItemKNN(PlaylistContract):
    kind = "itemknn"


class TestMeanVector(PlaylistContract):
    kind = "mean-vector"


class TestHybrid(PlaylistContract):
    kind = "itemknn+mean-vector"


def test_baselines_by_hand() -> None:
    songs = Vectors(pd.Index(list("abcd")), ("x",), np.array([[0], [1], [3], [9]], dtype="float32"))
    rows = pd.DataFrame([(1, "a"), (1, "b"), (1, "a"), (2, "b"), (2, "c")], columns=["user_id", "item_id"])
    asked = Histories.of_lists([[0, 2], [3]])
    assert Popularity().fit(rows, songs).score(asked)[0].tolist() == [0.5, 1, 0.5, 0]
    # Half of the playlists have a, all of them b, half of them c.
    near = [-1.5 + 0.0005, -0.5 + 0.001, -1.5 + 0.0005, -7.5]
    assert MeanVector().fit(rows, songs).score(asked)[0].tolist() == pytest.approx(near, abs=1e-6)
    neighbours = ItemKNN().fit(rows, songs).score(asked)
    assert neighbours[0] == pytest.approx([0, np.sqrt(2), 0, 0], abs=1e-5)
    # A song that nobody has speaks for nothing: popularity is left.
    assert np.argsort(-neighbours[1], kind="stable").tolist() == [1, 0, 2, 3]


def test_of_songs_at_the_same_place_the_popular_ones_come_first() -> None:
    songs = Vectors(pd.Index(list("abcd")), ("x",), np.array([[0], [5], [5], [5]], dtype="float32"))
    rows = pd.DataFrame([(1, "c"), (2, "c"), (2, "d"), (3, "a")], columns=["user_id", "item_id"])
    for model in (MeanVector(), KMeans(KMeansConfig(n_clusters=(1,))), DBSCAN()):
        assert model.fit(rows, songs).recommend(["a"])["item_id"].tolist() == ["c", "d", "b"]


def test_seeds_of_chance() -> None:
    first, same, other = (Random(seed=seed).fit(SPLIT.train, CATALOGUE) for seed in (1, 1, 2))
    asked = Histories.of_lists([[1, 2], [3]])
    assert (first.score(asked) == same.score(asked)).all()
    assert (first.score(asked) != other.score(asked)).any()
    assert (first.score(asked)[0] != first.score(asked)[1]).any()


def test_a_hybrid_adds_up_standardised_scores() -> None:
    asked = Histories.of_lists([[0, 1], [50, 61, 62]])
    parts = [
        kind().fit(SPLIT.train, CATALOGUE, SPLIT.validation).score(asked) for kind in (ItemKNN, MeanVector)
    ]
    knn, mean = ((part - part.mean(1, keepdims=True)) / part.std(1, keepdims=True) for part in parts)
    model = Hybrid(HybridConfig(content_weight=(0.25,))).fit(SPLIT.train, CATALOGUE, SPLIT.validation)
    assert model.score(asked) == pytest.approx(0.75 * knn + 0.25 * mean, abs=1e-4)


def test_the_weight_of_a_hybrid_is_chosen_on_validation() -> None:
    noise = Vectors(
        CATALOGUE.ids, ("a",), np.random.default_rng(5).standard_normal((len(CATALOGUE), 1)).astype("float32")
    )
    weights = HybridConfig(content_weight=(1.0, 0.5, 0.0))
    assert Hybrid(weights).fit(SPLIT.train, noise, SPLIT.validation).chosen < 1
    assert Hybrid(weights).fit(SPLIT.train, noise).chosen == 1
