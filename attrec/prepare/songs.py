"""The cleaning of Mousaei & Asgharivahed ("ARS", Section II) for any table: numbers that distances may be taken of.

In order, every figure learned from the rows that `fit` is given and from no others:

1. Columns that are useless are dropped: those not named, those with too few values, those that are constant.
2. Missing values are filled with the median, or their rows are dropped; a missing category is a category of its own.
3. Categories become codes 0, 1, … in the order of their names; one that training did not have becomes the last code.
   Codes put the first and the last category far apart for no reason, so those of `indicators`, which are not in the
   paper, become a column each instead: not 0 where a row has the category, and left alone by all that follows. A row
   may have several categories at once, as a list.
4. Values beyond the range of training are cut to it, so that no outlier is blown up by what follows.
5. Skewed columns are made more symmetric by Yeo and Johnson's power transform (2000), fitted by scikit-learn, on
   standardised values: it bends at zero, so it depends on the scale, and it is unstable on large numbers.
6. Everything is scaled to [0, 1].
7. And standardised, unless `final` is "unit": distances want equal variances. Standardising undoes the scaling but for
   its limits; the paper has both.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal, Self

import numpy as np
import pandas as pd
from pydantic import BaseModel, ConfigDict, Field
from scipy.sparse import csr_array

from attrec.datasets.spotify import AUDIO_FEATURES
from attrec.errors import DataError
from attrec.prepare.scaling import NumericScaler

Final = Literal["unit", "standard"]


class TableCleaningConfig(BaseModel):
    """Which columns count and what is done with them; the defaults are those of songs."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    numbers: tuple[str, ...] = (*AUDIO_FEATURES, "year")
    """Columns of numbers."""
    categories: tuple[str, ...] = ()
    """Columns that become codes."""
    indicators: tuple[str, ...] = ()
    """Columns that become one column a category, such as `artist=Avicii`; their values may be lists."""
    min_indicated: int = Field(default=1, ge=1)
    """A category of fewer training rows has no column: for catalogues with many thousands of them."""
    max_indicated: int | None = Field(default=None, ge=1)
    """No more categories of a column have one than so many, the commonest; None for any number. 100,000 rows of 2,000
    are 800 MB."""
    indicator_weight: float = Field(default=1.0, gt=0)
    """What stands in such a column, in standard deviations of the others; where `final` is "unit", it is 1."""
    missing: Literal["median", "drop"] = "median"
    """Whether a missing number is filled with the median of training, or its row dropped."""
    max_missing: float = Field(default=0.5, ge=0, lt=1)
    """A column of numbers with a larger share of missing values is dropped."""
    min_skewness: float = Field(default=0.5, ge=0)
    """Columns of numbers whose skewness is at least this, either way, are transformed."""
    final: Final = "standard"


@dataclass(frozen=True)
class Vectors:
    """Rows of a table as points, one for each id."""

    ids: pd.Index
    """[n]"""
    columns: tuple[str, ...]
    """[d]"""
    values: np.ndarray
    """[n, d] float32."""

    def __len__(self) -> int:
        return len(self.ids)

    @cached_property
    def compact(self) -> np.ndarray | csr_array:
        """The values [n, d] (float64), without their zeros where most are: of two thousand columns for categories a row
        has a few."""
        return compact(self.values)


def compact(values: np.ndarray) -> np.ndarray | csr_array:
    """As float64; sparse where more than four in five are zero: beyond that dense ones are smaller and faster."""
    if np.count_nonzero(values) > values.size / 5:
        return values.astype(np.float64)
    return csr_array(values, dtype=np.float64)


class TableCleaner:
    """The rules above; fitted on training rows, applied to any.

    >>> import pandas as pd
    >>> from attrec.prepare import TableCleaner, TableCleaningConfig
    >>> songs = pd.DataFrame({"item_id": range(4), "tempo": [90.0, 100, 110, 300], "genre": ["a", "b", "a", "a"]})
    >>> cleaner = TableCleaner(TableCleaningConfig(numbers=("tempo",), indicators=("genre",))).fit(songs)
    >>> cleaner.vectors(songs).columns
    ('tempo', 'genre=a', 'genre=b')
    """

    def __init__(self, config: TableCleaningConfig | None = None) -> None:
        self.config = config or TableCleaningConfig()
        self.numbers: tuple[str, ...] = ()
        self.dropped: dict[str, str] = {}
        """Why each column that was named is not used."""
        self.codes: dict[str, list[str]] = {}
        """Categories of each column in the order of their codes."""
        self.indicated: dict[str, list[str]] = {}
        """Categories that have a column of their own, by the column they are from."""
        self.medians: dict[str, float] = {}
        self.limits: dict[str, tuple[float, float]] = {}
        self.powers: dict[str, float] = {}
        """λ of each column that is transformed."""
        self.report: dict[str, Any] = {}
        """What `fit` did with its rows: `rows`, `rows_dropped`, `values_filled` and `skewness` (before and after) by
        column, `columns_dropped` with the reason, `columns_transformed`, `indicated` (categories with a column of their
        own, by the column they are from)."""

    @property
    def columns(self) -> tuple[str, ...]:
        """What comes out, in order."""
        indicators = (f"{name}={value}" for name, values in self.indicated.items() for value in values)
        return (*self._scaled, *indicators)

    @property
    def _scaled(self) -> tuple[str, ...]:
        return (*self.numbers, *self.codes)

    def fit(self, train: pd.DataFrame) -> Self:
        """Learn from these rows alone.

        Raises:
            DataError: a column is missing, there is no row, or no column is of use.
        """
        self._choose_columns(train)
        self.codes = {
            name: sorted(str(value) for value in train[name].dropna().unique())
            for name in self.config.categories
        }
        self.indicated = {}
        for name in self.config.indicators:
            counts = _labels_of_rows(train[name]).value_counts().sort_index()
            commonest = counts.sort_values(ascending=False, kind="stable")[: self.config.max_indicated]
            self.indicated[name] = sorted(commonest[commonest >= self.config.min_indicated].index)
        numbers = train[list(self.numbers)].astype(float)
        self.medians = {name: float(numbers[name].median()) for name in self.numbers}
        filled = self._filled(train)
        self.limits = {name: (float(filled[name].min()), float(filled[name].max())) for name in self.numbers}
        self._conditioner = NumericScaler("standard", self.numbers)
        if self.numbers:
            self._conditioner.fit(filled)
        conditioned = self._conditioner.transform(filled)
        self.powers = self._fit_powers(conditioned)
        bent = self._bent(conditioned)
        self._unit = NumericScaler("min-max", self._scaled, clip=True)
        self._standard = NumericScaler("standard", self._scaled)
        if self._scaled:
            self._standard.fit(self._unit.fit(bent).transform(bent))
        missing = numbers.isna().sum()
        self.report = {
            "rows": len(train),
            "rows_dropped": len(train) - len(filled),
            "values_filled": {} if self.config.missing == "drop" else missing[missing > 0].to_dict(),
            "columns_dropped": dict(self.dropped),
            "columns_transformed": list(self.powers),
            "indicated": {name: len(values) for name, values in self.indicated.items()},
            "skewness": {
                name: {"before": _skewness(filled[name]), "after": _skewness(bent[name])}
                for name in self.numbers
            },
        }
        return self

    def transform(self, table: pd.DataFrame) -> pd.DataFrame:
        """The columns of `columns`, indexed as `table`; without the rows that rule 2 drops.

        Raises:
            DataError: a column is missing.
        """
        unit = self._unit.transform(self._bent(self._conditioner.transform(self._filled(table))))
        is_unit = self.config.final == "unit"
        scaled = (unit if is_unit else self._standard.transform(unit))[list(self._scaled)]
        weight = np.float32(1.0 if is_unit else self.config.indicator_weight)
        return pd.concat([scaled, self._indicators(table.loc[scaled.index], weight)], axis=1)

    def vectors(self, table: pd.DataFrame, ids: str = "item_id") -> Vectors:
        """The same as points, named by the column `ids`."""
        cleaned = self.transform(table)
        names = pd.Index(table.loc[cleaned.index, ids], name=ids)
        return Vectors(names, self.columns, cleaned.to_numpy("float32"))

    def to_dict(self) -> dict[str, Any]:
        """What was learned, as JSON."""
        return {
            "config": self.config.model_dump(mode="json"),
            "numbers": list(self.numbers),
            "dropped": self.dropped,
            "codes": self.codes,
            "indicated": self.indicated,
            "medians": self.medians,
            "limits": {name: list(limits) for name, limits in self.limits.items()},
            "powers": self.powers,
            "scalers": [scaler.to_dict() for scaler in (self._conditioner, self._unit, self._standard)],
            "report": self.report,
        }

    @classmethod
    def from_dict(cls, state: dict[str, Any]) -> Self:
        """The cleaner that `to_dict` described."""
        cleaner = cls(TableCleaningConfig(**state["config"]))
        cleaner.numbers, cleaner.dropped = tuple(state["numbers"]), state["dropped"]
        cleaner.codes, cleaner.medians, cleaner.powers = state["codes"], state["medians"], state["powers"]
        cleaner.indicated = state["indicated"]
        cleaner.limits = {name: (low, high) for name, (low, high) in state["limits"].items()}
        scalers = [NumericScaler.from_dict(scaler) for scaler in state["scalers"]]
        cleaner._conditioner, cleaner._unit, cleaner._standard = scalers
        cleaner.report = state["report"]
        return cleaner

    def _choose_columns(self, train: pd.DataFrame) -> None:
        if train.empty:
            raise DataError("There is no row to learn the cleaning from; give at least one.")
        self._check_columns(train, (*self.config.numbers, *self._labels()))
        self.dropped = {}
        for name in self.config.numbers:
            missing = float(train[name].isna().mean())
            if missing > self.config.max_missing or missing == 1:
                self.dropped[name] = f"{missing:.0%} of its values are missing"
            elif train[name].nunique() == 1:
                self.dropped[name] = "all its values are the same"
        self.numbers = tuple(name for name in self.config.numbers if name not in self.dropped)
        if not self.numbers and not self._labels():
            raise DataError(f"No column is left to describe rows by: {self.dropped}; name others.")

    def _labels(self) -> tuple[str, ...]:
        return (*self.config.categories, *self.config.indicators)

    def _indicators(self, table: pd.DataFrame, weight: np.float32) -> pd.DataFrame:
        blocks, names = [np.zeros((len(table), 0), dtype="float32")], []
        for name, known in self.indicated.items():
            labels = _labels_of_rows(table[name])
            codes = pd.Index(known, dtype=object).get_indexer(pd.Index(labels.astype(object)))
            block = np.zeros((len(table), len(known)), dtype="float32")
            block[labels.index[codes >= 0], codes[codes >= 0]] = weight
            blocks.append(block)
            names += [f"{name}={value}" for value in known]
        return pd.DataFrame(np.concatenate(blocks, axis=1), index=table.index, columns=names)

    def _check_columns(self, table: pd.DataFrame, names: tuple[str, ...]) -> None:
        absent = [name for name in names if name not in table]
        if absent:
            raise DataError(f"The table has no column {absent[0]!r}; leave it out, or add it.")

    def _filled(self, table: pd.DataFrame) -> pd.DataFrame:
        """Numbers without gaps and within the limits of training, categories as codes."""
        self._check_columns(table, (*self.numbers, *self._labels()))
        numbers = table[list(self.numbers)].astype(float)
        if self.config.missing == "drop":
            numbers = numbers.dropna()
            if numbers.empty and len(table):
                raise DataError(
                    "Every row lacks some value, so none is left; fill them, or name fewer columns."
                )
        numbers = numbers.fillna(self.medians)
        for name, (low, high) in self.limits.items():
            numbers[name] = numbers[name].clip(low, high)
        coded = {}
        for name, known in self.codes.items():
            codes = pd.Index(known).get_indexer(pd.Index(table.loc[numbers.index, name].astype(str)))
            absent = (codes < 0) | table.loc[numbers.index, name].isna().to_numpy()
            coded[name] = np.where(absent, len(known), codes).astype(float)
        return numbers.assign(**coded)

    def _fit_powers(self, conditioned: pd.DataFrame) -> dict[str, float]:
        from sklearn.preprocessing import PowerTransformer

        skewness = {name: _skewness(conditioned[name]) for name in self.numbers}
        skewed = [name for name, value in skewness.items() if abs(value) >= self.config.min_skewness]
        if not skewed:
            return {}
        fitted = PowerTransformer("yeo-johnson", standardize=False).fit(conditioned[skewed].to_numpy())
        return dict(zip(skewed, map(float, fitted.lambdas_), strict=True))

    def _bent(self, conditioned: pd.DataFrame) -> pd.DataFrame:
        # Here, not above: a check of parameters would wait for the import.
        from scipy.stats import yeojohnson

        bent = {name: yeojohnson(conditioned[name].to_numpy(), power) for name, power in self.powers.items()}
        return conditioned.assign(**bent)


def _skewness(values: pd.Series) -> float:
    from scipy.stats import skew

    return float(skew(values))


def _labels_of_rows(values: pd.Series) -> pd.Series:
    """The categories as text, indexed by the place of their row; none for a missing value, several for a list."""
    return values.reset_index(drop=True).explode().dropna().astype(str)


def numbers_of_items(items: pd.DataFrame) -> tuple[str, ...]:
    """The columns of numbers that say what an item is; neither the year of release nor its popularity is among them."""
    numbers = items.select_dtypes("float").columns
    return tuple(str(name) for name in numbers if name not in ("year", "popularity"))


def labels_of_items(rows: pd.DataFrame, items: pd.Index | pd.Series, column: str) -> pd.Series:
    """The commonest label of each item among `rows` (item_id and the column), null where an item is in none of them.

    With training rows alone it says nothing of hidden ones. Of equally common labels the first in the alphabet counts.
    """
    counts = rows.groupby(["item_id", column]).size().rename("count").reset_index()
    ranked = counts.sort_values(["count", column], ascending=[False, True], kind="stable")
    commonest = ranked.drop_duplicates("item_id").set_index("item_id")[column]
    return commonest.reindex(items)
