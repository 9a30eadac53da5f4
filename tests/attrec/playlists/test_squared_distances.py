"""Distances of points to songs against the textbook's formula."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.sparse import csr_array
from scipy.spatial.distance import cdist

from attrec.playlists.model import squared_distances
from attrec.prepare.songs import Vectors


def vectors(values: np.ndarray) -> Vectors:
    rows, columns = values.shape
    return Vectors(pd.RangeIndex(rows), tuple(f"c{column}" for column in range(columns)), values)


@given(seed=st.integers(0, 1000), zeros=st.sampled_from([0.0, 0.5, 0.99, 1.0]))
def test_distances_are_those_of_the_formula(seed: int, zeros: float) -> None:
    rng = np.random.default_rng(seed)
    values = (rng.standard_normal((9, 6)) * (rng.random((9, 6)) >= zeros)).astype("float32")
    points = rng.standard_normal((4, 6))
    found = squared_distances(points, vectors(values).compact)
    assert found == pytest.approx(cdist(points, values.astype(np.float64)) ** 2, abs=1e-12)


def test_a_song_is_nowhere_nearer_than_at_itself() -> None:
    values = (1e3 + np.random.default_rng(0).random((50, 3))).astype("float32")
    own = np.diag(squared_distances(values, vectors(values).compact))
    assert own == pytest.approx(0, abs=1e-8)


@pytest.mark.parametrize("columns", [13, 100])
def test_no_rounding_takes_a_distance_below_zero(columns: int) -> None:
    values = np.zeros((500, columns), dtype="float32")
    values[:, :13] = np.repeat(np.random.default_rng(0).standard_normal((25, 13)), 20, axis=0)
    assert np.isfinite(np.sqrt(squared_distances(values, vectors(values).compact))).all()


def test_zeros_are_left_out_where_most_are() -> None:
    values = np.zeros((10, 10), dtype="float32")
    values[:, :2] = 1
    assert isinstance(vectors(values).compact, csr_array)
    values[:, 2] = 1
    assert isinstance(vectors(values).compact, np.ndarray)
