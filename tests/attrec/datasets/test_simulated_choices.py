"""What comes next in the simulated world: the closed form, what is drawn, and the rank that it gives."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import expit
from scipy.stats import chisquare

from attrec.datasets.simulated_choices import (
    NO_THEME,
    UNRANKED,
    ChoiceModel,
    SeenFilms,
    Situations,
    walk,
)
from attrec.datasets.simulated_world import FilmWorld

# Films 0, 1, 2 are a series; themes are {0, 1, 3}, {2, 4} and {5, 6, 7}.
SERIES = np.array([1, 2, -1, -1, -1, -1, -1, -1])
THEMES = np.array([0, 0, 1, 0, 1, 2, 2, 2])


def tiny(seed: int = 0, **parameters: float) -> ChoiceModel:
    rng = np.random.default_rng(seed)
    popularity = rng.random(8) + 0.05
    films = FilmWorld(
        table=pd.DataFrame(),
        character=rng.standard_normal((8, 2)).astype(np.float32),
        quality=np.zeros(8),
        popularity=popularity / popularity.sum(),
        theme=THEMES,
        sequel=SERIES,
    )
    told = {"selection": 1.5, "series": 0.6, "theme": 0.7, "theme_change": 0.3, "theme_taste": 2.0}
    return ChoiceModel(films, **(told | parameters))


def situation(previous: int, theme: int, m: int = 1) -> Situations:
    taste = np.tile(np.array([[0.8, -0.5]], dtype=np.float32), (m, 1))
    return Situations(taste, np.full(m, previous), np.full(m, theme))


def seen(films: list[int], m: int = 1) -> SeenFilms:
    found = SeenFilms(m, 8)
    for film in films:
        found.add(np.arange(m), np.full(m, film))
    return found


def by_hand(model: ChoiceModel, where: Situations, unseen: np.ndarray) -> np.ndarray:
    """P of the docstring, film by film."""
    q, p, j, z = model.films.popularity, where.taste[0], int(where.previous[0]), int(where.theme[0])
    rho = 1.0 if z == NO_THEME else model.theme_change
    weights = np.zeros(8)
    for i in range(8):
        members = THEMES[i] == THEMES
        centre = (q[members, None] * model.films.character[members]).sum(0) / q[members].sum()
        alpha = model.series if j >= 0 and SERIES[j] >= 0 else 0.0
        of_theme = q[i] / q[members].sum() if THEMES[i] == z else 0.0
        by_theme = (1 - rho) * of_theme + rho * q[i] * expit(model.theme_taste * p @ centre)
        others = model.theme * by_theme + (1 - model.theme) * q[i]
        follows = alpha if j >= 0 and SERIES[j] == i else 0.0
        suits = expit(model.selection * p @ model.films.character[i])
        weights[i] = (follows + (1 - alpha) * others) * suits * unseen[i]
    return weights / weights.sum()


SITUATIONS = [(0, 0, [0]), (0, NO_THEME, [0]), (3, 1, [3, 4]), (1, 2, [0, 1, 2, 7]), (-1, NO_THEME, [])]


@pytest.mark.parametrize(("previous", "theme", "had"), SITUATIONS)
def test_the_closed_form_is_that_of_the_docstring(previous: int, theme: int, had: list[int]) -> None:
    model, where, unseen = tiny(), situation(previous, theme), seen(had).unseen(np.array([0]))
    total, opens = model.chances(where, unseen)
    np.testing.assert_allclose(total[0], by_hand(model, where, unseen[0]), rtol=1e-6)
    assert ((opens >= 0) & (opens <= total + 1e-12)).all()


@pytest.mark.parametrize(("previous", "theme", "had"), SITUATIONS)
@pytest.mark.parametrize("proposals", [True, False])
def test_films_are_drawn_by_the_closed_form(
    previous: int, theme: int, had: list[int], proposals: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However they are drawn: by proposals, of which here all have enough, or from the closed form at once."""
    monkeypatch.setattr("attrec.datasets.simulated_choices._FIRST_TRIES", 200 if proposals else 1)
    m, model = 40_000, tiny()
    if not proposals:
        monkeypatch.setattr(ChoiceModel, "_propose", nothing_is_taken)
    items, opened = model.draw(situation(previous, theme, m), seen(had, m), np.random.default_rng(3))
    total, opens = model.chances(situation(previous, theme), seen(had).unseen(np.array([0])))
    possible = total[0] > 0
    counts = np.bincount(items, minlength=8)
    assert counts[~possible].sum() == 0
    assert chisquare(counts[possible], m * total[0, possible]).pvalue > 1e-3
    expected = m * opens[0].sum()
    assert opened.sum() == pytest.approx(expected, abs=4 * np.sqrt(expected) + 1)


def nothing_is_taken(
    self: ChoiceModel, where: Situations, *_: object
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    m = len(where.theme)
    return np.zeros(m, dtype=bool), np.zeros(m, dtype=np.int64), np.zeros(m, dtype=bool)


def test_zero_switches_an_effect_off() -> None:
    unseen = np.ones((1, 8), dtype=bool)
    plain = tiny(selection=0.0, series=0.0, theme=0.0)
    total, opens = plain.chances(situation(0, 0), unseen)
    np.testing.assert_allclose(total[0], plain.films.popularity)
    assert not opens.any()
    for other in (situation(3, 1), situation(-1, NO_THEME)):
        np.testing.assert_allclose(plain.chances(other, unseen)[0], total)


@given(st.integers(0, 2**20), st.sets(st.integers(0, 7), max_size=6), st.integers(-1, 7), st.integers(-1, 2))
@settings(max_examples=60, deadline=None)
def test_rank_is_the_place_when_sorted_by_chance(seed: int, had: set[int], previous: int, theme: int) -> None:
    model, where = tiny(seed), situation(previous, theme)
    unseen = seen(sorted(had)).unseen(np.array([0]))
    chances = by_hand(model, where, unseen[0])
    for target in np.flatnonzero(unseen[0]):
        ahead = sum(chances[i] >= chances[target] * (1 - 1e-9) for i in np.flatnonzero(unseen[0]))
        assert model.ranks(where, unseen, np.array([target])).tolist() == [ahead]


def test_equal_chances_count_against_the_target() -> None:
    model = tiny(selection=0.0, series=0.0, theme=0.0)
    level = replace(model, films=replace(model.films, popularity=np.full(8, 1 / 8)))
    unseen = seen([0]).unseen(np.array([0]))
    assert level.ranks(situation(0, 0), unseen, np.array([5])).tolist() == [7]


def test_a_walk_is_of_new_films_and_ranks_those_who_are_asked() -> None:
    counts = np.array([3, 7, 1, 5])
    begins = np.zeros(16, dtype=bool)
    begins[np.cumsum(counts) - counts] = True
    asked = np.array([True, False, True, True])
    taste = np.random.default_rng(1).standard_normal((16, 2)).astype(np.float32)
    walked = walk(tiny(), counts, taste, begins, asked, np.random.default_rng(2))
    films = np.split(walked.items, np.cumsum(counts)[:-1])
    assert [len(set(own)) for own in films] == counts.tolist()
    assert walked.rank[1] == UNRANKED
    assert ((walked.rank[asked] >= 1) & (walked.rank[asked] <= 8)).all()


def test_ranks_of_walks_are_as_often_first_as_their_chance_says() -> None:
    """Of all that is drawn first the rank is 1 as often as the likeliest film's chance, 2 as the next one's."""
    m, model = 20_000, tiny()
    taste = np.tile(situation(-1, NO_THEME).taste, (m, 1))
    ones = np.ones(m, dtype=bool)
    walked = walk(model, np.ones(m, dtype=np.int64), taste, ones, ones, np.random.default_rng(5))
    total, _ = model.chances(situation(-1, NO_THEME), np.ones((1, 8), dtype=bool))
    counts = np.bincount(walked.rank, minlength=9)[1:]
    assert chisquare(counts, m * np.sort(total[0])[::-1]).pvalue > 1e-3


@given(st.integers(1, 40), st.data())
@settings(max_examples=40, deadline=None)
def test_bits_say_what_was_seen(n_items: int, data: st.DataObject) -> None:
    pairs = data.draw(st.sets(st.tuples(st.integers(0, 3), st.integers(0, n_items - 1))))
    films = SeenFilms(4, n_items)
    for row, item in sorted(pairs):
        films.add(np.array([row]), np.array([item]))
    unseen = films.unseen(np.arange(4))
    assert unseen.shape == (4, n_items)
    assert {(r, i) for r, i in zip(*map(np.ndarray.tolist, np.nonzero(~unseen)), strict=True)} == pairs
    assert (films.has(np.arange(4)[:, None], np.arange(n_items)) == ~unseen).all()
