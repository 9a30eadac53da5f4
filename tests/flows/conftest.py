"""A throw-away checkout with a tiny world, in which the real commands run as a user would run them."""

from __future__ import annotations

import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd
import psutil
import pytest
import yaml
from filelock import FileLock
from mlflow import MlflowClient

PARAMS = """\
dataset: simulated
seed: 0
runner: {kind: threads, workers: 2}
prepare:
  simulated: {n_users: 60, n_items: 80, n_ratings: 2000, seed: 0}
  csv: null
rating:
  seeds: [0]
  models:
    user-item-bias: {kind: user-item-bias}
    rsattae+xgboost:
      kind: rsattae+xgboost
      recipe: quick
      changes:
        folds: 2
        user_autoencoders: [{training: {epochs: 6}}]
        item_autoencoders: [{training: {epochs: 6}}]
        head: {trees: [5, 10], max_depth: 3}
sequence:
  models:
    popularity: {kind: popularity}
    sasrec: {kind: sasrec, changes: {network: {dimension: 8}, training: {epochs: 3}}}
playlist:
  models:
    popularity: {kind: popularity}
    kmeans: {kind: kmeans, changes: {n_clusters: [2, 4]}}
    ars-tiny: {kind: ars, changes: {dimension: 8, hidden: 8, cooccurrence: 4, training: {epochs: 3}}}
"""
# Letters that are not ASCII end experiments of DVC, not our stages: the battery of faults has them.
STRANGE = "a folder of $HOME, 100 % full"
OURS = ("PREFECT_", "MLFLOW_", "ATTREC_", "DVC_")
# They name the tracked runs, whose ids differ from run to run by nature, or are made of files that do.
WITH_RUN_IDS = {
    "reports/rating_runs.json",
    "reports/sequence_runs.json",
    "reports/playlist_runs.json",
    "reports/leaderboard.csv",
    "reports/index.html",
}


@dataclass(frozen=True)
class Checkout:
    """One clone of the project, and what a user does in it."""

    folder: Path
    variables: Mapping[str, str] = field(default_factory=dict)
    """What the user has set."""
    unset: tuple[str, ...] = ()
    """What the user has not, of what is usual."""
    through: tuple[str, ...] = ()
    """The command that starts what the user starts."""

    def start(self, *words: str) -> subprocess.Popen[bytes]:
        """Start `python -m WORDS` in the clone, in the environment of a user who has set nothing else of ours."""
        surroundings = {key: value for key, value in os.environ.items() if not key.startswith(OURS)}
        for name in self.unset:
            surroundings.pop(name, None)
        surroundings["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{surroundings['PATH']}"
        with self.log.open("ab") as stream:
            return subprocess.Popen(
                [*self.through, sys.executable, "-m", *words],
                cwd=self.folder,
                env={**surroundings, **self.variables},
                stdout=stream,
                stderr=stream,
            )

    def run(self, *words: str, code: int = 0) -> str:
        """Run `python -m WORDS` to its end and return what it printed."""
        before = self.log.stat().st_size if self.log.exists() else 0
        returned = self.start(*words).wait(timeout=600)
        printed = self.log.read_bytes()[before:].decode(errors="replace")
        assert returned == code, f"{' '.join(words)} ended with {returned}:\n{printed[-4000:]}"
        return printed

    def clone(self, target: Path) -> Checkout:
        """The committed state of this clone, without its state and outputs."""
        subprocess.run(["git", "clone", "--quiet", str(self.folder), str(target)], check=True)
        return Checkout(target)

    def copy(self, target: Path) -> Checkout:
        """This clone with all that was made in it."""
        shutil.copytree(self.folder, target, symlinks=True)
        return Checkout(target)

    @property
    def log(self) -> Path:
        """What the commands printed."""
        return self.folder.with_name(f"{self.folder.name}.log")

    @property
    def lock(self) -> bytes:
        """dvc.lock."""
        return (self.folder / "dvc.lock").read_bytes()

    def outs(self) -> dict[str, str]:
        """DVC md5 of every out, but for those that hold run ids."""
        stages = yaml.safe_load(self.lock)["stages"].values()
        return {
            out["path"]: out["md5"]
            for stage in stages
            for out in stage["outs"]
            if out["path"] not in WITH_RUN_IDS
        }

    def leaderboard(self) -> pd.DataFrame:
        """The figures, without the run ids."""
        return pd.read_csv(self.folder / "reports" / "leaderboard.csv").drop(columns="run_id")

    def flow_runs(self) -> pd.DataFrame:
        """name, state_type, state_name of each flow run the Prefect server of this clone remembers."""
        with sqlite3.connect(self.folder / ".attrec" / "prefect" / "prefect.db") as database:
            return pd.read_sql("select name, state_type, state_name from flow_run", database)

    def processes(self) -> list[psutil.Process]:
        """Every living process whose working folder is this clone."""
        found = []
        for process in psutil.process_iter():
            try:
                if process.cwd() == str(self.folder) and process.status() != psutil.STATUS_ZOMBIE:
                    found.append(process)
            except psutil.Error:
                continue
        return found

    def is_quiet(self) -> bool:
        """Whether no process is left here."""
        return not self.processes()

    def kill_all(self) -> None:
        """SIGKILL whatever runs here."""
        for process in self.processes():
            try:
                process.send_signal(signal.SIGKILL)
            except psutil.NoSuchProcess:
                continue


def wait_for(condition: Callable[[], bool], seconds: float, what: str) -> None:
    """Wait for a condition, and say what did not happen in time."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"not within {seconds:.0f} s: {what}"
        time.sleep(0.1)


@pytest.fixture(scope="session")
def eventually() -> Callable[[Callable[[], bool], float, str], None]:
    """`wait_for`, for test modules."""
    return wait_for


@pytest.fixture(scope="session")
def template(project: Path, tmp_path_factory: pytest.TempPathFactory) -> Checkout:
    """A repository with the files of the project as they are now and the params of a tiny world, committed."""
    listed = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    done = subprocess.run(listed, cwd=project, capture_output=True, check=True)
    folder = tmp_path_factory.mktemp("template") / "project"
    for name in done.stdout.decode().split("\0"):
        if name and not name.startswith("tests/") and (project / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(project / name, folder / name)
    (folder / "params.yaml").write_text(PARAMS)
    identity = ["-c", "user.name=Test", "-c", "user.email=test@example.org"]
    for words in (
        ["init", "--quiet"],
        ["add", "--all"],
        [*identity, "commit", "--quiet", "--message", "tiny world"],
    ):
        subprocess.run(["git", *words], cwd=folder, check=True)
    return Checkout(folder)


@pytest.fixture(scope="session")
def stores(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A state folder with empty stores of Prefect and MLflow: to migrate both takes longer than many a test."""
    state = tmp_path_factory.mktemp("stores")
    server = {**os.environ, "PREFECT_HOME": str(state / "prefect")}
    upgrade = [sys.executable, "-m", "prefect", "server", "database", "upgrade", "--yes"]
    subprocess.run(upgrade, env=server, check=True, capture_output=True)
    MlflowClient(f"sqlite:///{state / 'mlflow.db'}").search_experiments()
    return state


@pytest.fixture
def fresh(template: Checkout, stores: Path, tmp_path: Path) -> Iterator[Checkout]:
    """A clone of one test's own in a folder of an odd name, its stores there and empty; nothing outlives the test."""
    checkout = template.clone(tmp_path / STRANGE / "clone")
    shutil.copytree(stores, checkout.folder / ".attrec")
    yield checkout
    checkout.kill_all()


@pytest.fixture(scope="session")
def cold(template: Checkout, tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Checkout:
    """A clone in which `dvc repro` has run once from nothing, one for all test processes. Not to be changed."""
    base = tmp_path_factory.getbasetemp()
    shared = base if worker_id == "master" else base.parent
    checkout, ran = Checkout(shared / "cold" / "clone"), shared / "cold" / "ran"
    with FileLock(shared / "cold.lock"):
        if not ran.exists():
            shutil.rmtree(shared / "cold", ignore_errors=True)
            template.clone(checkout.folder)
            try:
                checkout.run("dvc", "repro")
            finally:
                checkout.kill_all()
            ran.touch()
    return checkout
