"""`attrec look`: from a strange file to the section of params.yaml, and no further if it cannot."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pandas as pd
import pytest
import sqlalchemy as sa
import yaml
from hypothesis import example, given
from hypothesis import strategies as st

from cli.look import as_yaml
from flows.prepare_params import PrepareParams
from tasks.engine import environment
from tasks.engine.params import load_params

BAD = "\N{REPLACEMENT CHARACTER}"


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


# The three are ends of a line to one version of YAML alone.
LETTERS = st.characters(codec="utf-8", exclude_characters="\x85\u2028\u2029")


@given(st.lists(st.text(LETTERS, min_size=1), min_size=3, max_size=3, unique=True))
@example(["$\\frac{", "<img src=x>", "[/red]"])
@example(["a: b # c", "- {x: &y *z}", "!!python/object:os.system"])
@example(["${oc.env:HOME}", "\x1b[31m\n...\n---", "null"])
def test_names_of_columns_are_nothing_but_text_in_yaml(names):
    section = {
        "name": "shop",
        **dict(zip(("user_column", "item_column", "rating_column"), names, strict=True)),
    }
    assert yaml.safe_load(as_yaml(section)) == {"dataset": section}


def test_a_file_with_strange_names_is_shown_and_read(attrec, shop):
    """Of itself, of its columns and in its cells."""
    user, item = '<script>"$x$"', "[/red] \x1b[31m{0}"
    strange = shop.with_name("=1 [bold] $x$ \x1b[31m.csv")
    rows = [f"k{n % 9:03d};=b{n * 7 % 30}\u202e;{n % 5 + 1}" for n in range(200)]
    quoted = user.replace('"', '""')
    strange.write_text(f'"{quoted}";{item};rating\n' + "\n".join(rows) + "\n")
    words = ("look", strange.name, "--user", user, "--item", item)
    ended = attrec(*words)
    assert ended.code == 0, ended.err
    assert not set(ended.out + ended.err) & {"\x1b", "\u202e"}
    assert f"[/red] {BAD}[31m{{0}}" in ended.out
    assert f"=1 [bold] $x$ {BAD}[31m.csv" in ended.out
    assert attrec(*words, "--write").code == 0
    own = load_params(PrepareParams).own_data
    (environment.INCOMING / strange.name).unlink()
    assert (own.user_column, own.item_column, own.name) == (user, item, "1-bold-x-31m")
    assert not set(attrec("look", "\x1b[31m.csv").sentence) & {"\x1b"}


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


@pytest.mark.parametrize(
    ("form", "shown"), [("table", b"S\\xfc\\xdfe \\U0001f44d"), ("csv", "Süße 👍".encode())]
)
def test_a_terminal_that_lacks_a_letter_is_no_fault(project, shop, form, shown):
    """CSV is written as files are: in UTF-8."""
    shop.write_text(shop.read_text().replace("Sterne", "Süße 👍"))
    words = [sys.executable, "-m", "cli.app", "look", str(shop), "--rating", "Süße 👍", "--format", form]
    variables = {**os.environ, "PYTHONIOENCODING": "ascii"}
    done = subprocess.run(words, cwd=project, env=variables, capture_output=True)
    assert done.returncode == 0, done.stderr
    assert shown in done.stdout
