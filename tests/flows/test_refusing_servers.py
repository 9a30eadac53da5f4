"""An MLflow server that is away, refuses, fails midway or belongs to others: one sentence, and nothing told is lost."""

from __future__ import annotations

import json
import re
import socket
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import requests
from mlflow import MlflowClient

from tasks.engine.server import Api
from tests.servers import PASSWORD, MlflowServer

pytestmark = pytest.mark.slow

RATING = ("flows.rating",)
COMMANDS = (RATING, ("cli.app", "recommend", "--user", "1"))
PATIENCE = 120.0
"""Beyond it a command hangs."""


@pytest.fixture(scope="session")
def prepared(template: Any, tmp_path_factory: pytest.TempPathFactory, prefect_server: Api) -> Any:
    """A clone with prepared data, whose rating models are quick. Not to be changed."""
    checkout = template.clone(tmp_path_factory.mktemp("prepared") / "clone")
    checkout = replace(checkout, variables=prefect_server.variables())
    params = checkout.folder / "params.yaml"
    kinds = ("user-item-bias", "global-mean")
    models = "".join(f"    {kind}: {{kind: {kind}}}\n" for kind in kinds)
    params.write_text(
        re.sub(r"(?s)(rating:\n.*?  models:\n).*?(?=sequence:)", rf"\g<1>{models}", params.read_text())
    )
    checkout.run("flows.prepare")
    return checkout


@pytest.fixture
def clone(prepared: Any, tmp_path: Path) -> Iterator[Any]:
    """A copy of it of one test's own."""
    checkout = replace(prepared.copy(tmp_path / "clone"), variables=prepared.variables)
    yield checkout
    checkout.kill_all()


def beside(checkout: Any, variables: Mapping[str, str]) -> Any:
    """The checkout of somebody who has set these, too."""
    return replace(checkout, variables={**checkout.variables, **variables})


def refusal(checkout: Any, *words: str) -> str:
    """The one sentence in which a command ends."""
    printed = checkout.run(*words, code=2)
    assert "Traceback" not in printed, printed[-4000:]
    told = [line for line in printed.splitlines() if line.startswith("Error: ")]
    assert len(told) == 1, printed[-4000:]
    assert PASSWORD not in printed
    return told[0]


@pytest.fixture
def silent() -> Iterator[int]:
    """A port on which connections are taken and nothing is ever said."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(100)
        yield int(listener.getsockname()[1])


@pytest.fixture
def closed() -> int:
    """A port that nobody listens on, in whose number 401 means nothing."""
    for port in range(40100, 40200):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)):
                return port
    pytest.skip("all of these ports are taken")


@pytest.fixture(scope="module")
def guarded(new_mlflow_server: Callable[..., MlflowServer]) -> Iterator[MlflowServer]:
    """A server that asks for a name and a password, and knows somebody who may only read."""
    server = new_mlflow_server(basic_auth=True)
    server.start()
    reader = {"username": "reader", "password": PASSWORD}
    made = requests.post(
        f"{server.url}/api/2.0/mlflow/users/create", json=reader, auth=("admin", PASSWORD), timeout=60
    )
    made.raise_for_status()
    yield server
    server.stop()


def test_a_server_that_does_not_answer(prepared, silent, closed):
    for port, commands in ((silent, COMMANDS), (closed, [RATING])):
        checkout = beside(prepared, {"MLFLOW_TRACKING_URI": f"http://127.0.0.1:{port}"})
        for words in commands:
            assert f"http://127.0.0.1:{port} does not answer" in refusal(checkout, *words)


def test_a_database_that_does_not_answer(prepared, silent, closed):
    for port in (silent, closed):
        address = f"postgresql://team:{PASSWORD}@127.0.0.1:{port}/mlflow"
        checkout = beside(prepared, {"MLFLOW_TRACKING_URI": address})
        assert f"postgresql://127.0.0.1:{port}/mlflow does not answer" in refusal(checkout, *RATING)


def test_a_wrong_password_of_a_database(prepared, postgres, mlflow_database):
    address = mlflow_database().replace(PASSWORD, "wrong")
    checkout = beside(prepared, {"MLFLOW_TRACKING_URI": address})
    assert "refuses: check user and password" in refusal(checkout, *RATING)


@pytest.mark.parametrize(
    ("log_in", "commands"),
    [(("", ""), COMMANDS), (("admin", "wrong"), [RATING])],
)
def test_a_wrong_password_of_a_server(prepared, guarded, log_in, commands):
    named = dict(zip(guarded.log_in, log_in, strict=True))
    checkout = beside(prepared, {**guarded.variables, **named})
    for words in commands:
        assert "refuses: set MLFLOW_TRACKING_USERNAME" in refusal(checkout, *words)


def test_who_may_log_in_is_served(clone, guarded):
    checkout = beside(clone, guarded.variables)
    checkout.run(*RATING)
    assert "rating simulated" in checkout.run("cli.app", "runs")
    checkout.run("cli.app", "recommend", "--user", "1")
    reader = beside(clone, {**guarded.variables, "MLFLOW_TRACKING_USERNAME": "reader"})
    assert "ask whoever runs it for the permission" in refusal(reader, *RATING)


def finished(client: MlflowClient, experiment: str) -> dict[str, dict[str, float]]:
    """Metrics of each run that the server says is finished."""
    found = client.get_experiment_by_name(experiment)
    runs = (
        [] if found is None else client.search_runs([found.experiment_id], "attributes.status = 'FINISHED'")
    )
    return {run.info.run_id: run.data.metrics for run in runs}


def unfinished(client: MlflowClient, experiment: str) -> list[str]:
    """Names of the runs that the server takes for running."""
    found = client.get_experiment_by_name(experiment)
    runs = client.search_runs([found.experiment_id], "attributes.status = 'RUNNING'")
    return [run.info.run_name for run in runs]


def test_a_database_that_goes_away_midway_loses_no_run_that_is_finished(
    clone, postgres, mlflow_server, eventually, monkeypatch
):
    client = MlflowClient(mlflow_server.url)
    checkout = beside(clone, {**mlflow_server.variables, "MLFLOW_EXPERIMENT_NAME": "midway"})
    running = checkout.start(*RATING)
    # The first of two models is tracked, the second is not yet.
    eventually(lambda: len(finished(client, "midway")) > 0, 120, "a model that is tracked")
    known = finished(client, "midway")
    postgres.stop()
    try:
        assert running.wait(PATIENCE) == 2
        said = checkout.log.read_text()
        assert "Traceback" not in said, said[-4000:]
        assert said.count("Error: ") == 1, said[-4000:]
        assert "The MLflow store" in said
    finally:
        postgres.start()
    eventually(lambda: len(finished(client, "midway")) > 0, 60, "the server has its database again")
    checkout.run(*RATING)
    after = finished(client, "midway")
    assert {run: after.get(run) for run in known} == known
    assert unfinished(client, "midway") == []
    left = json.loads((checkout.folder / "reports" / "rating_runs.json").read_text())["runs"]
    assert len(left) == 3
    assert all("validation/rmse" in after[run] for name, run in left.items() if name != "rating")


def test_a_model_of_somebody_else_with_our_name_is_left_alone(clone, mlflow_server):
    client = MlflowClient(mlflow_server.url)
    client.create_registered_model("theirs-rating", description="Prices of houses")
    checkout = beside(clone, {**mlflow_server.variables, "MLFLOW_EXPERIMENT_NAME": "theirs"})
    said = refusal(checkout, *RATING)
    assert "theirs-rating" in said
    assert "MLFLOW_EXPERIMENT_NAME" in said
    refusal(checkout, "cli.app", "recommend", "--user", "1")
    theirs = client.get_registered_model("theirs-rating")
    assert (theirs.description, dict(theirs.aliases)) == ("Prices of houses", {})
    checkout = beside(clone, {**mlflow_server.variables, "MLFLOW_EXPERIMENT_NAME": "ours"})
    checkout.run(*RATING)


def test_artefacts_that_cannot_be_kept(clone, new_mlflow_server, tmp_path):
    place = tmp_path / "store"
    place.write_text("a file, and no folder")
    server = new_mlflow_server(artifacts=place / "artifacts")
    server.start()
    checkout = beside(clone, server.variables)
    said = refusal(checkout, *RATING)
    assert f"The MLflow store {server.url}" in said
    place.unlink()
    checkout.run(*RATING)
    client = MlflowClient(server.url)
    assert unfinished(client, "attrec") == []
    left = json.loads((checkout.folder / "reports" / "rating_runs.json").read_text())["runs"]
    assert client.list_artifacts(left["rating"])
    checkout.run("cli.app", "recommend", "--user", "1")
