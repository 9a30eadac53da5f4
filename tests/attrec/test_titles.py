"""Titles as people type them."""

from __future__ import annotations

import pandas as pd
import pytest

from attrec.errors import DataError
from attrec.titles import TitleIndex

TITLES = [
    "Star Wars: Episode IV - A New Hope (1977)",
    "Star Wars (1977)",
    "Star Wars: Episode V - The Empire Strikes Back (1980)",
    "Harry Potter and the Sorcerer's Stone (a.k.a. Harry Potter and the Philosopher's Stone) (2001)",
    "Harry Potter and the Chamber of Secrets (2002)",
    "Lord of the Rings: The Two Towers, The (2002)",
    "Matrix, The (1999)",
    "Seven (a.k.a. Se7en) (1995)",
    "City of Lost Children, The (Cité des enfants perdus, La) (1995)",
    "Amélie (Fabuleux destin d'Amélie Poulain, Le) (2001)",
    "Hamlet (1990)",
    "Hamlet (1996)",
    "M (1931)",
    None,
]


@pytest.fixture(scope="module")
def index() -> TitleIndex:
    return TitleIndex(pd.DataFrame({"item_id": range(100, 100 + len(TITLES)), "title": TITLES}))


@pytest.mark.parametrize(
    ("typed", "title"),
    [
        ("Harry Potter and the Sorcerer's Stone", TITLES[3]),
        ("harry potter and the philosophers stone", TITLES[3]),
        ("Harry Potter and the Chamber of Secerts", TITLES[4]),
        ("The Matrix", TITLES[6]),
        ("matrix", TITLES[6]),
        ("Matrix, The (1999)", TITLES[6]),
        ("the matrix 1999", TITLES[6]),
        ("Se7en", TITLES[7]),
        ("Seven", TITLES[7]),
        ("La Cite des enfants perdus", TITLES[8]),
        ("Amelie", TITLES[9]),
        ("star wars", TITLES[1]),
        ("the empire strikes back", TITLES[2]),
        ("Star Wars Episode 4", TITLES[0]),
        ("The Lord of the Rings: The Two Towers", TITLES[5]),
        ("hamlet (1996)", TITLES[11]),
        ("hamlet", TITLES[10]),
        ("M", TITLES[12]),
    ],
)
def test_finds_what_is_meant(index: TitleIndex, typed: str, title: str) -> None:
    match = index.find(typed)
    assert match.title == title
    assert match.item_id == 100 + TITLES.index(title)
    assert match.typed == typed


def test_the_same_words_are_fully_alike(index: TitleIndex) -> None:
    assert index.find("MATRIX, the (1999)").likeness == 100


def test_a_title_that_nothing_is_like_names_the_nearest(index: TitleIndex) -> None:
    with pytest.raises(DataError, match=r"No title is like 'Hary Pott'; the nearest are .*Harry Potter"):
        index.find("Hary Pott")


@pytest.mark.parametrize("typed", ["", "  ", "?!"])
def test_nothing_typed_is_no_title(index: TitleIndex, typed: str) -> None:
    with pytest.raises(DataError, match="is no title"):
        index.find(typed)


def test_two_titles_of_one_item_are_a_mistake(index: TitleIndex) -> None:
    with pytest.raises(DataError, match=r"'The Matrix' and 'matrix' are both Matrix, The"):
        index.find_all(["The Matrix", "Seven", "matrix"])
