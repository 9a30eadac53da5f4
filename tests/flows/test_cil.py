"""A dataset of bare pairs, without timestamps, titles or features, through the flows."""

from __future__ import annotations

import json
import sys
import zipfile
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
import yaml

from attrec.datasets import registry
from flows import prepare, rating
from flows.rating_params import RatingParams
from flows.stage import run_stage
from tasks.engine import environment
from tasks.engine.server import Api

ROOT = environment.ROOT
USERS, ITEMS = 12, 15


@pytest.fixture
def rebuild(prefect_server: Api, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Prepare a small matrix of the same form, everybody having rated every item, and more rows after these."""
    monkeypatch.setattr(sys, "argv", ["flow"])
    monkeypatch.setenv("ATTREC_DATA_DIR", str(tmp_path))
    monkeypatch.setattr(registry, "REGISTRY", {"cil": replace(registry.REGISTRY["cil"], sha256=None)})

    def run(more: str = "", **validation: object) -> None:
        rows = [
            f"r{user}_c{item},{1 + user * item % 5}\n"
            for item in range(1, ITEMS + 1)
            for user in range(1, USERS + 1)
        ]
        with zipfile.ZipFile(tmp_path / "cil.zip", "w") as archive:
            archive.writestr("cil/data_train.csv", "Id,Prediction\n" + "".join(rows) + more)
        ROOT.mkdir(exist_ok=True)
        params = {
            "dataset": "cil",
            "prepare": {"validation": validation},
            "rating": {"models": {"user-item-bias": {"kind": "user-item-bias"}}},
        }
        (ROOT / "params.yaml").write_text(yaml.safe_dump(params))
        run_stage(prepare.PrepareParams, prepare.run)

    return run


def test_bare_pairs_are_prepared_and_rated(rebuild):
    rebuild()
    split = pd.read_parquet(ROOT / "data" / "processed" / "split.parquet")
    # A tenth of 15 ratings: one or two of each user's.
    assert (split["part"] == "test").groupby(split["user_id"]).sum().between(1, 2).all()
    assert json.loads((ROOT / "reports" / "prepare" / "split.json").read_text())["name"] == "kfold"
    assert pd.read_parquet(ROOT / "data" / "quarantine.parquet").empty
    fit = ROOT / "data" / "processed" / "training"
    assert pd.read_parquet(fit / "user_features.parquet").columns.tolist() == ["user_id"]
    assert pd.read_parquet(fit / "item_features.parquet").shape == (ITEMS, 1)
    run_stage(RatingParams, rating.run)
    scores = pd.read_csv(ROOT / "reports" / "rating" / "test" / "scores.csv")
    assert scores["value"].notna().all()


def test_bad_rows_go_to_quarantine_once_with_what_is_wrong(rebuild):
    rebuild("x1_c2,3\nr0_c1,3\nr3_c900,9\nr4_c900,many\n,4\n", max_bad_fraction=0.1)
    listed = pd.read_parquet(ROOT / "data" / "quarantine.parquet").query("severity == 'error'")
    first = USERS * ITEMS + 2
    reasons = listed.groupby("line")["reason"].agg(sorted).to_dict()
    assert reasons == {
        first: ["the id 'x1_c2' does not name a user and an item"],
        first + 1: ["the id 'r0_c1' does not name a user and an item"],
        first + 2: ["rating 9 is not in 1 to 5"],
        first + 3: ["rating 'many' is not a number"],
        first + 4: ["item_id is missing", "user_id is missing"],
    }
    assert listed["dropped"].all()
    interim = pd.read_parquet(ROOT / "data" / "interim" / "ratings.parquet")
    assert len(interim) == USERS * ITEMS


def test_without_the_archive_nothing_is_begun(rebuild, tmp_path, monkeypatch, capfd):
    rebuild()
    (tmp_path / "cil.zip").unlink()
    capfd.readouterr()
    with pytest.raises(SystemExit) as ended:
        run_stage(prepare.PrepareParams, prepare.run)
    assert ended.value.code == 2
    printed = capfd.readouterr()
    [sentence] = [line for line in printed.err.splitlines() if line.startswith("Error: ")]
    assert "put cil.zip into a folder and name that folder in ATTREC_DATA_DIR" in sentence
    assert "Traceback" not in printed.err
    assert "prepare 1/5" not in printed.out
