"""RMSE and MAE against answers worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from attrec.metrics.rating import mae, rmse

stars = st.floats(0.5, 5, allow_nan=False)
pairs = st.lists(st.tuples(stars, stars), min_size=1, max_size=50)


def test_hand_computed() -> None:
    assert rmse([1, 2, 3, 4], [1, 2, 3, 2]) == 1.0  # sqrt(4 / 4)
    assert mae([1, 2, 3, 4], [1, 2, 3, 2]) == 0.5  # 2 / 4
    assert rmse([5, 1], [2, 5]) == pytest.approx(12.5**0.5)
    assert mae([5, 1], [2, 5]) == 3.5


def test_float32_input_is_scored_in_double_precision() -> None:
    truth = np.full(1_000_001, 3.1, dtype=np.float32)
    assert rmse(truth, truth + np.float32(0.7)) == pytest.approx(0.7, abs=1e-6)


@given(pairs)
def test_mae_never_exceeds_rmse_and_both_are_symmetric(rows: list[tuple[float, float]]) -> None:
    truth, predicted = map(np.array, zip(*rows, strict=True))
    assert mae(truth, predicted) <= rmse(truth, predicted) + 1e-12
    assert rmse(truth, predicted) == rmse(predicted, truth)
    assert rmse(truth, truth) == mae(truth, truth) == 0


@pytest.mark.parametrize("metric", [rmse, mae])
@pytest.mark.parametrize(
    ("truth", "predicted", "message"),
    [
        ([], [], "at least one"),
        ([1, 2], [1], "one length"),
        ([[1, 2]], [[1, 2]], "one length"),
        ([1, np.nan], [1, 2], "finite"),
        ([1, 2], [1, np.inf], "finite"),
    ],
)
def test_refuses_what_cannot_be_scored(metric, truth, predicted, message) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(ValueError, match=message):
        metric(truth, predicted)


def test_errors_of_single_precision_are_averaged_in_double() -> None:
    truth, predicted = np.random.default_rng(0).random((2, 50), dtype="float32")
    doubles = truth.astype("float64"), predicted.astype("float64")
    assert rmse(truth, predicted) == rmse(*doubles) == rmse(truth, doubles[1]) == rmse(doubles[0], predicted)
    assert mae(truth, predicted) == mae(*doubles)
