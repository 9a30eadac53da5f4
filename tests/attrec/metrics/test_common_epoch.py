"""The common epoch, by hand."""

from __future__ import annotations

import pandas as pd
import pytest

from attrec.metrics.common_epoch import common_epoch


def curve(*losses: float | None) -> pd.DataFrame:
    return pd.DataFrame({"epoch": range(1, len(losses) + 1), "validation_loss": losses}, dtype="float64")


def test_lowest_mean_among_the_epochs_that_all_have():
    # Means 1.1, 0.9, 1.0; the third would have the best epoch of its own at 4, where the others have stopped.
    found = common_epoch([curve(1.0, 0.8, 1.0), curve(1.2, 1.0, 0.9, 0.1), curve(1.1, 0.9, 1.1, 0.1, 0.1)])
    assert found is not None
    assert found.epoch == 2
    assert found.rmse == pytest.approx(0.9)


def test_it_is_never_better_than_every_training_at_its_own_best():
    curves = [curve(1.0, 0.8), curve(0.7, 0.9)]
    found = common_epoch(curves)
    assert found is not None
    assert found.rmse == pytest.approx(0.85)
    assert found.epoch == 1
    assert found.rmse >= sum(own["validation_loss"].min() for own in curves) / 2


def test_epochs_without_a_measurement_do_not_count():
    found = common_epoch([curve(None, 0.9, None, 0.8), curve(0.1, 1.0, 0.1, 1.1)])
    assert found is not None
    assert (found.epoch, found.rmse) == (2, pytest.approx(0.95))


def test_what_else_was_not_measured_is_no_matter():
    found = common_epoch([curve(0.9, 0.8).assign(train_loss=float("nan"))])
    assert found is not None
    assert (found.epoch, found.rmse) == (2, 0.8)


def test_none_where_there_is_nothing_in_common():
    assert common_epoch([]) is None
    assert common_epoch([curve(1.0), curve(None)]) is None
