"""Titles as people type them: found whatever the case, the article's place, the year or a slip of the keys."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd
from rapidfuzz import fuzz, process

from attrec.errors import DataError

CUTOFF = 80.0
"""Likeness, 0 to 100, below which a title counts as not found."""
_SHOWN = 3

_YEAR = re.compile(r"\s*\((\d{4})(?:\s*[-–]\s*(?:\d{4})?)?\)\s*$")
_BRACKETS = re.compile(r"\(([^()]*)\)")
_ALIAS = re.compile(r"^a\.?k\.?a\.?\s+", re.IGNORECASE)
_ROMAN = {
    "ii": "2",
    "iii": "3",
    "iv": "4",
    "v": "5",
    "vi": "6",
    "vii": "7",
    "viii": "8",
    "ix": "9",
    "x": "10",
}
_ARTICLE_LAST = re.compile(r"^(.*), (the|a|an|le|la|les|l'|il|lo|der|die|das|el|los|las|un|une)$")


@dataclass(frozen=True)
class Match:
    """What a typed title was taken for."""

    typed: str
    item_id: int | str
    title: str
    likeness: float
    """0 to 100; 100 means the same words."""


class TitleIndex:
    """Finds items by title.

    A title such as `Seven (a.k.a. Se7en) (1995)` is found by each of its names, with the year or without.
    """

    def __init__(self, items: pd.DataFrame) -> None:
        """Of `items` (item_id, title); those without a title cannot be found."""
        titled = items[items["title"].notna()]
        self.ids = titled["item_id"].tolist()
        self.titles = titled["title"].astype(str).tolist()
        self._names: list[str] = []
        self._rows: list[int] = []
        for row, title in enumerate(self.titles):
            for name in dict.fromkeys(_names(title)):
                self._names.append(name)
                self._rows.append(row)

    def find(self, typed: str) -> Match:
        """The item whose title is most like `typed`; of several alike the first of the table.

        Raises:
            DataError: nothing is alike; the sentence names what comes nearest.
        """
        wanted = _plain(typed)
        if not wanted or not self._names:
            raise DataError(f"{typed!r} is no title: type some of its words.")
        likeness = self._likeness(wanted)
        best = int(np.argmax(likeness))
        if likeness[best] < CUTOFF:
            order = np.argsort(-likeness, kind="stable")
            near = list(dict.fromkeys(self.titles[self._rows[name]] for name in order[: 4 * _SHOWN]))
            raise DataError(
                f"No title is like {typed!r}; the nearest are {'; '.join(near[:_SHOWN])}. Type more of it, or its"
                " words as the data spell them."
            )
        row = self._rows[best]
        return Match(typed, self.ids[row], self.titles[row], float(likeness[best]))

    def find_all(self, typed: Iterable[str]) -> list[Match]:
        """`find` for each title. Raises: DataError as `find`, or if two are the same item."""
        matches = [self.find(title) for title in typed]
        by_item: dict[int | str, Match] = {}
        for match in matches:
            other = by_item.setdefault(match.item_id, match)
            if other is not match:
                raise DataError(f"{other.typed!r} and {match.typed!r} are both {match.title}: leave one out.")
        return matches

    def _likeness(self, wanted: str) -> np.ndarray:
        """[names] 0 to 100: the share of equal letters; all typed words in a longer name count for a little less."""
        (letters,) = process.cdist([wanted], self._names, scorer=fuzz.ratio)
        likeness = np.asarray(letters, dtype=np.float64)
        (words,) = process.cdist([wanted], self._names, scorer=fuzz.token_set_ratio)
        # Among names that hold all typed words the shortest is meant: "star wars" is no later part.
        inside = np.where(np.asarray(words) >= 99.0, 90.0 + likeness / 20, 0.0)
        if len(wanted) < 4:
            inside[:] = 0.0
        return np.maximum(likeness, inside)


def _names(title: str) -> Iterator[str]:
    """The plain forms by which a title may be known."""
    yield _plain(title)
    without_year = _YEAR.sub("", title)
    yield _plain(without_year)
    outside = _BRACKETS.sub(" ", without_year).strip()
    year = _YEAR.search(title)
    for name in (outside, *(_ALIAS.sub("", alias) for alias in _BRACKETS.findall(without_year))):
        if plain := _plain(name):
            yield plain
            if year:
                yield f"{plain} {year.group(1)}"


def _plain(title: str) -> str:
    """Lower case without accents and punctuation, the article in front, part numbers as digits."""
    letters = unicodedata.normalize("NFKD", title.casefold())
    text = "".join(letter for letter in letters if not unicodedata.combining(letter)).strip()
    year = _YEAR.search(text)
    name = _YEAR.sub("", text)
    if moved := _ARTICLE_LAST.match(name.strip()):
        name = f"{moved.group(2)} {moved.group(1)}"
    words = re.sub(r"[^\w\s]", "", name.replace("&", " and ").replace("-", " ").replace("'", ""))
    plain = (_ROMAN.get(word, word) for word in words.split())
    return " ".join([*plain, *([year.group(1)] if year else [])])
