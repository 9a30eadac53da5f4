"""The sequence stage in a clone, as a user types it: figures, the registered model, data without ratings."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from mlflow import MlflowClient

pytestmark = pytest.mark.slow

MODELS = {"popularity", "sasrec"}

SERVE = """
import sys
import mlflow, pandas as pd
mlflow.set_tracking_uri(sys.argv[1])
model = mlflow.pyfunc.load_model("models:/attrec-sequence@champion")
for file in sys.argv[2:]:
    answer = model.predict(pd.read_parquet(file), params={"k": 3})
    answer.to_parquet(f"answer-{file}")
"""


def test_sequences_are_in_the_leaderboard_and_on_the_page(cold):
    reports = cold.folder / "reports"
    board = pd.read_csv(reports / "leaderboard.csv").query("task == 'sequence'")
    assert set(board["model"]) == MODELS
    assert set(board["split"]) == {"leave-one-out"}
    assert {"ndcg@10", "hr@10", "mrr@10"} <= set(board["metric"])
    # 100 negatives that somebody has not seen are more than there are items.
    assert not board["metric"].str.contains("sampled").any()
    assert (board["ci_low"] <= board["value"]).all()
    page = (reports / "index.html").read_text()
    assert "Next-item recommendation" in page
    summary = json.loads((reports / "sequence" / "summary.json").read_text())
    examples = pd.read_csv(reports / "sequence" / "examples.csv")
    assert set(examples["model"]) == {summary["champion_on_validation"]}
    assert examples["whose"].nunique() == 3
    for title in examples["title"]:
        assert title in page


def test_runs_are_tracked_and_the_best_on_validation_is_champion(cold):
    folder = cold.folder
    store = MlflowClient(tracking_uri=f"sqlite:///{folder}/.attrec/mlflow.db")
    runs = json.loads((folder / "reports" / "sequence_runs.json").read_text())["runs"]
    assert set(runs) == MODELS | {"sequence"}
    found = {model: store.get_run(runs[model]) for model in MODELS}
    values = {model: run.data.metrics["validation/ndcg_10"] for model, run in found.items()}
    version = store.get_model_version_by_alias("attrec-sequence", "champion")
    assert version.tags["model"] == max(values, key=values.get)
    for run in found.values():
        assert run.data.tags["mlflow.parentRunId"] == runs["sequence"]
        assert run.data.tags["dvc.stage"] == "sequence"


def test_registered_model_takes_ids_and_titles(cold, tmp_path: Path):
    folder = cold.folder
    actions = pd.read_parquet(folder / "data" / "interim" / "ratings.parquet")
    items = pd.read_parquet(folder / "data" / "interim" / "items.parquet").set_index("item_id")
    done = actions["item_id"].value_counts().index[:4]
    pd.DataFrame({"item_id": done}).to_parquet(tmp_path / "ids.parquet")
    typed = [title.lower() for title in items.loc[done, "title"]]
    pd.DataFrame({"title": typed, "history": "mine"}).to_parquet(tmp_path / "titles.parquet")
    (tmp_path / "serve.py").write_text(SERVE)
    words = [f"sqlite:///{folder}/.attrec/mlflow.db", "ids.parquet", "titles.parquet"]
    ended = subprocess.run([sys.executable, "serve.py", *words], cwd=tmp_path, capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr[-3000:]
    by_ids, by_titles = (pd.read_parquet(tmp_path / f"answer-{name}.parquet") for name in ("ids", "titles"))
    assert set(by_titles["history"]) == {"mine"}
    assert by_titles["after"][0] == "; ".join(items.loc[done, "title"])
    asked = ["history", "after"]
    pd.testing.assert_frame_equal(by_ids.drop(columns=asked), by_titles.drop(columns=asked))
    assert by_ids["rank"].tolist() == [1, 2, 3]
    assert not set(by_ids["item_id"]) & set(done)
    assert by_ids["title"].tolist() == items.loc[by_ids["item_id"], "title"].tolist()


def test_a_file_of_user_item_lines_goes_through(fresh):
    rng = np.random.default_rng(0)
    lines = [f"u{user} i{item}" for user in range(50) for item in rng.choice(30, 8, replace=False)]
    incoming = fresh.folder / "data" / "incoming"
    (incoming / "watched.txt").write_text("\n".join(lines) + "\n")
    params = yaml.safe_load((fresh.folder / "params.yaml").read_text())
    params["dataset"] = "csv"
    params["prepare"] = {
        "csv": {
            "path": "watched.txt",
            "separator": " ",
            "columns": ["user_id", "item_id"],
            "rating_column": None,
        }
    }
    (fresh.folder / "params.yaml").write_text(yaml.safe_dump(params))
    printed = fresh.run("dvc", "repro")
    assert "Nobody rates in csv" in printed
    board = fresh.leaderboard()
    assert set(board["task"]) == {"sequence"}
    assert set(board["model"]) == MODELS
    assert board["n"].unique().tolist() == [50]
    assert "Rating prediction" not in (fresh.folder / "reports" / "index.html").read_text()
