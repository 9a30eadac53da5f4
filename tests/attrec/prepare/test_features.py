"""One-hots by hand, and nothing learned from rows outside training."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
from pydantic import ValidationError

from attrec.datasets.tables import Tables
from attrec.errors import ParamsError
from attrec.prepare.features import FeatureConfig, FeatureEncoder

USERS = pd.DataFrame(
    {
        "user_id": [1, 2, 3],
        "age": [18.0, 18.5, np.nan],
        "gender": ["F", "M", None],
        "occupation": ["writer", "writer", "pilot"],
    }
)
ITEMS = pd.DataFrame(
    {
        "item_id": [10, 20, 30, 40],
        "title": list("ABCD"),
        "year": [1995.0, 2001.0, np.nan, 1940.0],
        "genres": [["Comedy", "War"], ["Comedy"], [], ["Western"]],
    }
)
TABLES = Tables(pd.DataFrame(), USERS, ITEMS)


def pairs(*rows: tuple[int, int]) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=["user_id", "item_id"])


EVERYTHING = pairs((1, 10), (2, 20), (3, 30), (3, 40))


def set_columns(frame: pd.DataFrame, key: int) -> set[str]:
    row = frame.loc[key]
    return set(row.index[row == 1.0])


def test_users_by_hand() -> None:
    encoded = FeatureEncoder().fit(TABLES, EVERYTHING).transform_users(USERS)
    assert encoded.index.tolist() == [1, 2, 3]
    assert (encoded.dtypes == np.float32).all()
    assert set_columns(encoded, 1) == {"age=(12, 18]", "gender=F", "occupation=writer"}
    assert set_columns(encoded, 2) == {"age=(18, 30]", "gender=M", "occupation=writer"}
    assert set_columns(encoded, 3) == {"occupation=pilot"}
    assert encoded.shape[1] == 5 + 2 + 2


def test_items_by_hand() -> None:
    encoded = FeatureEncoder().fit(TABLES, EVERYTHING).transform_items(ITEMS)
    assert set_columns(encoded, 10) == {"year=(1980, 2000]", "genre=Comedy", "genre=War"}
    assert set_columns(encoded, 20) == {"year=other", "genre=Comedy"}
    assert set_columns(encoded, 30) == set()
    assert set_columns(encoded, 40) == {"year=(1920, 1940]", "genre=Western"}


@pytest.mark.parametrize(
    ("age", "column"),
    [
        (0.5, "(0, 12]"),
        (12, "(0, 12]"),
        (13, "(12, 18]"),
        (30, "(18, 30]"),
        (31, "(30, 50]"),
        (90, "(50, 90]"),
        (0, "other"),
        (91, "other"),
        (-3, "other"),
    ],
)
def test_bins_are_closed_on_the_right(age: float, column: str) -> None:
    users = pd.DataFrame({"user_id": [1], "age": [float(age)]})
    encoded = FeatureEncoder().fit(Tables(users, users, ITEMS), pairs((1, 10))).transform_users(users)
    assert set_columns(encoded, 1) == {f"age={column}"}


def test_nothing_is_learned_outside_training() -> None:
    encoder = FeatureEncoder().fit(TABLES, pairs((1, 10)))
    users, items = encoder.transform_users(USERS), encoder.transform_items(ITEMS)
    assert [name for name in users if name.startswith(("gender", "occ"))] == ["gender=F", "occupation=writer"]
    assert [name for name in items if name.startswith("genre")] == ["genre=Comedy", "genre=War"]
    assert "year=other" not in items
    # What training never showed sets nothing, yet everyone has a row.
    assert set_columns(users, 3) == set()
    assert set_columns(items, 40) == {"year=(1920, 1940]"}
    assert len(users) == 3
    assert len(items) == 4

    changed = USERS.assign(occupation=["writer", "spy", "king"], gender=["F", "F", "M"])
    again = FeatureEncoder().fit(Tables(TABLES.ratings, changed, ITEMS), pairs((1, 10)))
    assert again.to_dict() == encoder.to_dict()


def test_no_attributes_give_no_columns() -> None:
    users = pd.DataFrame({"user_id": ["b", "a"]})
    items = pd.DataFrame({"item_id": ["x"], "title": ["X"], "year": [np.nan], "genres": [[]]})
    encoder = FeatureEncoder().fit(
        Tables(users, users, items), pd.DataFrame({"user_id": ["a"], "item_id": ["x"]})
    )
    assert encoder.transform_users(users).shape == (2, 0)
    assert encoder.transform_users(users).index.tolist() == ["b", "a"]
    assert encoder.transform_items(items).shape == (1, 0)


def test_state_survives_json() -> None:
    encoder = FeatureEncoder(FeatureConfig(age_bins=(0, 50, 100))).fit(TABLES, EVERYTHING)
    again = FeatureEncoder.from_dict(json.loads(json.dumps(encoder.to_dict())))
    pd.testing.assert_frame_equal(again.transform_users(USERS), encoder.transform_users(USERS))
    pd.testing.assert_frame_equal(again.transform_items(ITEMS), encoder.transform_items(ITEMS))


def test_of_many_categories_the_commonest_are_kept() -> None:
    users = pd.DataFrame({"user_id": range(6), "city": ["Athens", "Rome", "Bern", "Rome", "Oslo", "Oslo"]})
    config = FeatureConfig(user_columns=("city",), item_columns=(), max_categories=2)
    everyone = pd.DataFrame({"user_id": range(6), "item_id": 10})
    encoded = FeatureEncoder(config).fit(Tables(everyone, users, ITEMS), everyone).transform_users(users)
    assert encoded.columns.tolist() == ["city=Oslo", "city=Rome"]
    assert encoded.index.name == "user_id"


def test_before_a_fit_nothing_is_known() -> None:
    assert FeatureEncoder().transform_users(USERS).shape == (3, 0)
    assert FeatureEncoder().transform_users(USERS).columns.dtype == "str"
    assert FeatureEncoder().transform_items(ITEMS).shape == (4, 0)


def test_chosen_columns_only() -> None:
    encoder = FeatureEncoder(FeatureConfig(user_columns=("gender",), item_columns=())).fit(TABLES, EVERYTHING)
    assert encoder.transform_users(USERS).columns.tolist() == ["gender=F", "gender=M"]
    assert encoder.transform_items(ITEMS).shape == (4, 0)


@pytest.mark.parametrize("config", [{"age_bins": (1,)}, {"year_bins": (3, 2)}])
def test_config_refuses_nonsense(config: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        FeatureConfig.model_validate(config)


@pytest.mark.parametrize(
    ("method", "ages", "years"),
    [
        ("min-max", [0.0, 1.0, 0.0], [0.0, 1.0, 0.0, (1940 - 1995) / 6]),
        ("standard", [-1.0, 1.0, 0.0], [-1.0, 1.0, 0.0, (1940 - 1998) / 3]),
    ],
)
def test_numbers_are_scaled_by_training_rows_alone(method, ages, years):
    encoder = FeatureEncoder(FeatureConfig(numbers=method)).fit(TABLES, pairs((1, 10), (2, 20)))
    users, items = encoder.transform_users(USERS), encoder.transform_items(ITEMS)
    np.testing.assert_allclose(users["age"], ages, atol=1e-5)
    np.testing.assert_allclose(items["year"], years, atol=1e-5)
    assert not any(name.startswith(("age=", "year=")) for name in [*users.columns, *items.columns])
    again = FeatureEncoder.from_dict(json.loads(json.dumps(encoder.to_dict())))
    pd.testing.assert_frame_equal(again.transform_items(ITEMS), items)


def test_columns_of_any_name_are_numbers_or_categories() -> None:
    users = pd.DataFrame(
        {"user_id": [1, 2, 3], "income": [10.0, 30.0, np.nan], "city": ["Rome", None, "Bern"]}
    )
    items = pd.DataFrame({"item_id": [10, 20], "brand": ["b", "a"]})
    config = FeatureConfig(user_columns=(), item_columns=(), max_categories=1)
    config = config.with_columns(("income", "city"), ("brand",))
    encoder = FeatureEncoder(config).fit(Tables(EVERYTHING, users, items), pairs((1, 10), (2, 10), (3, 20)))
    of_users = encoder.transform_users(users)
    assert of_users.columns.tolist() == ["city=Bern", "income"], "of two as common the first in the alphabet"
    assert of_users.to_numpy().tolist() == [[0, -1], [0, 1], [1, 0]]
    assert encoder.transform_items(items).columns.tolist() == ["brand=a"]
    again = FeatureEncoder.from_dict(json.loads(json.dumps(encoder.to_dict())))
    pd.testing.assert_frame_equal(again.transform_users(users), of_users)
    config.check_columns(("income", "city"), ("brand",))
    with pytest.raises(ParamsError, match="no feature of 'city'"):
        config.check_columns(("income",), ("brand",))
