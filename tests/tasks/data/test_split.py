"""What a fit may see of the prepared data is made of training rows; no trace of which pairs are tested is in it."""

from __future__ import annotations

import json

import pandas as pd
import pytest

from attrec.datasets.tables import Tables, read_parquet, write_parquet
from attrec.prepare.features import FeatureConfig
from tasks.data.prepared import PreparedRatings
from tasks.data.split import part_tables
from tasks.engine.artifacts import Artifact, writing

# user, item, rating, part; user 3 and item 30 are new in validation, user 4 and item 40 in the test.
ROWS = [
    (1, 10, 5.0, "train"),
    (1, 20, 4.0, "train"),
    (2, 10, 1.0, "train"),
    (3, 30, 3.0, "validation"),
    (2, 20, 2.0, "validation"),
    (4, 40, 2.0, "test"),
    (1, 40, 1.0, "test"),
    (2, 30, 4.0, "test"),
]
USERS = pd.DataFrame(
    {
        "user_id": [1, 2, 3, 4],
        "age": [20.0, 40.0, 60.0, 80.0],
        "occupation": ["writer", "pilot", "spy", "king"],
    }
)
ITEMS = pd.DataFrame(
    {
        "item_id": [10, 20, 30, 40],
        "title": list("ABCD"),
        "year": [1990.0, 1994.0, 1950.0, 1930.0],
        "genres": [["War"], ["Comedy"], ["Noir"], ["Silent"]],
    }
)


def parted(rows: list[tuple[int, int, float, str]], numbers: str = "bins") -> PreparedRatings:
    table = pd.DataFrame(rows, columns=["user_id", "item_id", "rating", "part"]).astype({"rating": "float32"})
    with writing("clean") as cleaned:
        Tables(table.drop(columns="part"), USERS, ITEMS).save(cleaned.folder)
        (cleaned.folder / "cleaning.json").write_text(json.dumps({"rows": 8}))
    with writing("split") as split:
        write_parquet(table[["user_id", "item_id", "part"]], split.folder / "split.parquet")
        (split.folder / "split.json").write_text(json.dumps({"name": "by hand"}))
    config = FeatureConfig.model_validate({"numbers": numbers})
    return part_tables.fn("csv", cleaned.artifact, split.artifact, config)


def frame(folder: Artifact, name: str) -> pd.DataFrame:
    return read_parquet(folder.path / f"{name}.parquet")


def test_features_are_fitted_on_training_rows_alone() -> None:
    training = parted(ROWS).training.folder
    users, items = frame(training, "user_features"), frame(training, "item_features")
    # Whoever comes in validation or test alone has a row, yet no category of their own.
    assert users["user_id"].tolist() == [1, 2, 3, 4]
    assert [name for name in users if name.startswith("occupation")] == [
        "occupation=pilot",
        "occupation=writer",
    ]
    assert [name for name in items if name.startswith("genre")] == ["genre=Comedy", "genre=War"]


def test_numbers_are_scaled_by_training_rows_alone() -> None:
    training = parted(ROWS, "min-max").training.folder
    assert frame(training, "user_features")["age"].tolist() == pytest.approx([0, 1, 2, 3])
    assert frame(training, "item_features")["year"].tolist() == pytest.approx([0, 1, -10, -15])


def test_nothing_that_a_fit_sees_depends_on_which_pairs_are_tested() -> None:
    """Not by a count, a mean or an order of them: the folder is the same bit for bit."""
    others = [(1, 30, 5.0, "test"), (4, 20, 5.0, "test")]
    known = [row for row in ROWS if row[3] != "test"]
    expected = parted(ROWS)
    for rows in (known, known + others, others + known, known + ROWS[5:] + others):
        found = parted(rows)
        assert found.training == expected.training
        assert len(frame(found.test_pairs, "pairs")) == len(rows) - len(known)


def test_pairs_to_predict_have_no_rating() -> None:
    done = parted(ROWS)
    assert frame(done.test_pairs, "pairs").to_dict("list") == {"user_id": [4, 1, 2], "item_id": [40, 40, 30]}
    assert frame(done.test_ratings, "ratings")["rating"].tolist() == [2, 1, 4]
    assert frame(done.training.folder, "ratings")["part"].tolist() == ["train"] * 3 + ["validation"] * 2
