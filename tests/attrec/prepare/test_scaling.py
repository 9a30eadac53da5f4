"""Scaling by hand, fitted on the rows it is given and on no others."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest

from attrec.errors import DataError
from attrec.prepare.scaling import NumericScaler

TRAIN = pd.DataFrame({"loudness": [-10.0, -5.0, 0.0, np.nan], "tempo": [120.0] * 4, "name": list("abcd")})
OTHER = pd.DataFrame({"loudness": [5.0, -20.0], "tempo": [120.0, 121.0], "name": ["e", "f"]})
COLUMNS = ("loudness", "tempo")


def test_min_max_by_hand() -> None:
    scaler = NumericScaler("min-max", COLUMNS).fit(TRAIN)
    assert scaler.transform(TRAIN)["loudness"].fillna(-1).tolist() == [0.0, 0.5, 1.0, -1.0]
    assert scaler.transform(OTHER)["loudness"].tolist() == [1.5, -1.0]
    assert scaler.transform(OTHER)["tempo"].tolist() == [0.0, 1.0]
    assert scaler.transform(OTHER)["name"].tolist() == ["e", "f"]


def test_min_max_clipped() -> None:
    scaler = NumericScaler("min-max", ("loudness",), clip=True).fit(TRAIN)
    assert scaler.transform(OTHER)["loudness"].tolist() == [1.0, 0.0]


def test_standard_by_hand() -> None:
    scaled = NumericScaler("standard", COLUMNS).fit(TRAIN).transform(TRAIN)
    sd = np.sqrt(50 / 3)
    np.testing.assert_allclose(scaled["loudness"][:3], [-5 / sd, 0, 5 / sd])
    assert scaled["tempo"].tolist() == [0.0] * 4


@pytest.mark.parametrize("method", ["min-max", "standard"])
def test_state_survives_json_and_transform_changes_nothing(method: str) -> None:
    scaler = NumericScaler(method, COLUMNS).fit(TRAIN)  # type: ignore[arg-type]
    before, state = OTHER.copy(), json.dumps(scaler.to_dict())
    once = scaler.transform(OTHER)
    pd.testing.assert_frame_equal(OTHER, before)
    assert json.dumps(scaler.to_dict()) == state
    pd.testing.assert_frame_equal(NumericScaler.from_dict(json.loads(state)).transform(OTHER), once)


def test_columns_that_cannot_be_scaled() -> None:
    with pytest.raises(DataError, match="no column 'energy'"):
        NumericScaler("standard", ("energy",)).fit(TRAIN)
    with pytest.raises(DataError, match="'loudness' has no value"):
        NumericScaler("standard", ("loudness",)).fit(TRAIN[3:])
