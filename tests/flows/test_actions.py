"""A file of `user item` lines, which nobody rates, through the prepare flow."""

from __future__ import annotations

import sys

import pandas as pd
import pytest
import yaml

from flows import prepare
from flows.stage import run_stage
from tasks.data.prepared import adopt_ratings
from tasks.engine import environment

ROOT = environment.ROOT
ACTIONS = [(f"u{user}", f"i{(user + step) % 5}") for user in range(6) for step in range(7)]
SOUND = "".join(f"{user} {item}\n" for user, item in ACTIONS)


@pytest.fixture
def prepare_actions(prefect_server, monkeypatch):
    """Run the flow on a text of `user item` lines."""
    monkeypatch.setattr(sys, "argv", ["flow"])

    def run(content: str, **validation: object) -> None:
        file = ROOT / "data" / "incoming" / "watched.txt"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(content)
        form = {"separator": " ", "columns": ["user_id", "item_id"], "rating_column": None}
        section = {"csv": {"path": file.name, **form}, "validation": validation}
        (ROOT / "params.yaml").write_text(yaml.safe_dump({"dataset": "csv", "prepare": section}))
        run_stage(prepare.PrepareParams, prepare.run)

    return run


def test_actions_are_kept_in_order_and_nothing_is_left_to_rate(prepare_actions):
    prepare_actions(SOUND)
    interim = pd.read_parquet(ROOT / "data" / "interim" / "ratings.parquet")
    # Everybody does two things twice.
    assert list(interim[["user_id", "item_id"]].itertuples(index=False, name=None)) == ACTIONS
    assert "rating" not in interim
    training = adopt_ratings(ROOT / "data" / "processed").training
    facts = training.facts()
    assert facts["feedback"] == "actions"
    assert facts["split"]["name"] == "none"
    assert {facts["split"][f"{part}_ratings"] for part in ("train", "validation", "test")} == {0}
    rows = training.load("select")
    assert rows.ratings.empty
    assert rows.user_features.shape == (6, 0)
    assert training.items()["title"].tolist() == ["i0", "i1", "i2", "i3", "i4"]
    for file, columns in (("test_pairs/pairs", 2), ("test_ratings/ratings", 3)):
        assert pd.read_parquet(ROOT / "data" / "processed" / f"{file}.parquet").shape == (0, columns)
    assert pd.read_parquet(ROOT / "data" / "processed" / "split.parquet").shape == (0, 3)
    assert pd.read_parquet(ROOT / "data" / "quarantine.parquet").query("severity == 'error'").empty
    assert facts["cleaning"]["rows_out"]["ratings"] == 42


def test_bad_lines_are_kept_apart_with_their_place(prepare_actions):
    prepare_actions(SOUND + "u1\nu1 i1 4\nu1 i4\n", max_bad_fraction=0.1)
    bad = pd.read_parquet(ROOT / "data" / "quarantine.parquet").query("severity == 'error'")
    assert dict(zip(bad["line"], bad["reason"], strict=True)) == {
        43: "the line 'u1' has too few or too many fields",
        44: "the line 'u1 i1 4' has too few or too many fields",
    }
    assert bad["dropped"].all()
    interim = pd.read_parquet(ROOT / "data" / "interim" / "ratings.parquet")
    assert interim["line"].tolist() == [*range(1, 43), 45]


def test_too_many_bad_lines_are_refused(prepare_actions, capfd):
    with pytest.raises(SystemExit) as ended:
        prepare_actions(SOUND + "u1\n")
    assert ended.value.code == 2
    [sentence] = [line for line in capfd.readouterr().err.splitlines() if line.startswith("Error: ")]
    assert "1 of 43 action rows are bad" in sentence
    assert "watched.txt, line 43 (the line 'u1' has too few or too many fields)" in sentence
