"""The shared Prefect server: begun while a stage imports, one for all, gone with its owner."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import requests
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect

from attrec.errors import ParamsError
from tasks.engine.imports import SOURCE_ROOT
from tasks.engine.keeper import POLL_SECONDS
from tasks.engine.server import CHECK_SECONDS, KILLED, give_head_start, own_server

pytestmark = pytest.mark.slow

ORPHAN = """
import os, threading
from tasks.engine.server import end_with_owner
end_with_owner()
print("goes on", os.getpid())
"""


def test_who_is_named_and_gone_before_this_process_began_ends_it() -> None:
    """And no `dvc` that has outlived him takes his place."""
    gone = subprocess.run(
        [sys.executable, "-c", "import os; print(os.getpid())"], capture_output=True, text=True
    )
    told = subprocess.run(
        [sys.executable, "-c", ORPHAN],
        cwd=SOURCE_ROOT,
        env={**os.environ, "ATTREC_OWNER": f"process:{gone.stdout.strip()}@1.0"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert told.stdout == ""
    assert told.returncode == KILLED


OWNER = """
import importlib, json, os
import flows
from tasks.engine import environment
from tasks.engine.server import _shared_server, give_head_start
record = environment.STATE / "prefect" / "server.json"
assert not record.exists(), "of flows only a stage of DVC begins early"
os.environ["DVC_STAGE"] = "prepare"
importlib.reload(flows)
begun = json.loads(record.read_text())
give_head_start()
assert json.loads(record.read_text()) == begun, "one server is enough"
url = _shared_server().url
assert url == begun["api"]["url"], "the stage uses the server that was begun"
print(url)
"""


def is_up(url: str) -> bool:
    try:
        return requests.get(f"{url}/health", timeout=2).ok
    except requests.RequestException:
        return False


USER = """
from tasks.engine.server import prefect_api
with prefect_api() as api:
    print(api.url, flush=True)
    input()
"""


@contextmanager
def started(script: str, folder: Path) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """A process that waits for a line, and what it printed first."""
    inherited = ("PREFECT_", "DVC_", "ATTREC_OWNER")
    surroundings = {name: value for name, value in os.environ.items() if not name.startswith(inherited)}
    with subprocess.Popen(
        [sys.executable, "-c", script],
        cwd=SOURCE_ROOT,
        env={**surroundings, "ATTREC_ROOT": str(folder)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        yield process, process.stdout.readline().strip()


def wait_until_down(url: str) -> None:
    deadline = time.monotonic() + 60
    while is_up(url) and time.monotonic() < deadline:
        time.sleep(0.2)
    assert not is_up(url)


def test_a_stage_begins_one_server_that_ends_with_it(tmp_path: Path) -> None:
    with started(f"{OWNER}\ninput()", tmp_path) as (owner, url):
        assert url.startswith("http://127.0.0.1:")
        assert is_up(url)
        owner.communicate("\n", timeout=60)
    assert owner.returncode == 0
    wait_until_down(url)


def test_runs_of_one_checkout_share_a_server_that_ends_with_the_last(tmp_path: Path) -> None:
    with started(USER, tmp_path) as (first, url), started(USER, tmp_path) as (second, shared):
        assert shared == url
        first.kill()
        first.wait()
        # Longer than the keeper and the watch of an API look away.
        time.sleep(2 * POLL_SECONDS + CHECK_SECONDS)
        assert is_up(url)
        second.communicate("\n", timeout=60)
    assert second.returncode == 0
    wait_until_down(url)
    assert not list((tmp_path / ".attrec" / "prefect").glob("*.owners"))


GUARDED = """
import json
from tasks.engine.server import prefect_api
with prefect_api() as api:
    print(json.dumps([api.url, api.secret]), flush=True)
    input()
"""


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, tuple[str, str], Path]]:
    """The URL of a server that a run has started, its user and password, and the folder of the run."""
    folder = tmp_path_factory.mktemp("guarded")
    with started(GUARDED, folder) as (owner, printed):
        url, secret = json.loads(printed)
        user, _, password = secret.partition(":")
        yield url, (user, password), folder
        owner.communicate("\n", timeout=60)


def test_it_asks_for_a_secret_that_its_user_alone_can_read(guarded, tmp_path):
    url, secret, folder = guarded
    code = {"name": "theirs", "flow_id": "00000000-0000-0000-0000-000000000000", "pull_steps": []}
    for path, body in (("/flow_runs/filter", {}), ("/deployments/", code), ("/admin/version", None)):
        method = "GET" if body is None else "POST"
        for given in (None, (secret[0], "guess"), (secret[0], "")):
            assert requests.request(method, f"{url}{path}", json=body, auth=given).status_code == 401
    assert requests.post(f"{url}/flow_runs/filter", json={}, auth=secret).json() == []
    assert len(secret[1]) > 40
    record = folder / ".attrec" / "prefect" / "server.json"
    assert record.stat().st_mode & 0o777 == 0o600
    with started(GUARDED, tmp_path) as (owner, printed):
        other = json.loads(printed)[1]
        owner.communicate("\n", timeout=60)
    assert other != ":".join(secret)


@pytest.mark.parametrize(
    ("headers", "code"),
    [
        ({}, 200),
        ({"Origin": "http://127.0.0.1:{port}"}, 200),
        ({"Origin": "http://localhost:{port}", "Host": "localhost:{port}"}, 200),
        # A port that was forwarded by SSH.
        ({"Host": "localhost:8000"}, 200),
        ({"Origin": "http://evil.example"}, 403),
        ({"Origin": "http://127.0.0.1:{other}"}, 403),
        ({"Origin": "https://127.0.0.1:{port}"}, 403),
        ({"Origin": "null"}, 403),
        # A name of somebody's that leads to this machine.
        ({"Host": "evil.example:{port}"}, 403),
        ({"Host": "127.0.0.1.evil.example"}, 403),
        ({"Host": "127.0.0.1:{port}@evil.example"}, 403),
        ({"Host": "[127.0.0.1"}, 403),
        ({"Host": ""}, 403),
    ],
)
def test_it_answers_no_other_origin_or_host(guarded, headers, code):
    url, secret, _ = guarded
    port = int(url.split(":")[2].split("/")[0])
    filled = {name: value.format(port=port, other=port - 1) for name, value in headers.items()}
    for path in ("/api/flow_runs/filter", "/api/health", "/"):
        method = "POST" if path.endswith("filter") else "GET"
        answer = requests.request(
            method, f"http://127.0.0.1:{port}{path}", json={}, auth=secret, headers=filled, timeout=30
        )
        assert answer.status_code == code, path
        assert answer.headers.get("Access-Control-Allow-Origin") in (None, filled.get("Origin"))


def test_its_sockets_are_closed_to_other_origins_and_to_who_lacks_the_secret(guarded):
    url, secret, _ = guarded
    address = f"{url.replace('http', 'ws', 1)}/events/in"
    with pytest.raises(InvalidStatus, match="403"), connect(address, origin="http://evil.example"):
        pass

    def authenticated(token: str) -> str:
        with connect(address, subprotocols=["prefect"]) as socket:
            socket.send(json.dumps({"type": "auth", "token": token}))
            try:
                return json.loads(socket.recv(timeout=30))["type"]
            except ConnectionClosed:
                return "closed"

    assert authenticated("attrec:guess") == "closed"
    assert authenticated(":".join(secret)) == "auth_success"


def test_one_that_would_answer_every_page_is_not_started(tmp_path, monkeypatch):
    monkeypatch.setenv("PREFECT_SERVER_CORS_ALLOWED_ORIGINS", "http://pages.example,*")
    monkeypatch.setenv("PREFECT_HOME", str(tmp_path))
    monkeypatch.setenv("DVC_STAGE", "prepare")
    monkeypatch.delenv("PREFECT_API_URL", raising=False)
    give_head_start()
    with pytest.raises(ParamsError, match="any web page"):
        own_server(1)
    assert not list(tmp_path.glob("server.*on"))
