"""What every playlist model must do, whatever it is."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from attrec.datasets.histories import Histories
from attrec.errors import DataError
from attrec.metrics.playlist import playlist_metrics, rank_playlists
from attrec.playlists.ars import ARS
from attrec.playlists.baselines import Hybrid, HybridConfig, ItemKNN, MeanVector, Popularity, Random
from attrec.playlists.clusters import DBSCAN, Agglomerative, KMeans, KMeansConfig
from attrec.playlists.model import PlaylistModel, encode
from attrec.playlists.recipes import ARS_RECIPES
from attrec.playlists.registry import load_playlist_model
from attrec.prepare.playlist_splits import PlaylistSplit, split_playlists
from attrec.prepare.songs import Vectors

MODELS: dict[str, Callable[[], PlaylistModel]] = {
    "random": Random,
    "popularity": Popularity,
    "itemknn": ItemKNN,
    "mean-vector": MeanVector,
    "itemknn+mean-vector": Hybrid,
    "kmeans": lambda: KMeans(KMeansConfig(n_clusters=(2, 6))),
    "agglomerative": Agglomerative,
    "dbscan": DBSCAN,
    "ars": lambda: ARS(ARS_RECIPES["quick"]),
}
FIND_THE_STYLE = {"itemknn", "mean-vector", "itemknn+mean-vector", "kmeans", "agglomerative", "dbscan", "ars"}
STYLES, SONGS = 6, 20


def world() -> tuple[PlaylistSplit, Vectors]:
    """Six styles of twenty songs each, far apart; a playlist has songs of one style."""
    rng = np.random.default_rng(0)
    centres = 8 * rng.standard_normal((STYLES, 4))
    values = np.repeat(centres, SONGS, axis=0) + rng.standard_normal((STYLES * SONGS, 4))
    names = [f"song {code}" for code in rng.permutation(STYLES * SONGS)]
    rows = [
        (playlist, names[playlist % STYLES * SONGS + song])
        for playlist in range(60)
        for song in rng.choice(SONGS, 8, replace=False)
    ]
    split = split_playlists(pd.DataFrame(rows, columns=["user_id", "item_id"]))
    songs = Vectors(pd.Index(names, name="item_id"), ("a", "b", "c", "d"), values.astype("float32"))
    return split, songs


SPLIT, CATALOGUE = world()


@pytest.fixture(scope="module", params=MODELS)
def model(request: pytest.FixtureRequest) -> PlaylistModel:
    return MODELS[request.param]().fit(SPLIT.train, CATALOGUE, SPLIT.validation)


def test_scores_are_finite_float32_of_the_whole_catalogue(model: PlaylistModel) -> None:
    scores = model.score(Histories.of_lists([[0, 1], [5], []]))
    assert scores.shape == (3, len(CATALOGUE))
    assert scores.dtype == np.float32
    assert np.isfinite(scores).all()


def test_order_and_repetition_mean_nothing(model: PlaylistModel) -> None:
    scores = model.score(Histories.of_lists([[0, 30, 61], [61, 0, 30, 0, 0]]))
    assert (scores[0] == scores[1]).all()


def test_a_playlist_is_answered_the_same_whatever_stands_beside_it(model: PlaylistModel) -> None:
    alone = model.score(Histories.of_lists([[3, 4, 50]]))[0]
    beside = model.score(Histories.of_lists([[1], [], [3, 4, 50], [7, 8]]))[2]
    assert alone == pytest.approx(beside, rel=1e-6)


def test_saved_and_loaded_it_says_the_same(model: PlaylistModel, tmp_path: Path) -> None:
    model.save(tmp_path)
    again = load_playlist_model(tmp_path)
    assert type(again) is type(model)
    asked = Histories.of_lists([[0, 1], [], [100]])
    assert (again.score(asked) == model.score(asked)).all()
    assert again.items.equals(model.items)
    with pytest.raises(DataError, match="not a readable model file"):
        type(model).load(tmp_path / "elsewhere")
    with pytest.raises(DataError, match="holds no saved playlist model"):
        load_playlist_model(tmp_path / "elsewhere")


def test_recommends_what_the_playlist_does_not_have(model: PlaylistModel) -> None:
    mine = [CATALOGUE.ids[0], CATALOGUE.ids[1], "nobody's song", CATALOGUE.ids[0]]
    listed = model.recommend(mine, k=5)
    assert len(listed) == 5
    assert not set(listed["item_id"]) & set(mine)
    assert (listed["score"].diff().dropna() <= 0).all()
    assert len(model.recommend(mine, k=10_000)) == len(CATALOGUE) - 2


def test_playlists_that_cannot_be_answered(model: PlaylistModel) -> None:
    with pytest.raises(DataError, match="playlist is empty"):
        model.recommend([])
    with pytest.raises(DataError, match="No song of this playlist"):
        model.recommend(["nobody's", "nor this"])


def test_fits_that_cannot_be_made(model: PlaylistModel) -> None:
    kind = type(model)
    with pytest.raises(DataError, match="no playlist to fit"):
        kind().fit(SPLIT.train.iloc[:0], CATALOGUE)
    stranger = pd.DataFrame({"user_id": [1], "item_id": ["stranger"]})
    with pytest.raises(DataError, match="song stranger is in a playlist but not in the catalogue"):
        kind().fit(stranger, CATALOGUE)
    twice = Vectors(pd.Index(["a", "a"]), ("x",), np.zeros((2, 1), dtype="float32"))
    with pytest.raises(DataError, match="song a is in the catalogue more than once"):
        kind().fit(pd.DataFrame({"user_id": [1], "item_id": ["a"]}), twice)


@pytest.mark.parametrize("name", MODELS)
def test_who_finds_the_style(name: str) -> None:
    model = MODELS[name]().fit(SPLIT.train, CATALOGUE, SPLIT.validation)
    given, held_out = encode(SPLIT.test, CATALOGUE.ids)
    found = playlist_metrics(rank_playlists(model, given, held_out).ranks, held_out)
    # Four of sixteen songs of the style that are left are asked for, and four of 116 of the whole catalogue.
    if name in FIND_THE_STYLE:
        assert found["recall@50"].mean() > 0.8
        assert found["r-precision"].mean() > 0.12
    else:
        assert found["recall@50"].mean() < 0.7


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
    first, same, other = (Random(seed).fit(SPLIT.train, CATALOGUE) for seed in (1, 1, 2))
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
