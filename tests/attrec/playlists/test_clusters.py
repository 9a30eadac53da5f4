"""The distance measure by hand, who belongs to which cluster, what is chosen, what a large catalogue costs, and the
contract of each."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pandas as pd
import pytest

from attrec.datasets.histories import Histories
from attrec.playlists.clusters import (
    DBSCAN,
    NO_CLUSTER,
    Agglomerative,
    AgglomerativeConfig,
    Clusters,
    DBSCANConfig,
    KMeans,
    KMeansConfig,
)
from attrec.prepare.playlist_splits import EvaluatedPlaylists
from attrec.prepare.songs import Vectors
from tests.attrec.playlists.contract import PlaylistContract


class TestKMeans(PlaylistContract):
    kind = "kmeans"
    config = KMeansConfig(n_clusters=(2, 6))


class TestAgglomerative(PlaylistContract):
    kind = "agglomerative"


class TestDBSCAN(PlaylistContract):
    kind = "dbscan"


def catalogue(values: list[float]) -> Vectors:
    return Vectors(pd.RangeIndex(len(values)), ("x",), np.array(values, dtype="float32")[:, None])


def playlists(*songs: list[int]) -> pd.DataFrame:
    return pd.DataFrame(
        [(name, song) for name, some in enumerate(songs) for song in some], columns=["user_id", "item_id"]
    )


# Songs 0 1 2 lie together, 3 4 5 too, far away; 6 and 7 are in no training playlist.
SONGS = catalogue([0, 1, 2, 20, 21, 22, 1.5, 40])
TRAIN = playlists([0, 1, 2], [3, 4, 5])


@pytest.mark.parametrize(
    "model", [KMeans(KMeansConfig(n_clusters=(2,))), Agglomerative(AgglomerativeConfig(n_clusters=(2,)))]
)
def test_distance_measure_by_hand(model: Clusters) -> None:
    model.fit(TRAIN, SONGS)
    assert model.labels[6] == model.labels[0] != model.labels[3] == model.labels[7]
    scores = model.score(Histories.of_lists([[0, 1], [0, 3, 5]]))
    # Songs 0 and 1 share a cluster with 2 and 6; all others come behind, by their mean distance to both.
    # (and every one of the two training playlists that has a song brings it 0.0005 nearer).
    assert scores[0][[0, 1, 2, 6]].tolist() == pytest.approx([-0.4995, -0.4995, -1.4995, -1], abs=1e-6)
    behind = 1.5 + 1
    distances = [behind + d for d in (19.5 - 0.0005, 20.5 - 0.0005, 21.5 - 0.0005, 39.5)]
    assert scores[0][[3, 4, 5, 7]] == pytest.approx([-d for d in distances], abs=1e-5)
    # In each cluster only the songs of the playlist in that cluster count.
    expected = np.array([0, -1, -2, -1, -1, -1, -1.5, -19])
    expected[:6] += 0.0005
    assert scores[1] == pytest.approx(expected, abs=1e-5)


def test_dbscan_knows_noise_and_assigns_within_eps() -> None:
    songs = catalogue([0, 1, 2, 20, 21, 22, 1.5, 40, 300])
    train = playlists([0, 1, 2], [3, 4, 5], [8])
    model = DBSCAN(DBSCANConfig(eps_quantiles=(0.3,), min_songs=2)).fit(train, songs)
    assert model.reach == pytest.approx(1)
    assert model.labels.tolist() == [0, 0, 0, 1, 1, 1, 0, NO_CLUSTER, NO_CLUSTER]
    assert model.trials[0].without_cluster == pytest.approx(1 / 7)
    # A playlist of noise alone has no cluster: the mean distance to all of it decides.
    scores = model.score(Histories.of_lists([[8], [0, 8]]))
    assert np.argsort(-scores[0]).tolist()[:3] == [8, 7, 5]
    assert np.argsort(-scores[1], kind="stable").tolist()[:4] == [0, 1, 6, 2]


@pytest.mark.parametrize("columns", [5, 13, 80])
def test_a_song_at_the_place_of_a_core_point_is_in_its_cluster(columns: int) -> None:
    places = np.zeros((30, columns), dtype="float32")
    places[:, :13] = np.random.default_rng(0).standard_normal((30, min(columns, 13)))
    values = np.tile(places, (10, 1))
    songs = Vectors(pd.RangeIndex(300), tuple(f"c{column}" for column in range(columns)), values)
    model = DBSCAN(DBSCANConfig(eps_quantiles=(0.5,), min_songs=5)).fit(playlists(list(range(150))), songs)
    assert model.labels.reshape(10, 30).tolist() == [model.labels[:30].tolist()] * 10
    assert NO_CLUSTER not in model.labels


def test_a_song_at_eps_is_reached() -> None:
    model = DBSCAN(DBSCANConfig(eps_quantiles=(0.5,), min_songs=2))
    model.fit(playlists([0, 1, 2, 3]), catalogue([0, 1, 2, 3, 4, 4.001]))
    assert model.reach == 1
    assert model.labels[4:].tolist() == [0, NO_CLUSTER]


def test_new_songs_are_assigned_without_refitting() -> None:
    model = KMeans(KMeansConfig(n_clusters=(2,))).fit(TRAIN, SONGS)
    before = model.prototypes.copy()
    new = model.assign(np.array([[-3.0], [30.0]], dtype="float32"))
    assert new.tolist() == [model.labels[0], model.labels[3]]
    assert (model.prototypes == before).all()


def test_what_is_chosen_is_best_on_validation_and_each_trial_is_told() -> None:
    rng = np.random.default_rng(0)
    values = np.concatenate([rng.normal(centre, 0.3, 12) for centre in (0, 10, 20, 30)])
    songs = catalogue(values.tolist())
    train = playlists(*[list(range(first, first + 12)) for first in range(0, 48, 12)])
    validation = EvaluatedPlaylists(playlists([0, 1], [25, 26]), playlists([2, 3, 4], [24, 28]))
    model = KMeans(KMeansConfig(n_clusters=(1, 4, 30))).fit(train, songs, validation)
    values_of = {trial.candidate: trial.ndcg or 0.0 for trial in model.trials}
    assert model.chosen == max(values_of, key=values_of.__getitem__)
    assert list(values_of) == [1, 4, 30]
    silhouettes = [trial.silhouette for trial in model.trials]
    assert silhouettes[0] is None
    assert max(range(1, 3), key=lambda at: silhouettes[at] or 0) == 1
    assert model.trials[1].davies_bouldin is not None
    alone = [KMeans(KMeansConfig(n_clusters=(n,))).fit(train, songs, validation).trials for n in (1, 4, 30)]
    assert [trial.ndcg for (trial,) in alone] == list(values_of.values())


def test_clusters_are_learned_from_training_songs_alone() -> None:
    moved = SONGS.values.copy()
    moved[6:] = [[500], [-900]]
    other = Vectors(SONGS.ids, SONGS.columns, moved)
    for kind in (KMeans, Agglomerative, DBSCAN):
        first, second = kind().fit(TRAIN, SONGS), kind().fit(TRAIN, other)
        assert (first.prototypes == second.prototypes).all()
        assert first.trials == second.trials


@pytest.mark.parametrize("kind", [KMeans, Agglomerative, DBSCAN])
def test_one_song_is_enough(kind: type[Clusters]) -> None:
    model = kind().fit(playlists([0]), catalogue([1, 2, 3]))
    assert np.isfinite(model.score(Histories.of_lists([[0], [2, 1]]))).all()
    assert np.argsort(-model.score(Histories.of_lists([[0]]))[0]).tolist() == [0, 1, 2]


@pytest.mark.parametrize("kind", [Agglomerative, DBSCAN])
def test_past_max_songs_a_sample_is_clustered_and_memory_stays_small(kind: type[Clusters]) -> None:
    n = 6_000
    values = np.random.default_rng(0).standard_normal((n, 3)).astype("float32")
    songs = Vectors(pd.RangeIndex(n), ("a", "b", "c"), values)
    config = {"max_songs": 300, "n_clusters": (8,)}
    if kind is DBSCAN:
        config = {"max_songs": 300, "eps_quantiles": (0.8,)}
    tracemalloc.start()
    model = kind(kind.config_class(**config)).fit(playlists(list(range(n))), songs)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < n * n  # bytes; all distances would be eight or four times as many
    assert len(model.labels) == n
    assert model.n_clusters >= 1


@pytest.mark.parametrize("kind", [KMeans, Agglomerative])
def test_more_clusters_than_songs_are_told(kind: type[Clusters], caplog: pytest.LogCaptureFixture) -> None:
    kind(n_clusters=(6,)).fit(TRAIN, SONGS)
    assert not caplog.messages
    assert kind(n_clusters=(100,)).fit(TRAIN, SONGS).n_clusters == 6
    assert caplog.messages == ["100 clusters are asked for, and the songs make 6: no more are used."]
