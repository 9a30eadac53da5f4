"""Data Docs: nothing of the data is markup or a parameter, and what is not strange looks as it does elsewhere."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import great_expectations.expectations as gxe
import pandas as pd
import pytest
from great_expectations.render.view import DefaultJinjaPageView

from attrec.datasets.playlist_simulator import PlaylistSimulatorConfig, simulate_playlists
from tasks.data import expectations
from tasks.data.bounds import ValidationConfig
from tasks.data.expectations import Rule, Validator, described_rules
from tasks.data.validate import validate
from tasks.engine.artifacts import writing

PLAIN = ["film", "song", "book"]
HOSTILE = [
    "<script>alert(1)</script>",
    "$\\frac{ $column",
    "&lt;b&gt; $PARAMETER $$ \"'><img src=x onerror=1>",
]
CHANGING = re.compile(r"[0-9a-f]{8}-[0-9a-f-]{27}|\d{4}-?\d\d-?\d\d|T\d{6}\.\d+Z|\d\d:\d\d:\d\d|\?d=[^\"]*")


def pages(names: list[str], folder: Path) -> dict[str, str]:
    """By kind, of a table whose columns and values are called so; every rule has something to tell."""
    items = pd.DataFrame(
        {"item_id": names * 2, **{name: [1.0, None, 3.0, 4.0, 5.0, 900.0] for name in names}}
    )
    rules = [
        Rule(gxe.ExpectColumnValuesToBeUnique(column="item_id"), ""),
        Rule(gxe.ExpectColumnValuesToBeInSet(column="item_id", value_set=names[:1]), ""),
        Rule(gxe.ExpectCompoundColumnsToBeUnique(column_list=["item_id", names[0]]), ""),
        Rule(gxe.ExpectCompoundColumnsToBeUnique(column_list=names[:2]), ""),
        *described_rules(items),
        *(
            Rule(gxe.ExpectColumnValuesToBeBetween(column=name, min_value=0, max_value=9), "")
            for name in names
        ),
    ]
    validator = Validator()
    validator.check("items", items, rules)
    validator.write_docs(folder)
    found = {"suite": folder / "expectations" / "items.html"}
    [found["result"]] = (folder / "validations" / "items").rglob("*.html")
    return {kind: file.read_text(encoding="utf-8") for kind, file in found.items()}


class Read(HTMLParser):
    """What a page shows, and the scripts and images that are in it."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.shown, self.tags, self.inside = set[str](), list[str](), ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.inside = tag
        if tag in ("script", "img", "b"):
            self.tags.append(tag)

    def handle_data(self, data: str) -> None:
        if self.inside not in ("script", "style"):
            self.shown.add(data.strip())


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    return pages(PLAIN, tmp_path_factory.mktemp("plain"))


def test_what_is_not_strange_looks_as_it_does_elsewhere(plain, tmp_path, monkeypatch):
    monkeypatch.setattr(expectations, "EscapingPageView", DefaultJinjaPageView)
    for kind, page in pages(PLAIN, tmp_path).items():
        assert CHANGING.sub("", plain[kind]) == CHANGING.sub("", page), kind


def test_names_and_values_are_shown_as_they_are_and_nothing_else_is(plain, tmp_path):
    for kind, page in pages(HOSTILE, tmp_path).items():
        read = Read(page)
        assert read.tags == Read(plain[kind]).tags, kind
        assert set(HOSTILE) <= read.shown, kind
        assert "$$\\frac" not in page
        assert "&amp;amp;" not in page


def test_a_column_may_be_called_whatever_it_likes_and_its_gaps_are_told(tmp_path):
    """In the report of what is wrong too, which spreadsheets open."""
    sound = simulate_playlists(
        PlaylistSimulatorConfig(n_songs=60, n_playlists=20, n_artists=5, mean_length=5, min_length=4)
    )
    strange = ["$\\frac{", "{0}", "%s", "=1+1"]
    items = sound.items.assign(**dict.fromkeys(strange, 1.0), title="a")
    items.loc[3, strange] = float("nan")
    with writing("raw") as raw:
        replace(sound, items=items).save(raw.folder)
    done = validate.fn(raw.artifact, ValidationConfig(), None)
    reasons = pd.read_parquet(done.path / "quarantine.parquet")["reason"].tolist()
    assert {f"{name} is missing" for name in strange} <= set(reasons)
    cells = pd.read_csv(done.path / "quarantine.csv")["reason"].tolist()
    assert "'=1+1 is missing" in cells
    assert not [cell for cell in cells if cell.startswith("=")]
    assert json.loads((done.path / "validation.json").read_text())["tables"]["items"]["bad_rows"] == 0
