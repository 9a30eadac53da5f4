"""Class probabilities against what was given, by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest

from attrec.metrics.class_calibration import class_calibration

TRUTH = [1, 2, 2, 2]
PROBABILITIES = [[0.9, 0.1], [0.3, 0.7], [0.2, 0.8], [0.95, 0.05]]


def test_by_hand():
    found = class_calibration(TRUTH, PROBABILITIES, [1, 2], bins=2)
    rows = found.bins.to_numpy().tolist()
    # rating, low, high, mean probability, share given, rows
    expected = [
        [1, 0.0, 0.5, 0.25, 0.0, 2],
        [1, 0.5, 1.0, 0.925, 0.5, 2],
        [2, 0.0, 0.5, 0.075, 0.5, 2],
        [2, 0.5, 1.0, 0.75, 1.0, 2],
    ]
    np.testing.assert_allclose(rows, expected)
    error = 0.25 / 2 + 0.425 / 2
    assert found.classes["expected_calibration_error"].tolist() == pytest.approx([error, error])
    assert found.expected_calibration_error == pytest.approx(error)
    assert found.classes["predicted"].tolist() == pytest.approx([0.5875, 0.4125])
    assert found.classes["observed"].tolist() == [0.25, 0.75]
    assert found.log_loss == pytest.approx(-(math.log(0.9 * 0.7 * 0.8 * 0.05)) / 4)
    assert found.ratings == 4


def test_edges_are_in_the_bin_above_and_one_in_the_last():
    found = class_calibration([1, 2, 2], [[1.0, 0.0], [0.5, 0.5], [0.0, 1.0]], [1, 2], bins=2)
    assert found.bins.loc[found.bins["rating"] == 1, "ratings"].tolist() == [1, 2]
    assert math.isfinite(class_calibration([2], [[1.0, 0.0]], [1, 2]).log_loss)


def test_ratings_drawn_from_the_probabilities_are_calibrated_and_sharpened_ones_are_not():
    rng = np.random.default_rng(0)
    probabilities = rng.dirichlet([2, 3, 4], 30_000)
    truth = (probabilities.cumsum(1) < rng.random((30_000, 1))).sum(1) + 1
    sharpened = probabilities**3 / (probabilities**3).sum(1, keepdims=True)
    honest = class_calibration(truth, probabilities, [1, 2, 3])
    boastful = class_calibration(truth, sharpened, [1, 2, 3])
    assert honest.expected_calibration_error < 0.01 < 0.1 < boastful.expected_calibration_error
    assert honest.log_loss < boastful.log_loss
    assert honest.bins.groupby("rating")["ratings"].sum().tolist() == [30_000] * 3


@pytest.mark.parametrize(
    ("truth", "probabilities", "words"),
    [
        ([3], [[0.5, 0.5]], "no class"),
        ([1], [[0.5, 0.4]], "sum to one"),
        ([1], [[1.5, -0.5]], "negative"),
        ([1, 1], [[0.5, 0.5]], "need probabilities"),
        ([], np.zeros((0, 2)), "need probabilities"),
    ],
)
def test_what_is_refused(truth, probabilities, words):
    with pytest.raises(ValueError, match=words):
        class_calibration(truth, probabilities, [1, 2])
