"""The attention that the report shows: whose history, of which model, and which title stands where."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from attrec.sequences.baselines import Popularity
from attrec.sequences.bert4rec import BERT4Rec, BERT4RecConfig
from attrec.sequences.sasrec import SASRec, SASRecConfig
from tasks.comparison.family import Fitted
from tasks.engine.artifacts import writing
from tasks.families.sequences.data import SequenceTraining
from tasks.families.sequences.shown import example_attention, examples, title_example

TINY = {"network": {"dimension": 8, "heads": 2, "length": 10}, "training": {"epochs": 1}, "batch": 16}
SHORT = {**TINY, "network": {**TINY["network"], "length": 4}}
MODELS = {
    "popularity": Popularity,
    "sasrec": lambda: SASRec(SASRecConfig.model_validate(TINY)),
    "sasrec-short": lambda: SASRec(SASRecConfig.model_validate(SHORT)),
    "bert4rec": lambda: BERT4Rec(BERT4RecConfig.model_validate(TINY)),
    "bert4rec-short": lambda: BERT4Rec(BERT4RecConfig.model_validate(SHORT)),
}
ITEMS = pd.DataFrame({"item_id": range(100, 120), "title": [None, *(f"Film {n}" for n in range(1, 20))]})


def data(lengths: dict[int, int]) -> SequenceTraining:
    """Each user does 100, 101, … and then 119."""
    actions = [(user, 100 + step) for user, length in lengths.items() for step in range(length)]
    columns = ["user_id", "item_id"]
    targets = pd.DataFrame([(user, 119) for user in lengths], columns=columns)
    with writing("sequence-training") as draft:
        pd.DataFrame(actions, columns=columns).to_parquet(draft.folder / "actions.parquet")
        targets.to_parquet(draft.folder / "validation.parquet")
        ITEMS.to_parquet(draft.folder / "items.parquet")
    return SequenceTraining(folder=draft.artifact)


def fitted(name: str) -> Fitted:
    model = MODELS[name]().fit(data({1: 19, 2: 8}).actions())
    with writing("sequence-model") as draft:
        model.save(draft.folder)
    return Fitted(name=name, config={}, seeds=[0], models=[draft.artifact])


@pytest.fixture(scope="module")
def models():
    return {name: fitted(name) for name in MODELS}


def of(models, *names, lengths=None, champion=None):
    return example_attention(
        data(lengths or {1: 15, 2: 5, 3: 7, 4: 6}),
        [models[name] for name in names],
        champion or names[0],
    )


def titles(rows: pd.DataFrame) -> list[str]:
    return rows.drop_duplicates("query").sort_values("query")["query_title"].tolist()


def test_shows_the_first_history_that_is_neither_short_nor_long(models):
    rows = of(models, "sasrec")
    assert titles(rows) == ["100", *(f"Film {n}" for n in range(1, 7))]  # of user 3; an item without a title
    assert len(rows) == 2 * 7 * 7
    assert set(rows["block"]) == {2}
    assert sorted(set(rows["head"])) == [1, 2]
    np.testing.assert_allclose(rows.groupby(["head", "query"])["weight"].sum(), 1, rtol=1e-5)
    assert (rows.loc[rows["key"] > rows["query"], "weight"] == 0).all()
    row = rows[(rows["query"] == 4) & (rows["key"] == 2)].iloc[0]
    assert (row["query_title"], row["key_title"]) == ("Film 4", "Film 2")


def test_of_long_histories_alone_the_newest_actions_are_shown(models):
    rows = of(models, "sasrec", lengths={1: 3, 2: 15, 3: 14})
    # Of user 2 the newest 12, of which this network reads the newest 10.
    assert titles(rows) == [f"Film {n}" for n in range(5, 15)]


def test_bert4rec_asks_behind_the_newest_action(models):
    assert titles(of(models, "bert4rec"))[-2:] == ["Film 6", "(next)"]


def test_a_network_that_reads_less_shows_what_it_reads(models):
    assert titles(of(models, "sasrec-short")) == ["Film 3", "Film 4", "Film 5", "Film 6"]
    assert titles(of(models, "bert4rec-short")) == ["Film 4", "Film 5", "Film 6", "(next)"]


@pytest.mark.parametrize(
    ("names", "champion", "shown"),
    [
        (["popularity", "bert4rec", "sasrec"], "sasrec", "sasrec"),
        (["popularity", "bert4rec", "sasrec"], "popularity", "bert4rec"),
    ],
)
def test_the_champion_is_shown_or_else_the_first_transformer(models, names, champion, shown):
    assert set(of(models, *names, champion=champion)["model"]) == {shown}


def test_nothing_to_show_leaves_the_columns(models):
    for rows in (of(models, "popularity"), of(models, "sasrec", lengths={1: 5})):
        assert rows.empty
        assert "query_title" in rows


def test_titles_in_titles_out() -> None:
    done = pd.DataFrame({"user_id": [1, 1, 1, 2, 2, 3], "item_id": [7, 8, 9, 9, 8, 9]})
    titles = pd.DataFrame(
        {"item_id": [7, 8, 9], "title": ["Alpha (1990)", "Beta, The (1991)", "Gamma (1992)"]}
    )
    with writing("sequence-model") as model:
        Popularity().fit(done).save(model.folder)
    with writing("sequence-training") as training:
        titles.to_parquet(training.folder / "items.parquet")
    fitted = Fitted(name="popularity", config={}, seeds=[0], models=[model.artifact])
    table = title_example([fitted], ["the beta"], SequenceTraining(folder=training.artifact))
    assert table.drop(columns="score").to_dict("list") == {
        "model": ["popularity", "popularity"],
        "rank": [1, 2],
        "title": ["Gamma (1992)", "Alpha (1990)"],
    }


def test_recommendations_beside_what_was_done_last_and_next(models):
    shown = examples(data({1: 3, 2: 6, 3: 9, 4: 12}), models["popularity"])
    assert [one.whose for one in shown] == [2, 3, 4]
    first = shown[0]
    assert first.had == [105, 104, 103, 102, 101, 100]
    assert first.next == [119]
    assert len(first.recommended) == 5
    assert not set(first.had) & set(first.recommended)
