"""Numeric preprocessing of any table, fitted on training rows only: min-max to [0, 1] and standardisation."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import pandas as pd

from attrec.errors import DataError

Method = Literal["min-max", "standard"]


class NumericScaler:
    """Scales named columns: (x − shift) / scale, with both learned from training rows by scikit-learn.

    ``min-max`` maps the training range to [0, 1]; values beyond it go beyond, unless ``clip``. ``standard``
    gives zero mean and unit (population) variance. A column that is constant in training keeps its scale.
    Missing values are left out of the fit and stay missing.
    """

    def __init__(self, method: Method, columns: tuple[str, ...], clip: bool = False) -> None:
        self.method = method
        self.columns = columns
        self.clip = clip
        self.shift = np.zeros(len(columns))
        self.scale = np.ones(len(columns))

    def fit(self, train: pd.DataFrame) -> NumericScaler:
        """Learn shift and scale from these rows alone.

        Raises:
            DataError: a column is missing, or has no value at all.
        """
        from sklearn.preprocessing import MinMaxScaler, StandardScaler

        values = self._values(train)
        empty = [name for name, lost in zip(self.columns, np.isnan(values).all(axis=0), strict=True) if lost]
        if empty:
            raise DataError(f"The column {empty[0]!r} has no value in the training rows; leave it out.")
        if self.method == "min-max":
            fitted = MinMaxScaler().fit(values)
            self.shift, self.scale = fitted.data_min_, 1.0 / fitted.scale_
        else:
            fitted = StandardScaler().fit(values)
            self.shift, self.scale = fitted.mean_, fitted.scale_
        return self

    def transform(self, table: pd.DataFrame) -> pd.DataFrame:
        """A copy of ``table`` with the columns scaled, float64."""
        scaled = (self._values(table) - self.shift) / self.scale
        if self.clip and self.method == "min-max":
            scaled = np.clip(scaled, 0.0, 1.0)
        return table.assign(**dict(zip(self.columns, scaled.T, strict=True)))

    def to_dict(self) -> dict[str, Any]:
        """What was learned, as JSON."""
        return {
            "method": self.method,
            "columns": list(self.columns),
            "clip": self.clip,
            "shift": self.shift.tolist(),
            "scale": self.scale.tolist(),
        }

    @classmethod
    def from_dict(cls, state: dict[str, Any]) -> NumericScaler:
        """The scaler that :meth:`to_dict` described."""
        scaler = cls(state["method"], tuple(state["columns"]), state["clip"])
        scaler.shift, scaler.scale = np.array(state["shift"]), np.array(state["scale"])
        return scaler

    def _values(self, table: pd.DataFrame) -> np.ndarray:
        missing = [name for name in self.columns if name not in table]
        if missing:
            raise DataError(f"The table has no column {missing[0]!r} to scale.")
        return table[list(self.columns)].to_numpy(dtype=float)
