"""Tests run on a state folder of their own: no test touches the project's runs, caches or models."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import settings

if TYPE_CHECKING:
    from tasks.engine.server import Api

_STATE = Path(tempfile.mkdtemp(prefix="attrec-tests-"))
os.environ["ATTREC_ROOT"] = str(_STATE)
for inherited in (
    "PREFECT_API_URL",
    "PREFECT_HOME",
    "PREFECT_PROFILE",
    "MLFLOW_TRACKING_URI",
    "MLFLOW_RUN_ID",
):
    os.environ.pop(inherited, None)

# As the product does: sums of several threads differ in the last bit when the machine is busy.
os.environ.update(dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1"))

# How long an example takes says how busy the machine is.
settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")

pytest_plugins = ["tests.servers"]

PROJECT = Path(__file__).resolve().parents[1]


def pytest_addoption(parser: pytest.Parser) -> None:
    """How long the battery of faults is, and where it notes what it drew."""
    faults = parser.getgroup("faults")
    faults.addoption("--rounds", type=int, default=1, help="draws of each kind of fault")
    faults.addoption("--faults-seed", type=int, default=0, help="what they are drawn from")
    faults.addoption("--faults", help="a file of JSON lines for what was drawn and how it ended")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Whole pipelines first: the last file of several processes should be a short one."""
    items.sort(key=lambda item: "flows" not in item.path.parts)


@pytest.fixture(scope="session", autouse=True)
def _state_folder() -> Iterator[None]:
    yield
    shutil.rmtree(_STATE, ignore_errors=True)


@pytest.fixture(scope="module", autouse=True)
def _leave_no_outs() -> Iterator[None]:
    """What the stages of one file have written is nothing that `attrec` finds in the next; caches stay."""
    yield
    for folder in ("data", "models", "reports", "results"):
        shutil.rmtree(_STATE / folder, ignore_errors=True)
    (_STATE / "params.yaml").unlink(missing_ok=True)


@pytest.fixture(scope="session")
def project() -> Path:
    """The checkout under test."""
    return PROJECT


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """Folder with the real datasets; tests that need it are skipped without it."""
    folder = os.environ.get("ATTREC_DATA_DIR")
    if not folder:
        pytest.skip("ATTREC_DATA_DIR is not set: no real data here")
    return Path(folder)


@pytest.fixture(scope="session")
def prefect_server() -> Iterator[Api]:
    """A real Prefect server for the whole test session."""
    from tasks.engine.server import prefect_api

    with prefect_api() as api:
        yield api
