"""What a simulated user sees next: the stated model of the order of actions, drawn from and in closed form.

A user's next film is i with probability

    P(i) ∝ {α [i = s(j)] + (1 - α) (θ ((1 - ρ) q(i | z) + ρ q(i) σ(κ p·c_i)) + (1 - θ) q(i))} σ(λ p·q_i) [i unseen]

where

- q(i) is the popularity of i, which sums to one, and q(i | z) the same among the films of theme z, 0 elsewhere;
- j is the film before, s(j) the next part of its series, and α = ``series``, 0 where there is no s(j);
- z is the theme that the user is on, θ = ``theme`` and ρ = ``theme_change``. A sitting begins without a theme, and
  while there is none, ρ = 1. Who comes by the summand of ρ takes up the theme of i; all others stay where they are;
- c_i is the mean character of the films in the theme of i, weighted by popularity, and κ = ``theme_taste``;
- p is the user's taste at the time, q_i the character of i, λ = ``selection``, σ(x) = 1 / (1 + e^-x).

It is drawn by proposing: the next part of the series with chance α; else, with chance θ, a film of the theme or, with
chance ρ, one of another theme, which is taken up with probability σ(κ p·c_i); else any film by popularity. What was
seen before is refused, the rest taken with probability σ(λ p·q_i); who refuses is proposed anew from the same mixture.
Whoever has refused for long is given a draw from the closed form instead, which changes no probability.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy.special import expit

from attrec.datasets.simulated_world import FilmWorld

NO_THEME = -1
UNRANKED = 0
_FIRST_TRIES = 3
_CHANCES_AT_ONCE = 4_000_000


@dataclass(frozen=True)
class Situations:
    """Where m users stand before an action."""

    taste: np.ndarray
    """p at the time, (m, d)."""
    previous: np.ndarray
    """j, (m,); -1 before the first action."""
    theme: np.ndarray
    """z, (m,); ``NO_THEME`` where there is none."""

    def __getitem__(self, rows: np.ndarray) -> Situations:
        return Situations(self.taste[rows], self.previous[rows], self.theme[rows])


@dataclass(frozen=True)
class ChoiceModel:
    """The probabilities above, for the films of one world."""

    films: FilmWorld
    selection: float
    series: float
    theme: float
    theme_change: float
    theme_taste: float

    @cached_property
    def _order(self) -> np.ndarray:
        """Films sorted by theme, (n_items,)."""
        return np.argsort(self.films.theme, kind="stable")

    @cached_property
    def _cumulative(self) -> np.ndarray:
        """Popularity summed along ``_order``, from 0 to 1, (n_items + 1,)."""
        sums = np.r_[0.0, np.cumsum(self.films.popularity[self._order])]
        return sums / sums[-1]

    @cached_property
    def _bounds(self) -> np.ndarray:
        """Places in ``_order`` where the themes begin, and its length, (themes + 1,)."""
        return np.r_[0, np.cumsum(np.bincount(self.films.theme))]

    @cached_property
    def theme_character(self) -> np.ndarray:
        """c_i by theme, (themes, d)."""
        weighted = self.films.popularity[:, None] * self.films.character
        share = np.bincount(self.films.theme, self.films.popularity)
        sums = [np.bincount(self.films.theme, column) for column in weighted.T]
        return (np.stack(sums, axis=1) / share[:, None]).astype(np.float32)

    def chances(self, where: Situations, unseen: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """P(i) and the part of it by which a theme is taken up, both (m, n_items).

        Args:
            unseen: (m, n_items) bool, at least one film a row.
        """
        popularity, theme_of = self.films.popularity, self.films.theme
        alpha, keeps = self._shares(where)
        within = np.diff(self._cumulative[self._bounds])
        taken_up = expit(self.theme_taste * (where.taste @ self.theme_character.T).astype(np.float64))
        opens = ((1 - alpha) * (self.theme - keeps))[:, None] * popularity * taken_up[:, theme_of]
        total = opens + ((1 - alpha) * (1 - self.theme))[:, None] * popularity
        on_theme = where.theme[:, None] == theme_of
        inside = (1 - alpha) * keeps / within[where.theme]
        total += np.where(on_theme, inside[:, None] * popularity, 0.0)
        follows = np.flatnonzero(alpha > 0)
        total[follows, self.films.sequel[where.previous[follows]]] += alpha[follows]
        suits = expit(self.selection * (where.taste @ self.films.character.T).astype(np.float64)) * unseen
        scale = (total * suits).sum(axis=1, keepdims=True)
        return total * suits / scale, opens * suits / scale

    def draw(
        self, where: Situations, seen: SeenFilms, rng: np.random.Generator
    ) -> tuple[np.ndarray, np.ndarray]:
        """The next film of each of m users, (m,), and whether its theme is taken up, (m,) bool.

        Args:
            seen: of the same users, in the same order; more may follow.
        """
        m, n_items = len(where.theme), self.films.n_items
        items, opened = np.empty(m, dtype=np.int64), np.zeros(m, dtype=bool)
        waiting, tries, tried = np.arange(m), _FIRST_TRIES, 0
        # A weight of the closed form costs about a quarter of a proposal.
        while len(waiting) and 4 * tried < n_items:
            found, proposed, opens = self._propose(where[waiting], seen, waiting, tries, rng)
            items[waiting[found]], opened[waiting[found]] = proposed[found], opens[found]
            waiting = waiting[~found]
            tried, tries = tried + tries, 2 * tries
        at_once = max(1, _CHANCES_AT_ONCE // n_items)
        for first in range(0, len(waiting), at_once):
            rows = waiting[first : first + at_once]
            total, opens_all = self.chances(where[rows], seen.unseen(rows))
            sums = np.cumsum(total, axis=1)
            places = (sums <= (rng.random(len(rows)) * sums[:, -1])[:, None]).sum(axis=1)
            each = np.arange(len(rows))
            items[rows] = places
            opened[rows] = rng.random(len(rows)) * total[each, places] < opens_all[each, places]
        return items, opened

    def ranks(self, where: Situations, unseen: np.ndarray, targets: np.ndarray) -> np.ndarray:
        """Rank of each target among the unseen by P, 1 is best; ties count against it, (m,)."""
        total, _ = self.chances(where, unseen)
        own = np.take_along_axis(total, targets[:, None], axis=1)
        return np.count_nonzero((total >= own) & unseen, axis=1)

    def _shares(self, where: Situations) -> tuple[np.ndarray, np.ndarray]:
        """α and θ (1 - ρ) of each user, (m,)."""
        has_sequel = (where.previous >= 0) & (self.films.sequel[where.previous] >= 0)
        on_theme = where.theme != NO_THEME
        return self.series * has_sequel, self.theme * (1 - self.theme_change) * on_theme

    def _propose(
        self, where: Situations, seen: SeenFilms, rows: np.ndarray, tries: int, rng: np.random.Generator
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Of so many proposals to each user: whether one is taken, the first that is, and whether it opens a theme."""
        alpha, keeps = self._shares(where)
        way = rng.random((len(rows), tries))
        follows = way < alpha[:, None]
        # What is left of the draw is uniform again, but where the series is certain.
        way = (way - alpha[:, None]) / np.maximum(1 - alpha, 1e-12)[:, None]
        stays = ~follows & (way < keeps[:, None])
        opens = ~follows & ~stays & (way < self.theme)
        first, last = self._bounds[where.theme], self._bounds[where.theme + 1]
        low = np.where(stays, first[:, None], 0)
        high = np.where(stays, last[:, None], self.films.n_items)
        bottom = self._cumulative[low]
        aim = bottom + rng.random(way.shape) * (self._cumulative[high] - bottom)
        place = np.searchsorted(self._cumulative, aim, side="right") - 1
        items = self._order[np.clip(place, low, high - 1)]
        items = np.where(follows, self.films.sequel[where.previous][:, None], items)
        chance = expit(self.selection * np.einsum("md,mtd->mt", where.taste, self.films.character[items]))
        if self.theme:
            r, t = np.nonzero(opens)
            there = self.theme_character[self.films.theme[items[r, t]]]
            chance[r, t] *= expit(self.theme_taste * np.einsum("nd,nd->n", where.taste[r], there))
        taken = (rng.random(way.shape) < chance) & ~seen.has(rows[:, None], items)
        at = taken.argmax(axis=1)
        each = np.arange(len(rows))
        return taken[each, at], items[each, at], opens[each, at]


class SeenFilms:
    """Which films each of m users has seen, a bit each."""

    def __init__(self, users: int, n_items: int) -> None:
        self._n_items = n_items
        self._bits = np.zeros((users, (n_items + 7) // 8), dtype=np.uint8)

    def has(self, rows: np.ndarray, items: np.ndarray) -> np.ndarray:
        """Whether each user has seen each film; of any shapes that go together."""
        return (self._bits[rows, items >> 3] >> (items & 7).astype(np.uint8)) & 1 != 0

    def add(self, rows: np.ndarray, items: np.ndarray) -> None:
        """Users, none twice, see a film each."""
        self._bits[rows, items >> 3] |= np.left_shift(1, items & 7).astype(np.uint8)

    def unseen(self, rows: np.ndarray) -> np.ndarray:
        """(rows, n_items) bool."""
        return np.unpackbits(self._bits[rows], axis=1, count=self._n_items, bitorder="little") == 0


@dataclass(frozen=True)
class Walk:
    """The actions of a block of users, grouped by user and in order; what each user's last one was."""

    items: np.ndarray
    """(actions,)"""
    rank: np.ndarray
    """Of each user's last action by P, (users,); ``UNRANKED`` of those who were not asked for."""


def walk(
    model: ChoiceModel,
    counts: np.ndarray,
    taste: np.ndarray,
    begins: np.ndarray,
    asked: np.ndarray,
    rng: np.random.Generator,
) -> Walk:
    """Draw the actions of a block of users, all users' first, then all second ones, and so on.

    Args:
        counts: actions of each user, (users,), from 1 on.
        taste: p at every action, (actions, d), grouped by user.
        begins: whether an action is the first of a sitting, (actions,).
        asked: users whose last action is to be ranked, (users,) bool.
    """
    starts = np.cumsum(counts) - counts
    order = np.argsort(-counts, kind="stable")  # so that whoever still acts stands in front
    starts, counts, asked = starts[order], counts[order], asked[order]
    items, rank = np.empty(len(begins), dtype=np.int64), np.full(len(counts), UNRANKED, dtype=np.int64)
    seen = SeenFilms(len(counts), model.films.n_items)
    previous, theme = np.full(len(counts), -1), np.full(len(counts), NO_THEME)
    ascending = counts[::-1]
    at_once = max(1, _CHANCES_AT_ONCE // model.films.n_items)
    for step in range(int(counts[0])):
        acting = len(counts) - int(np.searchsorted(ascending, step, side="right"))
        rows = starts[:acting] + step
        theme[:acting][begins[rows]] = NO_THEME
        where = Situations(taste[rows], previous[:acting], theme[:acting])
        chosen, opened = model.draw(where, seen, rng)
        ends = np.flatnonzero(asked[:acting] & (counts[:acting] == step + 1))
        for first in range(0, len(ends), at_once):
            last = ends[first : first + at_once]
            rank[last] = model.ranks(where[last], seen.unseen(last), chosen[last])
        seen.add(np.arange(acting), chosen)
        items[rows] = chosen
        previous[:acting] = chosen
        theme[:acting] = np.where(opened, model.films.theme[chosen], theme[:acting])
    ranks = np.empty_like(rank)
    ranks[order] = rank
    return Walk(items, ranks)
