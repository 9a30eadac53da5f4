"""Beside a team's own servers: rebuilt by a worker there, pushed, and answered by whoever pulls."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import replace

import pandas as pd
import pytest
import requests
from mlflow import MlflowClient

from tests.flows.conftest import Checkout
from tests.servers import MlflowServer, Remote, Server, free_port

pytestmark = pytest.mark.slow

EXPLAINED = """\
    attentive:
      kind: pair-network
      embedding: attentive
      head: inner
      name: attentive+inner
      changes: {dimension: 4, training: {epochs: 2}}
"""
FAMILIES = {"rating", "sequence", "playlist"}
IDENTITY = ("-c", "user.name=Test", "-c", "user.email=test@example.org")


def git(checkout: Checkout, *words: str) -> None:
    """Run git in a clone."""
    subprocess.run(["git", *IDENTITY, *words], cwd=checkout.folder, check=True, capture_output=True)


def log_in(checkout: Checkout, remote: Remote) -> None:
    """What everybody who uses the remote tells DVC alone."""
    for option, value in remote.options.items():
        checkout.run("dvc", "remote", "modify", "--local", "team", option, value)


@pytest.fixture(scope="module")
def rebuilt(
    template: Checkout,
    tmp_path_factory: pytest.TempPathFactory,
    mlflow_server: MlflowServer,
    prefect_server_on_postgres: Server,
    eventually: Callable[[Callable[[], bool], float, str], None],
) -> Iterator[Checkout]:
    """A clone that a worker of the team's Prefect server has rebuilt."""
    checkout = template.clone(tmp_path_factory.mktemp("team") / "first")
    params = checkout.folder / "params.yaml"
    bias = "    user-item-bias: {kind: user-item-bias}\n"
    params.write_text(params.read_text().replace(bias, bias + EXPLAINED))
    checkout = replace(
        checkout,
        variables={**mlflow_server.variables, "PREFECT_API_URL": f"{prefect_server_on_postgres.url}/api"},
    )
    worker = checkout.start("cli.app", "worker")
    try:
        eventually(lambda: "stop with Ctrl-C" in checkout.log.read_text(), 120, "a worker that polls")
        checkout.run("prefect", "deployment", "run", "rebuild/rebuild", "--watch", "--watch-interval", "1")
        worker.terminate()
        worker.wait(60)
        eventually(checkout.is_quiet, 30, "all that the worker started has ended")
        yield checkout
    finally:
        checkout.kill_all()


@pytest.fixture(scope="module")
def pulled(rebuilt: Checkout, ssh_remote: Remote, tmp_path_factory: pytest.TempPathFactory) -> Checkout:
    """A colleague's clone, who has the remote and no MLflow server."""
    rebuilt.run("dvc", "remote", "add", "--default", "team", ssh_remote.url)
    log_in(rebuilt, ssh_remote)
    rebuilt.run("cli.app", "push")
    git(rebuilt, "commit", "--quiet", "--all", "--message", "rebuilt")
    checkout = rebuilt.clone(tmp_path_factory.mktemp("colleague") / "second")
    log_in(checkout, ssh_remote)
    checkout.run("cli.app", "pull")
    return checkout


def test_the_servers_have_what_was_rebuilt(rebuilt, mlflow_server, prefect_server_on_postgres):
    client = MlflowClient(mlflow_server.url)
    experiment = client.get_experiment_by_name("attrec")
    assert experiment.artifact_location.startswith("mlflow-artifacts:")
    runs = client.search_runs([experiment.experiment_id])
    assert {run.info.status for run in runs} == {"FINISHED"}
    known = {run.info.run_id for run in runs}
    page = (rebuilt.folder / "reports" / "index.html").read_text()
    for family in FAMILIES:
        stage = json.loads((rebuilt.folder / "reports" / f"{family}_runs.json").read_text())
        left = stage["runs"]
        assert set(left.values()) <= known
        assert stage["address"] == f"{mlflow_server.url}/#/experiments/{experiment.experiment_id}"
        assert all(f'href="{stage["address"]}/runs/{run}"' in page for run in left.values())
        version = client.get_model_version_by_alias(f"attrec-{family}", "champion-simulated")
        assert version.run_id in left.values()
    assert not (rebuilt.folder / ".attrec" / "mlflow.db").exists()
    assert any(mlflow_server.artifacts.rglob("MLmodel"))
    found = requests.post(
        f"{prefect_server_on_postgres.url}/api/flow_runs/filter", json={}, timeout=30
    ).json()
    # The nights to come are there, too.
    begun = {run["name"].split()[0]: run["state_type"] for run in found if run["state_type"] != "SCHEDULED"}
    assert begun == dict.fromkeys(FAMILIES | {"rebuild", "prepare", "report"}, "COMPLETED")


def test_whoever_pulls_has_the_figures_and_needs_to_compute_nothing(rebuilt, pulled):
    pd.testing.assert_frame_equal(pulled.leaderboard(), rebuilt.leaderboard())
    assert "Data and pipelines are up to date" in pulled.run("dvc", "status")


def test_whoever_pulls_is_answered(pulled):
    titles = pd.read_parquet(pulled.folder / "data" / "processed" / "training" / "items.parquet")["title"][:3]
    songs = pulled.folder / "songs.csv"
    titles.to_frame().to_csv(songs, index=False)
    user, item = known_pair(pulled)
    assert "prediction" in pulled.run("cli.app", "predict", "--user", user, "--item", item)
    assert "score" in pulled.run("cli.app", "recommend", "--user", user)
    assert "score" in pulled.run("cli.app", "recommend", "--titles", *titles)
    assert "Model: " in pulled.run("cli.app", "recommend", "--playlist", str(songs))
    explained = ("explain", "--user", user, "--item", item, "--model", "attentive+inner")
    assert "It rests on" in pulled.run("cli.app", *explained)


def test_whoever_pulls_can_serve(pulled, eventually):
    port = free_port()
    server = pulled.start("cli.app", "serve", "rating", "--port", str(port))
    try:
        eventually(lambda: "/invocations" in pulled.log.read_text(), 300, "a served model")
        user, item = known_pair(pulled)
        asked = {"dataframe_records": [{"user_id": int(user), "item_id": int(item)}]}
        answer = requests.post(f"http://127.0.0.1:{port}/invocations", json=asked, timeout=60)
        assert answer.status_code == 200, answer.text
        assert 1 <= answer.json()["predictions"][0]["prediction"] <= 5
    finally:
        server.terminate()
        server.wait(60)
    eventually(pulled.is_quiet, 30, "all that serving started has ended")


def test_whoever_has_the_mlflow_server_is_answered_before_any_pull(rebuilt, mlflow_server, tmp_path):
    checkout = replace(rebuilt.clone(tmp_path / "third"), variables=mlflow_server.variables)
    user, _ = known_pair(rebuilt)
    assert "score" in checkout.run("cli.app", "recommend", "--user", user)


def known_pair(checkout: Checkout) -> tuple[str, str]:
    """A user and an item of the training ratings."""
    ratings = pd.read_parquet(checkout.folder / "data" / "processed" / "training" / "ratings.parquet")
    return str(ratings["user_id"].iloc[0]), str(ratings["item_id"].iloc[0])
