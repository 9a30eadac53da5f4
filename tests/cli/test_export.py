"""`attrec export`: answers in bulk of every family, and every bad use."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml

from attrec.datasets.tables import Tables
from attrec.models.size import ModelSize
from attrec.playlists.baselines import MeanVector
from attrec.playlists.model import PlaylistModel
from attrec.prepare.sequence_splits import ordered_actions
from attrec.prepare.songs import Vectors
from attrec.ratings.model import RatingModel
from attrec.sequences.baselines import ItemKNN
from attrec.sequences.model import SequenceModel
from attrec.serving.items import save_shown_items
from flows.lookup import load_saved
from tasks.comparison.card import FOLDER, Card
from tasks.engine import environment
from tasks.engine.tracking import DatasetVersion

COLUMNS = ["user_id", "rank", "item_id", "title", "score"]


@pytest.fixture
def model(registered: pd.DataFrame) -> RatingModel:
    """The champion."""
    return load_saved("rating", "champion")[1].model


@pytest.fixture
def tables(registered: pd.DataFrame) -> Tables:
    return Tables.load(environment.ROOT / "data" / "interim")


@pytest.fixture
def next_items(tables: Tables, tmp_path: Path) -> str:
    """The folder of a sequence model."""
    folder = tmp_path / "knn"
    ItemKNN().fit(ordered_actions(tables.ratings)[0]).save(folder)
    save_shown_items(tables.items, folder)
    return str(folder)


@pytest.fixture
def songs(tables: Tables, tmp_path: Path) -> str:
    """The folder of a playlist model."""
    folder = tmp_path / "songs"
    ids = pd.Index(tables.items["item_id"])
    points = Vectors(ids, ("x",), np.arange(len(ids), dtype="float32")[:, None])
    MeanVector().fit(tables.ratings[tables.ratings["rating"] >= 4], points).save(folder)
    save_shown_items(tables.items, folder)
    return str(folder)


def table(rows: pd.DataFrame, file: Path) -> str:
    rows.to_parquet(file, index=False) if file.suffix == ".parquet" else rows.to_csv(file, index=False)
    return str(file)


def with_sections(**sections: object) -> None:
    """Further sections of params.yaml."""
    file = environment.ROOT / "params.yaml"
    file.write_text(yaml.safe_dump({**yaml.safe_load(file.read_text()), **sections}))


def test_everybody_is_answered_as_one_by_one(attrec, model, tables, tmp_path):
    file = tmp_path / "best.parquet"
    ended = attrec("export", "recommendations", "rating", str(file), "-k", "3")
    assert ended.code == 0, ended.err
    users = model.catalogue.users
    assert f"{file}: the 3 best for each of {len(users):,} users, of " in ended.out
    assert ended.out.endswith(", trained on simulated.\n")
    found = pd.read_parquet(file)
    assert found.columns.tolist() == COLUMNS
    expected = model.recommend(users, 3)
    pd.testing.assert_frame_equal(found[expected.columns], expected, check_dtype=False)
    titles = tables.items.set_index("item_id")["title"]
    assert found["title"].tolist() == titles[found["item_id"]].tolist()
    again = attrec("export", "recommendations", "rating", str(tmp_path / "best.csv"), "-k", "3")
    assert again.code == 0
    pd.testing.assert_frame_equal(pd.read_csv(tmp_path / "best.csv"), found, check_dtype=False)
    ended = attrec("export", "recommendations", "rating", str(file), "-k", "9" * 23)
    assert f": the {len(model.catalogue.items):,} best for each of " in ended.out


def test_users_that_are_named(attrec, model, tmp_path):
    users, file = model.catalogue.users, tmp_path / "best.csv"
    named = table(pd.DataFrame({"user_id": users[[7, 2]]}), tmp_path / "some.csv")
    words = ["--users", named, "--user", str(users[4]), "--keep-seen"]
    assert attrec("export", "recommendations", "rating", str(file), *words).code == 0
    expected = model.recommend(users[[4, 7, 2]], 20, exclude_seen=False)
    pd.testing.assert_frame_equal(pd.read_csv(file)[expected.columns], expected, check_dtype=False)
    sentence = attrec("export", "recommendations", "rating", str(file), "--user", "-7", *words).sentence
    assert "-7 are no users of this model: its users are like" in sentence
    sentence = attrec("export", "recommendations", "rating", str(file), "--user", "ann").sentence
    assert "'ann' is no user id of this model: they are whole numbers" in sentence


def test_newcomers_of_every_family(attrec, model, next_items, songs, tmp_path):
    items = model.catalogue.items[:6].tolist()
    told = pd.DataFrame({"user_id": ["901"] * 3 + ["902"] * 4, "item_id": [*items[:3], *items[2:5], 10_000]})
    told["rating"] = [5, 5, 1, 1, 4, 3, 2]
    known = told[told["item_id"] != 10_000]
    for ending in ("csv", "csv.gz", "parquet"):
        given, file = table(told, tmp_path / f"told.{ending}"), str(tmp_path / "out.parquet")
        ended = attrec("export", "recommendations", "rating", file, "--histories", given, "-k", "4")
        assert ended.code == 0, ended.err
        assert "1 of 7 rows name an item that the model does not know." in ended.out
        ratings = known.assign(user_id=known["user_id"].astype(int))
        expected = model.recommend([901, 902], 4, history=ratings)
        # Parquet says that they are text.
        expected = expected.astype({"user_id": str if ending == "parquet" else int})
        pd.testing.assert_frame_equal(pd.read_parquet(file)[expected.columns], expected, check_dtype=False)
        # Whoever tells what they rated is somebody new, though a user of the data has the same id.
        same = dict(zip(["901", "902"], model.catalogue.users[:2], strict=True))
        taken = table(told.assign(user_id=told["user_id"].map(same)), tmp_path / f"taken.{ending}")
        assert attrec("export", "recommendations", "rating", file, "--histories", taken, "-k", "4").code == 0
        found = pd.read_parquet(file)[["rank", "item_id", "score"]]
        pd.testing.assert_frame_equal(found, expected[found.columns], check_dtype=False)
    pairs = table(told[["user_id", "item_id"]], tmp_path / "pairs.csv")
    for family, folder, kind in (
        ("sequence", next_items, SequenceModel),
        ("playlist", songs, PlaylistModel),
    ):
        file = str(tmp_path / f"{family}.csv")
        words = ["--model", folder, "--histories", pairs, "-k", "4"]
        ended = attrec("export", "recommendations", family, file, *words)
        assert ended.code == 0, ended.err
        assert ended.out.startswith(
            f"{file}: the 4 best for each of 2 {family.replace('sequence', 'user')}s, of "
        )
        expected = kind.load(Path(folder)).recommend(known, 4)
        found = pd.read_csv(file, dtype={"user_id": str})
        pd.testing.assert_frame_equal(found[expected.columns], expected, check_dtype=False)
    sentence = attrec("export", "recommendations", "playlist", file, *words, "--keep-seen").sentence
    assert "What a playlist has already is never recommended" in sentence


def test_everybody_in_the_data_of_sequences_and_playlists(attrec, tables, next_items, songs, tmp_path):
    file = str(tmp_path / "out.parquet")
    with_sections(
        sequence={"models": {"item-knn": {"kind": "item-knn"}}},
        playlist={"models": {"popularity": {"kind": "popularity"}}},
    )
    assert attrec("export", "recommendations", "sequence", file, "--model", next_items, "-k", "2").code == 0
    rows = ordered_actions(tables.ratings)[0]
    expected = SequenceModel.load(Path(next_items)).recommend(rows, 2)
    pd.testing.assert_frame_equal(pd.read_parquet(file)[expected.columns], expected, check_dtype=False)
    some = ["--user", str(rows["user_id"].iloc[-1]), "--user", str(rows["user_id"].iloc[0])]
    ended = attrec("export", "recommendations", "playlist", file, "--model", songs, "-k", "2", *some)
    assert ended.code == 0, ended.err
    liked = tables.ratings[tables.ratings["rating"] >= 4]
    own = pd.concat([liked[liked["user_id"] == int(user)] for user in some[1::2]])
    expected = PlaylistModel.load(Path(songs)).recommend(own, 2)
    pd.testing.assert_frame_equal(pd.read_parquet(file)[expected.columns], expected, check_dtype=False)


def test_users_are_those_of_the_data_that_the_model_is_of(attrec, next_items, tmp_path, monkeypatch):
    file = str(tmp_path / "out.parquet")
    with_sections(sequence={"models": {"item-knn": {"kind": "item-knn"}}})
    asked = ("export", "recommendations", "sequence", file, "--model", next_items)

    def card(dataset: str) -> None:
        version = DatasetVersion(name=dataset, digest="d1", source="data/interim", rows=1)
        size = ModelSize(numbers=1, counted="stored")
        rest = {
            "family": "sequence",
            "model": "knn",
            "sentence": "",
            "split": "",
            "split_hash": "",
            "seeds": [0],
        }
        of = Card(dataset=version, config={}, size=size, textual_users=None, **rest)
        (Path(next_items) / FOLDER).mkdir(exist_ok=True)
        (Path(next_items) / FOLDER / "card.json").write_text(of.model_dump_json())

    card("ml-1m")
    assert "was trained on ml-1m, and the data here are simulated" in attrec(*asked).sentence
    card("simulated")
    said = attrec(*asked).out
    assert "of knn, trained on simulated." in said
    assert "The data have changed since it was trained; the users are those of now." in said
    monkeypatch.setattr("flows.export.SOURCE", "data/nowhere")
    assert "data/nowhere is not there; run `dvc pull`" in attrec(*asked).sentence


def test_users_of_a_file_that_differ_by_blanks_alone_are_told(attrec, next_items, tmp_path):
    known = SequenceModel.load(Path(next_items)).items[:2]
    told = tmp_path / "told.csv"
    told.write_text(f"user_id,item_id\nann,{known[0]}\n ann,{known[1]}\nbob,{known[0]}\n")
    file = tmp_path / "out.parquet"
    asked = ("export", "recommendations", "sequence", str(file), "--model", next_items, "-k", "1")
    assert "1 users differ from another one by blanks alone" in attrec(*asked, "--histories", str(told)).out
    assert pd.read_parquet(file)["user_id"].tolist() == ["ann", " ann", "bob"]


def test_predictions_say_what_is_unknown(attrec, model, tmp_path, monkeypatch):
    users, items = model.catalogue.users, model.catalogue.items
    rng = np.random.default_rng(0)
    pairs = pd.DataFrame({"user_id": rng.choice(users, 500), "item_id": rng.choice(items, 500)})
    pairs.iloc[[3, 4, 5]] = [[users[0], 10_000], [-5, items[0]], [-5, 10_000]]
    monkeypatch.setattr("tasks.bulk.answers.PAIRS_AT_ONCE", 64)
    for given, file in (("pairs.csv", "out.parquet"), ("pairs.parquet", "out.csv")):
        asked = table(pairs, tmp_path / given)
        ended = attrec("export", "predictions", asked, str(tmp_path / file))
        assert ended.code == 0, ended.err
        assert "500 predictions of " in ended.out
        assert (
            "3 are for a user or an item that the model does not know: see the column unknown." in ended.out
        )
        found = (pd.read_csv if file.endswith("csv") else pd.read_parquet)(tmp_path / file)
        assert found.columns.tolist() == ["user_id", "item_id", "prediction", "unknown"]
        pd.testing.assert_frame_equal(found[["user_id", "item_id"]], pairs)
        np.testing.assert_allclose(found["prediction"], model.predict(pairs))
        assert found["unknown"].fillna("").tolist() == ["", "", "", "item", "user", "user item", *[""] * 494]


def test_histories_are_in_the_order_of_their_timestamps(attrec, next_items, tables, tmp_path):
    items, file = tables.items["item_id"].iloc[:4].tolist(), str(tmp_path / "out.parquet")
    rows = pd.DataFrame({"user_id": ["b", "b", "a", "a"], "item_id": items, "timestamp": [1, 9, 8, 2]})
    told = table(rows, tmp_path / "told.csv")
    words = ("export", "recommendations", "sequence", file, "--model", next_items, "-k", "3", "--histories")
    assert attrec(*words, told).code == 0
    ordered = rows.iloc[[0, 1, 3, 2]][["user_id", "item_id"]]
    expected = SequenceModel.load(Path(next_items)).recommend(ordered, 3)
    pd.testing.assert_frame_equal(pd.read_parquet(file)[expected.columns], expected, check_dtype=False)
    told = table(rows.assign(timestamp="yesterday"), tmp_path / "told.csv")
    assert "line 2: 'yesterday' is no timestamp" in attrec(*words, told).sentence


@pytest.mark.parametrize(
    ("ids", "words"),
    [
        ([1.0, None], "line 2: there is no user_id"),
        ([[1], [2]], "the column user_id holds list"),
        ([1.5, 2.0], "line 1: '1.5' is no user id of this model: they are whole numbers"),
        (["1", str(2**63)], f"line 2: '{2**63}' is no user id of this model"),
    ],
)
def test_ids_that_are_none(attrec, registered, tmp_path, ids, words):
    pairs = table(pd.DataFrame({"user_id": ids, "item_id": [1, 2]}), tmp_path / "pairs.parquet")
    assert words in attrec("export", "predictions", pairs, str(tmp_path / "a.csv")).sentence


def test_ids_are_read_as_they_are_written(attrec, model, tmp_path):
    users, items = model.catalogue.users[:2].tolist(), model.catalogue.items[:2].tolist()
    text = f"user_id;item_id;more\n {users[0]} ;{items[0]}.0;x\n{2**63 - 1};{items[1]};y\n"
    (tmp_path / "pairs.csv").write_text(text)
    frame = pd.DataFrame({"user_id": [float(users[0]), 1e15], "item_id": items})
    for given, expected in (
        (str(tmp_path / "pairs.csv"), [users[0], 2**63 - 1]),
        (table(frame, tmp_path / "pairs.parquet"), [users[0], 10**15]),
    ):
        ended = attrec("export", "predictions", given, str(tmp_path / "a.parquet"))
        assert ended.code == 0, ended.err
        found = pd.read_parquet(tmp_path / "a.parquet")
        assert found["user_id"].tolist() == expected
        assert found["item_id"].tolist() == items
        assert found["unknown"].fillna("").tolist() == ["", "user"]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "pairs.csv is empty: put a file with rows in its place"),
        ("user_id,item_id\n", "pairs.csv has no rows"),
        ("user_id,film\n1,2\n", "pairs.csv has no column item_id, only 'user_id', 'film'"),
        ("user_id,item_id\n1,2\n,3\n", "pairs.csv, line 3: there is no user_id"),
        (
            "user_id,item_id\n1,2\n1,2,3\n",
            "pairs.csv, line 3: '1,2,3' does not have the 2 fields that its header",
        ),
        ("user_id,item_id\n1,2\n1,b7\n", "line 3: 'b7' is no item id of this model: they are whole numbers"),
    ],
)
def test_tables_that_cannot_be_asked(attrec, registered, tmp_path, text, words):
    (tmp_path / "pairs.csv").write_text(text)
    sentence = attrec("export", "predictions", str(tmp_path / "pairs.csv"), str(tmp_path / "a.csv")).sentence
    assert words in sentence
    assert not (tmp_path / "a.csv").exists()


def test_what_cannot_be_exported(attrec, registered, next_items, tmp_path):
    def refused(*words: str) -> str:
        return attrec("export", *words).sentence

    pairs = table(pd.DataFrame({"user_id": [1], "item_id": [1]}), tmp_path / "pairs.csv")
    out = str(tmp_path / "a.csv")
    assert "ends in .parquet or .csv" in refused("predictions", pairs, str(tmp_path / "a.txt"))
    assert "does not exist" in refused("predictions", str(tmp_path / "nowhere.csv"), out)
    assert "write the answers into another file" in refused("predictions", pairs, pairs)
    assert "in a folder that exists" in refused("recommendations", "rating", str(tmp_path / "no" / "a.csv"))
    assert "no registered or tracked model 'nobody'" in refused(
        "recommendations", "rating", out, "--model", "nobody"
    )
    gone = str(tmp_path / "models" / "gone")
    assert f"There is no folder {gone}" in refused("recommendations", "rating", out, "--model", gone)
    assert "is no rating model" in refused("recommendations", "rating", out, "--model", next_items)
    both = ["--histories", pairs, "--user", "1"]
    assert "leave out the users" in refused("recommendations", "sequence", out, *both)
    assert "has no column rating" in refused("recommendations", "rating", out, "--histories", pairs)
    told = table(pd.DataFrame({"user_id": [1], "item_id": [1], "rating": [9]}), tmp_path / "told.csv")
    assert "line 2: 9 is no rating" in refused("recommendations", "rating", out, "--histories", told)
    strange = table(pd.DataFrame({"user_id": [1], "item_id": [9_999]}), tmp_path / "strange.csv")
    words = ["--model", next_items, "--histories", strange]
    assert "the model knows no item of these" in refused("recommendations", "sequence", out, *words)
    assert not [path for path in tmp_path.iterdir() if path.name.startswith((".", "a."))]
