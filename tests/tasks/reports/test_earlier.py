"""What the last committed run had, out of a real DVC cache."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pandas as pd
import pytest
from dvc.repo import Repo

from attrec.reporting.leaderboard import LeaderboardRow, build_leaderboard, write_leaderboard
from tasks.engine import environment
from tasks.engine.provenance import provenance
from tasks.reports.earlier import earlier_figures

STAGES = """\
stages:
  prepare:
    cmd: mkdir -p data/processed data/interim && cp params.yaml data/processed/ && cp params.yaml data/interim/
    deps: [params.yaml]
    outs: [data/processed, data/interim]
  report:
    cmd: mkdir -p reports && cp board.csv reports/leaderboard.csv
    deps: [board.csv, data/processed]
    outs: [reports/leaderboard.csv]
"""
pytestmark = pytest.mark.slow


def board(value: float, split: str = "s") -> pd.DataFrame:
    row = LeaderboardRow("rating", "d", split, "bias", "rmse", value, value, value, 40, 1, "run")
    return build_leaderboard([row])


def do(*words: str) -> None:
    subprocess.run(words, cwd=environment.ROOT, check=True, capture_output=True)


def commit() -> None:
    do("git", "add", "--all")
    do("git", "-c", "user.name=T", "-c", "user.email=t@example.org", "commit", "--quiet", "--message", "run")


def head() -> str:
    words = ["git", "rev-parse", "HEAD"]
    return subprocess.run(
        words, cwd=environment.ROOT, check=True, capture_output=True, text=True
    ).stdout.strip()


def rebuild(root: Path, value: float) -> None:
    write_leaderboard(board(value), root / "board.csv")
    with Repo(str(root)) as repo:
        repo.reproduce()


@pytest.fixture
def root(tmp_path, monkeypatch):
    """A project in which a run with an RMSE of 0.9 has been made, and committed."""
    monkeypatch.setattr(environment, "ROOT", tmp_path)
    monkeypatch.chdir(tmp_path)
    provenance.cache_clear()
    do("git", "init", "--quiet")
    Repo.init(str(tmp_path)).close()
    (tmp_path / "dvc.yaml").write_text(STAGES)
    (tmp_path / "params.yaml").write_text("seed: 0\n")
    rebuild(tmp_path, 0.9)
    commit()
    yield tmp_path
    provenance.cache_clear()


def test_what_was_committed_is_told_however_often_it_is_run_again(root):
    made_by = head()
    (root / "notes.txt").write_text("Of something else.\n")
    commit()
    assert head() != made_by
    for value in (0.8, 0.7):
        rebuild(root, value)
        [earlier] = earlier_figures(board(value)).values()
        assert earlier.leaderboard["value"].tolist() == [0.9]
        assert earlier.same_data
        assert earlier.commit == made_by
    (root / "params.yaml").write_text("seed: 1\n")
    rebuild(root, 0.6)
    assert not earlier_figures(board(0.6))["rating"].same_data


def test_what_another_version_has_written_counts_so_far_as_it_can_be_read(root):
    known = board(0.9)
    for columns, tasks in ((known.columns.drop("tried"), ["rating"]), (known.columns.drop("value"), [])):
        known[columns].to_csv(root / "board.csv", index=False)
        with Repo(str(root)) as repo:
            repo.reproduce()
        commit()
        assert list(earlier_figures(board(0.8))) == tasks


def test_another_split_and_an_empty_cache_are_nothing_to_compare_with(root):
    assert earlier_figures(board(0.8, split="other")) == {}
    do("git", "-C", str(root), "rm", "--quiet", "dvc.lock")
    commit()
    assert earlier_figures(board(0.8)) == {}


def test_a_clone_that_has_pulled_nothing_knows_no_earlier_run(root, tmp_path_factory, monkeypatch):
    clone = tmp_path_factory.mktemp("clone")
    do("git", "clone", "--quiet", str(root), str(clone))
    monkeypatch.setattr(environment, "ROOT", clone)
    assert earlier_figures(board(0.8)) == {}


def test_a_folder_without_git_or_dvc_knows_no_earlier_run(tmp_path, monkeypatch):
    monkeypatch.setattr(environment, "ROOT", tmp_path)
    assert earlier_figures(board(0.8)) == {}
