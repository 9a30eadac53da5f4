"""Titles as people type them."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from attrec.datasets.registry import load_dataset
from attrec.errors import DataError
from attrec.serving.titles import MOST_LETTERS, SongIndex, TitleIndex

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
    "Way, The (2010)",
    "Avengers, The (2012)",
    "Endgame (2009)",
    "Maverick (1994)",
    "Once (2006)",
    "Child, The (Enfant, L') (2005)",
    "Her (2013)",
    "In Time (2011)",
    "Ring, The (1927)",
    "Lord of the Rings: The Fellowship of the Ring, The (2001)",
    "Toy Story (1995)",
    "Toy Story 3 (2010)",
    "Lion King, The (1994)",
    "Godfather: Part II, The (1974)",
    "John Wick: Chapter Two (2017)",
    "Ghostbusters (1984)",
    "Blade Runner 2049 (2017)",
    "Net, The (1995)",
    "Green Room (2015)",
]

ML_TYPED = {
    "the matrix": "Matrix, The (1999)",
    "the matrix reloded": "Matrix Reloaded, The (2003)",
    "lotr fellowship of the ring": "Lord of the Rings: The Fellowship of the Ring, The (2001)",
    "star wars iv": "Star Wars: Episode IV - A New Hope (1977)",
    "empire strikes back": "Star Wars: Episode V - The Empire Strikes Back (1980)",
    "seven": "Seven (a.k.a. Se7en) (1995)",
    "se7en": "Seven (a.k.a. Se7en) (1995)",
    "shawshank redemtion": "Shawshank Redemption, The (1994)",
    "godfather 2": "Godfather: Part II, The (1974)",
    "back to the future 2": "Back to the Future Part II (1989)",
    "king kong 2005": "King Kong (2005)",
    "amelie": "Amelie (Fabuleux destin d'Amélie Poulain, Le) (2001)",
    "eternal sunshine": "Eternal Sunshine of the Spotless Mind (2004)",
    "dr strangelove": "Dr. Strangelove or: How I Learned to Stop Worrying and Love the Bomb (1964)",
}


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
        ("fellowship of the ring", TITLES[23]),
        ("lotr fellowship of the ring", TITLES[23]),
        ("lord of the rings felowship", TITLES[23]),
        ("matirx", TITLES[6]),
        ("the matrix 1998", TITLES[6]),
        ("toy story 1", TITLES[24]),
        ("toy story 3", TITLES[25]),
        ("godfather 2", TITLES[27]),
        ("the godfather part two", TITLES[27]),
        ("ghost busters", TITLES[29]),
        ("blade runner 2049", TITLES[30]),
        ("net", TITLES[31]),
    ],
)
def test_finds_what_is_meant(index: TitleIndex, typed: str, title: str) -> None:
    match = index.find(typed)
    assert match.title == title
    assert match.item_id == 100 + TITLES.index(title)
    assert match.typed == typed


@pytest.mark.parametrize(
    "typed",
    [
        # What holds all words of a shorter title is another film.
        "Avatar: The Way of Water",
        "Avengers: Endgame",
        "Top Gun: Maverick",
        "Everything Everywhere All at Once",
        "Harry Potter and the Cursed Child",
        "Her Smell",
        "Once Upon a Time in Hollywood",
        # Another part, another year.
        "Toy Story 4",
        "Toy Story IV",
        "The Godfather: Part III",
        "John Wick: Chapter 4",
        "Lion King 2019",
        "The Lion King (2019)",
        "The Matrix 4",
        # Short words that differ in a letter are other words.
        "Tenet",
        "Green Book",
    ],
)
def test_what_is_absent_is_taken_for_nothing_else(index: TitleIndex, typed: str) -> None:
    with pytest.raises(DataError, match="is like"):
        index.find(typed)


@pytest.mark.parametrize(
    ("titles", "typed"),
    [
        (["ハハ (1999)", "パパ (2001)", "ババ (2003)"], ["ハハ", "パパ", "ババ"]),
        (["Май (1999)", "Маи (2001)"], ["май", "маи"]),
        (["कि (2001)", "का (2002)", "क (2003)"], ["कि", "का", "क"]),
        (["ที่ (2001)", "ที (2002)"], ["ที่", "ที"]),
        (["Amélie (2001)", "Amelie (1990)"], ["amélie", "AMELIE"]),
        (["X (1986)", "10 (1979)"], ["x", "10"]),
        (["Rocky II (1979)", "Rocky 2 (1990)", "Rocky 3"], ["rocky ii", "rocky 2", "rocky iii"]),
        (["Chapter X: Alpha", "Chapter 10: Alpha"], ["chapter x", "chapter 10"]),
        (["Final Fantasy XV", "Final Fantasy XIV"], ["final fantasy 15", "final fantasy 14"]),
        (["Fahrenheit ٩ (2001)", "Fahrenheit 11", "２０４６（２００４）"], ["Fahrenheit 9", "fahrenheit １１", "2046"]),
        (["12 (2007)", "1/2 (2001)", "8 1/2 (1963)", "9½ Weeks (1986)"], ["12", "½", "8½", "9 1/2 weeks"]),
        (["X-Files, The (1998)", "Malcolm X (1992)", "V for Vendetta"], ["xfiles", "malcolmx", "v for vendetta"]),
        (["Kill, Die (2000)", "Die Hard"], ["kill die", "die hard"]),
        (["The (1999)", "A (1998)", "An (2000)", "Plan A", "Plan"], ["the", "a", "an", "plan a", "plan"]),
        (["The Godfather: Part II", "The Godfather"], ["Godfather, The: Part 2", "Godfather, The"]),
        (["Enfant, L’ (2005)", "Spider–Man (2002)"], ["l'enfant", "spider-man"]),
    ],
)  # fmt: skip
def test_titles_are_found_as_typed_in_any_script_with_any_numeral_or_article(
    titles: list[str], typed: list[str]
) -> None:
    films = TitleIndex(pd.DataFrame({"item_id": titles, "title": titles}))
    assert [films.find(words).title for words in typed] == titles


@pytest.mark.parametrize(
    ("title", "typed"), [("ハハ", "パパ"), ("Май", "Маи"), ("X", "10"), ("V for Vendetta", "5 for vendetta")]
)
def test_another_letter_or_number_is_another_title(title: str, typed: str) -> None:
    with pytest.raises(DataError, match="is like"):
        TitleIndex(pd.DataFrame({"item_id": [1], "title": [title]})).find(typed)


# A tenth of a second; the square of it would be minutes.
@pytest.mark.timeout(30)
@pytest.mark.parametrize("long", ["a" + " " * 32_000 + "b", "(" * 32_000, "a, the " * 9_000, "-  " * 11_000])
def test_what_is_long_is_read_at_once_and_refused_when_typed(long: str) -> None:
    songs = SongIndex(pd.DataFrame({"item_id": [1, 2], "title": ["Heat", long], "artist": ["Ann", "Bob"]}))
    assert songs.find("heat").item_id == 1
    assert songs.find(long).item_id == 2
    for title, artist in ((f"{long}!", None), ("Heat", long)):
        with pytest.raises(DataError, match=rf"letters: type {MOST_LETTERS} at most\.$"):
            songs.find(title, artist)


def test_a_title_as_it_stands_comes_before_one_that_reads_the_same() -> None:
    songs = TitleIndex(pd.DataFrame({"item_id": [1, 2], "title": ["Hello!", "Hello"]}))
    assert [songs.find(typed).item_id for typed in ("Hello", "Hello!", "hello", "hello?")] == [2, 1, 2, 1]


@pytest.mark.parametrize(
    ("titles", "typed"),
    [
        (["@a", "A"], ["@A", "a"]),
        (["Ⅲ", "III"], ["ⅲ", "iii"]),
        (["ﬁlm", "FILM"], ["ﬁlm", "film"]),
        (["M*A*S*H (1970)", "Mash (2005)"], ["m*a*s*h", "MASH"]),
        (["Up! (1976)", "Up (2009)", "UP"], ["up!", "up (2009)", "up"]),
        (["Amelie", "Amélie"], ["AMELIE", "AME\u0301LIE"]),
    ],
)
def test_what_is_equal_but_for_case_comes_before_what_reads_the_same(
    titles: list[str], typed: list[str]
) -> None:
    films = TitleIndex(pd.DataFrame({"item_id": titles, "title": titles}))
    found = [films.find(words) for words in typed]
    assert [match.title for match in found] == titles
    assert {match.likeness for match in found} == {100.0}


def test_of_several_alike_the_one_that_was_met_most_often_is_meant() -> None:
    titles = ["Titanic (1943)", "Titanic (1953)", "Titanic (1997)", "Titanic (1997)", "Tiger"]
    films = pd.DataFrame({"item_id": [1, 2, 3, 4, 5], "title": titles, "actions": [3, 0, 7, 9, 100]})
    typed = ["titanic", "Titanic (1997)", "Titanic 1943", "titanik"]
    assert [TitleIndex(films).find(title).item_id for title in typed] == [4, 4, 1, 4]
    even = films.assign(actions=2)
    assert [TitleIndex(even).find(title).item_id for title in typed] == [1, 3, 1, 1]


def test_what_is_absent_names_the_title_it_contradicts(index: TitleIndex) -> None:
    with pytest.raises(DataError, match="the nearest are Lion King, The"):
        index.find("Lion King 2019")


@pytest.mark.parametrize("title", [title for title in TITLES if title])
def test_every_title_finds_itself(index: TitleIndex, title: str) -> None:
    match = index.find(title)
    assert (match.title, match.likeness) == (title, 100)


@pytest.mark.realdata
def test_among_the_titles_of_movielens(data_dir: Path) -> None:
    films = TitleIndex(load_dataset("ml-latest-small", data_dir=data_dir).items)
    assert len(films.titles) > 9000
    taken = {typed: films.find(typed).title for typed in ML_TYPED}
    assert taken == ML_TYPED
    for typed in ("Avengers: Endgame", "Her Smell", "Once Upon a Time in Hollywood", "Toy Story 4"):
        with pytest.raises(DataError, match="is like"):
            films.find(typed)


def test_the_same_words_are_fully_alike(index: TitleIndex) -> None:
    assert index.find("MATRIX, the (1999)").likeness == 100


def test_a_title_that_nothing_is_like_names_the_nearest(index: TitleIndex) -> None:
    with pytest.raises(DataError, match=r"No title is like 'Hary Pott'; the nearest are .*Harry Potter"):
        index.find("Hary Pott")


@pytest.mark.parametrize("typed", ["", "  ", "?!"])
def test_nothing_typed_is_no_title(index: TitleIndex, typed: str) -> None:
    with pytest.raises(DataError, match="is no title"):
        index.find(typed)


def test_items_without_titles_have_none_to_find() -> None:
    with pytest.raises(DataError, match="no title to find 'Seven' among"):
        TitleIndex(pd.DataFrame({"item_id": [1], "title": [None]})).find("Seven")


def test_a_title_may_be_typed_twice(index: TitleIndex) -> None:
    assert [match.item_id for match in index.find_all(["Seven", "matrix", "Seven"])] == [107, 106, 107]


def test_two_titles_of_one_item_are_a_mistake(index: TitleIndex) -> None:
    with pytest.raises(DataError, match=r"'The Matrix' and 'matrix' are both Matrix, The"):
        index.find_all(["The Matrix", "Seven", "matrix"])


@pytest.mark.parametrize("typed", ["mi gente", "MI GENTE", "mi gentee"])
def test_the_whole_title_goes_before_one_with_something_in_brackets(typed):
    songs = pd.DataFrame({"item_id": [1, 2], "title": ["Mi Gente (feat. Beyoncé)", "Mi Gente"]})
    assert TitleIndex(songs).find(typed).item_id == 2
    assert TitleIndex(songs.iloc[:1]).find(typed).item_id == 1
    assert TitleIndex(songs).find("mi gente (feat. Beyonce)").item_id == 1


@pytest.mark.parametrize(
    ("typed", "title"),
    [
        ("Amelei", "Amelie (Fabuleux destin d'Amélie Poulain, Le) (2001)"),
        ("Amelei 2001", "Amelie (Fabuleux destin d'Amélie Poulain, Le) (2001)"),
        ("Ringuu", "Ringu (Ring) (1998)"),
        ("Ponyoo", "Ponyo (Gake no ue no Ponyo) (2008)"),
        ("Rumros", "Rumors (feat. Lizzo)"),
        ("Se7ven", "Seven (a.k.a. Se7en) (1995)"),
    ],
)
def test_a_slip_in_six_letters_is_found_whatever_the_title_has_in_brackets(typed, title):
    songs = pd.DataFrame({"item_id": [1, 2], "title": ["Something Else", title]})
    assert TitleIndex(songs).find(typed).title == title


def test_after_a_slip_too_the_whole_title_goes_first():
    songs = pd.DataFrame({"item_id": [1, 2], "title": ["Ringu (Ring) (1998)", "Ringu (1998)"]})
    assert TitleIndex(songs).find("Ringuu").item_id == 2


def test_whose_song_it_is_and_whose_it_could_be():
    songs = pd.DataFrame(
        {
            "item_id": [1, 2, 3, 4],
            "title": ["Stay", "stay", "Umbrella", "Stay"],
            "artist": ["Zedd", "Post Malone", "Rihanna", None],
        }
    )
    index = SongIndex(songs)
    assert index.find("STAY").named == "Stay (Zedd)"
    assert index.find("stay", "post malone").item_id == 2
    assert index.artists_of("Stay") == ["Zedd", "Post Malone"]
    with pytest.raises(
        DataError, match=r"^There is 'Stay' by Zedd; Post Malone\. Of Rihanna: No title is like"
    ):
        index.find("Stay", "Rihanna")
    with pytest.raises(DataError, match=r"by Zedd; Post Malone\. No artist is like"):
        index.find("Stay", "Xerxes Quartet")
    with pytest.raises(DataError, match=r"^No artist is like"):
        index.find("Hello", "Xerxes Quartet")
    with pytest.raises(DataError, match=r"^Of Zedd: No title is like"):
        index.find("Hello", "Zedd")
