"""How DVC is started: its stages run this interpreter, in the folder that DVC chose, under a name that Git takes."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tasks.engine import environment
from tasks.engine.dvc import run_dvc, surroundings
from tasks.engine.environment import experimenting

STAGE = """\
stages:
  say:
    cmd: python -c "import os, sys; open('said', 'w').write(sys.executable + ' ' + os.environ['DVC_EXP_NAME'])"
    params: [word]
    outs: [said]
"""


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository of Git and DVC with one stage; nobody has told Git a name, and another `python` is first on PATH."""
    other = tmp_path / "bin"
    other.mkdir()
    (other / "python").write_text("#!/bin/sh\nexit 9\n")
    (other / "python").chmod(0o755)
    for name in [name for name in os.environ if name.startswith(("GIT_AUTHOR", "GIT_COMMITTER", "DVC_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("PATH", f"{other}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")
    folder = tmp_path / "project"
    folder.mkdir()
    monkeypatch.setattr(environment, "ROOT", folder)
    (folder / "dvc.yaml").write_text(STAGE)
    (folder / "params.yaml").write_text("word: a\n")
    subprocess.run(["git", "init", "--quiet"], cwd=folder, check=True)
    assert run_dvc("init", "--quiet") == 0
    subprocess.run(["git", "add", "--all"], cwd=folder, check=True)
    subprocess.run(["git", "commit", "--quiet", "-m", "a"], cwd=folder, env=surroundings(), check=True)
    return folder


def test_a_stage_runs_this_interpreter_and_nobody_has_told_git_a_name(repository: Path) -> None:
    (repository / "params.yaml").write_text("word: b\n")
    assert run_dvc("exp", "run", "--temp", "--name", "mine") == 0
    assert run_dvc("exp", "apply", "mine") == 0
    assert (repository / "said").read_text() == f"{Path(sys.executable).parent / 'python'} mine"


def test_a_name_that_git_was_told_stays(repository: Path) -> None:
    assert surroundings()["GIT_AUTHOR_NAME"] == "attrec"
    subprocess.run(["git", "config", "user.name", "Somebody"], cwd=repository, check=True)
    found = surroundings()
    assert "GIT_AUTHOR_NAME" not in found
    assert found["GIT_AUTHOR_EMAIL"] == "attrec@localhost"


def test_the_checkout_of_an_experiment_is_where_it_was_started() -> None:
    checkout = Path("/a/project")
    for folder in ("tmpabc", "standalone/tmpabc", "standalone/tmpabc/sub"):
        assert experimenting(checkout / ".dvc" / "tmp" / "exps" / folder) == checkout
    assert experimenting(checkout) is None
    assert experimenting(checkout / "exps" / "tmpabc") is None
