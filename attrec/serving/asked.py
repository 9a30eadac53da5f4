"""Whom a model is asked about in bulk, and ids in the type that it has them in."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Self

import numpy as np
import pandas as pd

from attrec.errors import DataError

_WHOLE = re.compile(r"-?[0-9]+")
_NO_DECIMALS = r"\.0+$"
_TOO_LARGE = 2**63


@dataclass(frozen=True)
class Asked:
    """Users, or playlists, in order, and what is told of them."""

    ids: pd.Index
    rows: pd.DataFrame | None = None
    """user_id, item_id and more, by user in the order of `ids`; None where the model knows them by themselves."""
    start: np.ndarray | None = None
    """[n + 1] where the rows of each begin."""

    @classmethod
    def of_rows(cls, rows: pd.DataFrame) -> Self:
        """Everybody who has a row, in the order in which they first occur."""
        codes, ids = pd.factorize(rows["user_id"])
        if (codes[1:] < codes[:-1]).any():
            order = np.argsort(codes, kind="stable")
            codes, rows = codes[order], rows.iloc[order]
        start = np.concatenate([[0], np.cumsum(np.bincount(codes, minlength=len(ids)))])
        return cls(pd.Index(ids, name="user_id"), rows.reset_index(drop=True), start)

    def __len__(self) -> int:
        return len(self.ids)

    def batches(self, size: int) -> Iterator[Asked]:
        """The same in pieces of `size` users."""
        for first in range(0, len(self), size):
            end = min(first + size, len(self))
            ids = self.ids[first:end]
            if self.rows is None or self.start is None:
                yield Asked(ids)
            else:
                start = self.start[first : end + 1]
                yield Asked(ids, self.rows.iloc[start[0] : start[-1]], start - start[0])

    def only(self, ids: pd.Index) -> Self:
        """Those with these ids, in this order."""
        if self.rows is None:
            return type(self)(ids)
        place = ids.get_indexer(pd.Index(self.rows["user_id"]))
        order = np.argsort(place, kind="stable")
        return self.of_rows(self.rows.iloc[order[place[order] >= 0]])

    def digest(self) -> str:
        """Hash of all that is asked."""
        digest = hashlib.sha256()
        for frame in (self.ids.to_frame(index=False), self.rows):
            if frame is not None:
                digest.update(repr(list(frame.dtypes.items())).encode())
                digest.update(pd.util.hash_pandas_object(frame, index=False).to_numpy().tobytes())
        return digest.hexdigest()


def as_ids(values: pd.Series, known: pd.Index, place: str) -> pd.Index:
    """Ids in the type that a model has them in.

    Args:
        values: Whole numbers or text.
        known: Those of the model.
        place: Where they stand, for messages, which add the index of a value.

    Raises:
        DataError: the model has whole numbers, and one of these is none.
    """
    if not pd.api.types.is_integer_dtype(known):
        return pd.Index(values.astype(str), name=values.name)
    if pd.api.types.is_integer_dtype(values):
        return pd.Index(values.astype("int64"), name=values.name)
    text = values.astype(str).str.replace(_NO_DECIMALS, "", regex=True)
    ids = pd.Series([int(word) if _WHOLE.fullmatch(word) else _TOO_LARGE for word in text], dtype=object)
    bad = (ids.abs() >= _TOO_LARGE).to_numpy(dtype=bool)
    if bad.any():
        row = int(bad.argmax())
        raise DataError(
            f"{place} {values.index[row]}: {str(values.iloc[row])!r} is no {str(values.name).removesuffix('_id')} id of"
            f" this model: they are whole numbers, like {', '.join(map(str, known[:3]))}."
        )
    return pd.Index(ids.astype("int64"), name=values.name)
