"""What the registered rating model answers: newcomers by their ratings, moments where the model reads them."""

from __future__ import annotations

import io
import json
import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from mlflow.exceptions import MlflowException
from mlflow.pyfunc.scoring_server import predictions_to_json
from mlflow.types import ColSpec, Schema
from mlflow.utils.proto_json_utils import dataframe_from_parsed_json

from attrec.errors import DataError
from attrec.ratings.baselines import UserItemBias
from attrec.ratings.bayesian.factorization_machine import BayesianFM, BayesianFMConfig
from attrec.ratings.model import RatingModel
from attrec.serving.requests import MOST_ROWS
from tasks.comparison.served import ServedModel
from tasks.comparison.track import TYPES


def ratings() -> pd.DataFrame:
    """Each of ten users rates ten films, one a day; everybody begins at 5 and ends at 1."""
    rows = pd.DataFrame({"user_id": np.repeat(range(10), 10), "item_id": np.tile(range(10), 10)})
    order = np.random.default_rng(0).permuted(np.tile(range(10), (10, 1)), axis=1).ravel()
    return rows.assign(rating=np.where(order < 5, 5, 1).astype("float32"), timestamp=86_400 * order)


def served(folder: Path, model: RatingModel) -> ServedModel:
    nothing = pd.DataFrame(index=pd.RangeIndex(10))
    model.fit(ratings(), nothing, nothing).save(folder)
    pd.DataFrame({"item_id": range(10), "title": "Film"}).to_parquet(folder / "items.parquet")
    one = ServedModel()
    one.load_context(SimpleNamespace(artifacts={"model": str(folder)}))
    return one


def test_a_newcomer_is_known_by_the_rated_rows(tmp_path: Path) -> None:
    asked = pd.DataFrame(
        {"user_id": [99, 99, 99], "item_id": [0, 1, 2], "rating": [5.0, 5.0, np.nan]}, index=[7, 8, 9]
    )
    answer = served(tmp_path, UserItemBias()).predict(None, asked)
    assert answer.index.tolist() == [9]
    assert answer.columns.tolist() == ["user_id", "item_id", "prediction", "error"]
    nobody = served(tmp_path, UserItemBias()).predict(None, asked[2:])
    assert answer["prediction"].iloc[0] > nobody["prediction"].iloc[0]


def test_a_model_that_reads_moments_is_asked_for_one(tmp_path: Path) -> None:
    machine = BayesianFM(BayesianFMConfig(rank=2, iterations=60, burn_in=20, time=True, ratings_per_knot=2))
    model = served(tmp_path, machine)
    pair = pd.DataFrame({"user_id": [3, 3], "item_id": [4, 4], "timestamp": [0, 9 * 86_400]})
    early, late = model.predict(None, pair)["prediction"]
    assert early > late + 1
    at_no_moment = model.predict(None, pair.drop(columns="timestamp"))["prediction"]
    assert late < at_no_moment[0] < early
    history = pair.assign(item_id=[5, 6], rating=[5.0, 5.0], timestamp=[None, None])
    beside = pd.concat([pair, history], ignore_index=True)
    np.testing.assert_allclose(model.predict(None, beside)["prediction"], [early, late])
    unsaid = pair.assign(timestamp=pd.array([0, None], dtype="Int64"))
    with pytest.raises(MlflowException, match="a pair has no timestamp: give every pair one") as refused:
        model.predict(None, unsaid)
    assert refused.value.get_http_status_code() == 400
    answer = model.predict(None, pair.assign(timestamp=["0", "yesterday"]))
    assert answer["prediction"][0] == early
    assert pd.isna(answer["prediction"][1])
    assert answer["error"][1] == "Row 2: yesterday is no timestamp: give seconds since 1970 UTC."
    with pytest.raises(MlflowException, match=r"Row 1: inf is no timestamp"):
        model.predict(None, pair.head(1).assign(timestamp=np.inf))


@pytest.fixture(scope="module")
def biased(tmp_path_factory: pytest.TempPathFactory) -> ServedModel:
    return served(tmp_path_factory.mktemp("model"), UserItemBias())


def ask(model: ServedModel, rows: list[tuple[Any, ...]]) -> pd.DataFrame:
    columns = ["user_id", "item_id", "rating"]
    return model.predict(None, pd.DataFrame([dict(zip(columns, row, strict=False)) for row in rows]))


@pytest.mark.parametrize(
    ("rows", "sentence"),
    [
        ([(-7, 1, 500.0), (-7, 2)], "Row 1: 500 is no rating: give a number in 1 to 5."),
        ([(-7, 1, np.inf), (-7, 2)], "Row 1: inf is no rating: give a number in 1 to 5."),
        ([(-7, 1, "five"), (-7, 2)], "Row 1: five is no rating: give a number in 1 to 5."),
        ([(-7, 1, True), (-7, 2)], "Row 1: True is no rating: give a number in 1 to 5."),
        ([(-7, 1, 5), (-7, 1, 5), (-7, 2)], "Row 2: -7 rates the item 1 twice: keep one row."),
        ([(3, 1.5)], "Row 1: 1.5 is no item id of this model: they are whole numbers, like 0, 1, 2."),
        ([(True, 1)], "Row 1: True is no user id of this model: they are whole numbers, like 0, 1, 2."),
        ([(3, [1])], "Row 1: [1] is no item id of this model: they are whole numbers, like 0, 1, 2."),
        ([(3, 2**64)], f"Row 1: {2**64} is no item id of this model: they are whole numbers, like 0, 1, 2."),
        ([(None, 1, 5), (3, 2)], "Row 1: nan is no user id of this model: they are whole numbers, like 0, 1, 2."),
        ([(3, 1.5), (-7, 1, 500), (-7, 2)], "None of the 2 questions can be answered: Row 1: 1.5 is no"),
        ([(3, 1, 5)], "There is no question: give a row with user_id and item_id, and without a rating."),
        ([(3, 1)] * (MOST_ROWS + 1), "The request has 100,001 rows: send 100,000 at most"),
    ],
)  # fmt: skip
def test_what_cannot_be_answered_is_one_sentence(
    biased: ServedModel, rows: list[tuple[Any, ...]], sentence: str
) -> None:
    with pytest.raises(MlflowException, match=re.escape(sentence)) as refused:
        ask(biased, rows)
    assert refused.value.get_http_status_code() == 400


def test_questions_are_answered_beside_others_at_fault(biased: ServedModel) -> None:
    rows = [(3, 4), (3, 1.5), (-7, 1, 500.0), (-7, 4), (-8, 1, "5"), ("-8", "4")]
    answer = ask(biased, rows)
    alone = ask(biased, [(3, 4), (-8, 1, 5.0), (-8, 4)])
    assert answer["user_id"].tolist() == [3, 3, -7, -8]
    assert answer["item_id"].fillna(0).tolist() == [4, 0, 4, 4]
    assert answer["prediction"].isna().tolist() == [False, True, True, False]
    assert answer["prediction"].dropna().tolist() == alone["prediction"].tolist()
    assert answer["error"].notna().tolist() == [False, True, True, False]
    assert answer["error"][3].startswith("Row 3: 500 is no rating")
    sent = io.StringIO()
    predictions_to_json(answer, sent)
    rows_sent = json.loads(sent.getvalue(), parse_constant=pytest.fail)["predictions"]
    assert [row["prediction"] is None for row in rows_sent] == [False, True, True, False]


def test_a_rating_between_two_steps_counts_as_it_stands_as_it_does_in_the_data(biased: ServedModel) -> None:
    low, between, high = (
        ask(biased, [(-7, 1, rating), (-7, 4)])["prediction"].item() for rating in (3.0, 3.7, 4.0)
    )
    assert low < between < high


def test_what_is_sent_reaches_the_model_as_it_is(tmp_path: Path) -> None:
    """MLflow would make 1 of the id 1.5 where a signature asks for whole numbers."""
    answers = served(tmp_path, UserItemBias()).answers
    schema = Schema([ColSpec(TYPES[column.holds], column.name) for column in answers.inputs])
    sent = {"dataframe_records": [{"user_id": 3, "item_id": 1.5}]}
    read = dataframe_from_parsed_json(sent["dataframe_records"], "records", schema)
    with pytest.raises(DataError, match=r"1\.5 is no item id"):
        answers.answer(read)
