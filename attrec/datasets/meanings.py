"""What the columns of a strange table hold and seem to mean, by their names and a sample of their values."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd

from attrec.datasets.columns import TimeUnit, share_of_dates
from attrec.errors import DataError

Role = Literal["user", "item", "rating", "time"]
ROLES: tuple[Role, ...] = ("user", "item", "rating", "time")
MOSTLY = 0.95
"""The share of values by which a column is what it is."""
MOST_RATINGS = 101
"""Different ratings that people give: whole per cents have so many."""
MOST_WHOLE = 21
"""Different ratings in whole numbers, where no name tells a rating from an id."""
MOST_CATEGORIES = 200

_WORDS: dict[str, str] = {
    "user": "user users kunde kunden kundin customer client member person reader leser visitor account uid player"
    " listener viewer usuario utilisateur utente buyer kaeufer reviewer shopper patient student playlist",
    "item": "item items book buch isbn film movie product produkt artikel article song track sku game title titel"
    " titre asin show video course recipe restaurant hotel place beer bier news iid livre libro",
    "rating": "rating ratings stars star sterne score note grade bewertung review vote punkte points nota valoracion"
    " overall",
    "time": "time timestamp date datum wann when ts at created day zeit datetime fecha unixtime",
    "title": "title titel titre name titulo titolo bezeichnung",
    "genres": "genre genres category categories kategorie tags tag shelves",
    "year": "year jahr annee ano released published erschienen",
    "artist": "artist artists interpret band performer",
}
_NAMES = {kind: frozenset(words.split()) for kind, words in _WORDS.items()}
_IDS = frozenset(["id", "nr", "no", "num", "number", "code", "key", "isbn", "asin", "sku", "uid", "iid"])
_NOUNS = {
    "book": "book buch isbn livre libro",
    "film": "film movie",
    "product": "product produkt sku asin",
    "article": "article artikel",
    "song": "song track",
    "game": "game",
    "recipe": "recipe",
    "course": "course",
    "beer": "beer bier",
}
_DAYS = (
    *(
        "%d.%m.%Y",
        "%d/%m/%Y",
        "%m/%d/%Y",
        "%d-%m-%Y",
        "%m-%d-%Y",
        "%Y.%m.%d",
        "%d.%m.%y",
        "%d/%m/%y",
        "%m/%d/%y",
    ),
    *("%m %d, %Y", "%b %d, %Y", "%B %d, %Y", "%d %b %Y", "%d %B %Y"),
)
_HOURS = "", " %H:%M", " %H:%M:%S", " %I:%M %p", " %I:%M:%S %p"
_DATES: dict[str, str | None] = {
    "ISO8601": None,
    **{(form := f"{day}{hour}"): form for day in _DAYS for hour in _HOURS},
    **{
        form: form
        for form in (
            *("%Y%m%d", "%Y%m%d%H%M%S", "%Y%m%dT%H%M%S", "%Y%m%dT%H%M%SZ", "%Y%m%dT%H%M%S%z"),
            *("%Y-%m", "%Y-%m-%d %H:%M:%S %z", "%a, %d %b %Y %H:%M:%S %z", "%a %b %d %H:%M:%S %z %Y"),
        )
    },
}
"""By what people are told, as `Reading` has it."""
_LIKE_A_DATE = r"(?=.*\d\D+\d|\d{8})[\w\s.,:/+-]{6,40}"
"""What has no digits at two places is none, unless they are run together."""
_FEW = 50
"""Values by which most formats are ruled out."""
_UNITS: dict[TimeUnit, float] = {"s": 1, "ms": 1e3, "us": 1e6, "ns": 1e9}
_ERA = 6.3e8, 2.1e9
"""Seconds since 1970 of 1990 and of 2036: whole numbers between them are taken for times."""


@dataclass(frozen=True)
class Column:
    """A column, as a sample of its values shows it."""

    name: str
    values: pd.Series
    """Texts without blanks around them, none of them empty."""
    known: int
    """Rows that have a value."""
    distinct: int
    """Different values, about."""

    @cached_property
    def words(self) -> frozenset[str]:
        """Of the name: `UserID` and `user_id` have the same."""
        apart = re.sub(r"([a-z])([A-Z])", r"\1 \2", self.name)
        return frozenset(re.findall(r"[^\W\d_]+", apart.lower()))

    @cached_property
    def decimal(self) -> str | None:
        """What its numbers have before the decimals; None of what is no number."""
        for mark in (".", ","):
            if self._numbers(mark).notna().mean() >= MOSTLY:
                return mark
        return None

    @cached_property
    def numbers(self) -> pd.Series:
        """The values that are numbers."""
        return self._numbers(self.decimal).dropna() if self.decimal else pd.Series(dtype=float)

    @cached_property
    def dates(self) -> list[str]:
        """How its dates may be written, as strptime takes it; `ISO8601` for that; empty of what is no date."""
        pattern = r"(19|20)\d{6}(\d{6})?" if self.decimal else _LIKE_A_DATE
        if not self.values.str.fullmatch(pattern).mean() >= MOSTLY:
            return []
        some = _dates_of(self.values.iloc[:: len(self.values) // _FEW + 1], list(_DATES), 0.5)
        return _dates_of(self.values, some, MOSTLY)

    @cached_property
    def unit(self) -> TimeUnit | None:
        """What it counts since 1970, if it seems to."""
        if self.decimal is None or not (self.numbers % 1 == 0).all() or self.numbers.empty:
            return None
        low, high = self.numbers.quantile(0.02), self.numbers.quantile(0.98)
        return next(
            (unit for unit, size in _UNITS.items() if _ERA[0] <= low / size and high / size <= _ERA[1]), None
        )

    @property
    def holds(self) -> str:
        """What it holds, in words."""
        if self.dates:
            return "dates"
        if self.decimal is None:
            return "text"
        return "whole numbers" if (self.numbers % 1 == 0).all() else "numbers"

    @property
    def examples(self) -> list[str]:
        """Its first values."""
        return [text if len(text) <= 24 else f"{text[:23]}…" for text in self.values.unique()[:3].tolist()]

    def is_named(self, kind: str) -> int:
        """How much its name speaks for a meaning: 0 for nothing."""
        hits = self.words & _NAMES[kind] or {word for word in self.words if word.rstrip("s") in _NAMES[kind]}
        return (2 + bool(self.words & _IDS)) if hits else 0

    @property
    def describes(self) -> bool:
        """Whether it could be a feature: numbers, or categories that several share."""
        if self.decimal is not None:
            return self.distinct > 1
        return 1 < self.distinct <= min(MOST_CATEGORIES, self.known / 2)

    def _numbers(self, mark: str | None) -> pd.Series:
        text = self.values if mark == "." else self.values.where(~self.values.str.contains(".", regex=False))
        return pd.to_numeric(text.str.replace(",", ".") if mark == "," else text, errors="coerce")


def _dates_of(values: pd.Series, forms: Sequence[str], least: float) -> list[str]:
    """Those of the forms that read this share of the values."""
    shares = share_of_dates(values, [_DATES[form] for form in forms]) if forms else []
    return [form for form, share in zip(forms, shares, strict=True) if share >= least]


def roles_of(columns: Sequence[Column], meant: Mapping[Role, str | None], path: Path) -> dict[Role, str]:
    """By meaning, the name of its column.

    Args:
        meant: Columns that are known; None where nothing has the meaning.
        path: Of the table, for messages.

    Raises:
        DataError: a column that is named is not there, or none could be the users or the items.
    """
    names = [one.name for one in columns]
    roles: dict[Role, str] = {}
    for role, column in meant.items():
        if column is not None and column not in names:
            raise DataError(
                f"{path} has no column {column!r} to be the {role}, only {', '.join(names[:20])}."
            )
        if column is not None:
            roles[role] = column

    def take(role: Role, fits: Callable[[Column], float]) -> None:
        left = [one for one in columns if one.name not in roles.values() and len(one.values)]
        scores = [fits(one) for one in left]
        if role not in meant and role not in roles and scores and max(scores) > 0:
            roles[role] = left[int(np.argmax(scores))].name

    take("time", _like_time)
    named = [one for one in columns if one.is_named("user") or one.is_named("item")]
    take("rating", lambda one: 0 if one in named and not one.is_named("rating") else _like_rating(one))
    take("user", lambda one: one.is_named("user"))
    take("item", lambda one: one.is_named("item"))
    # As nearly everybody orders them.
    take("user", lambda one: float(one.distinct < one.known))
    take("item", lambda one: float(one.distinct < one.known))
    lacking = [role for role in ("user", "item") if role not in roles]
    if lacking:
        raise DataError(
            f"{path}: no column seems to be the {lacking[0]} (there are {', '.join(names[:20])}); name it with"
            f" --{lacking[0]} COLUMN."
        )
    return {role: roles[role] for role in ROLES if role in roles}


def _like_time(one: Column) -> float:
    hint = one.is_named("time")
    if one.is_named("user") or one.is_named("item"):
        hint = 0
    return (
        (4 + hint) if one.dates else (2 + hint if one.unit and (hint or one.distinct > MOST_RATINGS) else 0)
    )


def _like_rating(one: Column) -> float:
    if one.decimal is None or one.distinct > MOST_RATINGS:
        return 0
    if one.is_named("rating"):
        return 4
    few = one.distinct >= 2 and (one.distinct <= MOST_WHOLE or one.holds == "numbers")
    return 1 / one.distinct if few and one.numbers.min() >= -10 and one.numbers.max() <= 100 else 0


def noun_of(item: Column) -> str | None:
    """What an item is, if the name of its column says so; `Buchnr` has a book too: a name may begin with the word."""
    for noun, words in _NOUNS.items():
        if any(
            own == word or (len(word) > 3 and own.startswith(word))
            for own in item.words
            for word in words.split()
        ):
            return noun
    return None
