"""A battery of faults: what each test drew and how it ended is noted, so that a long run can be told in a table."""

from __future__ import annotations

import json
import random
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd
import pytest

if TYPE_CHECKING:
    from tests.flows.conftest import Checkout

STAGES = ("prepare", "rating", "sequence", "playlist", "report")

Note = Callable[[str, str, str], None]
"""Note a kind of fault, what was drawn, and how it ended."""


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave what takes minutes to the long battery."""
    if config.getoption("--rounds") == 1:
        for item in items:
            if item.get_closest_marker("battery"):
                item.add_marker(pytest.mark.skip(reason="a part of `make break`: needs --rounds above 1"))


@pytest.fixture(scope="session")
def rounds(request: pytest.FixtureRequest) -> int:
    """How many draws of each kind."""
    return int(request.config.getoption("--rounds"))


@pytest.fixture(scope="session")
def faults_seed(request: pytest.FixtureRequest) -> int:
    """What all is drawn from."""
    return int(request.config.getoption("--faults-seed"))


@pytest.fixture
def draws(request: pytest.FixtureRequest, faults_seed: int) -> random.Random:
    """Draws that are others in each test and the same in each run of it."""
    return random.Random(f"{faults_seed} {request.node.name}")


@pytest.fixture(scope="session")
def note(request: pytest.FixtureRequest) -> Note:
    """Append to the file of `--faults`, if that is asked for."""
    file = request.config.getoption("--faults")

    def append(kind: str, drawn: str, ended: str) -> None:
        if file:
            with Path(file).open("a") as stream:
                stream.write(json.dumps({"kind": kind, "drawn": drawn, "ended": ended}) + "\n")

    return append


@pytest.fixture
def see_the_same(cold: Checkout) -> Callable[[Checkout], None]:
    """See that a checkout holds what a run without faults leaves, bit for bit, and no draft beside it."""

    def see(checkout: Checkout) -> None:
        assert checkout.outs() == cold.outs()
        pd.testing.assert_frame_equal(checkout.leaderboard(), cold.leaderboard(), check_exact=True)
        assert not list((checkout.folder / ".attrec" / "staging").iterdir())
        # As `publish_all` names what it makes beside its target.
        published = (checkout.folder / name for name in ("data", "models", "reports"))
        assert not [draft for folder in published for draft in folder.rglob(".*@*-*")]
        assert "RUNNING" not in set(checkout.flow_runs()["state_type"])

    return see


@pytest.fixture
def harmed(cold: Checkout, tmp_path: Path) -> Iterator[Callable[..., Checkout]]:
    """Copies of the run without faults, to be harmed; nothing of them outlives the test."""
    made: list[Checkout] = []

    def copy() -> Checkout:
        for before in made:
            before.kill_all()
            shutil.rmtree(before.folder, ignore_errors=True)
        made.append(cold.copy(tmp_path / str(len(made)) / "clone"))
        return made[-1]

    yield copy
    for checkout in made:
        checkout.kill_all()


def forget(checkout: Checkout) -> None:
    """Remove what tasks have kept, so that all is computed again."""
    for name in ("artifacts", "results", "checkpoints"):
        shutil.rmtree(checkout.folder / ".attrec" / name, ignore_errors=True)


def again(stage: str) -> tuple[str, ...]:
    """The command that runs one stage again, whether anything has changed or not."""
    return ("dvc", "repro", "--force", "--single-item", stage)


def in_one_sentence(printed: str) -> bool:
    """Whether a run that failed said why, and nothing that only its programmers can read."""
    return "Traceback" not in printed and printed.count("Error: ") == 1
