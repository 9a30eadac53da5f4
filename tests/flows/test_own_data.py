"""Data with a name of their own, from a database, through DVC: asked once, known by version, no secret kept."""

from __future__ import annotations

import json
from typing import Any

import pandas as pd
import psycopg2
import pytest
import yaml

from tests.servers import PASSWORD, Postgres

TABLE = """
CREATE TABLE lent (reader text, isbn text, stars int, at timestamp);
INSERT INTO lent SELECT 'r' || n % 20, lpad((n * 7 % 41)::text, 4, '0'), n % 5 + 1,
    timestamp '2020-01-01' + n * interval '1 hour' FROM generate_series(0, 499) AS n;
"""


@pytest.mark.slow
def test_a_query_is_asked_once_and_its_answer_has_a_version(
    fresh: Any, postgres: Postgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = postgres.database()
    with psycopg2.connect(url) as connection:
        connection.cursor().execute(TABLE)
    monkeypatch.setenv("LIBRARY_PASSWORD", PASSWORD)
    file = fresh.folder / "params.yaml"
    params = yaml.safe_load(file.read_text())
    params["dataset"] = {
        "name": "library",
        "noun": "book",
        "url": url.replace(PASSWORD, "$LIBRARY_PASSWORD"),
        "query": "SELECT * FROM lent ORDER BY at",
        "user_column": "reader",
        "item_column": "isbn",
        "rating_column": "stars",
        "timestamp_column": "at",
        "rating_max": 5,
    }
    file.write_text(yaml.safe_dump(params))

    def rows() -> pd.DataFrame:
        return pd.read_parquet(fresh.folder / "data" / "raw" / "ratings.parquet")

    fresh.run("dvc", "repro", "prepare")
    facts = json.loads((fresh.folder / "data" / "processed" / "training" / "facts.json").read_text())
    assert (facts["dataset"], facts["noun"], facts["nouns"]) == ("library", "book", "books")
    assert (len(rows()), rows()["item_id"].iloc[1]) == (500, "0007")
    with psycopg2.connect(url) as connection:
        connection.cursor().execute("INSERT INTO lent VALUES ('r1', '9999', 5, now())")
    assert "up to date" in fresh.run("dvc", "status", "prepare"), "the answer is that of the first time"
    assert "library: 501 rows" in fresh.run("cli.app", "snapshot")
    fresh.run("dvc", "exp", "run", "-S", "dataset.rating_max=10", "prepare")
    assert len(rows()) == 501
    assert yaml.safe_load(file.read_text())["dataset"] == {**params["dataset"], "rating_max": 10}
    kept = [file, fresh.folder / "dvc.lock", fresh.log, *(fresh.folder / ".attrec").glob("mlflow.db*")]
    assert not [place for place in kept if PASSWORD.encode() in place.read_bytes()]
