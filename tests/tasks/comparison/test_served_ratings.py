"""What the registered rating model answers: newcomers by their ratings, moments where the model reads them."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from mlflow.exceptions import MlflowException

from attrec.ratings.baselines import UserItemBias
from attrec.ratings.bayesian.factorization_machine import BayesianFM, BayesianFMConfig
from attrec.ratings.model import RatingModel
from tasks.comparison.served import ServedModel


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
    assert answer.columns.tolist() == ["user_id", "item_id", "prediction"]
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
    for fault in (unsaid, pair.assign(timestamp=["0", "yesterday"])):
        with pytest.raises(MlflowException, match="a pair has no timestamp: give every pair one") as refused:
            model.predict(None, fault)
        assert refused.value.get_http_status_code() == 400
