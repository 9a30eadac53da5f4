"""`attrec predict`, `recommend` and `runs` with a registered model: known users, somebody new, and every bad use."""

from __future__ import annotations

import re

import pandas as pd
import pytest

from cli import serve
from tasks import environment
from tasks.artifacts import hash_folder


def rows(out: str) -> list[tuple[str, float]]:
    """(item id, figure) of each line of the table."""
    found = re.findall(r"^\W*(\d+)\b.*?(-?\d+\.\d\d)\W*$", out, flags=re.MULTILINE)
    return [(item, float(figure)) for item, figure in found]


@pytest.fixture
def ratings_file(tmp_path):
    def write(text: str | bytes):
        file = tmp_path / "mine.csv"
        file.write_bytes(text if isinstance(text, bytes) else text.encode())
        return str(file)

    return write


def test_predict_for_a_known_user(attrec, registered):
    user, item = registered[["user_id", "item_id"]].iloc[0]
    ended = attrec("predict", "--user", str(user), "--item", str(item))
    assert ended.code == 0
    [(shown, figure)] = rows(ended.out)
    assert shown == str(item)
    assert 1 <= figure <= 5


def test_recommend_leaves_out_what_is_rated_and_sorts(attrec, registered):
    user = registered["user_id"].iloc[0]
    ended = attrec("recommend", "--user", str(user), "-k", "5")
    assert ended.code == 0
    found = rows(ended.out)
    assert len(found) == 5
    figures = [figure for _, figure in found]
    assert figures == sorted(figures, reverse=True)
    own = set(registered.loc[registered["user_id"] == user, "item_id"].astype(str))
    assert not own & {item for item, _ in found}


def test_somebody_new_needs_no_training(attrec, registered, ratings_file):
    models = environment.MLFLOW_ARTIFACTS
    before = hash_folder(models)
    items = registered["item_id"].drop_duplicates().tolist()
    asked = str(items[-1])
    figures = []
    for stars in (5, 1):
        file = ratings_file("item_id,rating\n" + "".join(f"{item},{stars}\n" for item in items[:8]))
        ended = attrec("predict", "--ratings", file, "--item", asked)
        assert ended.code == 0, ended.err
        figures.append(rows(ended.out)[0][1])
    assert figures[0] > figures[1]
    recommended = attrec("recommend", "--ratings", file, "-k", "3")
    assert recommended.code == 0
    assert not {str(item) for item in items[:8]} & {item for item, _ in rows(recommended.out)}
    assert hash_folder(models) == before


def test_runs_lists_the_figures(attrec, registered):
    ended = attrec("runs", "--limit", "5")
    assert ended.code == 0
    assert "user-item-bias" in ended.out
    assert re.search(r"\d\.\d{4}", ended.out)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--item", "1"], "either --user ID, or --ratings FILE"),
        (["--user", "1", "--ratings", "x.csv", "--item", "1"], "either --user ID, or --ratings FILE"),
        (["--user", "999999", "--item", "1"], "does not know the user 999999"),
        (["--user", "1", "--item", "999999"], "does not know the item 999999"),
        (["--user", "ann", "--item", "1"], "'ann' is no user id"),
        (["--user", "--5", "--item", "1"], "'--5' is no user id"),
        (["--user", "²", "--item", "1"], "'²' is no user id"),
        (["--user", "9" * 30, "--item", "1"], "does not know the user 999"),
        (["--ratings", "none.csv", "--item", "1"], "none.csv does not exist"),
        (["--ratings", ".", "--item", "1"], "cannot be read"),
        (["--user", "1", "--item", "1", "--model", "nobody"], "no registered model attrec-rating@nobody"),
        (["--user", "1", "--item", "1", "--model", "99"], "no registered model attrec-rating/99"),
        (
            ["--user", "1", "--item", "1", "--model", "champion-ml-1m"],
            "run `make reproduce DATASET=ml-1m` first",
        ),
        (["--user", "1", "--item", "1", "--model", "champion-other"], "run `make reproduce` first"),
        (["--user", "1", "--item", "1", "--model", "ml-1m"], "run `make reproduce` first"),
    ],
)
def test_bad_use(attrec, registered, words, said):
    assert said in attrec("predict", *words).sentence


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "not a readable CSV"),
        ("item_id,rating\n", "has no ratings"),
        ("item,stars\n1,5\n", "no column item_id, rating"),
        ("item_id,rating\n{item},many\n", "line 2: the rating 'many'"),
        ("item_id,rating\n{item},\n", "line 2: the rating"),
        ("item_id,rating\n{item},5\n{other},7\n", "line 3: the rating '7'"),
        ("item_id,rating\n{item},5\n{item},4\n", "rates the item {item} twice"),
        ("item_id,rating\n999999,5\n", "line 2: The model does not know the item 999999"),
        ("item_id,rating\n,5\n", "line 2: "),
        (b"item_id,rating\n\xff\xfe,5\n", "not a readable CSV"),
    ],
)
def test_bad_file(attrec, registered, ratings_file, text, said):
    item, other = registered["item_id"].drop_duplicates().iloc[:2]
    if isinstance(text, str):
        text = text.format(item=item, other=other)
    assert said.format(item=item) in attrec("recommend", "--ratings", ratings_file(text)).sentence


@pytest.mark.parametrize(
    ("text", "said"),
    [("item,stars\n1,5\n", "no column item_id, rating"), ("item_id,rating\n", "has no ratings")],
)
def test_faulty_file_is_found_before_a_model_is_loaded(attrec, monkeypatch, ratings_file, text, said):
    monkeypatch.setattr(serve, "_load", lambda alias: pytest.fail("loaded before the file was read"))
    assert said in attrec("recommend", "--ratings", ratings_file(text)).sentence


def test_predictions_agree_with_the_pipeline(attrec, registered):
    """The served model is the final fit: its rounded figures are those of the scored predictions."""
    pairs = pd.read_parquet(environment.ROOT / "data" / "processed" / "test_pairs" / "pairs.parquet")
    user = pairs["user_id"].iloc[0]
    own = pairs[pairs["user_id"] == user]
    words = [word for item in own["item_id"] for word in ("--item", str(item))]
    shown = dict(rows(attrec("predict", "--user", str(user), *words).out))
    kept = [pd.read_parquet(file) for file in (environment.ARTIFACTS / "predictions").glob("*/*.parquet")]
    scored = [frame for frame in kept if frame[["user_id", "item_id"]].equals(pairs)]

    def agrees(frame: pd.DataFrame) -> bool:
        mine = frame[frame["user_id"] == user].set_index("item_id")["prediction"]
        return all(abs(mine[int(item)] - figure) <= 0.0051 for item, figure in shown.items())

    assert len(shown) == len(own)
    assert any(agrees(frame) for frame in scored)
