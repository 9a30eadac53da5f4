"""`attrec ui` and `attrec serve`: they answer on their port, and whatever ends them ends all that they started."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
from dataclasses import replace

import pytest
import requests

pytestmark = pytest.mark.slow

SIGNALS = [signal.SIGTERM, signal.SIGKILL]


@pytest.fixture
def port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture
def started(eventually):
    """Start a command and wait until it answers."""

    def start(checkout, url: str, *words: str) -> subprocess.Popen[bytes]:
        process = checkout.start("cli.app", *words)

        def answers() -> bool:
            try:
                return requests.get(url, timeout=5).ok
            except requests.RequestException:
                return process.poll() is not None

        eventually(answers, 120, f"{words[0]} answers")
        assert process.poll() is None, checkout.log.read_text()[-3000:]
        return process

    return start


@pytest.mark.parametrize("number", SIGNALS, ids=[number.name for number in SIGNALS])
def test_ui_ends_all_that_it_started(fresh, started, eventually, port, number):
    process = started(fresh, f"http://127.0.0.1:{port}/health", "ui", "--port", str(port))
    assert len(fresh.processes()) > 2
    process.send_signal(number)
    process.wait(60)
    eventually(fresh.is_quiet, 60, "the server and its children have ended")
    with pytest.raises(requests.ConnectionError):
        requests.get(f"http://127.0.0.1:{port}/health", timeout=5)


def test_ui_shows_the_store_that_is_named(fresh, started, port, tmp_path):
    named = f"sqlite:///{tmp_path / 'other.db'}"
    checkout = replace(fresh, variables={"MLFLOW_TRACKING_URI": named})
    subprocess.run(
        ["mlflow", "experiments", "create", "--experiment-name", "of the other store"],
        env={**os.environ, "MLFLOW_TRACKING_URI": named},
        check=True,
        capture_output=True,
    )
    url = f"http://127.0.0.1:{port}"
    started(checkout, f"{url}/health", "ui", "--port", str(port))
    found = requests.post(
        f"{url}/api/2.0/mlflow/experiments/search", json={"max_results": 10}, timeout=30
    ).json()["experiments"]
    assert "of the other store" in {each["name"] for each in found}


def test_ui_of_a_server_is_that_server(fresh, mlflow_server):
    printed = replace(fresh, variables=mlflow_server.variables).run("cli.app", "ui")
    assert mlflow_server.url in printed
    assert fresh.is_quiet()


@pytest.mark.parametrize("family", ["sequence", "playlist"])
def test_serve_answers_the_request_that_it_shows(cold, tmp_path, started, eventually, port, family):
    checkout = cold.copy(tmp_path / "clone")
    url = f"http://127.0.0.1:{port}"
    process = started(checkout, f"{url}/ping", "serve", family, "--port", str(port))
    eventually(lambda: b"curl" in checkout.log.read_bytes(), 30, "the example is shown")
    shown = re.search(r"^curl .*$", checkout.log.read_text(), re.MULTILINE)
    assert shown is not None
    answer = subprocess.run(["bash", "-c", f"{shown[0]} --silent --fail"], capture_output=True, text=True)
    assert answer.returncode == 0, answer
    assert '"predictions"' in answer.stdout
    process.send_signal(signal.SIGKILL if family == "sequence" else signal.SIGTERM)
    process.wait(60)
    eventually(checkout.is_quiet, 60, "the server and its children have ended")


def test_serve_refuses_in_one_sentence(fresh, port):
    printed = fresh.run("cli.app", "serve", "rating", "--model", "nobody", "--port", str(port), code=2)
    assert "There is no registered or tracked model 'nobody'" in printed
    assert "Traceback" not in printed
