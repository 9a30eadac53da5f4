"""What is pushed from one clone is pulled by another, which then has the figures and answers, over real servers."""

from __future__ import annotations

import subprocess
from typing import Any

import pandas as pd
import pytest

from tests.servers import Remote

pytestmark = pytest.mark.slow


def say_who(checkout: Any, remote: Remote) -> None:
    for option, value in remote.options.items():
        checkout.run("dvc", "remote", "modify", "--local", "team", option, value)


def last_line(printed: str) -> str:
    return printed.strip().splitlines()[-1]


@pytest.mark.parametrize("kind", ["webdav_remote", "s3_remote"])
def test_a_second_clone_has_the_figures_and_answers(cold, tmp_path, request, kind):
    remote: Remote = request.getfixturevalue(kind)
    first = cold.copy(tmp_path / "first")
    first.run("dvc", "remote", "add", "--default", "team", remote.url)
    say_who(first, remote)
    identity = ["-c", "user.name=Test", "-c", "user.email=test@example.org"]
    subprocess.run(["git", *identity, "commit", "--quiet", "--all", "-m", "a"], cwd=first.folder, check=True)
    assert last_line(first.run("cli.app", "push")).endswith("files sent.")
    assert last_line(first.run("cli.app", "push")) == "The remote has everything already."

    second = first.clone(tmp_path / "second")
    say_who(second, remote)
    printed = second.run("cli.app", "pull")
    assert "This clone answers now:" in printed
    assert "(rating: rsattae+xgboost, user-item-bias)" in printed
    assert "(playlist: ars-tiny, kmeans, popularity)" in printed
    assert "up to date" in second.run("dvc", "status")
    pd.testing.assert_frame_equal(second.leaderboard(), first.leaderboard(), check_exact=True)
    if kind == "s3_remote":
        asked = ("cli.app", "predict", "--user", "1", "--item", "2")
        assert last_line(second.run(*asked)) == last_line(first.run(*asked))
        assert "everything" not in second.run("cli.app", "recommend", "--user", "1")
