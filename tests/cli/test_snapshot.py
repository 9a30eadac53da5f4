"""What a database answers is kept, versioned and asked anew: by `attrec look`, `attrec snapshot` and the stage."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import psycopg2
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml

from tasks.engine import environment
from tests.servers import PASSWORD, Postgres

QUERY = "SELECT who, what, stars, at FROM bought ORDER BY at"
COLUMNS = {"user_column": "who", "item_column": "what", "rating_column": "stars", "timestamp_column": "at"}


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with params.yaml, in which commands run."""
    for name in ("ROOT", "CHECKOUT"):
        monkeypatch.setattr(environment, name, tmp_path)
    monkeypatch.setattr(environment, "INCOMING", tmp_path / "data" / "incoming")
    monkeypatch.setenv("SHOP_PASSWORD", PASSWORD)
    (tmp_path / "params.yaml").write_text("dataset: simulated\n")
    return tmp_path


@pytest.fixture
def bought(postgres: Postgres) -> str:
    """URL of a database with a table of ratings; its password is a variable."""
    url = postgres.database()
    change(
        url,
        "CREATE TABLE bought (who text, what bigint, stars numeric(2, 1), at timestamptz);"
        "INSERT INTO bought SELECT '0' || n % 7, 9007199254740993 + n % 11, n % 9 / 2.0 + 0.5,"
        " timestamptz '2020-01-31 12:00+02' + n * interval '1 hour' FROM generate_series(1, 200) AS n",
    )
    return url.replace(PASSWORD, "$SHOP_PASSWORD")


def change(url: str, statement: str) -> None:
    with psycopg2.connect(url.replace("$SHOP_PASSWORD", PASSWORD)) as connection:
        connection.cursor().execute(statement)


def name_data(project: Path, url: str, query: str = QUERY) -> None:
    section = {"name": "shop", "url": url, "query": query, **COLUMNS}
    (project / "params.yaml").write_text(yaml.safe_dump({"dataset": section}))


def test_a_query_is_looked_at(attrec, project, bought):
    looked = attrec("look", bought, "--query", QUERY, "--name", "shop", "--write")
    assert looked.code == 0, looked.err
    written = (project / "params.yaml").read_text()
    section = yaml.safe_load(written)["dataset"]
    assert {key: section[key] for key in COLUMNS} == COLUMNS
    assert (section["url"], section["rating_min"], section["rating_step"]) == (bought, 0.5, 0.5)
    assert PASSWORD not in written + looked.out + looked.err
    with_password = bought.replace("$SHOP_PASSWORD", PASSWORD)
    refused = attrec("look", with_password, "--query", QUERY, "--name", "shop").sentence
    assert "variable of the environment" in refused
    assert PASSWORD not in refused


def test_what_was_answered_is_kept_until_it_is_asked_anew(attrec, project, bought, monkeypatch):
    name_data(project, bought)
    kept = project / "data" / "incoming" / "shop.parquet"
    assert "shop: 200 rows" in attrec("snapshot").out
    first = kept.read_bytes()
    assert PASSWORD.encode() not in first
    attrec("snapshot")
    assert kept.read_bytes() == first, "the same answer is the same file"
    change(bought, "INSERT INTO bought VALUES ('x', 1, 5, now())")
    assert "shop: 201 rows" in attrec("snapshot").out
    assert pq.read_table(kept)["what"].to_pylist()[0] == "9007199254740994"
    change(bought, "ALTER TABLE bought RENAME stars TO marks")
    assert 'column "stars" does not exist' in attrec("snapshot").sentence
    change(bought, "ALTER TABLE bought RENAME marks TO stars; DELETE FROM bought")
    assert "The query for shop returns nothing" in attrec("snapshot").sentence
    assert pq.read_table(kept).num_rows == 201, "what was there is kept"
    monkeypatch.setenv("SHOP_PASSWORD", "mistyped")
    refused = attrec("snapshot").sentence
    assert "password authentication failed" in refused
    assert "mistyped" not in refused
    monkeypatch.delenv("SHOP_PASSWORD")
    assert "variable SHOP_PASSWORD, which is not set" in attrec("snapshot").sentence


def test_other_columns_than_last_time(attrec, project, bought):
    name_data(project, bought, "SELECT * FROM bought")
    assert attrec("snapshot").code == 0
    change(bought, "ALTER TABLE bought ADD COLUMN more int")
    assert "more, and last time who, what, stars, at: name the columns" in attrec("snapshot").sentence


@pytest.mark.parametrize(
    ("url", "query", "said"),
    [
        ("nothing://x", "SELECT 1", "no address as SQLAlchemy has it"),
        ("postgresql://127.0.0.1:1/x", "SELECT 1", "does not answer the query"),
        ("sqlite://", "CREATE TABLE t (a)", "begins with SELECT or WITH"),
        ("sqlite://", "SELECT 1 AS a, 2 AS a", "two columns of one name"),
        ("postgresql://me:open@db/x", "SELECT 1", "url has a password"),
        ("postgresql://me@db/x?password=open", "SELECT 1", "url has a password"),
        ("postgresql://db:$SHOP_PASSWORD/x", "SELECT 1", "no address as SQLAlchemy has it"),
        ("postgres", "SELECT 1", "url must be an address"),
    ],
)
def test_a_query_that_cannot_be(attrec, project, url, query, said):
    name_data(project, url, query)
    refused = attrec("snapshot").sentence
    assert said in refused
    assert "open" not in refused


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("DROP TABLE bought", "begins with SELECT or WITH"),
        ("-- all\nDELETE FROM bought RETURNING who, what, stars", "begins with SELECT or WITH"),
        ("WITH a AS (SELECT 1) DELETE FROM bought RETURNING who, what, stars", "readonly database"),
    ],
)
def test_a_query_changes_nothing(attrec, project, query, said):
    with sqlite3.connect(project / "shop.db") as connection:
        connection.execute("CREATE TABLE bought (who, what, stars)")
        connection.execute("INSERT INTO bought VALUES (1, 2, 3)")
    connection.close()
    name_data(project, f"sqlite:///{project / 'shop.db'}", query)
    assert said in attrec("snapshot").sentence
    with sqlite3.connect(project / "shop.db") as connection:
        assert connection.execute("SELECT count(*) FROM bought").fetchone() == (1,)
    connection.close()


def test_postgresql_is_asked_read_only(attrec, project, bought):
    change(bought, "CREATE SEQUENCE asked")
    name_data(project, bought, "SELECT who, what, nextval('asked') AS stars FROM bought")
    assert "read-only transaction" in attrec("snapshot").sentence


def test_a_file_of_ones_own_is_not_overwritten(attrec, project):
    own = project / "data" / "incoming" / "shop.parquet"
    own.parent.mkdir(parents=True)
    pq.write_table(pa.table({"user_id": [1]}), own)
    before = own.read_bytes()
    name_data(project, "sqlite://", "SELECT 1 AS who, 2 AS what, 3 AS stars, 4 AS at")
    assert "is no answer of a query" in attrec("snapshot").sentence
    assert own.read_bytes() == before


def test_bytes_are_text(attrec, project):
    name_data(project, "sqlite://", " /* all */ SELECT x'c3a4' AS who, x'ff' AS what, 3 AS stars")
    assert attrec("snapshot").code == 0
    kept = pq.read_table(project / "data" / "incoming" / "shop.parquet")
    assert kept.to_pylist() == [{"who": "ä", "what": "\\xff", "stars": "3"}]


def test_snapshot_needs_a_query(attrec, project):
    (project / "params.yaml").write_text("dataset: simulated\n")
    assert "dataset in params.yaml is no query" in attrec("snapshot").sentence
