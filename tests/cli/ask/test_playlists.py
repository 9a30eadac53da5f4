"""`attrec recommend --playlist`: what is found, what is near and why, and every playlist that cannot be answered."""

from __future__ import annotations

import re

import numpy as np
import pandas as pd
import pytest
from mlflow.exceptions import MlflowException

from attrec.playlists.ars import ARS, ARSConfig
from attrec.playlists.baselines import MeanVector, Popularity
from attrec.playlists.clusters import DBSCAN, DBSCANConfig
from attrec.playlists.model import PlaylistModel
from attrec.prepare.songs import Vectors
from attrec.serving.playlists import ServedPlaylists
from cli.ask import playlists
from tasks.comparison.served import ServedModel

SONGS = pd.DataFrame(
    {
        "item_id": [1, 2, 3, 4, 5, 6],
        "title": ["Blue Train", "Green River", "Red House", "Yellow Moon", "Hello", "Hello"],
        "artist": [
            "John Coltrane",
            "Creedence",
            "Jimi Hendrix",
            "Neville Brothers",
            "Adele",
            "Lionel Richie",
        ],
        "genres": ["jazz", "rock", "rock", "soul", "pop", "soul"],
    }
)
# On a line: song 2 is beside song 1, song 6 far from everything.
PLACES = np.array([[0, 0], [1, 0], [2, 0], [3, 0], [5, 0], [9, 1]], dtype="float32")
TINY = {"dimension": 4, "pairs": 1, "hidden": 4, "cooccurrence": 2, "training": {"epochs": 1}}


def tiny(**changes: object) -> ARS:
    return ARS(ARSConfig.model_validate({**TINY, **changes}))


def served(model: PlaylistModel, songs: pd.DataFrame = SONGS) -> ServedPlaylists:
    rows = [(1, 1), (1, 2), (2, 2), (2, 3), (2, 4), (3, 5), (3, 6)]
    vectors = Vectors(pd.Index(SONGS["item_id"]), ("x", "y"), PLACES)
    return ServedPlaylists(model.fit(pd.DataFrame(rows, columns=["user_id", "item_id"]), vectors), songs)


def behind_mlflow(answers: ServedPlaylists) -> ServedModel:
    model = ServedModel()
    model.answers = answers
    return model


@pytest.fixture
def ask(attrec, monkeypatch, tmp_path):
    """Recommend for a file of this text, by a model that is nearest to the mean unless another is given."""

    def run(text: str | bytes, model: ServedPlaylists | None = None, *words: str):
        file = tmp_path / "songs.csv"
        file.write_bytes(text if isinstance(text, bytes) else text.encode())
        monkeypatch.setattr(playlists, "load_registered", lambda *_: model or served(MeanVector()))
        return attrec("recommend", "--playlist", str(file), "-k", "2", *words)

    return run


def recommended(out: str) -> list[int]:
    return [int(number) for number in re.findall(r"^\W*(\d+)\W", out, flags=re.MULTILINE)]


def test_nearest_songs_with_their_distance_and_the_nearest_of_the_playlist(ask):
    ended = ask("title\nblue train\nRED HOUSE\n")
    assert ended.code == 0, ended.err
    assert "blue train → Blue Train" in ended.out
    assert recommended(ended.out) == [2, 4]
    [green] = [line for line in ended.out.splitlines() if "Green River" in line]
    assert "Creedence" in green
    assert "Blue Train" in green  # of songs 1 and 3, as near as each other, the first
    assert "0.000" in green  # the mean of the two is where song 2 lies
    assert "would move" not in ended.out


def test_how_each_song_moves_the_centroid_and_is_attended_to_is_told(ask):
    model = tiny()
    ended = ask("title\nBlue Train\nRed House\n", served(model))
    assert ended.code == 0, ended.err
    shown = ended.out
    assert "those unlike the others move it most" in shown
    assert "the attention among your items" in shown
    rows = [
        [float(figure) for figure in found]
        for found in re.findall(r"(\d\.\d\d\d)\W+(\d\.\d\d\d)\W*$", shown, flags=re.MULTILINE)
    ]
    told = model.explain([1, 3])[["weight", "attention"]].to_numpy().tolist()
    assert rows == [pytest.approx(row, abs=0.0006) for row in told]


def test_without_attention_none_is_told(ask):
    ended = ask("title\nBlue Train\nRed House\n", served(tiny(attention=False)))
    assert "others move it most)" in ended.out
    assert "attention" not in ended.out


@pytest.mark.parametrize(
    ("model", "told", "untold"),
    [
        (tiny(), "how near the centroid of your items, with how popular an item is", "inner product"),
        (tiny(popularity=False), "The nearest to the centroid of your items first.", "popular"),
        (
            tiny(similarity="learned"),
            "inner product of an item's vector and that of your items together, with how popular the item is; this"
            " model does not go by the distance",
            "how near",
        ),
        (
            tiny(similarity="learned", popularity=False),
            "your items together; this model does not go by the distance",
            "popular",
        ),
        (
            DBSCAN(DBSCANConfig(eps_quantiles=(0.3,), min_songs=2)),
            "Items outside the clusters of yours come behind, by the mean distance to all your items; so do all where"
            " none of yours is in a cluster.",
            "centroid",
        ),
        (MeanVector(), "The nearest to the mean of your items first.", "centroid"),
        (
            Popularity(),
            "this model does not go by the distance, which is to the mean of your items",
            "centroid",
        ),
    ],
)
def test_what_ranks_is_told_of_each_model_as_it_is_configured(ask, model, told, untold):
    ended = ask("title\nBlue Train\n", served(model))
    assert ended.code == 0, ended.err
    assert told in ended.out
    assert untold not in ended.out


def test_a_title_may_have_a_comma_unless_something_stands_beside_it(ask):
    ended = ask("title\nBlue Train\nRed, House\n")
    assert "Red, House → Red House" in ended.out
    assert recommended(ended.out) == [2, 4]
    assert recommended(ask('title\n"Blue Train"\n"Red House"\n').out) == [2, 4]
    beside = ask("title,artist\nBlue Train,John Coltrane\nRed, House,Hendrix\n")
    assert "line 3: 'Red, House,Hendrix' does not have the 2 fields" in beside.sentence


def test_blank_lines_case_of_the_header_and_a_song_called_none(ask):
    assert recommended(ask("Title\n\nBlue Train\n\n").out) == recommended(ask("title\nBlue Train\n").out)
    assert "line 5: there is no title" in ask("title,artist\nBlue Train,\n\n\n,Hendrix\n").sentence
    assert "None → left out. No title is like 'None'" in ask("title\nBlue Train\nNone\n").out


def test_one_song_is_a_playlist(ask):
    ended = ask("title\nBlue Train\n")
    assert ended.code == 0, ended.err
    assert recommended(ended.out) == [2, 3]


def test_a_song_that_is_there_twice_counts_once_and_is_told(ask):
    once, twice = ask("title\nBlue Train\n"), ask("title\nBlue Train\nblue train\n")
    assert "blue train → Blue Train (John Coltrane) (again: it counts once)" in twice.out
    assert recommended(twice.out) == recommended(once.out)


def test_unknown_songs_are_told_and_left_out(ask):
    ended = ask("title\nXylophone Sonata\nBlue Train\n")
    assert ended.code == 0, ended.err
    assert "Xylophone Sonata → left out. No title is like 'Xylophone Sonata'" in ended.out
    assert recommended(ended.out) == [2, 3]


@pytest.mark.parametrize(("artist", "found"), [("lionel ritchie", 5), ("adele", 4), ("", 4)])
def test_the_artist_tells_songs_of_one_title_apart(ask, artist, found):
    ended = ask(f"artist,title\n{artist},Hello\n")
    assert ended.code == 0, ended.err
    # What is nearest to the one that was meant: song 5 is nearest to song 6, song 4 to song 5.
    assert recommended(ended.out)[0] == found
    others = "Hello (Adele); others of this title are by Lionel Richie: name the artist to choose"
    assert (others in ended.out) == (not artist)


def test_of_many_artists_of_one_title_three_are_named(ask):
    ended = ask("title\nhello\n", served(MeanVector(), SONGS.assign(title="Hello")))
    others = (
        "others of this title are by Creedence, Jimi Hendrix, Neville Brothers and 2 more: name the artist"
    )
    assert f"hello → Hello (John Coltrane); {others} to choose" in ended.out


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "songs.csv is empty"),
        ("title\n", "songs.csv has no rows"),
        ("name\nBlue Train\n", "songs.csv has no column title, only 'name': give the column title"),
        ("title,artist\nBlue Train,\n ,Adele\n", "songs.csv, line 3: there is no title"),
        ("title\nXylophone Sonata\nZzz Top\n", "No item of"),
        ("title,artist\nHello,Xerxes Quartet\n", "No artist is like 'Xerxes Quartet'"),
        ("title,artist\nBlue Train,\nc,d,e\n", "songs.csv, line 3: 'c,d,e' does not have the 2 fields"),
        (b"title\n\xff\xfe\n", "is not UTF-8 text (line 2)"),
    ],
)
def test_files_that_cannot_be_answered(ask, text, said):
    assert said in ask(text).sentence


def test_songs_without_titles_are_asked_by_id(ask):
    bare = served(MeanVector(), SONGS[["item_id"]])
    assert "ask it by MLflow, with the column item_id" in ask("title\nBlue Train\n", bare).sentence


@pytest.mark.parametrize(
    "words", [["--user", "1"], ["--ratings", "x.csv"], ["--titles", "Hello"], ["--attention", "x.svg"]]
)
def test_a_playlist_stands_alone(ask, words):
    assert "leave out --titles" in ask("title\nBlue Train\n", None, *words).sentence


def test_a_faulty_file_is_told_before_a_model_is_loaded(attrec, monkeypatch):
    monkeypatch.setattr(
        playlists, "load_registered", lambda *_: pytest.fail("loaded before the file was read")
    )
    assert "none.csv does not exist" in attrec("recommend", "--playlist", "none.csv").sentence


def test_a_list_in_a_field_is_refused():
    with pytest.raises(MlflowException, match="Row 1 of the playlist has a list in a field"):
        behind_mlflow(served(MeanVector())).predict(
            None, pd.DataFrame({"title": [["blue train", "red house"]]})
        )


def test_served_by_titles_or_ids_it_says_the_same():
    model = behind_mlflow(served(MeanVector()))
    by_id = model.predict(None, pd.DataFrame({"item_id": [1, 3]}), {"k": 2})
    typed = pd.DataFrame(
        {"title": ["blue train", "red house"], "artist": [None, "hendrix"], "playlist": "mine"}
    )
    by_title = model.predict(None, typed, {"k": 2})
    assert by_title["playlist"].unique().tolist() == ["mine"]
    assert by_id["item_id"].tolist() == by_title["item_id"].tolist() == [2, 4]
    assert by_id["artist"].tolist() == ["Creedence", "Neville Brothers"]
