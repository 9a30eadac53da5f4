"""`dvc repro` from nothing to a compared, tracked and registered model, in a clone, as a user types it."""

from __future__ import annotations

import json
import subprocess
import sys

import pandas as pd
import pytest
import yaml
from mlflow import MlflowClient

pytestmark = pytest.mark.slow

COLUMNS = "task,dataset,split,model,metric,value,ci_low,ci_high,n,seeds,run_id,tried"
MODELS = {"user-item-bias", "rsattae+xgboost"}


@pytest.fixture(scope="module")
def store(cold):
    return MlflowClient(tracking_uri=f"sqlite:///{cold.folder}/.attrec/mlflow.db")


@pytest.fixture(scope="module")
def runs(cold):
    return json.loads((cold.folder / "reports" / "rating_runs.json").read_text())["runs"]


def test_leaves_leaderboard_and_page(cold):
    reports = cold.folder / "reports"
    assert (reports / "leaderboard.csv").read_text().splitlines()[0] == COLUMNS
    board = pd.read_csv(reports / "leaderboard.csv").query("task == 'rating'")
    assert set(board["model"]) == MODELS
    assert set(board["metric"]) == {"rmse", "mae"}
    assert ((board["ci_low"] < board["value"]) & (board["value"] < board["ci_high"])).all()
    page = (reports / "index.html").read_text()
    assert all(model in page for model in MODELS)
    assert "simulated" in page
    assert "<script src" not in page
    assert "<link" not in page


def test_nothing_changed_means_nothing_runs(cold, tmp_path):
    checkout = cold.copy(tmp_path / "clone")
    printed = checkout.run("dvc", "repro")
    assert "Data and pipelines are up to date" in printed
    assert "Running stage" not in printed
    assert checkout.lock == cold.lock


def test_tracked_runs_say_where_they_come_from(cold, store, runs):
    folder = cold.folder
    commit = subprocess.run(
        ["git", "rev-parse", "HEAD"], cwd=folder, capture_output=True, text=True, check=True
    )
    outs = {
        out["path"]: out["md5"]
        for stage in yaml.safe_load(cold.lock)["stages"].values()
        for out in stage["outs"]
    }
    split = json.loads((folder / "reports" / "prepare" / "split.json").read_text())
    parent = store.get_run(runs["rating"])
    assert parent.info.status == "FINISHED"
    assert [given.dataset.digest for given in parent.inputs.dataset_inputs] == [outs["data/processed"]]
    assert set(runs) - {"rating"} == MODELS
    for run in [parent, *(store.get_run(runs[model]) for model in MODELS)]:
        tags = run.data.tags
        assert tags["git.commit"] == commit.stdout.strip()
        assert tags["git.dirty"] == "false"
        assert tags["dvc.stage"] == "rating"
        assert tags["split.hash"] == split["hash"]
        assert tags["dvc.data/processed"] == outs["data/processed"]
        assert tags["version.torch"]


def test_each_model_is_a_child_with_the_figures_of_the_leaderboard(cold, store, runs):
    board = pd.read_csv(cold.folder / "reports" / "leaderboard.csv")
    for model in MODELS:
        run = store.get_run(runs[model])
        assert run.data.tags["mlflow.parentRunId"] == runs["rating"]
        assert run.info.status == "FINISHED"
        own = board[board["model"] == model].set_index("metric")
        assert set(own["run_id"]) == {runs[model]}
        for metric in ("rmse", "mae"):
            assert run.data.metrics[f"test/{metric}"] == pytest.approx(own.loc[metric, "value"], abs=1e-6)


def test_a_run_of_a_model_has_what_its_page_shows(cold, store, runs):
    parent = store.get_run(runs["rating"])
    for model in MODELS:
        run = store.get_run(runs[model])
        [given] = run.inputs.dataset_inputs
        assert given.dataset.digest == parent.inputs.dataset_inputs[0].dataset.digest
        metrics, params = run.data.metrics, run.data.params
        assert {"fit/seconds", "fit/cpu_seconds", "fit/peak_megabytes", "size/megabytes"} <= metrics.keys()
        assert 1 < metrics["fit/peak_megabytes"] < 100_000
        assert (params["seed"], params["seeds"]) == ("0", "1")
        assert run.data.tags["mlflow.note.content"].endswith(".")
        assert run.data.tags["mlflow.source.git.commit"] == run.data.tags["git.commit"]
        [output] = run.outputs.model_outputs
        logged = store.get_logged_model(output.model_id)
        assert (logged.name, logged.status.value) == (model, "READY")
        on = {(one.key, one.dataset_digest) for one in logged.metrics}
        assert ("test/rmse", given.dataset.digest) in on
        kept = {file.path for file in store.list_logged_model_artifacts(output.model_id)}
        assert {"MLmodel", "input_example.json", "code", "artifacts"} <= kept
    pictures = {file.path for file in store.list_artifacts(runs["rsattae+xgboost"])}
    assert {"losses.png", "feature_importance.png"} <= pictures


def test_the_run_of_a_comparison_has_leaderboard_decision_and_report(cold, store, runs):
    parent = store.get_run(runs["rating"])
    board = pd.read_csv(cold.folder / "reports" / "leaderboard.csv").query("task == 'rating'")
    note = parent.data.tags["mlflow.note.content"]
    assert all(f"| {model} |" in note for model in MODELS)
    assert f"{board.loc[board['metric'] == 'rmse', 'value'].min():.4f}" in note
    assert parent.data.tags["champion"] in note
    kept = {file.path for file in store.list_artifacts(runs["rating"])}
    assert {"params.yaml", "leaderboard.png", "rating", "report"} <= kept
    assert [file.path for file in store.list_artifacts(runs["rating"], "report")] == ["report/index.html"]


def test_the_experiment_is_one_of_training(store):
    assert store.get_experiment_by_name("attrec").tags["mlflow.experimentKind"] == "custom_model_development"


def test_a_rerun_that_changes_nothing_registers_nothing(cold, tmp_path):
    checkout = cold.copy(tmp_path / "clone")
    again = MlflowClient(tracking_uri=f"sqlite:///{checkout.folder}/.attrec/mlflow.db")
    before = len(again.search_model_versions())
    assert "stays champion" in checkout.run("dvc", "repro", "--force", "--single-item", "sequence")
    assert len(again.search_model_versions()) == before


SERVE = """
import sys
import mlflow, pandas as pd
mlflow.set_tracking_uri(sys.argv[1])
model = mlflow.pyfunc.load_model("models:/attrec-rating@champion")
model.predict(pd.read_parquet(sys.argv[2])).to_parquet(sys.argv[3])
"""


def test_registered_model_predicts_what_the_pipeline_predicted(cold, tmp_path, store):
    folder = cold.folder
    (tmp_path / "serve.py").write_text(SERVE)
    pairs = folder / "data" / "processed" / "test_pairs" / "pairs.parquet"
    words = [f"sqlite:///{folder}/.attrec/mlflow.db", str(pairs), str(tmp_path / "served.parquet")]
    subprocess.run(
        [sys.executable, str(tmp_path / "serve.py"), *words], cwd=tmp_path, check=True, capture_output=True
    )
    served = pd.read_parquet(tmp_path / "served.parquet")

    version = store.get_model_version_by_alias("attrec-rating", "champion")
    name = version.tags["model"]
    truth = pd.read_parquet(folder / "data" / "processed" / "test_ratings" / "ratings.parquet")
    rmse = ((served["prediction"] - truth["rating"]) ** 2).mean() ** 0.5
    board = pd.read_csv(folder / "reports" / "leaderboard.csv").set_index(["model", "metric"])
    assert rmse == pytest.approx(board.loc[(name, "rmse"), "value"], abs=1e-6)
    kept = [
        pd.read_parquet(file)
        for file in (folder / ".attrec/artifacts/predictions").glob("*/predictions.parquet")
    ]
    assert served["error"].isna().all()
    told = served.drop(columns="error")
    assert any(told.astype(frame.dtypes).equals(frame) for frame in kept)


def test_champion_is_best_on_validation_and_no_pickle_is_logged(cold, store, runs):
    version = store.get_model_version_by_alias("attrec-rating", "champion")
    errors = {model: store.get_run(runs[model]).data.metrics["validation/rmse"] for model in MODELS}
    assert version.tags["model"] == min(errors, key=errors.get)
    logged = [file for file in (cold.folder / ".attrec" / "mlartifacts").rglob("*") if file.is_file()]
    assert any(file.name == "MLmodel" for file in logged)
    assert not [file for file in logged if file.suffix in (".pkl", ".pickle", ".joblib", ".pt", ".pth")]
