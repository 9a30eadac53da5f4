"""One-hot features of users and items, fitted on those that occur in training rows.

The bins are those of the RSAttAE paper, Section IV: age (0,12,18,30,50,90], release year
(1920,1940,1960,1980,2000]. Values outside every bin get a column of their own, ``age=other`` or ``year=other``,
if training shows any. A missing value, or a category that training never showed, sets no column at all.

With ``numbers`` set to ``min-max`` or ``standard``, age and year become one scaled column each instead; a missing
value is then 0, the least training value or the training mean. Any other column of numbers is scaled always (standard
where age and year are binned), any other column of text becomes one column a category, the commonest alone.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from itertools import pairwise
from typing import Any, Literal

import numpy as np
import pandas as pd
from pydantic import BaseModel, ConfigDict, Field, model_validator

from attrec.datasets.tables import Tables
from attrec.errors import ParamsError
from attrec.prepare.scaling import Method, NumericScaler

OTHER = "other"
NUMERIC = ("age", "year")
USER_ATTRIBUTES = ("age", "gender", "occupation", "zip_code")
ITEM_ATTRIBUTES = ("year", "genres")


class FeatureConfig(BaseModel):
    """Which attributes become features, and the edges of the bins (right-closed)."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    user_columns: tuple[str, ...] = ("age", "gender", "occupation")
    item_columns: tuple[str, ...] = ("year", "genres")
    age_bins: tuple[float, ...] = (0, 12, 18, 30, 50, 90)
    year_bins: tuple[float, ...] = (1920, 1940, 1960, 1980, 2000)
    numbers: Literal["bins", "min-max", "standard"] = "bins"
    """Bin age and year, as the paper does, or scale them; either way fitted on training rows."""
    max_categories: int = Field(default=1000, ge=1)
    """Of a column of text, no more categories become features than so many, the commonest in training."""

    @model_validator(mode="after")
    def _check(self) -> FeatureConfig:
        for edges in (self.age_bins, self.year_bins):
            if len(edges) < 2 or any(a >= b for a, b in pairwise(edges)):
                raise ValueError("bins must be two or more increasing edges")
        return self

    def with_columns(self, users: tuple[str, ...], items: tuple[str, ...]) -> FeatureConfig:
        """With further columns that describe users and items."""
        named = {"user_columns": (*self.user_columns, *users), "item_columns": (*self.item_columns, *items)}
        return self.model_copy(update={key: tuple(dict.fromkeys(columns)) for key, columns in named.items()})

    def check_columns(self, users: tuple[str, ...], items: tuple[str, ...]) -> None:
        """See that there are such columns beside those that any dataset may have.

        Raises:
            ParamsError: one is not there.
        """
        unknown = {*self.user_columns} - {*USER_ATTRIBUTES, *users}
        unknown |= {*self.item_columns} - {*ITEM_ATTRIBUTES, *items}
        if unknown:
            raise ParamsError(f"prepare.features: there is no feature of {sorted(unknown)[0]!r}.")


class FeatureEncoder:
    """Learns the categories that training shows, then encodes every known user and item.

    >>> import pandas as pd
    >>> from attrec.datasets import SimulatorConfig, simulate
    >>> from attrec.prepare import FeatureEncoder
    >>> tables = simulate(SimulatorConfig(n_users=30, n_items=40, n_ratings=500, min_ratings_per_user=10))
    >>> encoder = FeatureEncoder().fit(tables, train=tables.ratings)
    >>> encoder.transform_users(tables.users).columns[:2].tolist()
    ['age=(0, 12]', 'age=(12, 18]']
    """

    def __init__(self, config: FeatureConfig | None = None) -> None:
        self.config = config or FeatureConfig()
        self.user_categories: dict[str, list[str]] = {}
        self.item_categories: dict[str, list[str]] = {}
        self.scalers: dict[str, NumericScaler] = {}

    def fit(self, tables: Tables, train: pd.DataFrame) -> FeatureEncoder:
        """Learn the categories from the users and items in ``train`` (user_id, item_id), and no others."""
        users = tables.users.loc[tables.users["user_id"].isin(train["user_id"])]
        items = tables.items.loc[tables.items["item_id"].isin(train["item_id"])]
        self.user_categories = self._categories(users, self.config.user_columns)
        self.item_categories = self._categories(items, self.config.item_columns)
        method: Method = "standard" if self.config.numbers == "bins" else self.config.numbers
        for key, rows, columns in (
            ("user_id", users, self.config.user_columns),
            ("item_id", items, self.config.item_columns),
        ):
            numeric = tuple(
                name for name in columns if self._is_scaled(rows, name) and rows[name].notna().any()
            )
            if numeric:
                self.scalers[key] = NumericScaler(method, numeric).fit(rows)
        return self

    def _is_scaled(self, frame: pd.DataFrame, column: str) -> bool:
        if column not in frame:
            return False
        if column in NUMERIC:
            return self.config.numbers != "bins"
        return pd.api.types.is_float_dtype(frame[column])

    def transform_users(self, users: pd.DataFrame) -> pd.DataFrame:
        """(n_users, n_features) float32 of 0 and 1, indexed by user_id; columns like ``age=(18, 30]``."""
        return self._encode(users, "user_id", self.user_categories)

    def transform_items(self, items: pd.DataFrame) -> pd.DataFrame:
        """(n_items, n_features) float32 of 0 and 1, indexed by item_id; columns like ``genre=Comedy``."""
        return self._encode(items, "item_id", self.item_categories)

    def to_dict(self) -> dict[str, Any]:
        """What was learned, as JSON."""
        return {
            "config": self.config.model_dump(mode="json"),
            "user_categories": self.user_categories,
            "item_categories": self.item_categories,
            "scalers": {key: scaler.to_dict() for key, scaler in self.scalers.items()},
        }

    @classmethod
    def from_dict(cls, state: dict[str, Any]) -> FeatureEncoder:
        """The encoder that :meth:`to_dict` described."""
        encoder = cls(FeatureConfig.model_validate(state["config"]))
        encoder.user_categories = dict(state["user_categories"])
        encoder.item_categories = dict(state["item_categories"])
        encoder.scalers = {key: NumericScaler.from_dict(scaler) for key, scaler in state["scalers"].items()}
        return encoder

    def _categories(self, frame: pd.DataFrame, columns: Iterable[str]) -> dict[str, list[str]]:
        learned: dict[str, list[str]] = {}
        for column in columns:
            if column not in frame or self._is_scaled(frame, column):
                continue
            shown = Counter(label for labels in self._labels(frame, column) for label in labels)
            edges = self._edges(column)
            if edges is None:
                commonest = sorted(shown, key=lambda label: (-shown[label], label))
                learned[column] = sorted(commonest[: self.config.max_categories])
            elif shown:  # every bin is a column: which bins there are is set by the parameters
                learned[column] = _bin_labels(edges) + ([OTHER] if OTHER in shown else [])
        return learned

    def _edges(self, column: str) -> tuple[float, ...] | None:
        return {"age": self.config.age_bins, "year": self.config.year_bins}.get(column)

    def _labels(self, frame: pd.DataFrame, column: str) -> list[list[str]]:
        """The categories of each row; none for a missing value."""
        edges = self._edges(column)
        if edges is not None:
            values = frame[column].to_numpy(dtype=float)
            names = np.array([*_bin_labels(edges), OTHER], dtype=object)
            position = np.searchsorted(np.asarray(edges), values, side="left") - 1
            position[position < 0] = len(edges) - 1
            return [
                [] if missing else [label]
                for label, missing in zip(names[position], np.isnan(values), strict=True)
            ]
        if column == "genres":
            return [list(genres) for genres in frame[column]]
        missing_text = frame[column].isna()
        return [
            [] if missing else [str(value)]
            for value, missing in zip(frame[column], missing_text, strict=True)
        ]

    def _encode(self, frame: pd.DataFrame, key: str, learned: dict[str, list[str]]) -> pd.DataFrame:
        blocks: list[np.ndarray] = [np.zeros((len(frame), 0), dtype=np.float32)]
        names: list[str] = []
        for column, categories in learned.items():
            block = np.zeros((len(frame), len(categories)), dtype=np.float32)
            position = {label: index for index, label in enumerate(categories)}
            if column in frame:
                hits = [
                    (row, position[label])
                    for row, labels in enumerate(self._labels(frame, column))
                    for label in labels
                    if label in position
                ]
                if hits:
                    block[tuple(np.array(hits).T)] = 1.0
            blocks.append(block)
            prefix = "genre" if column == "genres" else column
            names += [f"{prefix}={label}" for label in categories]
        if key in self.scalers:
            scaler = self.scalers[key]
            scaled = scaler.transform(frame.reindex(columns=list(scaler.columns)))
            blocks.append(scaled.fillna(0.0).to_numpy("float32"))
            names += scaler.columns
        index = pd.Index(frame[key])
        return pd.DataFrame(np.concatenate(blocks, axis=1), index=index, columns=pd.Index(names, dtype=str))


def _bin_labels(edges: tuple[float, ...]) -> list[str]:
    return [f"({low:g}, {high:g}]" for low, high in pairwise(edges)]
