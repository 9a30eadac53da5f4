"""`rebuild` does what `dvc repro` does, stage by stage, by hand and on a worker's schedule."""

from __future__ import annotations

import json
import signal
import socket
import sqlite3
import subprocess
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import psutil
import pytest
import requests
import yaml
from dotenv import dotenv_values

from tests.servers import ask_prefect, free_port

pytestmark = pytest.mark.slow

STAGES = ("prepare", "rating", "sequence", "playlist", "report")


def test_rebuild_leaves_what_dvc_repro_leaves(cold, fresh):
    printed = fresh.run("flows.rebuild")
    assert [line for line in printed.splitlines() if line.endswith(": rebuilt")] == [
        f"{name}: rebuilt" for name in STAGES
    ]
    assert fresh.outs() == cold.outs()
    pd.testing.assert_frame_equal(fresh.leaderboard(), cold.leaderboard(), check_exact=True)
    lock = fresh.lock
    assert "Running stage" not in fresh.run("dvc", "repro")
    assert fresh.lock == lock
    printed = fresh.run("flows.rebuild")
    assert [line for line in printed.splitlines() if line.endswith(": cached")] == [
        f"{name}: cached" for name in STAGES
    ]
    assert fresh.lock == lock
    runs = fresh.flow_runs()
    assert set(runs["state_type"]) == {"COMPLETED"}
    assert (runs["name"] == "rebuild").sum() == 2
    see_what_prefect_shows(fresh)


def see_what_prefect_shows(checkout):
    """Stages below `rebuild`, models in the names of task runs, progress and results, no tags of ours."""
    with sqlite3.connect(checkout.folder / ".attrec" / "prefect" / "prefect.db") as database:

        def rows(query: str) -> list[tuple]:
            return database.execute(query).fetchall()

        below = rows(
            "select parent.name, task.name, child.name from flow_run as child"
            " join task_run as task on task.id = child.parent_task_run_id"
            " join flow_run as parent on parent.id = task.flow_run_id"
        )
        assert sorted(below) == sorted(("rebuild", name, f"{name} simulated") for name in STAGES)
        assert {tags for (tags,) in rows("select tags from flow_run union select tags from task_run")} == {
            "[]"
        }
        tasks = {name for (name,) in rows("select name from task_run")}
        assert {
            "rsattae+xgboost seed 0: pretrain user0-p0-f0 select",
            "rsattae+xgboost seed 0: fit head 0 final",
            "rsattae+xgboost seed 0: assemble final",
            "user-item-bias seed 0: predict test",
            "sasrec seed 0: fit select",
            "sasrec seed 0: rank test",
            "ars-tiny seed 0: rank validation",
            "ars-tiny: track",
        } <= tasks
        said = rows(
            "select flow_run.name, task_run.name, message from log join flow_run on flow_run.id = log.flow_run_id"
            " left join task_run on task_run.id = log.task_run_id"
        )
        assert ("rebuild", None, "rating: rebuilt") in said
        assert ("prepare simulated", None, "prepare 1/5: read the ratings") in said
        last = [
            line for _, task, line in said if task == "sasrec seed 0: fit select" and "epoch 3 of 3" in line
        ]
        assert len(last) == 1
        assert "train=" in last[0]
        for family in ("rating", "sequence", "playlist"):
            decision = json.loads((checkout.folder / "reports" / f"{family}_runs.json").read_text())[
                "champion"
            ]
            assert (f"{family} simulated", None, decision) in said
            shown = dict(rows(f"select type, data from artifact where key like '%-{family}'"))
            assert json.loads(shown["markdown"]) == decision
            board = checkout.leaderboard().query(f"task == '{family}'")
            assert {row["model"] for row in json.loads(json.loads(shown["table"]))} == set(board["model"])


@dataclass(frozen=True)
class Worker:
    """A started `attrec worker`."""

    checkout: Any
    process: subprocess.Popen[bytes]
    port: int

    @property
    def access(self) -> Path:
        """The file that makes a shell use its Prefect server."""
        return self.checkout.folder / ".attrec" / "prefect" / f"worker-{self.port}.env"

    def ask(self, path: str, body: dict | None = None) -> Any:
        """What its Prefect server answers to whoever has the secret."""
        secret = dotenv_values(self.access)["PREFECT_API_AUTH_STRING"]
        return ask_prefect(f"http://127.0.0.1:{self.port}/api", path, body, secret)

    def family(self) -> list[psutil.Process]:
        """Every living process that it has started; flow runs are in sessions of their own."""
        try:
            return psutil.Process(self.process.pid).children(recursive=True)
        except psutil.NoSuchProcess:
            return []

    def is_running(self, word: str) -> bool:
        """Whether it has started a process with this word in its command line."""
        for process in self.family():
            with suppress(psutil.Error):
                if word in process.cmdline():
                    return True
        return False

    def answers(self, path: str, body: dict | None = None) -> Any:
        """What the API answers; nothing while it is not ready."""
        try:
            return self.ask(path, body)
        except (requests.RequestException, KeyError):
            return []

    def end(self, number: signal.Signals) -> int:
        """Send it a signal, see that nothing is left behind, and return its exit code."""
        family = self.family()
        self.process.send_signal(number)
        code = self.process.wait(60)
        assert not [each for each in family if each.is_running() and each.status() != psutil.STATUS_ZOMBIE]
        assert self.checkout.is_quiet()
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(("127.0.0.1", self.port))
        return code


@pytest.fixture
def start_worker() -> Iterator[Callable[[Any], Worker]]:
    """Start `attrec worker` in a checkout; nothing outlives the test."""
    workers = []

    def start(checkout: Any) -> Worker:
        port = free_port()
        workers.append(Worker(checkout, checkout.start("cli.app", "worker", "--port", str(port)), port))
        return workers[-1]

    yield start
    for worker in workers:
        for process in [*worker.family(), worker.process]:
            with suppress(psutil.NoSuchProcess):
                process.kill()
        worker.process.wait()
        worker.checkout.kill_all()


def reschedule(checkout: Any, seconds: int) -> None:
    """Let the deployment of prefect.yaml be due every so many seconds."""
    deployed = checkout.folder / "prefect.yaml"
    deployments = yaml.safe_load(deployed.read_text())
    deployments["deployments"][0]["schedules"] = [{"interval": seconds, "timezone": "UTC", "active": True}]
    deployed.write_text(yaml.safe_dump(deployments, sort_keys=False))


def deployed(worker: Worker, name: str = "rebuild") -> list[dict]:
    """The deployment of this name, once it is there."""
    return worker.answers("/deployments/filter", {"deployments": {"name": {"any_": [name]}}})


def ended_runs(worker: Worker, name: str = "rebuild") -> list[dict]:
    """The runs of the deployment that have ended, the first one first."""
    ended = {"state": {"type": {"any_": ["COMPLETED", "FAILED", "CRASHED"]}}}
    asked = {"flow_runs": ended, "deployments": {"name": {"any_": [name]}}, "sort": "END_TIME_DESC"}
    return worker.answers("/flow_runs/filter", asked)[::-1]


def test_data_that_change_over_night_are_rebuilt_by_the_next_scheduled_run(
    cold, tmp_path, eventually, start_worker
):
    """A file of one's own grows while the worker waits; the champion is decided on again, and nobody was asked."""
    checkout = cold.copy(tmp_path / "clone")
    params = checkout.folder / "params.yaml"
    asked = yaml.safe_load(params.read_text())
    asked["dataset"] = "csv"
    asked["prepare"]["csv"] = {"path": "mine.csv"}
    asked["rating"]["models"] = {"user-item-bias": {"kind": "user-item-bias"}}
    asked["sequence"]["models"] = asked["playlist"]["models"] = {"popularity": {"kind": "popularity"}}
    params.write_text(yaml.safe_dump(asked))
    file = checkout.folder / "data" / "incoming" / "mine.csv"
    lines = [f"{user},{item},{1 + (user * item) % 5}" for user in range(40) for item in range(user % 7, 40)]
    file.write_text("\n".join(["user_id,item_id,rating", *lines]) + "\n")
    checkout.run("dvc", "repro")
    runs = checkout.folder / "reports" / "rating_runs.json"
    before = json.loads(runs.read_text())
    reschedule(checkout, 15)
    worker = start_worker(checkout)
    eventually(lambda: ended_runs(worker) or worker.process.poll() is not None, 180, "a first night")
    assert worker.process.poll() is None, checkout.log.read_text()[-3000:]
    with file.open("a") as stream:
        stream.writelines(f"{user},{item},{1 + item % 5}\n" for user in range(40, 90) for item in range(30))

    def rebuilt() -> list[str]:
        return [run["state"]["message"] for run in ended_runs(worker) if "rebuilt" in run["state"]["message"]]

    eventually(rebuilt, 240, "a night that rebuilds")
    assert rebuilt()[0] == ", ".join(f"{name}: rebuilt" for name in STAGES)
    after = json.loads(runs.read_text())
    assert after["champion"].startswith("attrec-rating: version ")
    assert "validation rows that its fit had not seen" in after["champion"]
    assert after["runs"]["rating"] != before["runs"]["rating"]
    board = pd.read_csv(checkout.folder / "reports" / "leaderboard.csv")
    assert set(board["dataset"]) == {"csv"}
    assert 41 in set(pd.read_parquet(checkout.folder / "data" / "interim" / "ratings.parquet")["user_id"])
    with sqlite3.connect(checkout.folder / ".attrec" / "mlflow.db") as database:
        aliases = {alias for (alias,) in database.execute("select alias from registered_model_aliases")}
    assert {"champion", "champion-csv"} <= aliases
    assert worker.end(signal.SIGTERM) == 143


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_a_worker_that_ends_leaves_nothing_behind(fresh, eventually, start_worker, number):
    """A signal in the middle of a flow run, even one that nobody can catch: server, worker, flow run and stage end."""
    worker = start_worker(fresh)

    def eventually_or_log(condition: Callable[[], Any], what: str) -> None:
        eventually(lambda: condition() or worker.process.poll() is not None, 120, what)
        assert worker.process.poll() is None, fresh.log.read_text()[-3000:]

    eventually_or_log(lambda: deployed(worker), "the deployment is there")
    path = f"/deployments/{deployed(worker)[0]['id']}/create_flow_run"
    eventually_or_log(lambda: worker.answers(path), "a flow run is asked for")
    eventually_or_log(lambda: worker.is_running("flows.prepare"), "the first stage runs")
    if number == signal.SIGTERM:
        assert worker.end(number) == 143
    else:
        family = worker.family()
        worker.process.send_signal(number)
        worker.process.wait()
        eventually(lambda: fresh.is_quiet(), 60, "all processes gone")
        assert not [each for each in family if each.is_running() and each.status() != psutil.STATUS_ZOMBIE]


def test_wrong_parameters_end_in_one_sentence_and_others_in_an_experiment(
    cold, tmp_path, eventually, start_worker
):
    checkout = cold.copy(tmp_path / "clone")
    params, lock = (checkout.folder / "params.yaml").read_text(), checkout.lock
    worker = start_worker(checkout)
    eventually(lambda: deployed(worker, "export"), 120, "the last deployment is there")
    (deployment,) = deployed(worker)
    described = deployment["parameter_openapi_schema"]["properties"]
    assert {name for name, field in described.items() if field["description"]} == {
        "dataset",
        "overrides",
        "stages",
    }
    wrong = {
        "no stage 'ratin'; did you mean 'rating'": {"stages": ["ratin"]},
        "no dataset 'ml-100'": {"dataset": "ml-100"},
        "overrides: Could not override 'rating.sedes'": {"overrides": ["rating.sedes=[1]"]},
        "rating.seeds.0: input should be greater": {"overrides": ["rating.seeds=[-1]"]},
    }
    right = {"overrides": ["rating.seeds=[1]"], "stages": ["rating"]}
    for asked in (*wrong.values(), right):
        worker.ask(f"/deployments/{deployment['id']}/create_flow_run", {"parameters": asked})
    eventually(lambda: len(ended_runs(worker)) == 5, 300, "all have ended")
    ended = {json.dumps(run["parameters"]): run for run in ended_runs(worker)}
    for words, asked in wrong.items():
        (state,) = [run["state"] for text, run in ended.items() if json.dumps(asked)[1:-1] in text]
        assert state["type"] == "FAILED"
        assert words in state["message"]
    (made,) = [run for run in ended.values() if run["state_type"] == "COMPLETED"]
    assert made["name"] == "rebuild rating.seeds=[1] rating"
    name = made["state"]["message"].removeprefix("experiment: ")
    assert name in checkout.run("dvc", "exp", "list", "--name-only")
    below = worker.answers("/flow_runs/filter", {"flow_runs": {"parent_flow_run_id": {"any_": [made["id"]]}}})
    assert {run["name"] for run in below} <= {"prepare simulated", "rating simulated"}
    assert "rating simulated" in {run["name"] for run in below}
    assert ((checkout.folder / "params.yaml").read_text(), checkout.lock) == (params, lock)
    assert worker.end(signal.SIGTERM) == 143


def test_answers_in_bulk_are_a_flow_of_the_worker(cold, tmp_path, eventually, start_worker):
    worker = start_worker(cold.copy(tmp_path / "clone"))
    eventually(lambda: deployed(worker, "export"), 120, "the deployment is there")
    (deployment,) = deployed(worker, "export")
    described = deployment["parameter_openapi_schema"]["properties"]
    assert {"family", "destination", "model", "what", "k"} <= described.keys()
    assert all(field["description"] for field in described.values())
    next_items = {"family": "sequence", "destination": "answers/next.parquet", "model": "sasrec", "k": 3}
    (worker.checkout.folder / "pairs.csv").write_text("user_id,item_id\n1,2\n1,100000\n")
    predicted = {
        "family": "rating",
        "destination": "answers/predicted.csv",
        "what": "predictions",
        "pairs": "pairs.csv",
    }
    wrong = {
        "family: input should be 'rating', 'sequence' or 'playlist'": predicted | {"family": "films"},
        "no registered or tracked model 'nobody'": next_items | {"model": "nobody"},
        "../next.csv is outside the checkout": next_items | {"destination": "../next.csv"},
    }
    for asked in (next_items, predicted, *wrong.values()):
        worker.ask(f"/deployments/{deployment['id']}/create_flow_run", {"parameters": asked})
    eventually(lambda: len(ended_runs(worker, "export")) == 2 + len(wrong), 300, "all have ended")
    said = [run["state"]["message"] for run in ended_runs(worker, "export")]
    for words in ("the 3 best for each of 60 users, of sasrec", "2 predictions of", *wrong):
        assert sum(words in text for text in said) == 1, (words, said)
    answers = worker.checkout.folder / "answers"
    listed = pd.read_parquet(answers / "next.parquet")
    assert listed.columns.tolist() == ["user_id", "rank", "item_id", "title", "score"]
    assert (listed.groupby("user_id")["rank"].agg(list).map(tuple) == (1, 2, 3)).all()
    assert pd.read_csv(answers / "predicted.csv")["unknown"].fillna("").tolist() == ["", "item"]
    assert sorted(file.name for file in answers.iterdir()) == ["next.parquet", "predicted.csv"]
    create = f"http://127.0.0.1:{worker.port}/api/deployments/{deployment['id']}/create_flow_run"
    for headers, code in (({}, 401), ({"Origin": "http://evil.example"}, 403)):
        assert requests.post(create, json={"parameters": predicted}, headers=headers).status_code == code
    assert worker.access.stat().st_mode & 0o777 == 0o600
    assert worker.end(signal.SIGTERM) == 143
    assert not worker.access.exists()
