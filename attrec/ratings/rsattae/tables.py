"""What is known of users, of items and of their pairs: tables in which XGBoost's features are looked up."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np
import pandas as pd

from attrec.models.storage import read_arrays, read_json, write_arrays, write_json
from attrec.ratings.baselines import Biases
from attrec.ratings.catalogue import EncodedRatings


@dataclass(frozen=True)
class PairTables:
    """Named float32 columns by user code, by item code, and by both."""

    user: pd.DataFrame
    """[n_users, any]"""
    item: pd.DataFrame
    """[n_items, any]"""
    pair: dict[str, np.ndarray]
    """Matrices [n_users, n_items]: reconstructions."""
    product: dict[str, tuple[np.ndarray, np.ndarray]]
    """Factors [n_users, g] and [n_items, g] whose inner products are a pair's values: affinities."""

    def features(self, users: np.ndarray, items: np.ndarray) -> pd.DataFrame:
        """The feature rows [n] of coded pairs."""
        columns = {name: matrix[users, items] for name, matrix in self.pair.items()}
        for name, (user_factors, item_factors) in self.product.items():
            columns[name] = np.einsum("ng,ng->n", user_factors[users], item_factors[items])
        user = self.user.iloc[users].reset_index(drop=True)
        item = self.item.iloc[items].reset_index(drop=True)
        return pd.concat([pd.DataFrame(columns), user, item], axis=1).astype("float32")

    def compact(self) -> PairTables:
        """The same with matrices in half precision, which costs a rating in [1, 5] 0.002 at most."""
        return PairTables(
            self.user, self.item, {n: m.astype("float16") for n, m in self.pair.items()}, self.product
        )

    def save(self, directory: Path) -> None:
        arrays = {"user": self.user.to_numpy("float32"), "item": self.item.to_numpy("float32")}
        arrays |= {f"pair.{name}": matrix for name, matrix in self.pair.items()}
        for name, (user_factors, item_factors) in self.product.items():
            arrays |= {f"product.user.{name}": user_factors, f"product.item.{name}": item_factors}
        write_arrays(directory / "tables.safetensors", arrays)
        names = {"user": list(self.user.columns), "item": list(self.item.columns)}
        write_json(
            directory / "tables.json", names | {"pair": list(self.pair), "product": list(self.product)}
        )

    @classmethod
    def load(cls, directory: Path) -> Self:
        """Raises: DataError if a file is missing or unreadable."""
        names = read_json(directory / "tables.json")
        arrays = read_arrays(directory / "tables.safetensors")
        return cls(
            pd.DataFrame(arrays["user"], columns=names["user"]),
            pd.DataFrame(arrays["item"], columns=names["item"]),
            {name: arrays[f"pair.{name}"] for name in names["pair"]},
            {n: (arrays[f"product.user.{n}"], arrays[f"product.item.{n}"]) for n in names["product"]},
        )


@dataclass(frozen=True)
class RatingStatistics:
    """Bias, spread of the residuals (both shrunk towards all ratings) and log(1 + count), by user and by
    item."""

    biases: Biases
    spread: float
    """Root mean squared residual of all ratings."""
    user: pd.DataFrame
    item: pd.DataFrame
    regularization: float

    @classmethod
    def fit(cls, ratings: EncodedRatings, regularization: float = 5.0) -> RatingStatistics:
        biases = Biases.fit(ratings, regularization, regularization)
        residuals = ratings.values - biases.predict(ratings.users, ratings.items)
        spread = float(np.sqrt(np.mean(residuals**2)))
        user = _statistics("user", ratings.users, biases.user, residuals, spread, regularization)
        item = _statistics("item", ratings.items, biases.item, residuals, spread, regularization)
        return cls(biases, spread, user, item, regularization)

    def of_new_users(
        self, users: np.ndarray, items: np.ndarray, values: np.ndarray, n_users: int
    ) -> pd.DataFrame:
        """The table of users 0 … n_users - 1 that were not fitted on, from their ratings of known items."""
        bias = self.new_user_biases(users, items, values, n_users)
        residuals = values - self.biases.mean - self.biases.item[items] - bias[users]
        return _statistics("user", users, bias, residuals, self.spread, self.regularization)

    def new_user_biases(
        self, users: np.ndarray, items: np.ndarray, values: np.ndarray, n_users: int
    ) -> np.ndarray:
        """b_u [n_users] of users that were not fitted on."""
        residuals = values - self.biases.mean - self.biases.item[items]
        counts = np.bincount(users, minlength=n_users)
        return np.bincount(users, residuals, minlength=n_users) / (counts + self.regularization)

    def save(self, directory: Path) -> None:
        arrays = {"user bias": self.biases.user, "item bias": self.biases.item}
        arrays |= {"user": self.user.to_numpy(), "item": self.item.to_numpy()}
        write_arrays(directory / "statistics.safetensors", arrays)
        numbers = {"mean": self.biases.mean, "spread": self.spread, "regularization": self.regularization}
        write_json(
            directory / "statistics.json", numbers | {"user": list(self.user), "item": list(self.item)}
        )

    @classmethod
    def load(cls, directory: Path) -> RatingStatistics:
        """Raises: DataError if a file is missing or unreadable."""
        content = read_json(directory / "statistics.json")
        arrays = read_arrays(directory / "statistics.safetensors")
        biases = Biases(content["mean"], arrays["user bias"], arrays["item bias"])
        user = pd.DataFrame(arrays["user"], columns=content["user"])
        item = pd.DataFrame(arrays["item"], columns=content["item"])
        return cls(biases, content["spread"], user, item, content["regularization"])


def _statistics(
    side: str,
    codes: np.ndarray,
    bias: np.ndarray,
    residuals: np.ndarray,
    spread: float,
    regularization: float,
) -> pd.DataFrame:
    counts = np.bincount(codes, minlength=len(bias))
    squared = np.bincount(codes, residuals**2, minlength=len(bias))
    spreads = np.sqrt((squared + regularization * spread**2) / (counts + regularization))
    columns = {f"{side} bias": bias, f"{side} spread": spreads, f"{side} log count": np.log1p(counts)}
    return pd.DataFrame(columns, dtype="float32")
