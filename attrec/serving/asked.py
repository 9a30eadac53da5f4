"""Whom a model is asked about in bulk, and ids in the type that it has them in."""

from __future__ import annotations

import hashlib
import re
import reprlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import pandas as pd

from attrec.errors import DataError

_WHOLE = re.compile(r"-?[0-9]+")
_NO_DECIMALS = re.compile(r"\.0+$")
_TOO_LARGE = 2**63
_EXACT = 2**53
"""Whole numbers below it are all there among floats."""


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
        texts = pd.Index(values.astype(str), name=values.name)
        trimmed = texts.str.strip()
        return texts.where(texts.isin(known) | ~trimmed.isin(known), trimmed)
    if pd.api.types.is_integer_dtype(values):
        return pd.Index(values.astype("int64"), name=values.name)
    ids = []
    for row, value in values.items():
        try:
            ids.append(as_id(value, known, str(values.name).removesuffix("_id")))
        except DataError as error:
            raise DataError(f"{place} {row}: {error}") from None
    return pd.Index(ids, dtype="int64", name=values.name)


def as_id(value: Any, known: pd.Index, what: str) -> int | str:
    """An id in the type that a model has ids in: a number may come as text, and beside a missing one as a float.

    Blanks around it count where the model has it so.

    Args:
        value: As it was sent.
        known: Ids of the model.
        what: It names, for messages: `item`.

    Raises:
        DataError: it can be no id of this model, or is a float too large to tell which number was sent.
    """
    textual = not pd.api.types.is_integer_dtype(known)
    if isinstance(value, float) and value.is_integer():
        if abs(value) >= _EXACT:
            raise DataError(
                f"The {what} id {value:.0f} is so large that, beside rows without one, its last digits are lost: send"
                " ids as text, in quotation marks."
            )
        value = int(value)
    if isinstance(value, str | int) and not isinstance(value, bool) and _is_text(text := str(value)):
        if textual:
            return text.strip() if text not in known and text.strip() in known else text
        word = _NO_DECIMALS.sub("", text.strip())
        # So long a word is no number that a column of ids has, and Python refuses to read a longer one.
        if _WHOLE.fullmatch(word) and len(word) <= 20 and -_TOO_LARGE <= (number := int(word)) < _TOO_LARGE:
            return number
    raise DataError(
        f"{reprlib.repr(value)} is no {what} id of this model: they are {'text' if textual else 'whole numbers'}, like"
        f" {', '.join(map(str, known[:3]))}."
    )


def _is_text(text: str) -> bool:
    """Whether it can be written: half of a pair of UTF-16 cannot, and JSON may hold one."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
