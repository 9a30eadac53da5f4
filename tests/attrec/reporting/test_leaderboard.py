"""The leaderboard's schema: exact columns, one order, one number format, and clear refusals."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from attrec.errors import DataError
from attrec.reporting.leaderboard import (
    LeaderboardRow,
    best_first,
    build_leaderboard,
    checked_leaderboard,
    metric_name,
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
        "task,dataset,split,model,metric,value,ci_low,ci_high,n,seeds,run_id,tried",
        "rating,cil,u1,bias,rmse,2.000000,0.800000,2.000000,20000,5,007,1",
        "rating,ml-100k,u1,bias,mae,0.700000,0.800000,1.000000,20000,5,007,1",
        "rating,ml-100k,u1,better,rmse,0.850000,0.800000,1.000000,20000,5,007,1",
        "rating,ml-100k,u1,rsattae+xgboost,rmse,0.900000,0.800000,1.000000,20000,5,007,1",
        "rating,ml-100k,u1,bias,rmse,0.950000,0.800000,1.000000,20000,5,007,1",
    ]


def test_file_does_not_depend_on_the_order_of_the_rows(tmp_path: Path) -> None:
    write_leaderboard(build_leaderboard(ROWS), tmp_path / "one.csv")
    write_leaderboard(build_leaderboard(ROWS[::-1]), tmp_path / "two.csv")
    assert (tmp_path / "one.csv").read_bytes() == (tmp_path / "two.csv").read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["one.csv", "two.csv"]


def test_reads_back_what_it_wrote_with_ids_kept_as_text(tmp_path: Path) -> None:
    # Of too few users there is no interval.
    few = replace(ROW, model="few", ci_low=float("nan"), ci_high=float("nan"), n=2)
    table = build_leaderboard([*ROWS, replace(ROW, model="NA"), few])
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
        (replace(ROW, ci_low=float("-inf"), ci_high=float("inf")), "not finite"),
        (replace(ROW, ci_low=1.1), "upside down"),
        (replace(ROW, n=0), "fewer than one"),
        (replace(ROW, seeds=0), "fewer than one"),
        (replace(ROW, tried=0), "fewer than one"),
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


def test_best_is_lowest_of_an_error_and_highest_of_anything_else() -> None:
    rows = [
        replace(ROW, model=model, metric=metric, value=value, ci_low=0.0)
        for metric in ("rmse", "ndcg@10")
        for model, value in (("middle", 0.5), ("high", 0.9), ("low", 0.1), ("also middle", 0.5))
    ]
    board = build_leaderboard(rows)
    assert best_first(board, "rmse")["model"].tolist() == ["low", "also middle", "middle", "high"]
    assert best_first(board, "ndcg@10")["model"].tolist() == ["high", "also middle", "middle", "low"]
    with pytest.raises(ValueError, match="hr@10"):
        best_first(board, "hr@10")


@pytest.mark.parametrize(
    ("metric", "name"),
    [
        ("rmse", "RMSE"),
        ("ndcg@10", "NDCG@10"),
        ("ndcg@20-sampled-uniform100", "NDCG@20-sampled-uniform100"),
    ],
)
def test_the_protocol_in_a_metric_stays_as_it_is(metric: str, name: str) -> None:
    assert metric_name(metric) == name
