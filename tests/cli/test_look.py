"""`attrec look`: from a strange file to the section of params.yaml, and no further if it cannot."""

from __future__ import annotations

import json

import pandas as pd
import pytest
import sqlalchemy as sa
import yaml

from flows.prepare import PrepareParams
from tasks.engine import environment
from tasks.engine.params import load_params


@pytest.fixture
def shop(tmp_path, monkeypatch):
    """A file of a shop, in the current folder; data/incoming is left as it was."""
    monkeypatch.chdir(tmp_path)
    lines = [
        f"k{n % 9:03d};b{n * 7 % 30};{n % 10 / 2 + 0.5:.1f};2024-03-{n % 28 + 1:02d}" for n in range(200)
    ]
    file = tmp_path / "shop.csv"
    file.write_text("Kunde;Buch;Sterne;Wann\n" + "\n".join(lines) + "\n")
    yield file
    (environment.INCOMING / "shop.csv").unlink(missing_ok=True)


def test_it_shows_and_changes_nothing(attrec, shop):
    before = (environment.ROOT / "params.yaml").read_text()
    ended = attrec("look", "shop.csv", "--format", "json")
    assert ended.code == 0, ended.err
    shown = pd.DataFrame(json.loads(ended.out))
    assert shown["means"].tolist() == ["user", "item", "rating", "time"]
    assert shown["distinct"].tolist() == [9, 30, 10, 28]
    _, section = ended.err.split("--write puts there:\n")
    assert yaml.safe_load(section)["dataset"]["timestamp_column"] == "Wann"
    assert (environment.ROOT / "params.yaml").read_text() == before
    assert not (environment.INCOMING / "shop.csv").exists()


def test_it_writes_what_the_pipeline_then_takes(attrec, shop):
    params = environment.ROOT / "params.yaml"
    params.write_text("# kept\n" + params.read_text() + "seed: 3   # this too\n")
    assert "Next: attrec reproduce" in attrec("look", "shop.csv", "--write").out
    assert params.read_text().startswith("# kept\ndataset:\n  name: shop\n")
    assert "seed: 3   # this too" in params.read_text()
    assert (environment.INCOMING / "shop.csv").read_text() == shop.read_text()
    read = load_params(PrepareParams)
    read.check()
    assert read.dataset == "shop"
    assert read.own_data is not None
    assert (read.own_data.rating_min, read.own_data.rating_step) == (0.5, 0.5)
    # Again, from where it is now: nothing to copy, and one section as before.
    assert attrec("look", str(environment.INCOMING / "shop.csv"), "--time", "none", "--write").code == 0
    assert load_params(PrepareParams).own_data.timestamp_column is None
    assert (yaml.safe_load(params.read_text())["prepare"].get("csv")) is None
    shop.write_text(shop.read_text() + "k000;b0;3.5;2024-03-01\n")
    assert "data/incoming has another shop.csv" in attrec("look", "shop.csv", "--write").sentence


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["none.csv"], "none.csv does not exist"),
        (
            ["shop.csv", "--user", "Käufer"],
            "has no column 'Käufer' to be the user, only Kunde, Buch, Sterne, Wann",
        ),
        (["shop.csv", "--name", "ml-100k"], "give yours another name"),
        (["shop.csv", "--name", "a b"], "'a b' cannot be a name"),
        (["shop.csv", "--items", "shop.csv"], "no column has the ids of 'Buch'"),
        (
            ["sqlite:///none.db", "--query", "SELECT 1"],
            "Say what to call the data of a database: --name shop.",
        ),
        (["sqlite:///none.db", "--name", "x", "--query", "SELECT * FROM sales"], "no such table: sales"),
    ],
)
def test_what_cannot_be_read_is_one_sentence(attrec, shop, words, said):
    assert said in attrec("look", *words).sentence


@pytest.mark.slow
def test_a_question_to_a_database(attrec, shop, postgres, monkeypatch):
    url = postgres.database()
    sales = pd.read_csv(shop, sep=";").rename(columns=str.lower)
    engine = sa.create_engine(url)
    sales.to_sql("sales", engine, index=False)
    engine.dispose()
    password = sa.engine.make_url(url).password
    monkeypatch.setenv("SHOP_PASSWORD", password)
    named = url.replace(f":{password}@", ":$SHOP_PASSWORD@")
    query = "SELECT kunde, buch, sterne, wann FROM sales"
    ended = attrec("look", named, "--query", query, "--name", "shop", "--write")
    assert ended.code == 0, ended.err
    section = yaml.safe_load((environment.ROOT / "params.yaml").read_text())["dataset"]
    assert (section["url"], section["query"], section["timestamp_column"]) == (named, query, "wann")
    assert password not in ended.out + (environment.ROOT / "params.yaml").read_text()
    assert "path" not in section
    load_params(PrepareParams)
    nothing = attrec("look", named, "--query", f"{query} WHERE sterne > 9", "--name", "shop")
    assert "returns nothing" in nothing.sentence
