"""Stages that do not hang on each other run side by side, and what hangs on them after all of them."""

from __future__ import annotations

import subprocess
import threading
import time
from pathlib import Path

import pytest

from tasks.engine import environment
from tasks.engine.dvc import run_dvc
from tasks.engine.side_by_side import repro

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


def test_what_can_runs_side_by_side_and_once(repository: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert repro() == 0
    assert (repository / "last.txt").read_text() == "said said "
    slots, owner = (repository / "told").read_text().split()
    assert not Path(slots).exists()
    assert owner.startswith("process:")
    said = capfd.readouterr().out
    assert said.count("Running stage") == 4
    assert all(f"Running stage '{name}'" in said for name in ("first", "left", "right", "last"))
    assert repro() == 0
    again = capfd.readouterr().out
    assert "Running stage" not in again
    assert "up to date" in again


def test_what_hangs_on_a_stage_that_fails_does_not_run(
    repository: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (repository / "dvc.yaml").write_text(STAGES.replace("cat first.txt > right.txt", "exit 3"))
    assert repro() != 0
    assert (repository / "left.txt").exists()
    assert not (repository / "last.txt").exists()
    assert "failed to reproduce 'right'" in capfd.readouterr().out


def test_a_stage_that_fails_is_told_of_while_the_others_run(
    repository: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    fails = "exit 3"
    waits = "timeout 60 sh -c 'until test -e told-of; do sleep 0.1; done' && cat first.txt > left.txt"
    (repository / "dvc.yaml").write_text(
        STAGES.replace(
            "timeout 60 sh -c 'until test -e met-right; do sleep 0.1; done' && cat first.txt > left.txt",
            waits,
        ).replace("cat first.txt > right.txt", fails)
    )
    codes: list[int] = []
    running = threading.Thread(target=lambda: codes.append(repro()))
    running.start()
    said = ""
    while "failed to reproduce 'right'" not in said and running.is_alive():
        time.sleep(0.1)
        said += capfd.readouterr().out
    assert running.is_alive()
    (repository / "told-of").touch()
    running.join()
    assert codes[0] != 0


def test_added_data_and_stages_of_other_folders_are_left_to_dvc(repository: Path) -> None:
    (repository / "sub").mkdir()
    (repository / "sub" / "dvc.yaml").write_text(
        "stages:\n  other:\n    cmd: cat ../first.txt > other.txt\n    deps: [../first.txt]\n    outs: [other.txt]\n"
    )
    (repository / "data.txt").write_text("one")
    assert run_dvc("add", "--quiet", "data.txt") == 0
    (repository / "data.txt").write_text("two")
    assert repro() == 0
    assert (repository / "last.txt").read_text() == "said said "


def test_workers_of_dask_share_no_slots(repository: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (repository / "params.yaml").write_text("runner: {kind: dask}")
    (repository / "dvc.yaml").write_text(STAGES.replace("timeout 60", "timeout 1"))
    assert repro() != 0
    assert capfd.readouterr().out.count("Running stage") == 2


def test_what_dvc_cannot_read_is_told_by_dvc(repository: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (repository / "dvc.yaml").write_text("stages: [")
    assert repro() != 0
    assert "dvc.yaml" in capfd.readouterr().err
