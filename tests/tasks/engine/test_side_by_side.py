"""Stages that do not hang on each other run side by side, and what hangs on them after all of them."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tasks.engine import environment
from tasks.engine.dvc import run_dvc

REPRO = """
import sys
from tasks.engine.side_by_side import repro
sys.exit(repro(lambda: print("begun", flush=True)))
"""

# Each of the two in the middle waits for the other: one after the other they would never end.
STAGES = """\
stages:
  first:
    cmd: cat word > first.txt
    deps: [word]
    outs: [first.txt]
  left:
    cmd: touch met-left; timeout 60 sh -c 'until test -e met-right; do sleep 0.1; done' && cat first.txt > left.txt
    deps: [first.txt]
    outs: [left.txt]
  right:
    cmd: touch met-right; timeout 60 sh -c 'until test -e met-left; do sleep 0.1; done' && cat first.txt > right.txt
    deps: [first.txt]
    outs: [right.txt]
  last:
    cmd: cat left.txt right.txt > last.txt; echo $ATTREC_SLOTS $ATTREC_OWNER > told
    deps: [left.txt, right.txt]
    outs: [last.txt]
"""


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(environment, "ROOT", tmp_path)
    (tmp_path / "dvc.yaml").write_text(STAGES)
    (tmp_path / "word").write_text("said ")
    (tmp_path / "params.yaml").write_text("runner: {workers: 1}")
    subprocess.run(["git", "init", "--quiet"], cwd=tmp_path, check=True)
    assert run_dvc("init", "--quiet") == 0
    return tmp_path


def start(repository: Path) -> subprocess.Popen[str]:
    """`repro`, as `attrec` has it a process of its own."""
    code = Path(__file__).resolve().parents[3]
    return subprocess.Popen(
        [sys.executable, "-c", REPRO],
        cwd=code,
        env={**os.environ, "ATTREC_ROOT": str(repository)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def repro(repository: Path) -> tuple[int, str]:
    """Exit code, and what was said."""
    process = start(repository)
    said, _ = process.communicate(timeout=120)
    return process.returncode, said


def test_what_can_runs_side_by_side_and_once(repository: Path) -> None:
    code, said = repro(repository)
    assert code == 0
    assert (repository / "last.txt").read_text() == "said said "
    slots, owner = (repository / "told").read_text().split()
    assert not Path(slots).exists()
    assert owner.startswith("process:")
    assert said.index("begun") < said.index("Running stage"), "a server can start before the first stage does"
    assert said.count("Running stage") == 4
    assert all(f"Running stage '{name}'" in said for name in ("first", "left", "right", "last"))
    code, again = repro(repository)
    assert code == 0
    assert "Running stage" not in again
    assert "begun" not in again
    assert "up to date" in again


def test_what_hangs_on_a_stage_that_fails_does_not_run(repository: Path) -> None:
    (repository / "dvc.yaml").write_text(STAGES.replace("cat first.txt > right.txt", "exit 3"))
    code, said = repro(repository)
    assert code != 0
    assert (repository / "left.txt").exists()
    assert not (repository / "last.txt").exists()
    assert "failed to reproduce 'right'" in said


def test_a_stage_that_fails_is_told_of_while_the_others_run(repository: Path) -> None:
    fails = "exit 3"
    waits = "timeout 60 sh -c 'until test -e told-of; do sleep 0.1; done' && cat first.txt > left.txt"
    (repository / "dvc.yaml").write_text(
        STAGES.replace(
            "timeout 60 sh -c 'until test -e met-right; do sleep 0.1; done' && cat first.txt > left.txt",
            waits,
        ).replace("cat first.txt > right.txt", fails)
    )
    running = start(repository)
    assert running.stdout is not None
    said = ""
    while "failed to reproduce 'right'" not in said and (line := running.stdout.readline()):
        said += line
    assert "failed to reproduce 'right'" in said
    assert running.poll() is None
    (repository / "told-of").touch()
    running.communicate(timeout=120)
    assert running.returncode != 0


def test_added_data_and_stages_of_other_folders_are_left_to_dvc(repository: Path) -> None:
    (repository / "sub").mkdir()
    (repository / "sub" / "dvc.yaml").write_text(
        "stages:\n  other:\n    cmd: cat ../first.txt > other.txt\n    deps: [../first.txt]\n    outs: [other.txt]\n"
    )
    (repository / "data.txt").write_text("one")
    assert run_dvc("add", "--quiet", "data.txt") == 0
    (repository / "data.txt").write_text("two")
    assert repro(repository)[0] == 0
    assert (repository / "last.txt").read_text() == "said said "


def test_workers_of_dask_share_no_slots(repository: Path) -> None:
    (repository / "params.yaml").write_text("runner: {kind: dask}")
    (repository / "dvc.yaml").write_text(STAGES.replace("timeout 60", "timeout 1"))
    code, said = repro(repository)
    assert code != 0
    assert said.count("Running stage") == 2


def test_what_dvc_cannot_read_is_told_by_dvc(repository: Path) -> None:
    (repository / "dvc.yaml").write_text("stages: [")
    code, said = repro(repository)
    assert code != 0
    assert "dvc.yaml" in said
