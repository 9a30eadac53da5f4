"""The shared Prefect server: begun while a stage imports, one for all, gone with its owner."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import requests

from tasks.engine.imports import SOURCE_ROOT
from tasks.engine.keeper import POLL_SECONDS
from tasks.engine.server import CHECK_SECONDS

pytestmark = pytest.mark.slow

OWNER = """
import json, os
from tasks.engine import environment
from tasks.engine.server import _shared_server, give_head_start
record = environment.STATE / "prefect" / "server.json"
give_head_start()
assert not record.exists(), "only a stage of DVC begins early"
os.environ["DVC_STAGE"] = "prepare"
give_head_start()
begun = json.loads(record.read_text())
give_head_start()
assert json.loads(record.read_text()) == begun, "one server is enough"
url = _shared_server()
assert url == begun["url"], "the stage uses the server that was begun"
print(url)
"""


def is_up(url: str) -> bool:
    try:
        return requests.get(f"{url}/health", timeout=2).ok
    except requests.RequestException:
        return False


USER = """
from tasks.engine.server import prefect_api
with prefect_api() as url:
    print(url, flush=True)
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
