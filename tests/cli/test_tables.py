"""Tables as people and as programs read them."""

from __future__ import annotations

import csv
import io
import json

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from attrec.shown import as_cell, from_cell, one_line
from cli.tables import Form, say, show, show_named

ROWS = [
    {"id": np.int64(2**53 + 1), "title": 'Se7en, "the" [/red]', "score": np.float64(0.123456)},
    {"id": np.int64(7), "title": None, "score": float("nan")},
]


def test_json_has_numbers_as_they_are_and_null_for_what_is_missing(capsys):
    show(ROWS, Form.json, decimals={"score": 2})
    assert json.loads(capsys.readouterr().out) == [
        {"id": 2**53 + 1, "title": 'Se7en, "the" [/red]', "score": 0.123456},
        {"id": 7, "title": None, "score": None},
    ]


def test_a_terminal_shows_text_as_it_stands_and_few_decimals(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    show(ROWS, Form.table, decimals={"score": 2})
    head, first, second = capsys.readouterr().out.rstrip("\n").split("\n")
    assert head.split() == ["id", "title", "score"]
    assert first.split() == ["9007199254740993", "Se7en,", '"the"', "[/red]", "0.12"]
    assert second.split() == ["7"]


@pytest.mark.parametrize(
    ("title", "shown"),
    [
        ("a\x1b[31mb\x07\n", "a�[31mb��"),
        ("\u202egnihton", "�gnihton"),
        ("[/red] [bold]x[/bold] [link=file:///etc/passwd]y[/link]",) * 2,
        ("Film :smile: :fire:",) * 2,
        ("Ünïcödé 👩\u200d👧 الفيلم",) * 2,
    ],
)
def test_nothing_of_a_title_controls_the_terminal(capsys, monkeypatch, title, shown):
    monkeypatch.setenv("COLUMNS", "80")
    show([{"title": title}], Form.table)
    assert capsys.readouterr().out.split("\n")[1].rstrip() == shown
    say(title)
    assert capsys.readouterr().out == f"{shown}\n"


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.mark.parametrize("form", [Form.csv, Form.json])
def test_no_terminal_is_controlled_by_what_is_meant_for_programs(monkeypatch, form):
    row = {"item_id": "i\x1b[2J", "title": "a\x1b]0;pwn\x07\x7f\n\u202e\u009b", "artist": None, "score": 0.5}
    terminal, file = Terminal(), io.StringIO()
    for stream in (terminal, file):
        monkeypatch.setattr("sys.stdout", stream)
        show([row], form)
    assert one_line(terminal.getvalue().replace("\n", "")) == terminal.getvalue().replace("\n", "")
    if form is Form.csv:
        assert terminal.getvalue().splitlines() == ["item_id,title,artist,score", "i�[2J,a�]0;pwn�����,,0.5"]
        [read] = csv.DictReader(io.StringIO(file.getvalue(), newline=""))
        assert read == {"item_id": row["item_id"], "title": row["title"], "artist": "", "score": "0.5"}
    else:
        assert json.loads(terminal.getvalue()) == json.loads(file.getvalue()) == [row]


def test_no_text_is_a_formula_and_each_id_is_what_it_was(capsys):
    row = {"item_id": "=1+1", "title": "=cmd|' /C calc'!A0", "artist": "+1", "score": -0.5}
    show([row], Form.csv)
    assert capsys.readouterr().out == "item_id,title,artist,score\n=1+1,'=cmd|' /C calc'!A0,'+1,-0.5\n"
    show([row], Form.json)
    assert json.loads(capsys.readouterr().out) == [row]


@pytest.mark.parametrize("missing", [None, float("nan"), np.nan, pd.NA, pd.NaT])
def test_whatever_is_missing_is_empty(capsys, missing):
    show([{"a": missing, "b": 1}], Form.csv)
    assert capsys.readouterr().out == "a,b\n,1\n"


@given(rows=st.lists(st.fixed_dictionaries({"a": st.text(), "b,c": st.integers(0)}), min_size=1, max_size=5))
def test_csv_is_read_back_as_it_was(rows):
    stream = io.StringIO(newline="")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sys.stdout", stream)
        show(rows, Form.csv)
    read = list(csv.DictReader(io.StringIO(stream.getvalue(), newline="")))
    assert read == [{key: as_cell(str(value)) for key, value in row.items()} for row in rows]
    assert [{key: from_cell(cell) for key, cell in row.items()} for row in read] == [
        {key: str(value) for key, value in row.items()} for row in rows
    ]


def test_no_rows(capsys):
    show([], Form.json)
    assert json.loads(capsys.readouterr().out) == []
    show([], Form.csv)
    show([], Form.table)
    assert capsys.readouterr().out == ""


def test_several_tables(capsys):
    show_named({"one": [{"a": 1}], "two": [{"b": 2}]}, Form.json)
    assert json.loads(capsys.readouterr().out) == {"one": [{"a": 1}], "two": [{"b": 2}]}
    show_named({"one": [{"a": 1}], "two": [{"b": 2}]}, Form.csv)
    assert capsys.readouterr().out == "a\n1\n\nb\n2\n"
