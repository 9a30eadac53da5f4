"""Calibration tables against hand-computed bins."""

from __future__ import annotations

import numpy as np
import pytest

from attrec.metrics.calibration import calibration, predictions_by_rating


def test_bins_by_hand() -> None:
    table = calibration([1, 2, 5, 3], [1.0, 2.0, 4.0, 3.0], bins=2)
    assert table["predicted"].tolist() == [1.5, 3.5]
    assert table["truth"].tolist() == [1.5, 4]
    assert table["ratings"].tolist() == [2, 2]
    assert table["standard_error"].tolist() == [0.5, 1.0]  # sd / sqrt(2) of (1, 2) and of (3, 5)


def test_equal_predictions_stay_together() -> None:
    table = calibration([1, 2, 3, 4], [3, 3, 3, 3])
    assert len(table) == 1
    assert table["truth"].tolist() == [2.5]


def test_a_calibrated_model_lies_on_the_diagonal_and_a_shrunk_one_does_not() -> None:
    rng = np.random.default_rng(0)
    mean = rng.uniform(1, 5, size=40_000)
    truth = rng.normal(mean, 1)
    good = calibration(truth, mean)
    assert np.abs(good["predicted"] - good["truth"]).max() < 5 * good["standard_error"].max()
    assert good["ratings"].sum() == 40_000
    shrunk = calibration(truth, 3 + (mean - 3) / 2)
    slope = np.polyfit(shrunk["predicted"], shrunk["truth"], 1)[0]
    assert slope == pytest.approx(2, abs=0.05)


def test_predictions_by_rating_by_hand() -> None:
    table = predictions_by_rating([5, 1, 1, 1], [4.0, 1.0, 2.0, 3.0])
    assert table["rating"].tolist() == [1, 5]
    assert table["ratings"].tolist() == [3, 1]
    assert table["mean"].tolist() == [2, 4]
    assert table["q50"].tolist() == [2, 4]
    assert table["q25"].tolist() == [1.5, 4]
