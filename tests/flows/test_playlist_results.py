"""A tiny published table of playlist models: two data sets and two folds, pooled, and nothing is computed twice."""

from __future__ import annotations

import json

import pandas as pd
import pytest

from attrec.datasets.playlist_simulator import PlaylistSimulatorConfig, simulate_playlists
from attrec.datasets.simulator import SimulatorConfig
from attrec.errors import ParamsError
from attrec.playlists.model import PlaylistModel
from attrec.playlists.specs import check_playlist_names
from attrec.prepare.playlist_splits import PlaylistSplitConfig, split_playlists
from flows import results
from flows.prepare_params import PrepareSection
from flows.published.playlists import PLAYLIST_TABLES, PlaylistComparison
from flows.results import ResultsParams
from tasks.engine import environment, run_store
from tasks.engine.params import RunnerConfig
from tasks.engine.server import Api

pytestmark = pytest.mark.slow

RESULTS = environment.ROOT / "results" / "tiny"
TINY = {"dimension": 8, "hidden": 8, "cooccurrence": 4, "pairs": 1, "training": {"epochs": 2}}
SECTION = PrepareSection(
    simulated=SimulatorConfig(n_users=40, n_items=50, n_ratings=700),
    simulated_playlists=PlaylistSimulatorConfig(n_songs=120, n_playlists=60, n_artists=12, mean_length=9),
)
COMPARISON = PlaylistComparison.model_validate(
    {
        "datasets": ["simulated-playlists", "simulated"],
        "prepare": SECTION,
        "split": {"n_folds": 2, "seed": 3},
        "chosen_on": {"simulated-playlists": [{"n_folds": 2, "seed": 5}]},
        "folds": [0, 1],
        "seeds": [0, 1],
        "models": {
            "popularity": {"kind": "popularity"},
            "kmeans": {"kind": "kmeans", "changes": {"n_clusters": [2, 4]}},
            "ars-tiny": {"kind": "ars", "changes": TINY},
        },
        "ablation": {
            "attention": {"kind": "ars", "changes": TINY},
            "no attention": {"kind": "ars", "changes": {**TINY, "attention": False}},
        },
        "remarks": ["What recipes were chosen on is not scored."],
    }
)
KINDS = (
    "scores",
    "ablation",
    "known",
    "comparisons",
    "beyond",
    "by-seed",
    "by-fold",
    "models",
    "clusterings",
    "ceiling",
)


@pytest.fixture(scope="module")
def tables(prefect_server: Api) -> dict[str, pd.DataFrame]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(results, "TABLES", {"tiny": COMPARISON})
        params = ResultsParams(table="tiny", runner=RunnerConfig(kind="threads"))
        results.run(params)
        # What is fitted already is not fitted again.
        patch.setattr(PlaylistModel, "fit", None)
        results.run(params)
    return {kind: pd.read_csv(RESULTS / f"{kind}.csv") for kind in KINDS}


def test_every_data_set_has_every_model_and_metric(tables):
    board = tables["scores"]
    assert set(board["dataset"]) == set(COMPARISON.datasets)
    assert set(board["split"]) == {"cv2"}
    counts = board.groupby("dataset")[["model", "metric"]].value_counts()
    assert (counts == 1).all()
    assert len(counts) == 2 * 3 * 3


def test_the_folds_are_pooled_and_the_seeds_averaged(tables):
    board = tables["scores"].set_index(["dataset", "model", "metric"])
    by_seed = tables["by-seed"].groupby(["dataset", "model", "metric"])["value"].mean()
    for key, value in by_seed.items():
        assert board.loc[key, "value"] == pytest.approx(value, abs=2e-6)
    folds = tables["by-fold"]
    assert set(folds["fold"]) == {0, 1}
    for key, rows in folds.groupby(["dataset", "model", "metric"]):
        assert rows["value"].min() - 1e-5 <= board.loc[key, "value"] <= rows["value"].max() + 1e-5
    seeds = board["seeds"].unstack("model")
    assert (seeds["ars-tiny"] == 2).all(axis=None)
    assert (seeds["popularity"] == 1).all(axis=None)


def test_each_metric_is_tested_against_its_best_model(tables):
    tests, board = tables["comparisons"], tables["scores"].set_index(["dataset", "metric", "model"])["value"]
    assert len(tests) == 2 * 3 * 2
    for row in tests.itertuples():
        of_metric = board[row.dataset, row.metric]
        assert of_metric[row.reference] == of_metric.max()
        assert row.difference == pytest.approx(of_metric[row.model] - of_metric[row.reference], abs=3e-6)


def test_playlists_that_recipes_were_chosen_on_are_not_scored(tables):
    rows = simulate_playlists(SECTION.simulated_playlists).ratings
    tested = set()
    for fold in (0, 1):
        split = split_playlists(rows, PlaylistSplitConfig(n_folds=2, seed=3, fold=fold))
        tested |= set(split.test.given["user_id"])
    chosen_on = split_playlists(rows, PlaylistSplitConfig(n_folds=2, seed=5)).validation.given["user_id"]
    assert tested & set(chosen_on)
    counts = tables["scores"].groupby("dataset")["n"].unique()
    assert counts["simulated-playlists"].tolist() == [len(tested - set(chosen_on))]


def test_known_songs_are_ranked_among_themselves(tables):
    fewer, nearer = 0, 0
    for folder in (environment.ARTIFACTS / "playlist-ranks").iterdir():
        ranks, known = (pd.read_parquet(folder / f"{name}.parquet") for name in ("ranks", "known_ranks"))
        both = known.merge(ranks, on=["user_id", "item_id"], suffixes=("", "_among_all"))
        assert len(both) == len(known)
        assert (both["rank"] <= both["rank_among_all"]).all()
        fewer += len(ranks) - len(known)
        nearer += (both["rank"] < both["rank_among_all"]).sum()
    assert fewer > 0
    assert nearer > 0


def test_the_ceiling_is_known_of_simulated_playlists_alone(tables):
    assert set(tables["ceiling"]["dataset"]) == {"simulated-playlists"}
    ceiling = tables["ceiling"].set_index("metric")["value"]
    board = tables["scores"].query("dataset == 'simulated-playlists'")
    assert (board["value"] < board["metric"].map(ceiling)).all()


def test_ablation_is_on_validation_and_held_against_the_first_step(tables):
    first, second = COMPARISON.ablation
    for _, ablation in tables["ablation"].set_index("step").groupby("dataset"):
        assert set(ablation["metric"]) == {"validation ndcg@10"}
        assert pd.isna(ablation.loc[first, "difference"])
        behind = ablation.loc[second, "value"] - ablation.loc[first, "value"]
        assert ablation.loc[second, "difference"] == pytest.approx(behind, abs=2e-6)


def test_a_playlist_that_is_validated_on_in_several_folds_counts_once(tables):
    rows = simulate_playlists(SECTION.simulated_playlists).ratings
    chosen_on = split_playlists(rows, PlaylistSplitConfig(n_folds=2, seed=5)).validation.given["user_id"]
    validated = [
        set(
            split_playlists(rows, PlaylistSplitConfig(n_folds=2, seed=3, fold=fold)).validation.given[
                "user_id"
            ]
        )
        for fold in (0, 1)
    ]
    distinct = (validated[0] | validated[1]) - set(chosen_on)
    counts = tables["ablation"].groupby("dataset")["n"].unique()
    assert counts["simulated-playlists"].tolist() == [len(distinct)]


def test_sizes_times_and_clusterings_are_told(tables):
    facts = tables["models"].set_index(["dataset", "model"])
    for dataset in COMPARISON.datasets:
        assert facts.loc[(dataset, "ars-tiny"), "parameters"] > 8 * 8
        assert facts.loc[(dataset, "ars-tiny"), "cpu_seconds"] > 0
        assert pd.isna(facts.loc[(dataset, "popularity"), "parameters"])
    clusterings = tables["clusterings"]
    assert len(clusterings) == 2 * 2
    assert set(clusterings["candidate"]) <= {2, 4}
    assert clusterings["silhouette"].between(-1, 1).all()


def test_provenance_names_code_splits_and_models(tables):
    provenance = json.loads((RESULTS / "provenance.json").read_text())
    assert provenance["git.commit"]
    assert len(provenance["splits"]) == 4
    assert len(provenance["splits"]["simulated-playlists fold1of2"]) == 64
    assert provenance["comparison"]["models"]["ars-tiny"]["kind"] == "ars"


def test_runs_are_tracked(tables):
    row = tables["scores"].query("model == 'kmeans' and metric == 'recall@50'").iloc[0]
    run = run_store.client().get_run(row["run_id"])
    assert run.data.metrics["test/recall_50"] == pytest.approx(row["value"], abs=2e-6)
    assert run.data.tags["dataset"] == row["dataset"]


def test_the_published_table(project):
    comparison = PLAYLIST_TABLES["spotify-playlists"]
    check_playlist_names(comparison.models)
    assert {name.partition("-")[0] for name in comparison.models} == {
        "random", "popularity", "itemknn", "mean", "itemknn+mean", "kmeans", "agglomerative", "dbscan", "ars",
    }  # fmt: skip
    assert len(comparison.seeds) >= 3
    assert comparison.folds == list(range(5))
    assert comparison.split.seed == 11
    assert set(comparison.chosen_on) == set(comparison.datasets)
    page = (project / "docs" / "playlists.md").read_text(encoding="utf-8")
    told = " ".join(page.replace("`", "").split())
    for remark in comparison.remarks:
        assert remark in told


def test_a_part_of_the_table_has_a_name_of_its_own():
    whole = PLAYLIST_TABLES["spotify-playlists"]
    assert whole.cut(None, None) == (whole, "")
    assert whole.cut(5, 3) == (whole, "")
    part, suffix = whole.cut(2, 1)
    assert suffix == "-first-2-splits-1-seeds"
    assert (part.folds, part.seeds, part.ablation) == ([0, 1], [0], {})
    with pytest.raises(ParamsError, match="--splits is 6, but there are 5"):
        whole.cut(6, None)


def test_each_data_set_has_a_page_with_its_figures_and_what_each_choice_contributed(tables):
    for dataset in COMPARISON.datasets:
        page = (environment.ROOT / "reports" / "tiny" / f"{dataset}.html").read_text(encoding="utf-8")
        board = tables["scores"].query("dataset == @dataset and metric == 'ndcg@10'")
        assert f"{board['value'].max():.4f}" in page
        shown = page[page.index("What each choice contributed") :]
        assert all(step in shown for step in COMPARISON.ablation)
        assert "Clusterings that were chosen, by fold" in page
        assert ("nobody can expect more" in page) == (dataset == "simulated-playlists")
        assert str(board["run_id"].iloc[0]) in page


def test_each_page_has_the_remarks_and_the_hash_of_every_split(tables):
    provenance = json.loads((RESULTS / "provenance.json").read_text())
    for dataset in COMPARISON.datasets:
        page = (environment.ROOT / "reports" / "tiny" / f"{dataset}.html").read_text(encoding="utf-8")
        assert page.count(COMPARISON.remarks[0]) == 1
        for fold in ("fold0of2", "fold1of2"):
            assert provenance["splits"][f"{dataset} {fold}"] in page
        assert "Data version" not in page
