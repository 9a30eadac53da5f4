"""What the registered sequence model answers, and the sentence it refuses with."""

from __future__ import annotations

import io
import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from mlflow.exceptions import MlflowException
from mlflow.pyfunc.scoring_server import predictions_to_json

from attrec.sequences.baselines import MarkovChain
from attrec.serving.requests import MOST_ROWS
from tasks.comparison.served import ServedModel

TITLES = {
    1: "Toy Story (1995)",
    2: "Heat (1995)",
    3: "Lion King, The (1994)",
    4: "Fargo (1996)",
    5: "Up (2009)",
}


def served(folder: Path, items: pd.DataFrame) -> ServedModel:
    """A Markov chain in which 1, 2, 3, 4 follow each other; nobody has seen 5."""
    actions = pd.DataFrame({"user_id": [0] * 4 + [1] * 3, "item_id": [1, 2, 3, 4, 1, 2, 3]})
    MarkovChain().fit(actions).save(folder)
    items.to_parquet(folder / "items.parquet")
    model = ServedModel()
    model.load_context(SimpleNamespace(artifacts={"model": str(folder)}))
    return model


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> ServedModel:
    items = pd.DataFrame({"item_id": list(TITLES), "title": list(TITLES.values()), "genres": "Drama"})
    return served(tmp_path_factory.mktemp("model"), items)


def ask(model: ServedModel, k: int = 1, **columns: list[Any]) -> pd.DataFrame:
    return model.predict(None, pd.DataFrame(columns), {"k": k})


def test_ids_and_titles_ask_the_same(model: ServedModel) -> None:
    answer = ask(
        model,
        item_id=[1, 2, None, None],
        title=[None, None, "toy story", "HEAT"],
        history=["ids", "ids", "titles", "titles"],
    )
    assert answer["history"].tolist() == ["ids", "titles"]
    assert answer["item_id"].tolist() == [3, 3]
    assert answer["title"].tolist() == [TITLES[3]] * 2
    assert answer["after"].tolist()[1] == "Toy Story (1995); Heat (1995)"
    assert pd.isna(answer["after"][0])


def test_an_id_is_asked_rather_than_its_title(model: ServedModel) -> None:
    answer = ask(model, item_id=[1, None, 3], title=["Fargo", "heat", None])
    assert answer["item_id"].tolist() == [4]
    assert answer["after"].tolist() == ["Heat (1995)"]


def test_something_done_twice_is_read_twice(model: ServedModel) -> None:
    by_titles = ask(model, k=3, title=["Heat", "Toy Story", "heat (1995)"])
    by_ids = ask(model, k=3, item_id=[2, 1, 2])
    pd.testing.assert_frame_equal(by_titles.drop(columns="after"), by_ids.drop(columns="after"))
    assert by_titles["after"][0] == "Heat (1995); Toy Story (1995); Heat (1995)"


@pytest.mark.parametrize(
    ("columns", "sentence"),
    [
        ({"title": []}, "There is no row"),
        ({"film": ["Heat"]}, "neither a column item_id nor a column title"),
        ({"title": ["Heat", None]}, "Row 2 of the history has neither an item_id nor a title"),
        ({"item_id": [1.0, None]}, "Row 2 of the history has neither an item_id nor a title"),
        ({"title": [" "]}, "' ' is no title"),
        ({"title": ["Avengers: Endgame"]}, "No title is like 'Avengers: Endgame'"),
        ({"title": ["Up"]}, "No title is like 'Up'"),
        ({"item_id": [5]}, "No item of this history is known"),
        ({"item_id": ["a"]}, "'a' is no item id of this model: they are whole numbers, like 1, 2, 3"),
        ({"item_id": [1.5]}, r"1\.5 is no item id of this model"),
    ],
)
def test_what_cannot_be_answered_is_one_sentence(
    model: ServedModel, columns: dict[str, list[Any]], sentence: str
) -> None:
    with pytest.raises(MlflowException, match=sentence) as refused:
        ask(model, **columns)
    assert refused.value.get_http_status_code() == 400


@pytest.mark.parametrize("k", [0, -1])
def test_no_item_is_too_few(model: ServedModel, k: int) -> None:
    with pytest.raises(MlflowException, match=f"k is {k}: ask for one"):
        ask(model, k=k, item_id=[1])


def test_all_histories_at_fault_are_named(model: ServedModel) -> None:
    with pytest.raises(MlflowException, match="None of the 2 histories can be answered") as refused:
        ask(model, item_id=[5, None], title=[None, "Dune"], history=["ann", "cy"])
    assert "'ann': No item" in str(refused.value)
    assert "'cy': No title is like 'Dune'" in str(refused.value)


def test_a_history_without_an_answer_says_why_among_others(model: ServedModel) -> None:
    answer = ask(model, item_id=[5, 1, None], title=[None, None, "Dune"], history=["ann", "bob", "cy"])
    assert answer["history"].tolist() == ["ann", "bob", "cy"]
    assert answer["item_id"].isna().tolist() == [True, False, True]
    assert answer["error"].notna().tolist() == [True, False, True]
    assert answer["error"][2].startswith("No title is like 'Dune'")


def test_a_row_that_names_no_history_among_others_that_do_says_so(model: ServedModel) -> None:
    answer = ask(model, item_id=[1, 2, 3, 1, 2], history=[7, None, None, "bob", 7])
    assert answer["history"].fillna("").tolist() == ["7", "", "bob"]
    assert answer["item_id"].fillna(0).tolist() == [3, 0, 2]
    assert answer["error"].isna().tolist() == [True, False, True]
    assert answer["error"][1].startswith(
        "Row 2 and 1 more have nothing in the column history: say to which history"
    )
    with pytest.raises(
        MlflowException, match=r"^(INVALID_PARAMETER_VALUE: )?Row 1 has nothing in the column history"
    ):
        ask(model, item_id=[1], history=[None])
    with pytest.raises(MlflowException, match=r"'ann': No item .* Row 2 has nothing in the column history"):
        ask(model, item_id=[5, 1], history=["ann", None])


def test_what_is_missing_is_null_in_json(model: ServedModel) -> None:
    sent = io.StringIO()
    predictions_to_json(ask(model, item_id=[1, 5], history=["ann", "bob"]), sent)
    known, unknown = json.loads(sent.getvalue(), parse_constant=pytest.fail)["predictions"]
    assert (known["rank"], known["item_id"], known["error"], known["after"]) == (1, 2, None, None)
    assert (unknown["rank"], unknown["item_id"], unknown["score"]) == (None, None, None)


def test_what_the_model_does_not_know_is_left_out_and_said(model: ServedModel) -> None:
    answer = ask(model, item_id=[5, 1], title=["Up (2009)", None])
    assert answer["item_id"].tolist() == [2]
    assert answer["left_out"].tolist() == ["There is no item 5."]


def test_what_is_left_out_is_said_once_and_not_at_length(model: ServedModel) -> None:
    strange = list(range(100, 110))
    answer = ask(model, item_id=[1, *strange, *strange], title=[None] * 21)
    assert answer["left_out"].tolist() == ["There is no item 100, 101, 102 and 7 more."]
    titles = ["Dune", "Dune", "Alien", "Solaris", "Zardoz", None]
    said = ask(model, title=titles, item_id=[None] * 5 + [1])["left_out"][0]
    assert said.count("No title is like") == 3
    assert said.endswith(" and 1 more")


def test_a_large_id_is_answered_as_it_is_beside_a_history_without_an_answer(tmp_path: Path) -> None:
    large = [2**60 + number for number in range(1, 4)]
    MarkovChain().fit(pd.DataFrame({"user_id": [0, 0, 0], "item_id": large})).save(tmp_path)
    pd.DataFrame({"item_id": large}).to_parquet(tmp_path / "items.parquet")
    films = ServedModel()
    films.load_context(SimpleNamespace(artifacts={"model": str(tmp_path)}))
    asked = pd.DataFrame({"item_id": [large[0], 5], "history": ["ann", "bob"]})
    answer = films.predict(None, asked, {"k": 1})
    assert answer["item_id"].fillna(0).tolist() == [large[1], 0]
    assert answer["error"].notna().tolist() == [False, True]


@pytest.mark.parametrize("titles", [{}, {"title": [None] * 5}])
def test_items_without_titles_are_asked_by_id(tmp_path: Path, titles: dict[str, list[None]]) -> None:
    untitled = served(tmp_path, pd.DataFrame({"item_id": list(TITLES), **titles}))
    with pytest.raises(MlflowException, match="have no titles: give the column item_id"):
        ask(untitled, title=["Heat"])
    assert ask(untitled, item_id=[1])["item_id"].tolist() == [2]


def test_many_histories_are_answered_at_once_as_each_alone(model: ServedModel) -> None:
    asked = np.random.default_rng(0).integers(1, 4, (10_000, 3))
    names = [f"{number}" for number in range(len(asked))]
    answer = ask(model, item_id=asked.ravel().tolist(), history=np.repeat(names, 3).tolist())
    assert answer["history"].tolist() == names
    for number in (0, 1, 5_000, 9_999):
        alone = ask(model, item_id=asked[number].tolist())
        own = answer[answer["history"] == str(number)].reset_index(drop=True)
        pd.testing.assert_frame_equal(own.drop(columns="history"), alone.drop(columns="history"))


@pytest.mark.parametrize(
    ("k", "columns", "sentence"),
    [
        (1, {"item_id": [1] * (MOST_ROWS + 1)}, r"100,001 rows: send 100,000 at most"),
        (
            5,
            {"item_id": [1] * 70_000, "history": list(range(70_000))},
            r"the 250,000 that one answer has at most",
        ),
        (1, {"title": ["a" + " " * 32_000 + "b"]}, r"goes on for 32,002 letters: type 300 at most"),
    ],
)
def test_what_is_too_much_is_refused_at_once(
    model: ServedModel, k: int, columns: dict[str, list[Any]], sentence: str
) -> None:
    with pytest.raises(MlflowException, match=sentence):
        ask(model, k=k, **columns)


def test_so_many_titles_as_are_found_in_seconds_are_looked_up(model: ServedModel) -> None:
    typed = [f"film {number}" for number in range(MOST_ROWS)]
    with pytest.raises(
        MlflowException,
        match=r"100,000 different titles, which take too long to look up: send 34,\d\d\d at most, or",
    ):
        ask(model, title=typed)


def test_titles_that_need_no_looking_up_are_not_counted(
    model: ServedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("attrec.serving.lists._COMPARISONS", 1500)
    known = [TITLES[1], "HEAT", "heat (1995)", "lion king, the", "a" * 301]
    beside = [f"film {number}" for number in range(9)]
    answer = ask(model, title=[*known, "toy stori", *beside], item_id=[None] * 6 + [1] * 9)
    assert answer["after"][0] == "; ".join([TITLES[1], TITLES[2], TITLES[2], TITLES[3], TITLES[1]])
    # Each way of reading it is looked up.
    with pytest.raises(
        MlflowException, match="3 different titles, which take too long to look up: send 1 at"
    ):
        ask(model, title=["toy stori", "hart", "up"])
    with pytest.raises(MlflowException, match="send 1 at most"):
        ask(model, title=["né, the ii 2001", "hart"])


def test_a_title_may_be_a_number(tmp_path: Path) -> None:
    films = served(
        tmp_path, pd.DataFrame({"item_id": [1, 2, 3], "title": ["10 (1979)", "X (1986)", "300 (2006)"]})
    )
    assert ask(films, title=[10, None], item_id=[None, 2])["after"].tolist() == ["10 (1979)"]
    assert ask(films, title=[300])["after"].tolist() == ["300 (2006)"]


def test_a_history_that_has_every_item_says_so(tmp_path: Path) -> None:
    actions = pd.DataFrame({"user_id": [0] * 3, "item_id": [1, 2, 3]})
    MarkovChain().fit(actions, exclude_seen=True).save(tmp_path)
    pd.DataFrame({"item_id": [1, 2, 3]}).to_parquet(tmp_path / "items.parquet")
    model = ServedModel()
    model.load_context(SimpleNamespace(artifacts={"model": str(tmp_path)}))
    answer = ask(model, item_id=[1, 2, 3, 1], history=["all", "all", "all", "one"])
    assert answer["error"][0] == "The history has every item of this model, so there is none to recommend."
    assert answer["item_id"].fillna(0).tolist() == [0, 2]
