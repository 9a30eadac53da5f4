"""Change what the test hides, or whole test playlists, and nothing that is fitted or validated may change by a bit."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from prefect import flow
from prefect.settings import PREFECT_TASKS_REFRESH_CACHE, temporary_settings
from prefect.task_runners import ThreadPoolTaskRunner

from attrec.datasets.playlist_simulator import PlaylistSimulatorConfig, simulate_playlists
from attrec.datasets.simulator import SimulatorConfig, simulate
from attrec.datasets.tables import Tables
from attrec.prepare.playlist_splits import PlaylistSplitConfig
from flows.comparison import score
from flows.fitting import fit_models
from flows.playlist_params import PlaylistSection
from tasks.comparison.score import read_scores
from tasks.engine.artifacts import Artifact, writing
from tasks.engine.server import Api
from tasks.families.playlists.data import LikesConfig, PreparedPlaylists, load_test_playlists, make_playlists
from tasks.families.playlists.family import PLAYLISTS

pytestmark = pytest.mark.slow

TINY = {"dimension": 8, "hidden": 8, "cooccurrence": 4, "training": {"epochs": 3}}
MODELS = {
    "random": {"kind": "random"},
    "popularity": {"kind": "popularity"},
    "itemknn": {"kind": "itemknn"},
    "mean-vector": {"kind": "mean-vector"},
    "itemknn+mean-vector": {"kind": "itemknn+mean-vector"},
    "kmeans": {"kind": "kmeans", "changes": {"n_clusters": [2, 8]}},
    "agglomerative": {"kind": "agglomerative", "changes": {"n_clusters": [2, 8]}},
    "dbscan": {"kind": "dbscan", "changes": {"eps_quantiles": [0.2, 0.8]}},
    "ars-distance": {"kind": "ars", "changes": TINY},
    "ars-learned": {"kind": "ars", "changes": {**TINY, "similarity": "learned"}},
    "ars-paper": {"kind": "ars", "recipe": "paper", "changes": {**TINY, "cooccurrence": 0}},
    "ars-mean": {"kind": "ars", "changes": {**TINY, "attention": False, "pairs": 2}},
}
PEOPLE = SimulatorConfig(n_users=100, n_items=150, n_ratings=4000)
WORLD = PlaylistSimulatorConfig(n_songs=150, n_playlists=100, n_artists=15, mean_length=10)


def prepared(tables: Tables) -> PreparedPlaylists:
    with writing("clean") as cleaned:
        tables.save(cleaned.folder)
    split = PlaylistSplitConfig()
    return make_playlists("made", cleaned.artifact, LikesConfig(), split, None)


@flow(name="playlist-leak-test", task_runner=ThreadPoolTaskRunner(max_workers=64))
def compared(tables: Tables):
    playlists = prepared(tables)
    section = PlaylistSection.model_validate({"models": MODELS})
    fitted = fit_models(PLAYLISTS, section.models, [0], playlists)
    return playlists, fitted, score(PLAYLISTS, playlists, fitted)


@pytest.fixture(scope="module", params=["songs", "likes"])
def before(prefect_server: Api, request):
    tables = simulate_playlists(WORLD) if request.param == "songs" else simulate(PEOPLE)
    return tables, compared(tables)


def assert_nothing_but_the_test_changed(before, after) -> None:
    playlists, fitted, scores = before
    others, refitted, rescored = after
    assert playlists.training == others.training
    for old, new in zip(fitted, refitted, strict=True):
        assert old.models == new.models, old.name
        assert old.validation == new.validation, old.name
    assert scores["validation"] == rescored["validation"]
    assert read_scores(scores["test"])["value"].tolist() != read_scores(rescored["test"])["value"].tolist()


def test_no_model_sees_a_held_out_song(before):
    tables, done = before
    hidden = load_test_playlists(done[0]).held_out.assign(hidden=True)
    rows = tables.ratings.merge(hidden, on=["user_id", "item_id"], how="left")
    # Each hidden song gives way to one that its playlist has not, so that lengths and questions stay.
    rng = np.random.default_rng(1)
    changed = rows["item_id"].to_numpy().copy()
    for _, own in rows.groupby("user_id"):
        places = own.index[own["hidden"].notna()]
        others = np.setdiff1d(tables.items["item_id"], own["item_id"])
        changed[places] = rng.choice(others, len(places), replace=False)
    assert (changed != rows["item_id"]).sum() == len(hidden) > 50
    with temporary_settings({PREFECT_TASKS_REFRESH_CACHE: True}):
        after = compared(Tables(tables.ratings.assign(item_id=changed), tables.users, tables.items))
    # Which songs of a playlist are given is drawn by their order, so the questions change too; nothing else may.
    assert_nothing_but_the_test_changed(done, after)


def test_test_playlists_may_be_any_others(before):
    tables, done = before
    test = load_test_playlists(done[0])
    tested = pd.concat([test.given, test.held_out])["user_id"].unique()
    rng = np.random.default_rng(2)
    lengths = tables.ratings["user_id"].value_counts()
    parts = [tables.ratings[~tables.ratings["user_id"].isin(tested)]]
    for playlist in tested:
        songs = rng.choice(tables.items["item_id"], lengths[playlist], replace=False)
        own = tables.ratings[tables.ratings["user_id"] == playlist]
        parts.append(own.assign(item_id=songs))
    with temporary_settings({PREFECT_TASKS_REFRESH_CACHE: True}):
        after = compared(Tables(pd.concat(parts, ignore_index=True), tables.users, tables.items))
    assert_nothing_but_the_test_changed(done, after)


def test_a_fit_gets_one_folder_without_the_test(before):
    _, (playlists, fitted, _) = before
    test = load_test_playlists(playlists)
    tested = set(test.held_out["user_id"])
    for name in ("train", "validation_given", "validation_held_out"):
        seen = pd.read_parquet(playlists.training.folder.path / f"{name}.parquet")
        assert not tested & set(seen["user_id"])
    assert isinstance(fitted[0].models[0], Artifact)
