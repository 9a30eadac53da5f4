"""A store that was lost, or another one that is named, is filled again from what DVC holds."""

from __future__ import annotations

import json
import shutil
import uuid

import pytest
from mlflow import MlflowClient

pytestmark = pytest.mark.slow

FAMILIES = ("rating", "sequence", "playlist")


@pytest.fixture
def checkout(cold, tmp_path):
    """A clone in which everything was rebuilt, to be changed."""
    copied = cold.copy(tmp_path / "clone")
    yield copied
    copied.kill_all()


def store_of(checkout) -> MlflowClient:
    """What the store holds now: a copy, since MLflow would go on reading a file that was deleted meanwhile."""
    copied = checkout.folder.with_name(f"{uuid.uuid4().hex}.db")
    shutil.copyfile(checkout.folder / ".attrec" / "mlflow.db", copied)
    return MlflowClient(tracking_uri=f"sqlite:///{copied}")


def lose_the_store(checkout) -> dict[str, dict[str, float]]:
    """Delete the database and the artefacts; return the figures of each model that they had, by family and model."""
    figures = figures_of(checkout)
    shutil.rmtree(checkout.folder / ".attrec")
    return figures


def figures_of(checkout) -> dict[str, dict[str, float]]:
    store = store_of(checkout)
    experiment = store.get_experiment_by_name("attrec").experiment_id
    return {
        f"{run.data.tags['dvc.stage']} {run.info.run_name}": run.data.metrics
        for run in store.search_runs([experiment])
        if run.data.tags["dvc.stage"] in FAMILIES
    }


def test_a_lost_store_answers_again(checkout):
    lose_the_store(checkout)
    assert "trained on simulated" in checkout.run("cli.app", "predict", "--user", "5", "--item", "7")
    registered = store_of(checkout).get_model_version_by_alias("attrec-rating", "champion-simulated")
    assert registered.tags["decision"] == "is registered again, from what DVC holds."


def test_reproduce_fills_a_lost_store_with_the_same_figures(checkout):
    figures = lose_the_store(checkout)
    printed = checkout.run("cli.app", "reproduce")
    assert "Running stage" not in printed
    assert figures_of(checkout) == figures
    store = store_of(checkout)
    left = json.loads((checkout.folder / "reports" / "rating_runs.json").read_text())
    experiment = store.get_experiment_by_name("attrec").experiment_id
    filled = f"tags.`filled.from` = '{left['runs']['rating']}' and tags.model = 'rsattae+xgboost'"
    [run] = store.search_runs([experiment], filled)
    assert run.data.tags["git.commit"] == left["tags"]["git.commit"]
    assert {file.path for file in store.list_artifacts(run.data.tags["mlflow.parentRunId"])} >= {"report"}
    runs = len(store.search_runs([experiment]))
    checkout.run("cli.app", "reproduce")
    assert len(store_of(checkout).search_runs([experiment])) == runs


def test_a_champion_whose_files_were_lost_is_registered_again(checkout):
    shutil.rmtree(checkout.folder / ".attrec" / "mlartifacts")
    assert "user-item-bias, trained on simulated" in checkout.run(
        "cli.app", "recommend", "--user", "5", "-k", "3"
    )


def test_a_champion_that_the_store_has_stays(checkout):
    store = store_of(checkout)
    left = checkout.folder / "reports" / "rating_runs.json"
    content = json.loads(left.read_text())
    content["runs"]["rating"] = "0" * 32
    left.write_text(json.dumps(content))
    before = store.get_model_version_by_alias("attrec-rating", "champion-simulated")
    checkout.run("cli.app", "runs")
    store = store_of(checkout)
    assert store.get_model_version_by_alias("attrec-rating", "champion-simulated") == before
    assert len(store.search_model_versions("name = 'attrec-rating'")) == 1
