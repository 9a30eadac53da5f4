"""What a server of MLflow sends for a request: answers, or one sentence and never a traceback."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import mlflow
import numpy as np
import pandas as pd
import pytest
from mlflow.pyfunc.scoring_server import init

from attrec.models.base import Model
from attrec.ratings.baselines import UserItemBias
from attrec.sequences.baselines import MarkovChain
from attrec.serving.served import read_served
from tasks.comparison import served as served_model
from tasks.comparison.served import ServedModel
from tasks.comparison.track import signature

LARGE = 2**53 + 1
Ask = Callable[..., tuple[int, Any]]


def server(folder: Path, model: Model, items: pd.DataFrame) -> Ask:
    """The application that `mlflow models serve` runs, asked without a port; gives a status and predictions, or the
    sentence behind what MLflow shows of the request."""
    model.save(folder / "model")
    items.to_parquet(folder / "model" / "items.parquet")
    served = read_served(folder / "model")
    mlflow.pyfunc.save_model(
        str(folder / "logged"),
        python_model=served_model.__file__,
        artifacts={"model": str(folder / "model")},
        signature=signature(SimpleNamespace(textual_users=False), served),  # type: ignore[arg-type]
        input_example=served.example(),
        pip_requirements=[],
    )
    application = httpx.ASGITransport(app=init(mlflow.pyfunc.load_model(str(folder / "logged"))))

    async def post(body: str) -> httpx.Response:
        async with httpx.AsyncClient(transport=application, base_url="http://served") as client:
            return await client.post(
                "/invocations", content=body, headers={"Content-Type": "application/json"}
            )

    def ask(*records: dict[str, Any], **params: Any) -> tuple[int, Any]:
        # JSON as Python writes it, in which Infinity is a number.
        body = json.dumps({"dataframe_records": records, **({"params": params} if params else {})})
        sent = asyncio.run(post(body))
        assert "Traceback" not in sent.text
        told = sent.json()
        return sent.status_code, told["predictions"] if sent.is_success else told["message"].split("Error: ")[
            -1
        ]

    return ask


@pytest.fixture(scope="module")
def rating(tmp_path_factory: pytest.TempPathFactory) -> Ask:
    rows = pd.DataFrame({"user_id": np.repeat(range(10), 10), "item_id": np.tile(range(30, 40), 10)})
    users, films = (pd.DataFrame(index=pd.Index(rows[name].unique())) for name in ("user_id", "item_id"))
    rows["rating"] = np.where(rows["item_id"] % 2, 5, 0.5).astype("float32")
    fitted = UserItemBias().fit(rows, users, films)
    return server(
        tmp_path_factory.mktemp("rating"), fitted, pd.DataFrame({"item_id": range(30, 40), "title": "Film"})
    )


@pytest.fixture(scope="module")
def sequence(tmp_path_factory: pytest.TempPathFactory) -> Ask:
    """The even id is followed by 5, the odd one by 6."""
    actions = pd.DataFrame({"user_id": [0, 0, 1, 1], "item_id": [LARGE - 1, 5, LARGE, 6]})
    items = pd.DataFrame(
        {"item_id": [LARGE - 1, LARGE, 5, 6], "title": ["Heat", "10 (1979)", "Up", "X (1986)"]}
    )
    return server(tmp_path_factory.mktemp("sequence"), MarkovChain().fit(actions), items)


@pytest.mark.parametrize(
    ("records", "sentence"),
    [
        ([{"user_id": -7, "item_id": 31, "rating": 500.0}, {"user_id": -7, "item_id": 32}], "500 is no rating: give"),
        ([{"user_id": -7, "item_id": 31, "rating": np.inf}, {"user_id": -7, "item_id": 32}], "inf is no rating: give"),
        ([{"user_id": 3, "item_id": 1.5}], "1.5 is no item id of this model"),
        ([{"user_id": "ann", "item_id": 31}], "'ann' is no user id of this model"),
        ([{"item_id": 31}], "There is no column user_id: give user_id and item_id in every row."),
        ([], "There is no column user_id and none item_id"),
    ],
)  # fmt: skip
def test_ratings_that_cannot_be_are_refused_in_one_sentence(
    rating: Ask, records: list[dict[str, Any]], sentence: str
) -> None:
    status, said = rating(*records)
    assert status == 400
    assert sentence in said


def test_a_rating_model_answers_beside_what_it_refuses(rating: Ask) -> None:
    status, answers = rating(
        {"user_id": 3, "item_id": 1.5}, {"user_id": 3, "item_id": 31}, {"user_id": "3", "item_id": 32}
    )
    assert status == 200
    assert [answer["item_id"] for answer in answers] == [None, 31, 32]
    assert [answer["error"] is None for answer in answers] == [False, True, True]
    assert [round(answer["prediction"] or 0) for answer in answers] == [0, 4, 1]


def test_a_large_id_is_the_one_that_was_sent_or_refused(sequence: Ask) -> None:
    def best(*records: dict[str, Any]) -> list[int]:
        status, answers = sequence(*records, k=1)
        assert status == 200, answers
        return [answer["item_id"] for answer in answers]

    assert best({"item_id": LARGE}) == best({"title": "up"}, {"item_id": str(LARGE)}) == [6]
    assert best({"item_id": LARGE - 1}) == best({"title": "X"}, {"item_id": str(LARGE - 1)}) == [5]
    status, said = sequence({"title": "up"}, {"item_id": LARGE}, k=1)
    assert status == 400
    assert "its last digits are lost: send ids as text, in quotation marks." in said


@pytest.mark.parametrize(
    ("record", "after"), [({"title": 10}, "10 (1979)"), ({"title": "x", "history": 3}, "X (1986)")]
)
def test_a_title_and_a_name_may_be_numbers(sequence: Ask, record: dict[str, Any], after: str) -> None:
    status, answers = sequence(record, k=None)
    assert (status, answers[0]["after"]) == (200, after)


def test_a_fault_of_the_server_is_no_traceback() -> None:
    with pytest.raises(mlflow.MlflowException, match="The request met a fault of this server") as refused:
        ServedModel().predict(None, pd.DataFrame({"item_id": [1]}))
    assert refused.value.get_http_status_code() == 500
