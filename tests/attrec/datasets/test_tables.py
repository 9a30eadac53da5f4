"""Canonical tables come back from disk as they were, or not at all."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from attrec.datasets.simulator import SimulatorConfig, simulate
from attrec.datasets.tables import Tables, ids_seen_in, source_columns, write_parquet, year_in_title
from attrec.errors import DataError, ServiceError


def test_round_trip(tmp_path: Path) -> None:
    tables = simulate(SimulatorConfig(n_users=20, n_items=40, n_ratings=100))
    tables.save(tmp_path)
    again = Tables.load(tmp_path)
    for name in ("ratings", "users", "items", "truth"):
        pd.testing.assert_frame_equal(getattr(again, name), getattr(tables, name))
    assert isinstance(again.items["genres"][0], list)


def test_saving_is_deterministic_and_removes_a_stale_truth(tmp_path: Path) -> None:
    tables = simulate(SimulatorConfig(n_users=20, n_items=40, n_ratings=100))
    tables.save(tmp_path)
    first = (tmp_path / "ratings.parquet").read_bytes()
    Tables(tables.ratings, tables.users, tables.items).save(tmp_path)
    assert (tmp_path / "ratings.parquet").read_bytes() == first
    assert not (tmp_path / "truth.parquet").exists()
    assert Tables.load(tmp_path).truth is None


def test_a_failed_write_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    target = tmp_path / "x.parquet"
    write_parquet(pd.DataFrame({"a": [1]}), target)
    before = target.read_bytes()

    def cut_off(self: pd.DataFrame, path: Path, **_: object) -> None:
        path.write_bytes(b"PAR1 half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(pd.DataFrame, "to_parquet", cut_off)
    with pytest.raises(ServiceError, match=r"disk is full: x\.parquet"):
        write_parquet(pd.DataFrame({"a": [2]}), target)
    assert target.read_bytes() == before
    assert [entry.name for entry in tmp_path.iterdir()] == ["x.parquet"]


def test_unreadable_tables(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="does not exist"):
        Tables.load(tmp_path)
    (tmp_path / "ratings.parquet").write_bytes(b"nonsense")
    with pytest.raises(DataError, match="not a readable Parquet"):
        Tables.load(tmp_path)


@pytest.mark.parametrize(
    ("title", "year"),
    [
        ("Toy Story (1995)", 1995),
        ("Cité, La (City, The) (1995) ", 1995),
        ("Series (2010– )", 2010),
        ("Series (2006-2007)", 2006),
        ("2001: A Space Odyssey", None),
        ("(1984) what", None),
        ("Blade (98)", None),
    ],
)
def test_year_in_title(title: str, year: int | None) -> None:
    found = year_in_title(pd.Series([title]))[0]
    assert np.isnan(found) if year is None else found == year


def test_ids_seen_in_names_the_first_line() -> None:
    ratings = pd.DataFrame({"user_id": pd.array([5, None, 2, 5], "Int64")}).assign(**source_columns("x", 4))
    seen = ids_seen_in(ratings, "user_id")
    assert seen["user_id"].tolist() == [2, 5]
    assert seen["line"].tolist() == [3, 1]
    assert seen["user_id"].dtype == np.int64
