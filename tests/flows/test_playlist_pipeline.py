"""The playlist stage in a clone, as a user types it: figures, runs, the registered model, data without likes."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
import yaml
from mlflow import MlflowClient

pytestmark = pytest.mark.slow

MODELS = {"popularity", "kmeans", "ars-tiny"}

SERVE = """
import sys
import mlflow, pandas as pd
mlflow.set_tracking_uri(sys.argv[1])
model = mlflow.pyfunc.load_model("models:/attrec-playlist@champion")
for file in sys.argv[2:]:
    answer = model.predict(pd.read_parquet(file), params={"k": 3})
    answer.to_parquet(f"answer-{file}")
"""


def test_playlists_are_in_the_leaderboard_and_on_the_page(cold):
    reports = cold.folder / "reports"
    board = pd.read_csv(reports / "leaderboard.csv").query("task == 'playlist'")
    assert set(board["model"]) == MODELS
    assert set(board["split"]) == {"fold0of5"}
    assert set(board["metric"]) == {"ndcg@10", "r-precision", "recall@50"}
    # Of so few playlists there is no interval.
    assert board[["ci_low", "ci_high"]].isna().all(axis=None)
    page = (reports / "index.html").read_text()
    for shown in (
        '<section id="playlist"', "the films that a user rated 4 or better are taken for one",
        "Clusterings that were tried", "The catalogue in its two widest directions", "before it (left) and after",
        "what moves the centroid of ars-tiny", "Liked, kept from the model", "of computing to fit",
    ):  # fmt: skip
        assert shown in page, shown


def test_runs_are_tracked_and_the_best_on_validation_is_champion(cold):
    folder = cold.folder
    store = MlflowClient(tracking_uri=f"sqlite:///{folder}/.attrec/mlflow.db")
    runs = json.loads((folder / "reports" / "playlist_runs.json").read_text())["runs"]
    assert set(runs) == MODELS | {"playlist"}
    found = {model: store.get_run(runs[model]) for model in MODELS}
    values = {model: run.data.metrics["validation/ndcg_10"] for model, run in found.items()}
    version = store.get_model_version_by_alias("attrec-playlist", "champion")
    assert version.tags["model"] == max(values, key=values.get)
    for run in found.values():
        assert run.data.tags["mlflow.parentRunId"] == runs["playlist"]
        assert run.data.tags["dvc.stage"] == "playlist"
    assert [point.step for point in store.get_metric_history(runs["ars-tiny"], "loss/train")] == [1, 2, 3]


def test_registered_model_takes_ids_and_titles(cold, tmp_path: Path):
    folder = cold.folder
    ratings = pd.read_parquet(folder / "data" / "interim" / "ratings.parquet")
    items = pd.read_parquet(folder / "data" / "interim" / "items.parquet").set_index("item_id")
    mine = ratings["item_id"].value_counts().index[:4]
    pd.DataFrame({"item_id": mine}).to_parquet(tmp_path / "ids.parquet")
    typed = [title.lower() for title in items.loc[mine, "title"]]
    pd.DataFrame({"title": typed, "playlist": "mine"}).to_parquet(tmp_path / "titles.parquet")
    (tmp_path / "serve.py").write_text(SERVE)
    words = [f"sqlite:///{folder}/.attrec/mlflow.db", "ids.parquet", "titles.parquet"]
    ended = subprocess.run([sys.executable, "serve.py", *words], cwd=tmp_path, capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr[-3000:]
    by_ids, by_titles = (pd.read_parquet(tmp_path / f"answer-{name}.parquet") for name in ("ids", "titles"))
    assert set(by_titles["playlist"]) == {"mine"}
    asked = ["playlist", "given"]
    pd.testing.assert_frame_equal(by_ids.drop(columns=asked), by_titles.drop(columns=asked))
    assert by_titles["given"][0] == "; ".join(items.loc[mine, "title"])
    assert by_ids["rank"].tolist() == [1, 2, 3]
    assert not set(by_ids["item_id"]) & set(mine)
    assert by_ids["title"].tolist() == items.loc[by_ids["item_id"], "title"].tolist()


def test_data_in_which_nobody_likes_anything_leave_a_sentence_and_no_figures(fresh):
    rows = "".join(f"{user},{item},{1 + user % 3}\n" for user in range(40) for item in range(12))
    (fresh.folder / "data" / "incoming" / "mine.csv").write_text(f"user_id,item_id,rating\n{rows}")
    params = yaml.safe_load((fresh.folder / "params.yaml").read_text())
    params["dataset"] = "csv"
    params["prepare"] = {"csv": {"path": "mine.csv"}}
    (fresh.folder / "params.yaml").write_text(yaml.safe_dump(params))
    fresh.run("flows.prepare")
    printed = fresh.run("flows.playlist")
    assert "No playlist model is fitted to csv. No rating is 4 or more, the highest is 3" in printed
    assert "Traceback" not in printed
    assert not (fresh.folder / "reports" / "playlist" / "test").exists()
    assert list((fresh.folder / "models" / "playlist").iterdir()) == []
