"""Each cleaning rule by hand, what may be learned from whom, and the way there and back as JSON."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
from scipy.stats import skew

from attrec.errors import DataError
from attrec.prepare.songs import TableCleaner, TableCleaningConfig, labels_of_items


def table(n: int = 200, seed: int = 0) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    return pd.DataFrame(
        {
            "item_id": np.arange(n),
            "long": rng.lognormal(12, 1, n),
            "even": rng.uniform(0, 1, n),
            "same": 3.0,
            "rare": np.where(np.arange(n) < n // 5, 1.0, np.nan),
            "genre": rng.choice(["b", "a"], n),
        }
    )


CONFIG = TableCleaningConfig(numbers=("long", "even", "same", "rare"), categories=("genre",))
UNIT = CONFIG.model_copy(update={"final": "unit"})


def test_useless_columns_are_dropped_and_said_why() -> None:
    cleaner = TableCleaner(CONFIG).fit(table())
    assert cleaner.columns == ("long", "even", "genre")
    assert cleaner.dropped == {"same": "all its values are the same", "rare": "80% of its values are missing"}


def test_skewed_columns_become_symmetric_and_the_others_are_left_alone() -> None:
    cleaner = TableCleaner(CONFIG).fit(table())
    assert list(cleaner.powers) == ["long"]
    assert cleaner.report["skewness"]["long"]["before"] > 1.5
    cleaned = cleaner.transform(table())
    assert abs(skew(cleaned["long"])) < 0.3
    assert np.corrcoef(cleaned["even"], table()["even"])[0, 1] == pytest.approx(1)


def test_training_rows_end_in_the_unit_interval_and_standardised() -> None:
    unit, standard = (TableCleaner(config).fit(table()).transform(table()) for config in (UNIT, CONFIG))
    assert unit.min().tolist() == pytest.approx([0, 0, 0])
    assert unit.max().tolist() == pytest.approx([1, 1, 1])
    assert standard.mean().tolist() == pytest.approx([0, 0, 0], abs=1e-9)
    assert standard.std(ddof=0).tolist() == pytest.approx([1, 1, 1])


def test_other_rows_teach_nothing_and_stay_within_limits() -> None:
    cleaner = TableCleaner(UNIT).fit(table())
    before = json.dumps(cleaner.to_dict())
    wild = pd.DataFrame({"item_id": [7], "long": [1e30], "even": [-5.0], "genre": ["new"]})
    assert cleaner.transform(wild).to_numpy().tolist() == [[1.0, 0.0, 1.0]]
    assert json.dumps(cleaner.to_dict()) == before


def test_missing_values_are_filled_with_the_median_of_training() -> None:
    config = TableCleaningConfig(numbers=("x",), min_skewness=99, final="unit")
    train = pd.DataFrame({"x": [0.0, 1.0, 4.0, np.nan]})
    cleaner = TableCleaner(config).fit(train)
    assert cleaner.transform(train)["x"].tolist() == pytest.approx([0, 0.25, 1, 0.25])
    assert cleaner.report["values_filled"] == {"x": 1}
    assert cleaner.transform(pd.DataFrame({"x": [np.nan]}))["x"].tolist() == pytest.approx([0.25])


def test_rows_with_missing_values_are_dropped_where_that_is_the_rule() -> None:
    config = TableCleaningConfig(numbers=("x",), missing="drop")
    train = pd.DataFrame({"item_id": ["p", "q", "r"], "x": [0.0, np.nan, 4.0]})
    cleaner = TableCleaner(config).fit(train)
    assert cleaner.vectors(train).ids.tolist() == ["p", "r"]
    assert cleaner.report["rows_dropped"] == 1
    with pytest.raises(DataError, match="none is left"):
        cleaner.transform(train.iloc[[1]])


def test_categories_are_codes_in_alphabetical_order_and_what_is_new_comes_last() -> None:
    config = TableCleaningConfig(numbers=(), categories=("genre",), final="unit")
    train = pd.DataFrame({"genre": ["b", "a", None]})
    cleaner = TableCleaner(config).fit(train)
    assert cleaner.transform(train)["genre"].tolist() == [0.5, 0, 1]
    assert cleaner.transform(pd.DataFrame({"genre": ["z"]}))["genre"].tolist() == [1]


def test_indicators_have_a_column_a_category_and_their_own_weight() -> None:
    config = TableCleaningConfig(
        numbers=("x",), indicators=("artist",), min_indicated=2, indicator_weight=3, min_skewness=99
    )
    train = pd.DataFrame({"x": [0.0, 1, 2, 3, 4], "artist": ["b", "a", "b", "a", "rare"]})
    cleaner = TableCleaner(config).fit(train)
    assert cleaner.columns == ("x", "artist=a", "artist=b")
    asked = pd.DataFrame({"x": [2.0, 2, 2], "artist": ["b", "new", None]})
    assert cleaner.transform(asked).to_numpy().tolist() == [[0, 0, 3], [0, 0, 0], [0, 0, 0]]
    unit = TableCleaner(config.model_copy(update={"final": "unit"})).fit(train).transform(asked)
    assert unit.to_numpy().tolist() == [[0.5, 0, 1], [0.5, 0, 0], [0.5, 0, 0]]
    commonest = TableCleaningConfig(numbers=(), indicators=("artist",), max_indicated=1)
    assert TableCleaner(commonest).fit(train).columns == (f"artist={train['artist'].mode()[0]}",)
    alone = TableCleaner(TableCleaningConfig(numbers=(), indicators=("artist",), min_indicated=1)).fit(train)
    assert alone.transform(asked).to_numpy().tolist() == [[0, 1, 0], [0, 0, 0], [0, 0, 0]]


def test_there_and_back_as_json() -> None:
    cleaner = TableCleaner(CONFIG.model_copy(update={"indicators": ("genre",)})).fit(table())
    again = TableCleaner.from_dict(json.loads(json.dumps(cleaner.to_dict())))
    other = table(seed=1)
    pd.testing.assert_frame_equal(again.transform(other), cleaner.transform(other))
    assert again.to_dict() == cleaner.to_dict()
    assert again.vectors(other).values.dtype == np.float32


@pytest.mark.parametrize(
    ("train", "message"),
    [
        (table().drop(columns="even"), "no column 'even'"),
        (table().iloc[:0], "no row to learn"),
    ],
)
def test_tables_that_cannot_be_cleaned(train: pd.DataFrame, message: str) -> None:
    with pytest.raises(DataError, match=message):
        TableCleaner(CONFIG).fit(train)


def test_no_column_of_use() -> None:
    with pytest.raises(DataError, match="No column is left"):
        TableCleaner(TableCleaningConfig(numbers=("same",))).fit(table())


def test_labels_come_from_the_given_rows_alone() -> None:
    rows = pd.DataFrame({"item_id": [1, 1, 1, 2, 2], "genre": ["pop", "rock", "rock", "rap", "edm"]})
    labels = labels_of_items(rows, pd.Index([1, 2, 3]), "genre")
    assert labels.tolist()[:2] == ["rock", "edm"]
    assert pd.isna(labels.iloc[2])
