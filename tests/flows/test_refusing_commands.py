"""The commands themselves refuse bad input: exit code 2 and one sentence, whichever way a stage is started."""

from __future__ import annotations

import subprocess

import pandas as pd
import pytest

pytestmark = pytest.mark.slow

SENTENCE = "Error: dataset is csv, but prepare.csv in params.yaml does not say which file: set its path."


@pytest.mark.parametrize(
    "words",
    [("flows.prepare",), ("cli.app", "reproduce", "--dataset", "csv"), ("flows.rebuild",)],
    ids=["stage", "reproduce", "rebuild"],
)
def test_bad_params(fresh, words):
    if words[-1] != "csv":
        params = fresh.folder / "params.yaml"
        params.write_text(params.read_text().replace("dataset: simulated", "dataset: csv"))
    printed = fresh.run(*words, code=2)
    assert printed.count(SENTENCE) == 1, printed
    assert "Traceback" not in printed, printed
    assert not (fresh.folder / "data" / "raw").exists()
    assert not (fresh.folder / "data" / "processed").exists()


def test_misspelt_key_costs_no_out(fresh):
    out = fresh.folder / "data" / "raw" / "mark"
    out.parent.mkdir(parents=True)
    out.write_text("as it was")
    params = fresh.folder / "params.yaml"
    params.write_text(params.read_text().replace("seeds: [0]", "sedes: [0]"))
    printed = fresh.run("cli.app", "reproduce", code=2)
    assert "did you mean 'seeds'" in printed, printed
    assert out.read_text() == "as it was"


@pytest.mark.parametrize("words", [(), ("--dataset", "csv")], ids=["repro", "exp run"])
def test_refused_rows_outlive_the_failed_stage(fresh, words):
    rows = "".join(f"{user},{item},{1 + user % 5}\n" for user in range(9) for item in range(9))
    (fresh.folder / "data" / "incoming" / "mine.csv").write_text(f"user_id,item_id,rating\n{rows}1,20,abc\n")
    params = fresh.folder / "params.yaml"
    text = params.read_text().replace("csv: null", "csv: {path: mine.csv}")
    params.write_text(text if words else text.replace("dataset: simulated", "dataset: csv"))
    printed = fresh.run("cli.app", "reproduce", *words, code=2)
    assert "mine.csv, line 83 (rating 'abc' is not a number): see reports/quarantine.csv" in printed, printed
    assert "prepare 2/5: validate" in printed
    listed = pd.read_csv(fresh.folder / "reports" / "quarantine.csv")
    assert listed.loc[listed["severity"] == "error", ["line", "reason"]].values.tolist() == [
        [83, "rating 'abc' is not a number"]
    ]
    status = subprocess.run(
        ["git", "status", "--short"], cwd=fresh.folder, capture_output=True, text=True, check=True
    )
    assert "quarantine" not in status.stdout


def test_debug_shows_where_it_was_raised(fresh):
    (fresh.folder / "params.yaml").write_text("dataset: nowhere\n")
    printed = fresh.run("flows.prepare", "--debug", code=1)
    assert "Traceback" in printed
    assert "There is no dataset 'nowhere'" in printed
