"""The leaderboard and the page from files that the other stages would have left."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest

from attrec.datasets.tables import Tables
from attrec.reporting.leaderboard import read_leaderboard
from tasks.engine import environment
from tasks.engine.provenance import provenance
from tasks.reports.published import published_references
from tasks.reports.report import measured_tasks, write_board, write_page

RATING = {"bias": {"rmse": 0.95, "mae": 0.75}, "svd": {"rmse": 0.9, "mae": 0.7}}
SEQUENCE = {
    "popularity": {"ndcg@10": 0.05, "hr@10": 0.1, "mrr@10": 0.04, "ndcg@20-sampled-uniform100": 0.4},
    "sasrec-softmax": {"ndcg@10": 0.19, "hr@10": 0.32, "mrr@10": 0.15, "ndcg@20-sampled-uniform100": 0.8},
}
PUBLISHED = """\
dataset,split,model,metric,value,source
csv,leave-one-out,SASRec,hr@10,0.2,"Some & Others"
csv,leave-one-out,SASRec,ndcg@10,0.1234,"Some & Others"
csv,leave-one-out,BERT4Rec,ndcg@10,0.1432,"Some & Others"
csv,leave-one-out,HSTU+time,ndcg@10,0.2468,"Some & Others"
csv,temporal,SASRec,ndcg@10,0.0987,"Some & Others"
csv,random,SVD,rmse,0.8765,"Others"
other,leave-one-out,SASRec,ndcg@10,0.0123,"Others"
"""


def write_json(file: Path, content: object) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(content))


def write_csv(file: Path, **columns: object) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    pd.DataFrame(columns).to_csv(file, index=False)


def write_scores(root: Path, task: str, figures: dict[str, dict[str, float]], **summary: object) -> None:
    rows = [
        {"model": model, "metric": metric, "value": value, "ci_low": value - 0.01, "ci_high": value + 0.01,
         "n": 40, "seeds": 1}
        for model, of_model in figures.items() for metric, value in of_model.items()
    ]  # fmt: skip
    folder = root / "reports" / task
    write_csv(folder / "test" / "scores.csv", **pd.DataFrame(rows))
    names = ["model", "reference", "metric", "difference", "ci_low", "ci_high", "p_value", "p_adjusted"]
    write_csv(folder / "test" / "comparisons.csv", **{name: [] for name in names})
    write_json(
        folder / "summary.json",
        {
            "dataset": "csv",
            "seeds": {model: [7] for model in figures},
            "tried": {model: 1 + 29 * (model == "sasrec-softmax") for model in figures},
            "descriptions": {model: f"What {model} is." for model in figures},
            **summary,
        },
    )
    left = {
        "runs": {model: f"run-of-{model}" for model in (*figures, task)},
        "champion": f"The best {task} model is champion.",
    }
    write_json(root / "reports" / f"{task}_runs.json", left)


def write_rating(root: Path) -> None:
    write_scores(
        root, "rating", RATING, split={"name": "random", "hash": "r" * 64}, champion_on_validation="svd"
    )
    folder = root / "reports" / "rating"
    write_csv(folder / "loss_curves.csv", model=[], epoch=[], train=[], validation=[])
    write_csv(folder / "feature_importance.csv", feature=[], importance=[])
    for name in ("user_activity", "item_activity", "calibration", "by_rating"):
        write_csv(folder / "test" / f"{name}.csv", group=[])


def write_sequence(root: Path) -> None:
    write_scores(
        root, "sequence", SEQUENCE, champion_on_validation="sasrec-softmax",
        split={"name": "leave-one-out", "hash": "s" * 64, "actions": 280, "users": 40, "test_targets": 40},
        sequences={"min_rating": None, "min_length": 3, "min_item_count": 1},
    )  # fmt: skip
    folder, models = root / "reports" / "sequence", list(SEQUENCE)
    write_csv(folder / "loss_curves.csv", model=models[1:], epoch=[1], train=[5.0], validation=[0.8])
    write_csv(
        folder / "test" / "beyond.csv",
        **{
            "model": models,
            "coverage@10": [0.1, 0.625],
            "popularity@10": [9, 5],
            "popularity-lift@10": [1, 0.25],
        },
    )
    write_csv(folder / "test" / "ceiling.csv", metric=["ndcg@10", "hr@10"], value=[0.3456, 0.8])
    groups = {"model": models, "group": ["3–8"] * 2, "users": [40] * 2}
    write_csv(
        folder / "test" / "by_length.csv",
        **groups,
        value=[0.05, 0.19],
        ci_low=[0.03, 0.15],
        ci_high=[0.07, 0.23],
    )
    write_csv(
        folder / "attention.csv",
        model=["sasrec-softmax"], block=[2], head=[1], query=[0], key=[0], query_title=["NA"], key_title=["NA"],
        weight=[1.0],
    )  # fmt: skip


PLAYLIST = {
    "popularity": {"ndcg@10": 0.02, "r-precision": 0.01, "recall@50": 0.1},
    "ars-small": {"ndcg@10": 0.22, "r-precision": 0.12, "recall@50": 0.4},
}


def write_playlist(root: Path) -> None:
    write_scores(
        root, "playlist", PLAYLIST, champion_on_validation="ars-small",
        split={"name": "fold0of5", "hash": "p" * 64, "playlists": 60, "test_songs_held_out_unknown": 17},
        playlists={"kind": "songs", "min_rating": None},
        cleaning={
            "rows": 123,
            "columns_dropped": {"mode": "all its values are the same"},
            "values_filled": {"tempo": 4},
            "columns_transformed": ["loudness"],
        },
    )  # fmt: skip
    folder, models = root / "reports" / "playlist", list(PLAYLIST)
    write_csv(folder / "loss_curves.csv", model=models[1:], epoch=[1], train=[5.0], validation=[0.8])
    write_csv(
        folder / "test" / "beyond.csv", model=models, **{"coverage@10": [0.1, 0.625], "popularity@10": [9, 5]}
    )
    write_csv(folder / "test" / "ceiling.csv", metric=["ndcg@10", "recall@50"], value=[0.4321, 0.8])
    write_csv(
        folder / "clusterings.csv",
        **{"model": ["kmeans"], "chosen": [True], "candidate": [8.0], "clusters": [8], "without_cluster": [0.0],
           "silhouette": [0.125], "davies_bouldin": [1.5], "calinski_harabasz": [33.0], "ndcg": [0.1]},
    )  # fmt: skip
    songs = {"title": ["NA", "Hello"], "artist": ["nan", "Adele"]}
    write_csv(
        folder / "example.csv",
        model=["ars-small"] * 2,
        **songs,
        weight=[0.75, 0.25],
        attention=[0.375, 0.625],
    )
    write_csv(folder / "recommended.csv", rank=[1, 2], **songs, distance=[0.5, 0.6], held_out=[True, False])
    points = {"x0": [0.0, 1.0, 2.0, 1.0], "x1": [0.0, 1.0, 0.5, 1.0], "x2": [1.0, 0.0, 0.0, 1.0]}
    roles = {"role": ["playlist", "recommended", "", "centroid"], "cluster": [0, 0, 1, -1]}
    pd.DataFrame({**roles, **points}).to_parquet(folder / "map.parquet")
    pd.DataFrame({"tempo": [90.0, 120.0, 180.0]}).to_parquet(folder / "before.parquet")
    pd.DataFrame({"tempo": [-1.0, 0.0, 1.0]}).to_parquet(folder / "after.parquet")


@pytest.fixture
def root(tmp_path, monkeypatch):
    """A project whose prepare stage has run on actions: nobody rates."""
    monkeypatch.setattr(environment, "ROOT", tmp_path)
    provenance.cache_clear()
    places = {"file": "mine.csv", "line": range(1, 4)}
    actions = pd.DataFrame({"user_id": [1, 1, 2], "item_id": [7, 8, 7]}).assign(**places)
    tables = Tables(actions, pd.DataFrame({"user_id": [1, 2]}), pd.DataFrame({"item_id": [7, 8]}))
    for folder in ("raw", "interim"):
        tables.save(tmp_path / "data" / folder)
    pd.DataFrame({"table": [], "file": [], "line": []}).to_parquet(tmp_path / "data" / "quarantine.parquet")
    told = {"dataset": "csv", "feedback": "actions", "noun": "song", "nouns": "songs"}
    write_json(tmp_path / "data/processed/training/facts.json", told)
    counts = {"rows_in": {"ratings": 3}, "rows_out": {"ratings": 3}, "rules": {"duplicates": 0}, "notes": []}
    write_json(tmp_path / "reports/prepare/cleaning.json", counts)
    write_json(tmp_path / "reports/prepare/validation.json", {"expectations": []})
    write_json(tmp_path / "reports/prepare/split.json", {"name": "none", "hash": "n" * 64})
    (tmp_path / "params.yaml").write_text("dataset: csv\nsequence: {exclude_seen: false}\n")
    (tmp_path / "results").mkdir()
    (tmp_path / "results" / "published.csv").write_text(PUBLISHED)
    yield tmp_path
    provenance.cache_clear()


def with_ratings(root: Path) -> None:
    """The same project when people rate."""
    write_json(root / "data/processed/training/facts.json", {"dataset": "csv", "feedback": "ratings"})
    sizes = {f"{part}_{of}": 5 for part in ("train", "validation", "test") for of in ("ratings", "users")}
    write_json(root / "reports/prepare/split.json", {"name": "random", "hash": "r" * 64, **sizes})


def page(root: Path) -> str:
    write_board.fn()
    write_page.fn()
    return (root / "reports" / "index.html").read_text(encoding="utf-8")


def test_leaderboard_has_the_figures_of_both_tasks_with_their_runs(root):
    write_rating(root)
    write_sequence(root)
    write_board.fn()
    board = read_leaderboard(root / "reports" / "leaderboard.csv")
    assert len(board) == 2 * 2 + 2 * 4
    assert {*zip(board["task"], board["split"], strict=True)} == {
        ("rating", "random"),
        ("sequence", "leave-one-out"),
    }
    row = board[(board["model"] == "sasrec-softmax") & (board["metric"] == "hr@10")].iloc[0]
    assert (row["value"], row["n"], row["run_id"], row["tried"]) == (0.32, 40, "run-of-sasrec-softmax", 30)


def write_study(root: Path, model: str, **told: object) -> None:
    folder = root / "reports" / "tuning" / "sequence" / model
    found = {
        "family": "sequence", "model": model, "dataset": "csv", "split": "leave-one-out", "metric": "ndcg@10",
        "lower_is_better": False, "budget": "4 trials", "trials": 4, "pruned": 1, "tried": 4, "cpu_seconds": 90.0,
        "best_trial": 2, "best": 0.2468, "start": 0.2, "values": {"network.dropout": 0.25},
        "importance": {"network.dropout": 0.75, "batch": 0.25}, "space": {}, "study": "s", "run_id": "run",
        "git_commit": "c", "git_dirty": False, **told,
    }  # fmt: skip
    write_json(folder / "study.json", found)
    write_csv(
        folder / "trials.csv",
        trial=range(4), state=["complete", "complete", "complete", "pruned"], value=[0.2, 0.1, 0.2468, None],
        cpu_seconds=[1.0] * 4, epochs=[3] * 4, start=[True, False, False, False], same_as=[None] * 4,
        reason=[None] * 3 + ["pruned after epoch 2"], batch=[8, 16, 32, 64],
    )  # fmt: skip


def test_page_shows_searches_on_these_data_and_how_many_configurations_a_model_is_the_best_of(root):
    write_sequence(root)
    without = page(root)
    write_study(root, "sasrec-softmax")
    write_study(root, "elsewhere", dataset="other")
    write_study(root, "elsewhen", split="temporal")
    write_study(root, "changed", git_dirty=True, start=None)
    html = page(root)
    assert '<section id="tuning"' not in without
    assert '<section id="tuning"' in html
    assert "Of 4 configurations of sasrec-softmax, the best has a validation NDCG@10 of 0.2468" in html
    assert '<td class="text">network.dropout</td><td class="text">0.25</td>' in html
    assert "the course of the search" in html
    assert "Importance of 2 fields; network.dropout counted most." in html
    assert "elsewhere" not in html
    assert "elsewhen" not in html
    assert "c and changes" in html
    assert "what the start has is not known" in html
    assert '<th scope="col" class="number">tried</th>' in html
    assert '<td class="number">30</td>' in html


def test_page_of_both_tasks(root):
    with_ratings(root)
    write_rating(root)
    write_sequence(root)
    html = page(root)
    assert '<section id="rating"' in html
    assert '<section id="sequence"' in html
    assert "one split a task, random and leave-one-out." in html
    assert "run-of-popularity" in html
    assert "0.8765" in html  # published RMSE


def test_data_that_nobody_rates_have_a_page_without_ratings(root):
    write_sequence(root)
    # What the rating stage leaves of them.
    write_json(root / "reports/rating/summary.json", {"dataset": "csv", "seeds": {}})
    write_json(root / "reports/rating_runs.json", {"runs": {}, "champion": "Nobody rates in these data."})
    assert measured_tasks(root) == ["sequence"]
    html = page(root)
    assert "No rating model is fitted to these data. Nobody rates in these data." in html
    assert '<section id="rating"' not in html
    assert "<dt>Split</dt><dd>none</dd>" not in html
    assert "one split, leave-one-out." in html
    assert "what the user has had included" in html  # from params.yaml
    assert "What sasrec-softmax is." in html
    assert "NA  1" in html  # a title is text, whatever it spells
    assert "0.1234" in html
    assert "0.1432" in html
    assert "0.0987" not in html  # of another split
    assert "HSTU+time" in html


def test_page_of_playlists(root):
    write_sequence(root)
    write_playlist(root)
    html = page(root)
    assert "one split a task, leave-one-out and fold0of5." in html
    for shown in (
        '<section id="playlist"', "Songs for a playlist", "R-precision", "Recall@50",
        "would reach a NDCG@10 of 0.4321", "17 of the songs to be found", "from the 123 songs of training playlists",
        "mode (all its values are the same)", "4 of tempo", "power transform: loudness", "Clusterings that were tried",
        "what moves the centroid of ars-small", "What ars-small recommends for it", "coloured by the clusters of",
        "before it (left) and after", "What ars-small is.",
        "0.6250", "Attention: how much of the attention among the songs",
    ):  # fmt: skip
        assert shown in html, shown
    # Of two models of one name, each run has its task.
    assert "popularity (sequence)" in html
    assert "popularity (playlist)" in html


def test_a_playlist_that_nothing_attends_to(root):
    write_playlist(root)
    file = root / "reports" / "playlist" / "example.csv"
    pd.read_csv(file, keep_default_na=False).assign(attention="").to_csv(file, index=False)
    html = page(root)
    assert "what moves the centroid of ars-small" in html
    assert "among the songs goes to it" not in html
    pd.read_csv(file, keep_default_na=False).assign(weight="").to_csv(file, index=False)
    html = page(root)
    assert "A validation playlist" in html
    assert "what moves the centroid" not in html


def test_playlists_without_an_example_or_a_ceiling(root):
    write_playlist(root)
    folder = root / "reports" / "playlist"
    for name in ("example.csv", "recommended.csv", "map.parquet", "test/ceiling.csv"):
        (folder / name).unlink()
    html = page(root)
    assert "nobody can expect more" not in html
    assert "What ars-small recommends" not in html


def test_what_ranking_is_possible_is_said_where_it_is_known(root):
    write_sequence(root)
    assert "would reach an NDCG@10 of 0.3456: no model" in page(root)
    (root / "reports" / "sequence" / "test" / "ceiling.csv").unlink()
    assert "no model, which has to guess" not in page(root)


def test_page_of_ratings_alone(root):
    with_ratings(root)
    write_rating(root)
    html = page(root)
    assert '<section id="rating"' in html
    assert '<section id="sequence"' not in html
    assert "one split, random." in html


def test_attention_may_be_absent(root):
    write_sequence(root)
    with_map = page(root).count("<figure>")
    (root / "reports" / "sequence" / "attention.csv").unlink()
    assert page(root).count("<figure>") == with_map - 1


def test_published_figures_of_a_split_highest_first(root):
    rows = published_references("csv", "leave-one-out", ("ndcg@10", "hr@10", "mrr@10"))
    assert rows is not None
    assert rows.columns.tolist() == ["model", "value", "hr@10", "note"]
    assert rows["model"].tolist() == ["HSTU+time", "BERT4Rec", "SASRec"]
    assert rows["value"].tolist() == [0.2468, 0.1432, 0.1234]
    assert published_references("csv", "leave-one-out", ("rmse",)) is None
    assert published_references("nowhere", "leave-one-out", ("ndcg@10",)) is None


def test_figures_published_of_ml_1m_have_both_metrics_and_a_source(project, monkeypatch):
    monkeypatch.setattr(environment, "ROOT", project)
    rows = published_references("ml-1m-sequences", "leave-one-out", ("ndcg@10", "hr@10"))
    assert rows is not None
    assert rows["value"].tolist()[:3] == [0.1979, 0.1893, 0.186]
    assert rows.notna().all(axis=None)
    assert rows["model"].is_unique


def test_figures_published_of_models_with_timestamps_are_told_as_such(project, monkeypatch):
    monkeypatch.setattr(environment, "ROOT", project)
    rows = published_references("ml-100k", "u1", ("rmse",))
    assert rows is not None
    assert rows["model"].iloc[-1] == "bayesian-fm+time"


def test_what_a_stage_noted_stands_beside_its_figures(root):
    write_sequence(root)
    file = root / "reports" / "sequence_runs.json"
    left = json.loads(file.read_text())
    left["sizes"] = {"sasrec-softmax": {"numbers": 123456, "counted": "trained", "megabytes": 2.5}}
    left["timings"] = {"sasrec-softmax": {"seconds": 9.0, "cpu_seconds": 7.25}}
    write_json(file, left)
    html = page(root)
    assert "The best sequence model is champion." in html
    assert "123 k trained" in html
    assert "took 7 seconds of computing to fit" in html
    assert "`attrec ui` shows them" in html
    assert "run-of-sasrec-softmax</td>" in html
    assert "#/experiments" not in html
    write_json(file, {**left, "address": "http://mlflow.example:5000/#/experiments/3"})
    address = "http://mlflow.example:5000/#/experiments/3/runs/run-of-sasrec-softmax"
    assert f'<a href="{address}">sasrec-softmax (best on validation)</a>' in page(root)


def test_examples_are_shown_as_they_are_spelled(root):
    write_sequence(root)
    write_csv(
        root / "reports" / "sequence" / "examples.csv",
        model=["sasrec-softmax"] * 3, whose=["007"] * 3, side=["had", "next", "recommended"], rank=[1] * 3,
        title=["NA", "<b>1.50</b>", "<b>1.50</b>"], artist=["", "", "nan"], rating=[None] * 3,
        found=[False, False, True],
    )  # fmt: skip
    html = page(root)
    assert "<h4><bdi>User 007</bdi></h4>" in html
    assert "<li><bdi>NA</bdi></li>" in html
    assert '<li class="found"><bdi>&lt;b&gt;1.50&lt;/b&gt;</bdi> <bdi class="detail">nan</bdi></li>' in html
