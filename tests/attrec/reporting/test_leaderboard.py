"""The leaderboard's schema: exact columns, one order, one number format, and clear refusals."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from attrec.errors import DataError
from attrec.reporting.leaderboard import (
    LeaderboardRow,
    build_leaderboard,
    checked_leaderboard,
    read_leaderboard,
    write_leaderboard,
)

ROW = LeaderboardRow("rating", "ml-100k", "u1", "rsattae+xgboost", "rmse", 0.9, 0.8, 1.0, 20_000, 5, "007")
ROWS = [
    ROW,
    replace(ROW, model="bias", value=0.95),
    replace(ROW, model="bias", metric="mae", value=0.7),
    replace(ROW, model="better", value=0.85),
    replace(ROW, dataset="cil", model="bias", value=2.0, ci_high=2.0),
]


def test_columns_and_order_are_exactly_the_published_ones(tmp_path: Path) -> None:
    write_leaderboard(build_leaderboard(ROWS), tmp_path / "leaderboard.csv")
    assert (tmp_path / "leaderboard.csv").read_text().splitlines() == [
        "task,dataset,split,model,metric,value,ci_low,ci_high,n,seeds,run_id",
        "rating,cil,u1,bias,rmse,2.000000,0.800000,2.000000,20000,5,007",
        "rating,ml-100k,u1,bias,mae,0.700000,0.800000,1.000000,20000,5,007",
        "rating,ml-100k,u1,better,rmse,0.850000,0.800000,1.000000,20000,5,007",
        "rating,ml-100k,u1,rsattae+xgboost,rmse,0.900000,0.800000,1.000000,20000,5,007",
        "rating,ml-100k,u1,bias,rmse,0.950000,0.800000,1.000000,20000,5,007",
    ]


def test_file_does_not_depend_on_the_order_of_the_rows(tmp_path: Path) -> None:
    write_leaderboard(build_leaderboard(ROWS), tmp_path / "one.csv")
    write_leaderboard(build_leaderboard(ROWS[::-1]), tmp_path / "two.csv")
    assert (tmp_path / "one.csv").read_bytes() == (tmp_path / "two.csv").read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["one.csv", "two.csv"]


def test_reads_back_what_it_wrote_with_ids_kept_as_text(tmp_path: Path) -> None:
    table = build_leaderboard([*ROWS, replace(ROW, model="NA")])
    write_leaderboard(table, tmp_path / "leaderboard.csv")
    pd.testing.assert_frame_equal(read_leaderboard(tmp_path / "leaderboard.csv"), table)


def test_an_empty_leaderboard_has_its_columns(tmp_path: Path) -> None:
    write_leaderboard(build_leaderboard([]), tmp_path / "leaderboard.csv")
    assert read_leaderboard(tmp_path / "leaderboard.csv").empty


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        (replace(ROW, value=float("nan")), "not finite"),
        (replace(ROW, ci_low=float("nan")), "not finite"),
        (replace(ROW, ci_low=1.1), "upside down"),
        (replace(ROW, n=0), "fewer than one"),
        (replace(ROW, seeds=0), "fewer than one"),
        (replace(ROW, run_id=""), "empty name"),
        (replace(ROW, value="high"), "not a number"),  # type: ignore[arg-type]
    ],
)
def test_refuses_a_row_that_says_nothing(bad: LeaderboardRow, message: str) -> None:
    with pytest.raises(DataError, match=message):
        build_leaderboard([bad])


def test_refuses_two_figures_of_one_model_and_names_it() -> None:
    with pytest.raises(DataError, match=r"'rsattae\+xgboost'.*'rmse'.*'u1' occurs twice"):
        build_leaderboard([ROW, replace(ROW, value=0.5)])


def test_refuses_other_columns() -> None:
    with pytest.raises(DataError, match="columns task, dataset"):
        checked_leaderboard(build_leaderboard(ROWS).drop(columns="run_id"))


def test_a_missing_or_foreign_file_is_one_clear_sentence(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="cannot read the leaderboard"):
        read_leaderboard(tmp_path / "absent.csv")
    (tmp_path / "empty.csv").write_text("")
    with pytest.raises(DataError, match="cannot read the leaderboard"):
        read_leaderboard(tmp_path / "empty.csv")
