"""Where figures come from: the commit, the versions that compute, the data that DVC has, and who ran it."""

from __future__ import annotations

import getpass
import os
import platform
import subprocess
import sys
import time
from contextlib import suppress
from functools import lru_cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

import yaml
from mlflow.entities import SourceType
from mlflow.utils.mlflow_tags import MLFLOW_GIT_COMMIT, MLFLOW_SOURCE_NAME, MLFLOW_SOURCE_TYPE, MLFLOW_USER

from tasks.engine import environment

ENVIRONMENT_PACKAGES = ("torch", "xgboost-cpu", "scikit-learn", "numpy", "pandas", "prefect", "mlflow", "dvc")
# What DVC tells the stages of an experiment of its own.
DVC_EXPERIMENT_TAGS = {"dvc.exp": "DVC_EXP_NAME", "dvc.exp.baseline": "DVC_EXP_BASELINE_REV"}


def stage_outs(stage: str) -> dict[str, str]:
    """DVC md5 of each out of a stage that has been run, from `dvc.lock`; empty where there is none."""
    lock = environment.ROOT / "dvc.lock"
    before, looks = None, 0
    while lock.exists() and looks < 20:
        # The `dvc` of a stage beside this one may be writing it, some of it at a time.
        text = lock.read_text()
        with suppress(yaml.YAMLError, AttributeError, KeyError, TypeError):
            if text == before and (outs := _outs(text, stage)):
                return outs
        before, looks = text, looks + 1
        time.sleep(0.1)
    return {}


def committed_outs(stage: str) -> dict[str, str]:
    """The same from the `dvc.lock` of the last commit."""
    lock = _git("show", "HEAD:./dvc.lock")
    return _outs(lock, stage) if lock else {}


def lock_commit() -> str:
    """The commit that made the `dvc.lock` of the last commit."""
    return _git("log", "-1", "--format=%H", "HEAD", "--", "dvc.lock")


def _outs(lock: str, stage: str) -> dict[str, str]:
    outs = _stages(lock).get(stage, {}).get("outs", [])
    return {out["path"]: out["md5"] for out in outs}


@lru_cache(maxsize=2)
def _stages(lock: str) -> dict[str, Any]:
    stages: dict[str, Any] = yaml.safe_load(lock)["stages"]
    return stages


def origin() -> dict[str, str]:
    """Provenance, with what MLflow's own columns show of it: who ran what, of which commit."""
    program = Path(sys.argv[0])
    with suppress(ValueError):
        program = program.resolve().relative_to(environment.ROOT)
    try:
        user = getpass.getuser()
    except (KeyError, OSError):  # in a container nobody may have a name
        user = str(os.getuid())
    return {
        **provenance(),
        MLFLOW_USER: user,
        MLFLOW_SOURCE_NAME: str(program),
        MLFLOW_SOURCE_TYPE: SourceType.to_string(SourceType.LOCAL),
        MLFLOW_GIT_COMMIT: provenance()["git.commit"],
    }


@lru_cache(maxsize=1)
def provenance() -> dict[str, str]:
    """Git commit, whether the tree differs from it, and the versions that compute the figures."""
    commit = _git("rev-parse", "HEAD") or "none"
    # Parameters are logged themselves, and dvc.lock changes while a run goes on.
    dirty = _git(
        "status", "--porcelain", "--", "attrec", "tasks", "flows", "cli", "dvc.yaml", "requirements.lock"
    )
    return {
        "git.commit": commit,
        "git.dirty": str(bool(dirty)).lower(),
        "python": platform.python_version(),
        **{f"version.{package}": version(package) for package in ENVIRONMENT_PACKAGES},
        **{tag: os.environ[name] for tag, name in DVC_EXPERIMENT_TAGS.items() if name in os.environ},
    }


def _git(*words: str) -> str:
    try:
        done = subprocess.run(
            ["git", *words], cwd=environment.ROOT, capture_output=True, text=True, check=True
        )
    except (OSError, subprocess.CalledProcessError):
        return ""
    return done.stdout.strip()
