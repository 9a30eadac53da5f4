"""Data of which every name would be markup, mathematics, control or a formula, from files to all that shows them."""

from __future__ import annotations

import csv
import json
import re
import shutil
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from attrec.shown import one_line

pytestmark = pytest.mark.slow

SCRIPT = "<script>alert(1)</script>"
TITLES = [
    SCRIPT, '"><img src=x onerror=alert(2)>', "$\\frac{1}{2$ (1990)", "$", "a$b$c", "[/red] closing tag",
    "[bold]fat[/bold] (1991)", "Film :smile:", "\x1b[31mred\x1b[0m", "bell\x07 and \x9b31m", "two\nlines",
    "=cmd|' /C calc'!A0", "+1", "@SUM(1)", "-k", "'=x", "{{7*7}} {% raw %}", "]]></svg><script>alert(3)</script>",
    "&lt;b&gt;", "%s {0}", "../../etc/passwd", "\u202eRTL", "[link=file:///etc/passwd]x[/link]", "\\", "NA", "الفيلم",
]  # fmt: skip
NUMBERS = ["$\\frac{", "<img src=x onerror=1>", "=2+2"]
MAKERS = ["$art$ist$", "<i>x</i>", "[/b]", "=1+1"]
CATEGORIES = ["$x_1$", "=1+1", "<b>bold</b>", "\x1b[31m", "$\\bad{"]
PARAMS = {
    "dataset": {
        "name": "strange",
        "path": "$r$ <b> =1.csv",
        "items_path": "items.csv",
        "user_column": "<i>user</i>",
        "item_column": "[/red] $film$",
        "rating_column": "=stars",
        "items_item_column": "film",
        "genres_column": "genres",
        "artist_column": "maker",
        "number_columns": NUMBERS,
    },
    "seed": 0,
    "runner": {"kind": "threads", "workers": 2},
    "prepare": {"validation": {"max_bad_fraction": 0.5}},
    "rating": {
        "seeds": [0],
        "models": {
            "rsattae+xgboost": {
                "kind": "rsattae+xgboost",
                "recipe": "quick",
                "changes": {
                    "folds": 2,
                    "user_autoencoders": [{"training": {"epochs": 3}}],
                    "item_autoencoders": [{"training": {"epochs": 3}}],
                    "head": {"trees": [5, 10], "max_depth": 3},
                },
            },
        },
    },
    "sequence": {
        "models": {
            "sasrec": {
                "kind": "sasrec",
                "changes": {"network": {"dimension": 8}, "training": {"epochs": 3}},
            }
        }
    },
    "playlist": {
        "models": {
            "ars-tiny": {
                "kind": "ars",
                "changes": {"dimension": 8, "hidden": 8, "cooccurrence": 4, "training": {"epochs": 3}},
            }
        }
    },
}


def write(folder: Path) -> None:
    """Ratings of 40 users, an id among them that is a script and one that is a formula, and what is rated twice."""
    generator = np.random.default_rng(0)
    ids = [SCRIPT, "=1", *(f"i{number}" for number in range(len(TITLES) - 2))]
    users = [SCRIPT, "=u", "$\\alpha{", *(f"u{number}" for number in range(40))]
    rows = [
        (user, ids[item], int(generator.integers(1, 6)))
        for user in users
        for item in generator.permutation(len(ids))[:20]
    ]
    bad = [(SCRIPT, "\x1b[31m", 99)]
    with (folder / PARAMS["dataset"]["path"]).open("w", newline="", encoding="utf-8") as stream:
        names = [PARAMS["dataset"][f"{role}_column"] for role in ("user", "item", "rating")]
        csv.writer(stream).writerows([names, *rows, *bad])
    items = pd.DataFrame({"film": ids, "title": TITLES, "maker": generator.choice(MAKERS, len(ids))})
    items["genres"] = ["|".join(generator.permutation(CATEGORIES)[:2]) for _ in ids]
    items[NUMBERS] = generator.random((len(ids), len(NUMBERS))).round(3)
    items.loc[3, NUMBERS] = np.nan
    items.to_csv(folder / "items.csv", index=False)


class Read(HTMLParser):
    """What a page shows, by the tag that it stands in, and how often each tag is there."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.texts: dict[str, set[str]] = {}
        self.tags: dict[str, int] = {}
        self._inside = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: object) -> None:
        self._inside = tag
        self.tags[tag] = self.tags.get(tag, 0) + 1

    def handle_data(self, data: str) -> None:
        self.texts.setdefault(self._inside, set()).add(data)


@pytest.fixture(scope="module")
def ran(template: Any, stores: Path, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A clone in which everything was rebuilt from such data, as a user would."""
    checkout = template.clone(tmp_path_factory.mktemp("strange") / "clone")
    shutil.copytree(stores, checkout.folder / ".attrec")
    write(checkout.folder / "data" / "incoming")
    (checkout.folder / "params.yaml").write_text(json.dumps(PARAMS))
    try:
        # In two halves, each far from the end of the patience with a command.
        checkout.run("dvc", "repro", "rating")
        checkout.run("cli.app", "reproduce")
        yield checkout
    finally:
        checkout.kill_all()


def test_the_terminal_obeys_nothing(ran):
    assert "\x1b" not in ran.log.read_text()


def test_the_report_shows_titles_as_they_are(ran):
    page = (ran.folder / "reports" / "index.html").read_text(encoding="utf-8")
    read = Read(page)
    assert not {"script", "img", "iframe", "link", "b", "i"} & read.tags.keys()
    listed = read.texts["bdi"] & set(TITLES)
    assert len(listed) > 10
    shown = {text.rsplit("  ", 1)[0].rstrip("…") for text in read.texts["text"]}
    drawn = {title for title in TITLES if any(one and one_line(title).startswith(one) for one in shown)}
    assert len(drawn) > 3


def test_the_pages_of_expectations_show_names_as_they_are(ran):
    [folder] = (ran.folder / ".attrec" / "mlartifacts").glob("*/artifacts/data_docs")
    for file in folder.rglob("*.html"):
        page = file.read_text(encoding="utf-8")
        assert "alert(" not in re.sub("&lt;script&gt;alert", "", page)
        assert "<img src=x" not in page
    [items] = (folder / "validations" / "items").rglob("*.html")
    texts = {text.strip() for own in Read(items.read_text(encoding="utf-8")).texts.values() for text in own}
    assert set(NUMBERS) <= texts


def is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True


def test_no_table_of_the_report_has_a_formula(ran):
    files = sorted((ran.folder / "reports").rglob("*.csv"))
    assert len(files) > 10
    for file in files:
        with file.open(newline="", encoding="utf-8") as stream:
            cells = {cell for row in csv.reader(stream) for cell in row if not is_number(cell)}
        assert not [cell for cell in cells if cell[:1] in set("=+-@\t\r\n")], file


def test_answers_show_them_too_and_the_same_ids_as_in_the_file(ran):
    printed = ran.run("cli.app", "recommend", "--user", SCRIPT, "-k", "20")
    assert "\x1b" not in printed
    assert "\u202e" not in printed
    said = ran.run("cli.app", "recommend", "--titles", "[/red] closing tag", "$", "--attention", "seen.svg")
    assert "[/red] closing tag → [/red] closing tag\n$ → $\n" in said
    said = ran.run("cli.app", "export", "recommendations", "rating", "best.csv", "-k", "20")
    assert "Some ids look like formulas" in said
    ran.run("cli.app", "export", "recommendations", "rating", "best.parquet", "-k", "20")
    cells = pd.read_csv(ran.folder / "best.csv", keep_default_na=False)
    true = pd.read_parquet(ran.folder / "best.parquet")
    assert (
        cells[["user_id", "item_id"]].to_numpy().tolist() == true[["user_id", "item_id"]].to_numpy().tolist()
    )
    assert {SCRIPT, "=1"} <= set(cells["item_id"])
    assert set(true["title"]) <= set(TITLES)
    assert not [title for title in cells["title"] if title[0] in "=+-@\t\r\n"]
    assert "'=cmd|' /C calc'!A0" in set(cells["title"])
