"""What the trees of RSAttAE + XGBoost see of any pair: the features that each member gives to it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np
import pandas as pd

from attrec.models.storage import read_arrays, read_json, write_arrays, write_json
from attrec.ratings.moments import Moments, seconds
from attrec.ratings.rsattae.tables import PairTables

BLEND = "blended reconstruction"


@dataclass(frozen=True)
class ServingTables:
    """The members' tables, kept apart: a training row's features came from one member, not from a mean of them."""

    members: tuple[PairTables, ...]
    blend: np.ndarray | None
    """Weights of each member's matrices, and a constant, whose sum is one more feature; None: there is none."""
    moments: Moments | None
    """Features of pairs at a moment."""

    def features(
        self,
        users: np.ndarray,
        items: np.ndarray,
        timestamps: np.ndarray | None = None,
    ) -> Iterator[pd.DataFrame]:
        """The feature rows [n] of coded pairs, member by member; without `timestamps`, at each user's last rating."""
        for member, tables in enumerate(self.members):
            yield self.of_member(member, tables, users, items, users, timestamps)

    def of_member(
        self,
        member: int,
        tables: PairTables,
        rows: np.ndarray,
        items: np.ndarray,
        users: np.ndarray,
        timestamps: np.ndarray | None,
    ) -> pd.DataFrame:
        """The feature rows [n] of one member, from `tables` in place of its own.

        Args:
            rows: [n] rows of the users in `tables`.
            users: [n] their codes in training, -1 for the unknown.
        """
        features = tables.features(rows, items)
        if self.blend is not None:
            features[BLEND] = blended(features[list(tables.pair)], self.blend)
        if self.moments is None:
            return features
        times = self.moments.last(users) if timestamps is None else seconds(timestamps)
        return features.join(self.moments.of_member(member, users, items, times))

    def save(self, directory: Path) -> None:
        for number, tables in enumerate(self.members):
            tables.save(directory / str(number))
        if self.moments is not None:
            self.moments.save(directory)
        if self.blend is not None:
            write_arrays(directory / "blend.safetensors", {"weights": self.blend})
        content = {
            "members": len(self.members),
            "blend": self.blend is not None,
            "moments": self.moments is not None,
        }
        write_json(directory / "serving.json", content)

    @classmethod
    def load(cls, directory: Path) -> Self:
        """Raises: DataError if a file is missing or unreadable."""
        content = read_json(directory / "serving.json")
        return cls(
            tuple(PairTables.load(directory / str(number)) for number in range(content["members"])),
            read_arrays(directory / "blend.safetensors")["weights"] if content["blend"] else None,
            Moments.load(directory) if content["moments"] else None,
        )


def blended(matrices: pd.DataFrame, weights: np.ndarray) -> np.ndarray:
    """[n] float32 weighted sum of the columns and a constant."""
    values: np.ndarray = matrices.to_numpy("float64") @ weights[:-1] + weights[-1]
    return values.astype("float32")
