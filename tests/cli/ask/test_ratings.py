"""`attrec predict`, `recommend` and `runs` with a registered model: known users, somebody new, and every bad use."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from types import SimpleNamespace

import pandas as pd
import pytest

from attrec.ratings.baselines import GlobalMean
from cli.ask import ratings as serve
from tasks.comparison.champion import why_unreadable
from tasks.engine import environment
from tasks.engine.run_store import client, experiment_id


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


def test_the_champion_is_that_of_the_dataset_of_params(attrec, registered):
    asked = (
        "predict",
        "--user",
        str(registered["user_id"].iloc[0]),
        "--item",
        str(registered["item_id"].iloc[0]),
    )
    said = attrec(*asked).out
    assert re.search(
        r"^Model: (user-item-bias|attentive\+inner), trained on simulated\.$", said, re.MULTILINE
    )
    (environment.ROOT / "params.yaml").write_text("dataset: ml-100k\n")
    sentence = attrec(*asked).sentence
    assert (
        "'champion-ml-100k': run `make reproduce DATASET=ml-100k`, or `dvc pull`, first; there are champion, "
        in sentence
    )
    assert ", champion-simulated, " in sentence
    # Of a model by name the newest answers where this dataset has none.
    assert "trained on simulated" in attrec(*asked, "--model", "user-item-bias").out


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


def kept_models() -> dict[Path, bytes]:
    """All that the run store has, but for what MLflow notes when it first loads a registered model."""
    files = (file for file in environment.MLFLOW_ARTIFACTS.rglob("*") if file.is_file())
    return {file: file.read_bytes() for file in files if file.name != "registered_model_meta"}


def test_somebody_new_needs_no_training(attrec, registered, ratings_file):
    before = kept_models()
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
    assert kept_models() == before


def test_explain_shows_the_ratings_that_count(attrec, registered):
    user, item = registered[["user_id", "item_id"]].iloc[0]
    words = ["explain", "--user", str(user), "--item", str(item), "--model", "attentive+inner"]
    ended = attrec(*words, "-k", "3", "--format", "json")
    assert ended.code == 0, ended.err
    assert f"({item}): prediction " in ended.err
    own = set(registered.loc[registered["user_id"] == user, "item_id"]) - {item}
    shown = pd.DataFrame(json.loads(ended.out))
    assert len(shown) == 3
    assert set(shown["item_id"]) <= own
    assert shown["weight"].is_monotonic_decreasing
    every = pd.DataFrame(json.loads(attrec(*words, "-k", "1000", "--format", "json").out))
    assert set(every["item_id"]) == own
    assert every["times_mean"].mean() == pytest.approx(1)
    assert (every["times_mean"] / every["weight"]).std() == pytest.approx(0, abs=1e-3)
    held = f"have {shown['weight'].sum():.0%} of the weight"
    even = f"would give them {every['weight'].sum() * 3 / len(own):.0%}:"
    assert held in ended.err
    assert even in ended.err


def test_explain_for_somebody_new(attrec, registered, ratings_file):
    items = registered["item_id"].drop_duplicates().tolist()
    file = ratings_file("item_id,rating\n" + "".join(f"{item},5\n" for item in items[:4]))
    ended = attrec("explain", "--ratings", file, "--item", str(items[-1]), "--model", "attentive+inner")
    assert ended.code == 0, ended.err
    assert "It rests on 4 ratings" in ended.out
    assert "is left out" not in ended.out
    counted = [
        float(weight) for weight in re.findall(r"(0\.\d\d\d) +\d\.\d\W*$", ended.out, flags=re.MULTILINE)
    ]
    rest = float(re.findall(r"The other (\d\.\d\d\d) is on the default vector", ended.out)[0])
    assert sum(counted) + rest == pytest.approx(1, abs=0.003)
    own = attrec("explain", "--ratings", file, "--item", str(items[0]), "--model", "attentive+inner")
    assert "It rests on 3 ratings" in own.out
    assert f"The rating of {items[0]} itself is left out" in own.out


def test_explain_needs_attention(attrec, registered):
    user, item = registered[["user_id", "item_id"]].iloc[0]
    asked = ["--user", str(user), "--item", str(item), "--model", "user-item-bias"]
    sentence = attrec("explain", *asked).sentence
    assert "no attention weights" in sentence
    assert "ask attentive+inner with --model" in sentence


def test_what_cannot_explain_is_refused_before_it_is_loaded(attrec, registered, monkeypatch):
    monkeypatch.setattr(serve, "_load", lambda *_: pytest.fail("a model was loaded"))
    assert (
        "no attention"
        in attrec("explain", "--user", "1", "--item", "1", "--model", "user-item-bias").sentence
    )


def logged_network() -> Path:
    files = environment.MLFLOW_ARTIFACTS.rglob("model.json")
    return next(file for file in files if "NeuralCF" in file.read_text())


def test_a_model_that_another_version_logged_is_found_out(registered, tmp_path):
    file = logged_network()
    logged = next(folder for folder in file.parents if (folder / "MLmodel").is_file())
    copy = shutil.copytree(logged, tmp_path / "model")
    assert why_unreadable(str(copy)) is None
    altered = copy / file.relative_to(logged)
    content = json.loads(altered.read_text())
    content["config"]["depth"] = 3
    altered.write_text(json.dumps(content))
    assert "of another version of attrec" in why_unreadable(str(copy))


@pytest.fixture
def damaged(registered):
    """A file of the model `attentive+inner` is cut short."""
    file = logged_network()
    whole = file.read_text()
    file.write_text("{")
    yield
    file.write_text(whole)


@pytest.mark.parametrize(
    ("named", "command"),
    [("simulated", "dvc repro -f rating"), ("ml-100k", "dvc exp run -f -S dataset=simulated rating")],
)
def test_files_that_are_damaged_are_made_again_by_force(attrec, damaged, named, command):
    params = environment.ROOT / "params.yaml"
    whole = params.read_text()
    params.write_text(whole.replace("dataset: simulated", f"dataset: {named}"))
    try:
        ended = attrec("predict", "--user", "1", "--item", "1", "--model", "attentive+inner")
    finally:
        params.write_text(whole)
    assert f"are gone, damaged or of another version of attrec: run `{command}`." in ended.sentence


def test_runs_lists_the_figures(attrec, registered):
    ended = attrec("runs", "--limit", "5")
    assert ended.code == 0
    assert "user-item-bias" in ended.out
    assert re.search(r"\d\.\d{4}", ended.out)


def test_runs_lists_a_run_of_a_whole_table_too(attrec, registered):
    run = client().create_run(experiment_id(), run_name="results of a table")
    for key, value in {"table": "u1", "seeds": "None"}.items():
        client().log_param(run.info.run_id, key, value)
    try:
        ended = attrec("runs", "--limit", "1")
    finally:
        client().delete_run(run.info.run_id)
    assert ended.code == 0
    assert "results of a table" in ended.out


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
        (["--user", "9" * 5000, "--item", "1"], "is no user id of this model"),
        (["--ratings", "none.csv", "--item", "1"], "none.csv does not exist"),
        (["--ratings", ".", "--item", "1"], "cannot be read"),
        (["--user", "1", "--item", "1", "--model", "nobody"], "no registered or tracked model 'nobody'"),
        (["--user", "1", "--item", "1", "--model", "99"], "no registered or tracked model '99'"),
        (["--user", "1", "--item", "1", "--model", "a\\"], "no registered or tracked model 'a"),
        (
            ["--user", "1", "--item", "1", "--model", "champion-ml-1m"],
            "run `make reproduce DATASET=ml-1m`, or `dvc pull`, first",
        ),
        (["--user", "1", "--item", "1", "--model", "champion-other"], "'champion-other'; there are champion"),
        (["--user", "1", "--item", "1", "--model", "ml-1m"], "attentive+inner"),
    ],
)
def test_bad_use(attrec, registered, words, said):
    assert said in attrec("predict", *words).sentence


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "is empty"),
        ("item_id,rating\n", "has no rows"),
        ("item,stars\n1,5\n", "no column item_id, rating"),
        ("item_id,rating\n{item},many\n", "line 2: 'many' is no rating"),
        ("item_id,rating\n{item},\n", "line 2: there is no rating"),
        (
            "item_id,rating\n{item},5\n{other},7\n",
            "line 3: 7 is no rating: give a number in 1 to 5",
        ),
        ("item_id,rating\n{item},5\n{item},4\n", "rates the item {item} twice"),
        ("item_id,rating\n999999,5\n", "line 2: The model does not know the item 999999"),
        ("item_id,rating\n,5\n", "line 2: "),
        (b"item_id,rating\n\xff\xfe,5\n", "is not UTF-8 text (line 2)"),
    ],
)
def test_bad_file(attrec, registered, ratings_file, text, said):
    item, other = registered["item_id"].drop_duplicates().iloc[:2]
    if isinstance(text, str):
        text = text.format(item=item, other=other)
    assert said.format(item=item) in attrec("recommend", "--ratings", ratings_file(text)).sentence


@pytest.fixture
def submit(attrec, registered, tmp_path):
    """Fill a submission; return how the command ended and what it wrote."""

    def run(pairs: str):
        given, filled = tmp_path / "pairs.csv", tmp_path / "mine.csv"
        given.write_text(pairs)
        ended = attrec("predict", "--submission", str(given), "--output", str(filled))
        assert ended.code == 0, ended.err
        return ended, pd.read_csv(filled)

    return run


def test_submission_is_filled_in_its_order(attrec, submit, registered, monkeypatch):
    monkeypatch.setattr(serve, "_PAIRS_AT_ONCE", 7)
    pairs = registered.sort_values(["item_id", "user_id"])[["user_id", "item_id"]].head(20)
    ids = [f"r{pair.user_id}_c{pair.item_id}" for pair in pairs.itertuples()]
    ended, filled = submit("Id,Prediction\n" + "".join(f"{pair},3\n" for pair in ids))
    assert re.search(r"20 predictions of \S+, trained on simulated", ended.out)
    assert "does not know" not in ended.out
    assert filled.columns.tolist() == ["Id", "Prediction"]
    assert filled["Id"].tolist() == ids
    for row in (0, 9, 19):
        user, item = pairs.iloc[row]
        [(_, figure)] = rows(attrec("predict", "--user", str(user), "--item", str(item)).out)
        assert filled["Prediction"][row] == pytest.approx(figure, abs=0.0051)


def test_unknown_ids_of_a_submission_get_what_the_model_knows_of_the_rest(submit, registered):
    user, item = registered[["user_id", "item_id"]].iloc[0]
    nobody = 10**6
    ended, filled = submit(
        f"Id\nr{user}_c{item}\nr{nobody}_c{item}\nr{nobody + 1}_c{item}\nr{user}_c{nobody}\n"
    )
    assert "3 of them are for a user or an item that the model does not know" in ended.out
    known, newcomer, another, new_item = filled["Prediction"]
    assert newcomer == another != known
    assert 1 <= new_item <= 5


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "--item ID, or --submission FILE"),
        (["--user", "1"], "--item ID, or --submission FILE"),
        (["--user", "1", "--item", "1", "--output", "x.csv"], "--output goes with --submission"),
        (["--submission", "pairs.csv"], "Say where the predictions go: --output FILE"),
        (["--submission", "pairs.csv", "--user", "1", "--output", "x.csv"], "leave out --item, --user"),
        (["--submission", "none.csv", "--output", "x.csv"], "none.csv does not exist"),
        (["--submission", "pairs.csv", "--output", "nowhere/x.csv"], "nowhere/x.csv cannot be written"),
        (["--submission", "pairs.csv", "--output", "."], ". cannot be written"),
        (["--submission", "pairs.csv", "--output", "pairs.csv"], "pairs.csv has the pairs themselves"),
        (["--submission", "twice.csv", "--output", "x.csv"], "twice.csv asks for r1_c2 twice"),
        (["--submission", "columns.csv", "--output", "x.csv"], "columns.csv has the columns ['user', 'item']"),
        (["--submission", "faulty.csv", "--output", "x.csv"], "faulty.csv, line 3: 'x1_c2' is not an id"),
    ],
)  # fmt: skip
def test_faulty_submission_is_told_before_a_model_is_loaded(attrec, monkeypatch, tmp_path, words, said):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(serve, "load_registered", lambda *_: pytest.fail("loaded before the files were read"))
    (tmp_path / "pairs.csv").write_text("Id\nr1_c1\n")
    (tmp_path / "columns.csv").write_text("user,item\n1,2\n")
    (tmp_path / "twice.csv").write_text("Id\nr1_c2\nr1_c2\n")
    (tmp_path / "faulty.csv").write_text("Id,Prediction\nr1_c1,3\nx1_c2,3\n")
    assert said in attrec("predict", *words).sentence
    assert not (tmp_path / "x.csv").exists()


def test_model_with_textual_ids_takes_no_submission(attrec, monkeypatch, tmp_path):
    features = {name: pd.DataFrame(index=["ann", "bob"]) for name in ("user", "item")}
    model = GlobalMean().fit(
        pd.DataFrame({"user_id": ["ann"], "item_id": ["bob"], "rating": [3.0]}), *features.values()
    )
    monkeypatch.setattr(serve, "load_registered", lambda *_: SimpleNamespace(model=model))
    file = tmp_path / "pairs.csv"
    file.write_text("Id\nr1_c1\n")
    ended = attrec("predict", "--submission", str(file), "--output", str(tmp_path / "x.csv"))
    assert "champion has textual ids" in ended.sentence


@pytest.mark.parametrize(
    ("text", "said"),
    [("item,stars\n1,5\n", "no column item_id, rating"), ("item_id,rating\n", "has no rows")],
)
def test_faulty_file_is_found_before_a_model_is_loaded(attrec, monkeypatch, ratings_file, text, said):
    monkeypatch.setattr(serve, "load_registered", lambda *_: pytest.fail("loaded before the file was read"))
    assert said in attrec("recommend", "--ratings", ratings_file(text)).sentence


def test_predictions_agree_with_the_pipeline(attrec, registered):
    """The served model is the final fit: its rounded figures are those of the scored predictions."""
    pairs = pd.read_parquet(environment.ROOT / "data" / "processed" / "test_pairs" / "pairs.parquet")[
        ["user_id", "item_id"]
    ]
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
