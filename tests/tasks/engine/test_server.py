"""The shared Prefect server: begun while a stage imports, one for all, gone with its owner."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
import requests

from tasks.engine.imports import SOURCE_ROOT

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


def test_a_stage_begins_one_server_that_ends_with_it(tmp_path: Path) -> None:
    surroundings = {
        name: value for name, value in os.environ.items() if not name.startswith(("PREFECT_", "DVC_"))
    }
    surroundings |= {"ATTREC_ROOT": str(tmp_path)}
    surroundings.pop("ATTREC_OWNER", None)
    with subprocess.Popen(
        [sys.executable, "-c", f"{OWNER}\ninput()"],
        cwd=SOURCE_ROOT,
        env=surroundings,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as owner:
        assert owner.stdout is not None
        url = owner.stdout.readline().strip()
        assert url.startswith("http://127.0.0.1:")
        assert is_up(url)
        owner.communicate("\n", timeout=60)
    assert owner.returncode == 0
    deadline = time.monotonic() + 60
    while is_up(url) and time.monotonic() < deadline:
        time.sleep(0.2)
    assert not is_up(url)
