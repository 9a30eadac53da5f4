"""The inhabitants of the simulated world: people with tastes, films with a character."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

OCCUPATIONS = {
    "student": 0.21, "other": 0.11, "educator": 0.10, "administrator": 0.08, "engineer": 0.07,
    "programmer": 0.07, "librarian": 0.055, "writer": 0.05, "executive": 0.035, "scientist": 0.035,
    "artist": 0.03, "technician": 0.03, "marketing": 0.03, "entertainment": 0.02, "healthcare": 0.02,
    "retired": 0.015, "lawyer": 0.012, "salesman": 0.012, "none": 0.01, "homemaker": 0.008, "doctor": 0.008,
}  # fmt: skip
GENRES = {
    "Drama": 0.24, "Comedy": 0.19, "Thriller": 0.09, "Romance": 0.085, "Action": 0.085, "Adventure": 0.05,
    "Children's": 0.045, "Crime": 0.04, "Sci-Fi": 0.035, "Horror": 0.035, "War": 0.025, "Mystery": 0.022,
    "Musical": 0.02, "Documentary": 0.018, "Animation": 0.015, "Western": 0.01, "Film-Noir": 0.01,
    "Fantasy": 0.008,
}  # fmt: skip
_ADJECTIVES = (
    "Amber", "Broken", "Crimson", "Distant", "Electric", "Forgotten", "Gentle", "Hidden", "Iron", "Jade",
    "Last", "Lonely", "Midnight", "Northern", "Open", "Paper", "Quiet", "Restless", "Silver", "Tender",
    "Uncharted", "Velvet", "Wandering", "Winter", "Wild", "Second", "Burning", "Hollow", "Golden", "Secret",
    "Silent", "Summer",
)  # fmt: skip
_NOUNS = (
    "Harbour", "Garden", "Letter", "River", "Promise", "Station", "Mirror", "Voyage", "Orchard", "Bridge",
    "Shadow", "Carnival", "Island", "Clock", "Waltz", "Lighthouse", "Detective", "Empire", "Stranger",
    "Canyon", "Violin", "Kingdom", "Parade", "Horizon", "Thief", "Season", "Window", "Frontier", "Lantern",
    "Road", "Crown", "Machine",
)  # fmt: skip
_PLACES = (
    "Arden", "Bellmare", "Corvin", "Dunmore", "Elsinburg", "Farrow", "Glenhallow", "Hartwick", "Islemouth",
    "Juniper Hill", "Kestrel Bay", "Larkspur", "Merrow", "Norwell", "Ostrava Street", "Penhallow",
    "Quarry Lane", "Ravenna", "Solace", "Thornbury", "Umber", "Vale", "Westmere", "Yarrow",
)  # fmt: skip
_NUMERALS = ("", " II", " III", " IV", " V", " VI", " VII")
_FIRST_YEAR, _LAST_YEAR = 1922, 1998


@dataclass(frozen=True)
class People:
    """``table`` as in canonical users, without file and line; ``taste`` is p_u, (n_users, d)."""

    table: pd.DataFrame
    taste: np.ndarray


@dataclass(frozen=True)
class FilmWorld:
    """``table`` as in canonical items; ``character`` is q_i, (n_items, d); p_u·q_i has unit variance."""

    table: pd.DataFrame
    character: np.ndarray
    quality: np.ndarray
    """b_i in standard deviations, (n_items,)."""
    popularity: np.ndarray
    """Share with which an item is proposed to those who look for no other, (n_items,)."""
    theme: np.ndarray
    """Code of the theme that an item belongs to, (n_items,)."""
    sequel: np.ndarray
    """Index of the next part of an item's franchise, (n_items,); -1 where there is none."""

    @property
    def n_items(self) -> int:
        """Number of items."""
        return len(self.quality)


def draw_users(n: int, dimensions: int, rng: np.random.Generator) -> People:
    """People whose taste is 35 % (of its variance) a matter of age group, gender and occupation."""
    age = np.clip(np.rint(6 + rng.gamma(4.2, 6.5, n)), 7, 73)
    gender = np.where(rng.random(n) < 0.71, "M", "F")
    names = np.array(list(OCCUPATIONS))
    shares = np.array(list(OCCUPATIONS.values()))
    occupation = rng.choice(len(names), n, p=shares / shares.sum())
    student, other = list(OCCUPATIONS).index("student"), list(OCCUPATIONS).index("other")
    retired = list(OCCUPATIONS).index("retired")
    occupation[(age < 22) & (rng.random(n) < 0.85)] = student
    occupation[(age > 35) & (occupation == student)] = other
    occupation[(age > 64) & (rng.random(n) < 0.7)] = retired

    groups = np.digitize(age, [18, 25, 35, 50])
    of_age = rng.standard_normal((5, dimensions))
    of_gender = rng.standard_normal((2, dimensions))
    of_occupation = rng.standard_normal((len(names), dimensions))
    shared = (of_age[groups] + of_gender[(gender == "F").astype(int)] + of_occupation[occupation]) / np.sqrt(
        3
    )
    taste = np.sqrt(0.35) * _centred(shared) + np.sqrt(0.65) * rng.standard_normal((n, dimensions))
    table = pd.DataFrame(
        {
            "user_id": np.arange(1, n + 1, dtype=np.int64),
            "age": age,
            "gender": pd.Series(gender, dtype=str),
            "occupation": pd.Series(names[occupation], dtype=str),
        }
    )
    return People(table, (taste / np.sqrt(dimensions)).astype(np.float32))


def draw_items(n: int, dimensions: int, theme_films: int, rng: np.random.Generator) -> FilmWorld:
    """Films in franchises of one to seven; genres make 40 % of a film's character, the franchise 30 %.

    A theme is some ``theme_films`` films of one primary genre that follow each other by year: what a shelf, a list on a
    site or a season on television has together.
    """
    franchise, part = _draw_franchises(n, rng)
    n_franchises = int(franchise[-1]) + 1
    genre_of, primary, names = _draw_genres(n_franchises, rng)
    of_genre = rng.standard_normal((len(names), dimensions))
    weights = genre_of / np.sqrt(genre_of.sum(axis=1, keepdims=True))
    shared = np.sqrt(0.4) * (weights @ of_genre) + np.sqrt(0.3) * rng.standard_normal(
        (n_franchises, dimensions)
    )
    character = shared[franchise] + np.sqrt(0.3) * rng.standard_normal((n, dimensions))

    # A sequel follows its predecessor by a year or more and is a little less liked and nearly as known.
    debut = _LAST_YEAR - np.minimum(rng.exponential(9.0, n_franchises), _LAST_YEAR - _FIRST_YEAR)
    year = np.minimum(np.floor(debut[franchise]) + part * rng.integers(1, 5, n), _LAST_YEAR)
    quality = 0.6 * rng.standard_normal(n_franchises)[franchise] + 0.8 * rng.standard_normal(n) - 0.15 * part
    quality = (quality - quality.mean()) / quality.std()
    fame = 0.7 * rng.standard_normal(n_franchises)[franchise] + 0.5 * rng.standard_normal(n) + quality
    # Not many see the least known: their fame falls off faster than a log-normal's. And since whoever stays with a
    # theme sees much of it, what is proposed has to be steeper than what comes to be seen.
    popularity = np.exp(1.4 * (fame - 0.40 * np.square(np.minimum(fame, 0.0))))

    table = pd.DataFrame(
        {
            "item_id": np.arange(1, n + 1, dtype=np.int64),
            "title": pd.Series(_titles(franchise, part, year, rng), dtype=str),
            "year": year,
            "genres": _genre_lists(genre_of, names, franchise),
        }
    )
    theme = _themes(primary[franchise], year, theme_films, rng)
    continued = np.r_[franchise[1:] == franchise[:-1], False]
    order = rng.permutation(n)  # ids say nothing about franchises
    place = np.empty(n, dtype=np.int64)
    place[order] = np.arange(n)
    sequel = np.where(continued, np.r_[place[1:], -1], -1)
    table = table.iloc[order].reset_index(drop=True).assign(item_id=np.arange(1, n + 1, dtype=np.int64))
    return FilmWorld(
        table,
        character[order].astype(np.float32),
        quality[order],
        popularity[order] / popularity.sum(),
        theme[order],
        sequel[order],
    )


def _themes(primary: np.ndarray, year: np.ndarray, films: int, rng: np.random.Generator) -> np.ndarray:
    """Codes (n,): each genre's films, in order of their years, are cut into parts of about ``films`` each."""
    order = np.lexsort((rng.random(len(year)), year, primary))
    counts = np.bincount(primary)
    parts = np.maximum(1, np.rint(counts / films).astype(np.int64))
    within = np.arange(len(order)) - (np.cumsum(counts) - counts)[primary[order]]  # its genre
    codes = np.empty(len(order), dtype=np.int64)
    genre = primary[order]
    codes[order] = (np.cumsum(parts) - parts)[genre] + within * parts[genre] // counts[genre]
    return np.unique(codes, return_inverse=True)[1]


def _draw_franchises(n: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """(franchise index, zero-based part) of each film; twelve in thirteen franchises are one film."""
    sizes = np.where(rng.random(n) < 0.92, 1, rng.integers(2, len(_NUMERALS) + 1, n))
    franchise = np.repeat(np.arange(n), sizes)[:n]
    starts = np.r_[0, np.cumsum(sizes)[:-1]]
    return franchise, np.arange(n) - starts[franchise]


def _draw_genres(n: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, list[str]]:
    """Genre flags (n, genres): one genre for each, a second for half, a third for a sixth; and the first, (n,)."""
    names = sorted(GENRES)
    cumulative = np.cumsum([GENRES[name] for name in names])
    flags = np.zeros((n, len(names)), dtype=bool)
    drawn = np.searchsorted(cumulative, rng.random((3, n)) * cumulative[-1])
    for of_films, chance in zip(drawn, (1.0, 0.5, 1 / 6), strict=True):
        chosen = rng.random(n) < chance
        flags[chosen, of_films[chosen]] = True
    return flags, drawn[0], names


def _genre_lists(flags: np.ndarray, names: list[str], franchise: np.ndarray) -> list[list[str]]:
    array = np.array(names, dtype=object)
    lists = [array[row].tolist() for row in flags]
    return [list(lists[index]) for index in franchise]


def _titles(franchise: np.ndarray, part: np.ndarray, year: np.ndarray, rng: np.random.Generator) -> list[str]:
    """Made-up titles, one name a franchise; a place and a number are added as names run out."""
    plain = len(_ADJECTIVES) * len(_NOUNS)
    shuffled = rng.permutation(plain)
    names = []
    for index in range(int(franchise[-1]) + 1):
        turn, within = divmod(index, plain)
        adjective, noun = divmod(int(shuffled[within]), len(_NOUNS))
        name = f"The {_ADJECTIVES[adjective]} {_NOUNS[noun]}"
        if turn:
            again, place = divmod(turn - 1, len(_PLACES))
            name += f" of {_PLACES[place]}" + (f", Chapter {again + 1}" if again else "")
        names.append(name)
    return [
        f"{names[index]}{_NUMERALS[number]} ({int(when)})"
        for index, number, when in zip(franchise, part, year, strict=True)
    ]


def _centred(values: np.ndarray) -> np.ndarray:
    """Zero mean and unit variance a column (over people), so that demographics shift nobody's mean rating."""
    spread = values.std(axis=0)
    return (values - values.mean(axis=0)) / np.where(spread > 0, spread, 1.0)
