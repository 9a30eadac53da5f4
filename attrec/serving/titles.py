"""Titles as people type them: found whatever the case, the article's place, the year or a slip of the keys."""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache

import numpy as np
import pandas as pd
from rapidfuzz import process
from rapidfuzz.distance import OSA

from attrec.errors import DataError

CUTOFF = 83.0
"""Likeness, 0 to 100, below which a title counts as not found: one slip in six letters is just above."""
_SHOWN = 3
_ALL_WORDS, _ALIKE_WORDS = 90.0, 85.0
"""Likeness of a much longer name that holds all typed words, or some of them with a slip or as initials."""
_SLIP = 0.8
"""Likeness from which two words are one: a slip in five letters."""
_PART_OF_TITLE = 0.5
"""How much more alike a title without what it has in brackets must be to go before another one as a whole."""
_NUMERAL, _UNACCENTED = 0.25, 0.125
"""The same of one that reads so only where X is 10, or where accents count for nothing."""
MOST_LETTERS = 300
"""Of what is typed, unless it stands among the titles."""
_AT_ONCE, _NEAR_THOSE = 64, 22
"""More letters than the first are compared slowly, and so with names of at least the second alone: shorter ones are no
third as long."""
_LOOKUP, _INDEX = 1000, 3000
"""What looking up a title takes beside comparing it with names, and what making the index of an artist's songs does, as
so many comparisons."""
_MOST_ARTISTS = 10
"""Of one song, who are looked up."""
_INDEXES = 1000
"""Of artists' songs, that are kept."""
_CONTRADICTED = 0.75
"""What is left of the likeness where the year or the part is another."""

_YEAR = re.compile(r"\s*\((\d{4})(?:\s*[-–]\s*(?:\d{4})?)?\)\s*$")
_BARE_YEAR = re.compile(r"(18|19|20)\d\d")
_BRACKETS = re.compile(r"\(([^()]*)\)")
_BEHIND = re.compile(r"\s+(?:-|feat\.?|ft\.?|featuring)\s.*$", re.IGNORECASE)
"""Guests and versions, as in `LOVE. FEAT. ZACARI.` and `Lose Yourself - From "8 Mile"`."""
_SEVERAL = re.compile(r"\s*[,;/&]\s*|\s+(?:feat\.?|ft\.?|featuring|and|with|x)\s+", re.IGNORECASE)
"""Between artists of one song."""
_ALIAS = re.compile(r"^a\.?k\.?a\.?\s+", re.IGNORECASE)
_ROMAN = {
    tens + ones: str(10 * ten + one)
    for ten, tens in enumerate(("", "x", "xx", "xxx"))
    for one, ones in enumerate(("", "i", "ii", "iii", "iv", "v", "vi", "vii", "viii", "ix"))
    if (ten, one) > (0, 1)
}
_COUNTS = {
    "i": "1",
    "one": "1",
    "two": "2",
    "three": "3",
    "four": "4",
    "five": "5",
    "six": "6",
    "seven": "7",
    "eight": "8",
    "nine": "9",
    "ten": "10",
}
_COUNTED = re.compile(rf"\b(part|chapter|episode|volume|vol) ({'|'.join(_COUNTS)})\b")
_ARTICLES = frozenset({"the", "a", "an"})
_ARTICLE_BEHIND = re.compile(
    r", (the|an?|l'|l[aeo]s?|il?|gli|d[ae]s|de[rntm]?|die|e[ln]|els|eine?|ett?|het|un[aeo]?|os?|as|uma?)"
    r"(?=$| ?[:(\[]| - )",
    re.IGNORECASE,
)
"""Behind a name or the first half of it, as in `Godfather, The: Part II`."""
_FRACTION = re.compile("[¼-¾⅐-⅞]")
_BETWEEN_DIGITS = re.compile(r"(?<=\d)[^\w\s,'](?=\d)")
_FOREIGN_DIGIT = re.compile(r"(?![0-9])\d")
_NO_LETTER = re.compile(r"[^\w\s]")
_LATIN_ACCENT = re.compile("(?<=[a-zß-ɏ])[\u0300-\u036f]+")


@dataclass(frozen=True)
class Match:
    """What a typed title was taken for."""

    typed: str
    item_id: int | str
    title: str
    likeness: float
    """0 to 100; 100 means the same words, as the whole title."""
    artist: str | None = None
    """Whose song it is, where that is known."""

    @property
    def named(self) -> str:
        """The title, and of a song whose it is: several may have one title."""
        return self.title if self.artist is None else f"{self.title} ({self.artist})"


class TitleIndex:
    """Finds items by title.

    A title such as `Seven (a.k.a. Se7en) (1995)` is found by each of its names, with the year or without.
    """

    def __init__(self, items: pd.DataFrame, what: str = "title") -> None:
        """Of `items` (item_id, title, and perhaps `actions`: how often each was met); those without a title cannot be
        found. `what` titles are, for messages."""
        self._what = what
        titled = items[items["title"].notna()]
        met = titled["actions"] if "actions" in titled else pd.Series(0, index=titled.index)
        self._met = met.to_numpy()
        self.ids = titled["item_id"].tolist()
        self.titles = titled["title"].astype(str).tolist()
        likeliest_last = np.argsort(self._met[::-1], kind="stable")
        rows = (len(self.titles) - 1 - likeliest_last).tolist()
        self._as_they_stand = {self.titles[row]: row for row in rows}
        # The whole title goes before another's without the year.
        bare = [_YEAR.sub("", _one_blank(title)) for title in self.titles]
        self._but_for_case = {_small(bare[row]): row for row in rows if bare[row]}
        self._but_for_case |= {_small(self.titles[row]): row for row in rows}
        named = [(row, *name) for row, title in enumerate(self.titles) for name in _names(title).items()]
        years = np.array([_year_apart(title)[1] for title in self.titles], dtype=np.float64)
        self._rows = np.array([row for row, _, _ in named], dtype=np.int64)
        self._names = [name for _, name, _ in named]
        self._less = np.array([less for _, _, less in named], dtype=np.float64)
        self._years = years[self._rows]
        self._letters = [_letters(name.split()) for name in self._names]
        lengths = np.array([len(letters) for letters in self._letters])
        self._long = np.flatnonzero(lengths >= _NEAR_THOSE)
        self._long_letters = [self._letters[name] for name in self._long]
        self._places = _places([[name] for name in self._names])
        numbers = [_numbers(_counted(name)) for name in self._names]
        self._numbers = _places(numbers)
        self._unnumbered = np.array([not of for of in numbers], dtype=bool)
        initials = ["".join(word[0] for word in name.split()) for name in self._names]
        self._initials = "\n".join(initials)
        self._initials_start = np.cumsum([0, *(len(of) + 1 for of in initials)])
        words = [name.split() for name in self._names]
        self._owners = np.repeat(np.arange(len(words)), [len(of) for of in words])
        self._codes, vocabulary = pd.factorize(np.array([word for of in words for word in of], dtype=object))
        self._vocabulary = list(vocabulary)
        self._code_of = {word: code for code, word in enumerate(self._vocabulary)}

    def find(self, typed: str) -> Match:
        """The item whose title is most like `typed`, a title as it stands before all, then one that differs in nothing
        but case and year; of several alike the one that was met most often, then the first of the table.

        A typed year or part that the title contradicts makes it another film: `Toy Story 4` is not `Toy Story`.

        Raises:
            DataError: nothing is alike; the sentence names what comes nearest. Or more than `MOST_LETTERS` are typed.
        """
        if not self._names:
            raise DataError(f"There is no {self._what} to find {typed!r} among: none of the data has one.")
        row = self._at_once(typed)
        if row is not None:
            return Match(typed, self.ids[row], self.titles[row], 100.0)
        _check_length(typed, self._what)
        readings = list(_readings(typed))
        if not readings:
            raise DataError(f"{typed!r} is no {self._what}: type some of its words.")
        same = self._same_letters([_letters(words) for words, _, _ in readings])
        by_reading = np.stack(
            [self._likeness(words, year, own) for (words, year, _), own in zip(readings, same, strict=True)]
        )
        likeness = by_reading.max(axis=0)
        alike = likeness >= CUTOFF
        if not alike.any():
            near = list(
                dict.fromkeys(self.titles[self._rows[name]] for name in _highest(likeness, 16 * _SHOWN))
            )
            raise DataError(
                f"No {self._what} is like {typed!r}; the nearest are {'; '.join(near[:_SHOWN])}. Type more of it,"
                " or its words as the data spell them."
            )
        # This orders what is found and excludes nothing: a slip in six letters is just above the cutoff.
        less = np.array([[less] for _, _, less in readings])
        as_typed_first = np.where(alike, (by_reading - less).max(axis=0) - self._less, -math.inf)
        best = np.flatnonzero(as_typed_first == as_typed_first.max())
        found = best[np.argmax(self._met[self._rows[best]])]
        row = self._rows[found]
        return Match(typed, self.ids[row], self.titles[row], float(as_typed_first[found]))

    def comparisons(self, typed: str) -> int:
        """How many comparisons of two titles, a quarter of a microsecond each, take as long as `find` at most."""
        if len(typed) > MOST_LETTERS or self._at_once(typed) is not None:
            return 0
        return (_LOOKUP + len(self._names)) * sum(1 for _ in _readings(typed))

    def _at_once(self, typed: str) -> int | None:
        """Row of the title that is the one typed, or differs from it in case and year alone."""
        return self._as_they_stand.get(typed, self._but_for_case.get(_small(typed)))

    def find_all(self, typed: Iterable[str]) -> list[Match]:
        """`find` for each title; the same one may be typed again.

        Raises:
            DataError: as `find`, or two different ones are the same item, so that one was taken for another.
        """
        matches = [self.find(title) for title in typed]
        by_item: dict[int | str, Match] = {}
        for match in matches:
            other = by_item.setdefault(match.item_id, match)
            if other.typed != match.typed:
                raise DataError(f"{other.typed!r} and {match.typed!r} are both {match.title}: leave one out.")
        return matches

    def _same_letters(self, typed: Sequence[str]) -> np.ndarray:
        """[typed, names] 0 to 1: the share of equal letters."""
        if not self._long_letters or max(map(len, typed)) <= _AT_ONCE:
            return process.cdist(typed, self._letters, scorer=OSA.normalized_similarity)
        same = np.zeros((len(typed), len(self._letters)), dtype=np.float32)
        same[:, self._long] = process.cdist(typed, self._long_letters, scorer=OSA.normalized_similarity)
        return same

    def _likeness(self, words: Sequence[str], year: float, same: np.ndarray) -> np.ndarray:
        """[names] 0 to 100: the share of equal letters, or more for a longer name that holds all typed words."""
        likeness = np.maximum(100 * np.asarray(same, dtype=np.float64), self._inside(words, same))
        typed = " ".join(words)
        likeness = np.minimum(likeness, 99)
        likeness[self._places.get(typed, [])] = 100
        numbers = _numbers(_counted(typed))
        if numbers:
            # The first part has no number in its title.
            other = ~self._unnumbered if numbers == {"1"} else np.ones(len(self._names), dtype=bool)
            other[self._with_numbers(numbers)] = False
            likeness[other] *= _CONTRADICTED
        if not math.isnan(year):
            # Films are released in one year here and in the next there.
            apart = np.abs(self._years - year)
            likeness = np.where(apart > 1, _CONTRADICTED * likeness, likeness - np.nan_to_num(apart, nan=1))
        return likeness

    def _with_numbers(self, numbers: Iterable[str]) -> list[int]:
        """Names that have all these numbers."""
        return sorted(set.intersection(*(set(self._numbers.get(number, [])) for number in numbers)))

    def _inside(self, words: Sequence[str], same: np.ndarray) -> np.ndarray:
        """[names] likeness of those that hold all typed words, 0 of the others.

        Among them the shortest is meant: "star wars" is no later part.
        """
        sought = dict.fromkeys(word for word in words if word not in _ARTICLES)
        if sum(len(word) for word in sought) < 4:
            return np.zeros(len(self._names))
        exact, alike = np.ones((2, len(self._names)), dtype=bool)
        some = np.zeros(len(self._names), dtype=bool)
        owners, codes = self._owners, self._codes
        for word in sought:
            held, nearly = self._holding(word, owners, codes)
            exact &= held
            alike &= held | nearly
            some |= held
            # Those that are left are few after the first word, and so are theirs.
            left = alike[owners]
            owners, codes = owners[left], codes[left]
            if not len(owners):
                break
        # A single word with a slip is looked for among whole names alone.
        likeness = np.where(exact, _ALL_WORDS, np.where(alike & some, _ALIKE_WORDS, -math.inf))
        return np.maximum(likeness + 5 * same, 0)

    def _holding(self, word: str, owners: np.ndarray, codes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """[names] which of them hold this word; and which a word that is it but for a slip, or words of which it
        is the initials, as in "lotr".

        Args:
            owners: Names that are looked at, a word each.
            codes: Which word of the vocabulary that is.
        """
        held, nearly = np.zeros((2, len(self._names)), dtype=bool)
        code = self._code_of.get(word)
        if code is not None:
            held[owners[codes == code]] = True
        if not _numbers(word):
            nearly[owners[np.isin(codes, self._alike_words(word, codes))]] = True
            if len(word) >= 4 and code is None:
                nearly[self._with_initials(word)] = True
        return held, nearly

    def _alike_words(self, word: str, codes: np.ndarray) -> np.ndarray:
        """Codes of the words, of these of the vocabulary, that are this one but for a slip."""
        everything = len(codes) == len(self._codes)
        among = np.arange(len(self._vocabulary)) if everything else np.unique(codes)
        words = self._vocabulary if everything else [self._vocabulary[code] for code in among]
        (likeness,) = process.cdist([word], words, scorer=OSA.normalized_similarity)
        return among[likeness >= _SLIP]

    def _with_initials(self, word: str) -> np.ndarray:
        """Names that have words in a row which begin with the letters of this one."""
        found, place = [], self._initials.find(word)
        while place >= 0:
            found.append(place)
            place = self._initials.find(word, place + 1)
        return np.searchsorted(self._initials_start, found, side="right") - 1


class SongIndex:
    """Finds songs by title, and by artist where one is named: other people's songs may have the same title."""

    def __init__(self, songs: pd.DataFrame) -> None:
        """Of `songs` (item_id, title, and artist where it is known)."""
        self._titles = TitleIndex(songs)
        self._songs = songs
        self._artists: TitleIndex | None = None
        if "artist" in songs and songs["artist"].notna().any():
            artists = songs["artist"].dropna().drop_duplicates()
            self._artists = TitleIndex(pd.DataFrame({"item_id": artists, "title": artists}), "artist")
            self._rows_of = songs.groupby("artist").indices
            self._most_of_one = max(map(len, self._rows_of.values()))
            known = songs[songs["artist"].notna()].drop_duplicates("item_id")
            self._artist_of = dict(zip(known["item_id"], known["artist"].astype(str), strict=True))
            self._of = lru_cache(maxsize=_INDEXES)(self._make_index_of)

    def find(self, title: str, artist: str | None = None) -> Match:
        """The song whose title is most like `title`, of the artist most like `artist` if one is given.

        Of several artists in one text the first who has such a song is meant. Where the songs have no artists, `artist`
        means nothing.

        Raises:
            DataError: no artist or no title of his is alike; the sentence names what comes nearest. Or more than
                `MOST_LETTERS` are typed.
        """
        if self._artists is None:
            return self._titles.find(title)
        if not artist:
            return self._with_artist(self._titles.find(title))
        _check_length(artist, "artist")
        faults = []
        for name in _artists_in(artist):
            try:
                known = self._artists.find(name).title
            except DataError as error:
                faults.append(str(error))
                continue
            try:
                return self._with_artist(self._of(known).find(title))
            except DataError as error:
                faults.append(f"Of {known}: {error}")
        others = self.artists_of(title)
        elsewhere = f"There is {title!r} by {'; '.join(others[:_SHOWN])}. " if others else ""
        raise DataError(f"{elsewhere}{faults[0]}")

    def comparisons(self, title: str, artist: str | None = None) -> int:
        """As `TitleIndex.comparisons`."""
        if self._artists is None or not artist:
            return self._titles.comparisons(title)
        if max(len(artist), len(title)) > MOST_LETTERS:
            return 0
        names, readings = _artists_in(artist), sum(1 for _ in _readings(title))
        own = _INDEX + readings * (_LOOKUP + self._most_of_one)
        return sum(own + self._artists.comparisons(name) for name in names)

    def artists_of(self, title: str) -> list[str]:
        """Artists of songs of this title, whatever its case and punctuation, in the order of the table."""
        if self._artists is None:
            return []
        return self._artists_by_title.get(_unaccented(_plain(title)), [])

    @cached_property
    def _artists_by_title(self) -> dict[str, list[str]]:
        """By plain title, for making a title plain takes longer than looking it up."""
        artists: dict[str, dict[str, None]] = {}
        for title, artist in self._songs[["title", "artist"]].dropna().itertuples(index=False):
            artists.setdefault(_unaccented(_plain(str(title))), {})[str(artist)] = None
        return {title: list(own) for title, own in artists.items()}

    def _with_artist(self, match: Match) -> Match:
        return replace(match, artist=self._artist_of.get(match.item_id))

    def _make_index_of(self, artist: str) -> TitleIndex:
        """Of the songs of an artist."""
        return TitleIndex(self._songs.iloc[self._rows_of[artist]])


def _artists_in(artist: str) -> list[str]:
    """The artist, and each of several in one text."""
    return list(dict.fromkeys([artist, *_SEVERAL.split(artist)]))[: 1 + _MOST_ARTISTS]


def _places(keys: Iterable[Iterable[str]]) -> dict[str, list[int]]:
    """Where each key stands in a list that has several at each place."""
    places: dict[str, list[int]] = {}
    for place, own in enumerate(keys):
        for key in own:
            places.setdefault(key, []).append(place)
    return places


def _highest(values: np.ndarray, number: int) -> np.ndarray:
    """Places of the highest values, the highest first, the first of equal ones before the others."""
    number = min(number, len(values))
    among = np.flatnonzero(values >= np.partition(values, -number)[-number])
    return among[np.argsort(-values[among], kind="stable")[:number]]


def _check_length(typed: str, what: str) -> None:
    """Raises: DataError: it is longer than anybody types."""
    if len(typed) > MOST_LETTERS:
        raise DataError(
            f"The {what} {typed[:20]!r} goes on for {len(typed):,} letters: type {MOST_LETTERS} at most."
        )


def _names(title: str) -> dict[str, float]:
    """The plain forms by which a title may be known, without the year; and how much more alike each must be to go
    before another title."""
    name, _ = _year_apart(title)
    outside = _one_blank(_BRACKETS.sub(" ", name))
    aliases = (_ALIAS.sub("", alias) for alias in _BRACKETS.findall(name))
    names: dict[str, float] = {}
    for place, part in enumerate((name, outside, _BEHIND.sub("", outside), *aliases)):
        for form, less in _forms(part).items():
            all_less = less + _PART_OF_TITLE * (place > 0)
            names[form] = min(names.get(form, all_less), all_less)
    return names


def _readings(typed: str) -> Iterator[tuple[list[str], float, float]]:
    """Words, year (NaN without one), and how much less than as typed it is: the last word may be a year or belong to
    the name, as in "Blade Runner 2049"."""
    name, year = _year_apart(typed)
    for form, less in _forms(name).items():
        words = form.split()
        yield words, year, less
        if len(words) > 1 and math.isnan(year) and _BARE_YEAR.fullmatch(words[-1]):
            yield words[:-1], float(words[-1]), less


def _year_apart(title: str) -> tuple[str, float]:
    """The title without the year in brackets behind it, and that year or NaN."""
    # Each of these patterns looks for blanks from every blank on: with many together the time would be their square.
    title = _one_blank(unicodedata.normalize("NFKC", _FRACTION.sub(r" \g<0>", title)).replace("’", "'"))
    year = _YEAR.search(title)
    return _YEAR.sub("", title).strip(), float(year.group(1)) if year else math.nan


def _small(title: str) -> str:
    """A title in small letters, however its blanks and accents are written: digits and signs stay what they are."""
    return _one_blank(unicodedata.normalize("NFC", title.lower()))


def _one_blank(text: str) -> str:
    return " ".join(text.split())


def _forms(name: str) -> dict[str, float]:
    """Plain forms: as it stands and with the article in front; each of them, a little less, without accents and with
    numerals as digits."""
    article = _ARTICLE_BEHIND.search(name)
    orders = [name] if article is None else [name, f"{article[1]} {_ARTICLE_BEHIND.sub('', name, count=1)}"]
    forms: dict[str, float] = {}
    for order in orders:
        spelled = _plain(order)
        unaccented = _unaccented(spelled)
        for form, less in ((spelled, 0), (unaccented, _UNACCENTED), (_counted(unaccented), _NUMERAL)):
            if form:
                forms[form] = min(forms.get(form, less), less)
    return forms


def _plain(name: str) -> str:
    """Lower case without punctuation, digits of any script as ours."""
    name = _BETWEEN_DIGITS.sub(" ", unicodedata.normalize("NFC", name.casefold()).replace("&", " and "))
    name = _FOREIGN_DIGIT.sub(lambda found: str(unicodedata.decimal(found[0])), name)
    return _one_blank(_NO_LETTER.sub(_kept, name))


def _kept(found: re.Match[str]) -> str:
    """A mark that belongs to a letter, as vowels of many scripts do; a blank for a dash, nothing for the rest."""
    kind = unicodedata.category(found[0])
    return found[0] if kind.startswith("M") else " " if kind == "Pd" else ""


def _unaccented(plain: str) -> str:
    """Without accents of Latin letters; of other scripts a mark makes another letter, as in ハ and パ."""
    return unicodedata.normalize("NFC", _LATIN_ACCENT.sub("", unicodedata.normalize("NFD", plain)))


def _counted(plain: str) -> str:
    """Numerals as digits, behind a name: the first word is none, as in X or V for Vendetta."""
    words = plain.split()
    first = 1 + (len(words) > 1 and words[0] in _ARTICLES)
    counted = " ".join(words[:first] + [_ROMAN.get(word, word) for word in words[first:]])
    return _COUNTED.sub(lambda found: f"{found.group(1)} {_COUNTS[found.group(2)]}", counted)


def _letters(words: Sequence[str]) -> str:
    """What is compared letter by letter: neither spaces nor an article in front make another title."""
    return "".join(words[1:] if len(words) > 1 and words[0] in _ARTICLES else words)


def _numbers(words: str) -> frozenset[str]:
    return frozenset(re.findall(r"\d+", words))
