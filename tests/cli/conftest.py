"""The `attrec` command in this process, and a small registered model to ask."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass

import pandas as pd
import pytest
import yaml

from cli.app import main
from flows import prepare, rating
from flows.rating_params import RatingParams
from flows.stage import run_stage
from tasks.engine import environment
from tasks.engine.run_store import EXPERIMENT_VARIABLE
from tasks.engine.server import Api

MODELS = {
    "user-item-bias": {"kind": "user-item-bias"},
    "attentive+inner": {
        "kind": "pair-network",
        "embedding": "attentive",
        "head": "inner",
        "changes": {"dimension": 4, "training": {"epochs": 1}},
    },
}
PARAMS = {
    "dataset": "simulated",
    "prepare": {"simulated": {"n_users": 30, "n_items": 40, "n_ratings": 500, "min_ratings_per_user": 10}},
    "rating": {"models": MODELS},
}


# Of these tests: what the flows of others have registered for data of the same name is none of theirs.
EXPERIMENT = "asked"


@pytest.fixture(autouse=True)
def _experiment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(EXPERIMENT_VARIABLE, EXPERIMENT)


@dataclass(frozen=True)
class Ended:
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def sentence(self) -> str:
        """The one sentence of a refusal."""
        assert self.code == 2, self
        assert self.err.startswith("Error: "), self.err
        assert self.err.count("\n") == 1, self.err
        assert "Traceback" not in self.err
        return self.err.removeprefix("Error: ").strip()


@pytest.fixture
def attrec(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., Ended]:
    """Run `attrec WORDS`, with the params of `registered` unless the test writes others."""
    (environment.ROOT / "params.yaml").write_text(yaml.safe_dump(PARAMS))
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setenv("TERM", "dumb")
    # `--debug` sets it for what the command starts; this test's setting must not outlive it.
    monkeypatch.setenv(environment.DEBUG_VARIABLE, "")

    def run(*words: str) -> Ended:
        monkeypatch.setattr(sys, "argv", ["attrec", *words])
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main()
        printed = capsys.readouterr()
        return Ended(int(ended.value.code or 0), printed.out, printed.err)

    return run


@pytest.fixture(scope="module")
def registered(prefect_server: Api) -> pd.DataFrame:
    """Run the pipeline once with a small model; return the ratings it was fitted on."""
    (environment.ROOT / "params.yaml").write_text(yaml.safe_dump(PARAMS))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["flow"])
        patch.setenv(EXPERIMENT_VARIABLE, EXPERIMENT)
        run_stage(prepare.PrepareParams, prepare.run)
        run_stage(RatingParams, rating.run)
    return pd.read_parquet(environment.ROOT / "data" / "processed" / "training" / "ratings.parquet")
