"""What the registered playlist model answers, and the sentence it refuses with."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from mlflow.exceptions import MlflowException

from attrec.errors import DataError
from attrec.playlists.baselines import MeanVector
from attrec.prepare.songs import Vectors
from attrec.serving.playlists import ServedPlaylists
from attrec.serving.requests import read_items
from tasks.comparison.served import ServedModel

SONGS = pd.DataFrame(
    {
        "item_id": [1, 2, 3, 4],
        "title": ["Hello", "Hello", "Someone Like You", "Yesterday"],
        "artist": ["Adele", "Lionel Richie", "Adele", "The Beatles"],
    }
)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> ServedModel:
    """Songs on a line at 0, 1, 2.5 and 10; the nearest to the mean of a playlist are recommended."""
    folder = tmp_path_factory.mktemp("model")
    places = Vectors(pd.Index([1, 2, 3, 4]), ("x",), np.array([[0.0], [1.0], [2.5], [10.0]], dtype="float32"))
    MeanVector().fit(pd.DataFrame({"user_id": [1, 1], "item_id": [1, 2]}), places).save(folder)
    SONGS.to_parquet(folder / "items.parquet")
    served = ServedModel()
    served.load_context(SimpleNamespace(artifacts={"model": str(folder)}))
    return served


def ask(model: ServedModel, k: int = 1, **columns: list[Any]) -> pd.DataFrame:
    return model.predict(None, pd.DataFrame(columns), {"k": k})


def test_ids_and_songs_ask_the_same(model: ServedModel) -> None:
    answer = ask(
        model,
        item_id=[2, None, None],
        title=[None, "hello", "yesterday"],
        artist=[None, "lionel richie", None],
        playlist=["ids", "songs", "other"],
    )
    assert answer["playlist"].tolist() == ["ids", "songs", "other"]
    assert answer["item_id"].tolist() == [1, 1, 3]
    assert answer["given"].tolist()[1:] == ["Hello (Lionel Richie)", "Yesterday (The Beatles)"]
    assert pd.isna(answer["given"][0])
    assert answer["distance"].tolist() == [1.0, 1.0, 7.5]
    assert answer["nearest"].tolist() == ["Hello", "Hello", "Yesterday"]


def test_a_song_without_a_title_is_named_by_its_id(model: ServedModel) -> None:
    items = SONGS.assign(title=SONGS["title"].mask(SONGS["item_id"] == 4))
    untitled = ServedPlaylists(model.answers.model, items)
    assert untitled.recommend([4], 1)["nearest"].tolist() == ["4"]
    assert untitled.recommend([1], 1)["nearest"].tolist() == ["Hello"]


def test_what_is_not_in_the_catalogue_is_left_out_and_said(model: ServedModel) -> None:
    answer = ask(model, item_id=[1, 9, None], title=[None, None, "Bohemian Rhapsody"])
    assert answer["item_id"].tolist() == [2]
    assert answer["left_out"][0].startswith("There is no item 9. No title is like 'Bohemian Rhapsody'")


def test_ids_may_come_as_text(model: ServedModel) -> None:
    as_numbers, as_text = ask(model, item_id=[1]), ask(model, item_id=["1"])
    assert as_text["item_id"].tolist() == as_numbers["item_id"].tolist()


def test_numbers_are_ids_of_a_model_whose_ids_are_text() -> None:
    rows = [{"item_id": 7}, {"item_id": 8.0}, {"item_id": "a"}]
    asked = read_items(rows, "playlist", pd.Index(["7", "8", "a"]), None)
    assert asked.ids == ["7", "8", "a"]


def test_a_song_of_no_playlist_says_so_among_others(model: ServedModel) -> None:
    answer = ask(model, item_id=[1, 2, 3], playlist=["mine", None, None])
    assert answer["error"].notna().tolist() == [False, True]
    assert answer["playlist"].tolist() == ["mine", pd.NA]
    assert answer["error"][1].startswith("Row 2 and 1 more have nothing in the column playlist: say to")


def test_a_playlist_without_an_answer_says_why_among_others(model: ServedModel) -> None:
    answer = ask(model, item_id=[9, 1], playlist=["yours", "mine"])
    assert answer["playlist"].tolist() == ["yours", "mine"]
    assert answer["error"][0].startswith("No item of this playlist")
    assert pd.isna(answer["error"][1])
    assert pd.isna(answer["item_id"][0])
    assert answer["item_id"][1] == 2
    assert pd.isna(answer["rank"][0])


@pytest.mark.parametrize(
    ("k", "columns", "sentence"),
    [
        (0, {"item_id": [1]}, "k is 0: ask for one"),
        (1, {"title": []}, "There is no row"),
        (1, {"song": ["Hello"]}, "neither a column item_id nor a column title"),
        (1, {"title": ["Hello", None]}, "Row 2 of the playlist has neither an item_id nor a title"),
        (1, {"title": ["Bohemian Rhapsody"]}, "No title is like 'Bohemian Rhapsody'"),
        (
            1,
            {"item_id": [9]},
            "No item of this playlist is known to the model: there is no 9; its items are like 1, 2, 3",
        ),
        (
            1,
            {"item_id": [8, 9], "playlist": ["mine", "yours"]},
            "None of the 2 playlists .* 'yours': No item",
        ),
        (1, {"item_id": [9, 1], "playlist": ["mine", None]}, "Row 2 has nothing in the column playlist"),
        (
            1,
            {"item_id": [1, 2], "playlist": [None, None]},
            "Row 1 and 1 more have nothing in the column playlist",
        ),
        (1, {}, "There is no row"),
    ],
)
def test_what_cannot_be_answered_is_one_sentence(
    model: ServedModel, k: int, columns: dict[str, list[Any]], sentence: str
) -> None:
    with pytest.raises(MlflowException, match=sentence) as refused:
        ask(model, k, **columns)
    assert refused.value.get_http_status_code() == 400


def test_many_playlists_are_answered_at_once_as_each_alone(model: ServedModel) -> None:
    number = 3_000
    asked = np.random.default_rng(0).integers(1, 5, (number, 2))
    names = [f"{each}" for each in range(number)]
    answer = ask(model, 2, item_id=asked.ravel().tolist(), playlist=np.repeat(names, 2).tolist())
    assert answer["playlist"].unique().tolist() == names
    for each in (0, 1, number - 1):
        alone = ask(model, 2, item_id=asked[each].tolist())
        own = answer[answer["playlist"] == str(each)].reset_index(drop=True)
        pd.testing.assert_frame_equal(own.drop(columns="playlist"), alone.drop(columns="playlist"))


def test_a_playlist_of_every_song_says_so_among_others(model: ServedModel) -> None:
    answer = ask(model, item_id=[1, 2, 3, 4, 1], playlist=["all"] * 4 + ["mine"])
    assert answer["playlist"].tolist() == ["all", "mine"]
    assert answer["error"][0] == "The playlist has every item of this model, so there is none to recommend."
    assert answer["item_id"][1] == 2


def test_one_title_of_many_artists_is_many_titles(
    model: ServedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    typed = pd.DataFrame({"artist": [f"Artist {each}" for each in range(9)]}).assign(title="Hello")
    each = model.answers.titles.comparisons("Hello", "Artist 1")
    assert model.answers.titles.comparisons("Hello", "Artist 1, Artist 2") > 2 * each
    monkeypatch.setattr("attrec.serving.lists._COMPARISONS", 5 * each)
    with pytest.raises(
        DataError, match=r"9 different titles, which take too long to look up: send 5 at most"
    ):
        model.answers.answer(typed)
