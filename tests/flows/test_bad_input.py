"""Bad input ends in one sentence and exit code 2, with nothing half-written."""

from __future__ import annotations

import errno
import io
import json
import logging
import shutil
import sys
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml

from attrec.datasets import registry
from attrec.datasets.look import look
from flows import prepare, rating, results
from flows.rating_params import RatingParams
from flows.stage import EXIT_BAD_INPUT, is_worth_a_traceback, one_sentence_logs, run_asked, run_stage
from tasks.engine import environment
from tasks.engine.server import Api

ROOT = environment.ROOT
OUTS = ("data/raw", "data/interim", "data/processed", "data/quarantine.parquet", "reports/prepare")
SIMULATED = {"n_users": 30, "n_items": 40, "n_ratings": 500, "min_ratings_per_user": 10}
HEADER = "user_id,item_id,rating\n"


def csv_rows(users: int = 12, items: int = 10) -> str:
    """A sound file: everyone rates all but a few items."""
    rows = [
        f"{user},{item},{1 + (user * item) % 5}"
        for user in range(users)
        for item in range(100, 100 + items)
        if (user + item) % 4
    ]
    return HEADER + "\n".join(rows) + "\n"


def write_params(**sections: object) -> None:
    ROOT.mkdir(exist_ok=True)
    (ROOT / "params.yaml").write_text(yaml.safe_dump(sections))


def write_csv(content: str | bytes) -> Path:
    file = ROOT / "data" / "incoming" / "mine.csv"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(content if isinstance(content, bytes) else content.encode())
    return file


def csv_params(validation: dict[str, object] | None = None, **csv: object) -> dict[str, object]:
    return {"dataset": "csv", "prepare": {"csv": {"path": "mine.csv", **csv}, "validation": validation or {}}}


def run_prepare() -> None:
    run_stage(prepare.PrepareParams, prepare.run)


@pytest.fixture(autouse=True)
def surroundings(prefect_server: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that is up, no data at hand, no way out of this machine, no option on the command line."""
    monkeypatch.delenv("ATTREC_DATA_DIR", raising=False)
    monkeypatch.setattr(sys, "argv", ["flow"])
    monkeypatch.setattr(prepare.fetch, "retry_delay_seconds", [0, 0])
    closed = {
        name: replace(spec, urls=("http://127.0.0.1:9/data.zip",)) if spec.urls else spec
        for name, spec in registry.REGISTRY.items()
    }
    monkeypatch.setattr(registry, "REGISTRY", closed)
    for out in OUTS:
        path = ROOT / out
        shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)


@pytest.fixture
def refusal(capfd: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """Run a stage that must refuse; return its one sentence."""

    def refused(run: Callable[[], None] = run_prepare) -> str:
        marks = {}
        for out in OUTS:
            mark = ROOT / out / "mark" if "." not in out else ROOT / out
            mark.parent.mkdir(parents=True, exist_ok=True)
            mark.write_text("as it was")
            marks[out] = mark
        drafts = set(environment.STAGING.glob("*"))
        environment.BAD_INPUT.unlink(missing_ok=True)
        capfd.readouterr()
        with pytest.raises(SystemExit) as ended:
            run()
        assert ended.value.code == EXIT_BAD_INPUT == 2
        printed = capfd.readouterr().err
        sentences = [line for line in printed.splitlines() if line.startswith("Error: ")]
        assert len(sentences) == 1, printed
        assert "Traceback" not in printed
        assert environment.BAD_INPUT.exists()
        assert all(mark.read_text() == "as it was" for mark in marks.values())
        assert set(environment.STAGING.glob("*")) == drafts
        return sentences[0].removeprefix("Error: ")

    return refused


@pytest.mark.parametrize(
    ("sections", "words"),
    [
        ({"dataset": "ml-100"}, ["no dataset 'ml-100'", "Did you mean ml-100k"]),
        ({"datset": "simulated"}, ["no parameter 'datset'", "did you mean 'dataset'"]),
        ({"dataset": "simulated", "prepare": {"spilt": {}}}, ["prepare.spilt", "did you mean 'split'"]),
        ({"dataset": ["simulated"]}, ["dataset", "valid string"]),
        (
            {"dataset": "simulated", "prepare": {"split": {"seed": "one"}}},
            ["prepare.split.seed", "integer", "'one'"],
        ),
        (
            {"dataset": "simulated", "prepare": {"split": {"test_fraction": 1.5}}},
            ["test_fraction", "less than 1"],
        ),
        ({"dataset": "simulated", "prepare": {"split": {"name": "u9"}}}, ["prepare.split.name", "'u9'"]),
        ({"dataset": "simulated", "prepare": {"split": {"name": "u1"}}}, ["no published split 'u1'"]),
        (
            {"dataset": "simulated", "prepare": {"simulated": {"n_users": 0}}},
            ["n_users", "greater than or equal"],
        ),
        ({"dataset": "csv"}, ["prepare.csv", "does not say which file"]),
        ({"dataset": {"path": "mine.csv"}}, ["dataset", "give your data a name"]),
        ({"dataset": {"name": "my shop", "path": "mine.csv"}}, ["dataset.name", "'my shop'"]),
        ({"dataset": {"name": "ml-1m", "path": "mine.csv"}}, ["dataset: ml-1m is a dataset", "another name"]),
        ({"dataset": {"name": "shop", "paht": "mine.csv"}}, ["'dataset.paht'", "did you mean 'path'"]),
        ({"dataset": {"name": "shop", "path": "none.csv"}}, ["shop: none.csv does not exist"]),
        (
            {"dataset": "shp", "prepare": {"csv": {"name": "shop", "path": "mine.csv"}}},
            ["Did you mean shop?"],
        ),
        ({"dataset": "csv", "prepare": {"csv": {"path": "../mine.csv"}}}, ["outside data/incoming"]),
        (
            {"dataset": "csv", "prepare": {"csv": {"path": "none.csv"}}},
            ["none.csv does not exist in data/incoming"],
        ),
    ],
)
def test_faulty_params(refusal, sections, words):
    write_params(**sections)
    sentence = refusal()
    assert all(word in sentence for word in words), sentence


@pytest.mark.parametrize(
    ("models", "words"),
    [
        ({"a": {"kind": "magic"}}, ["rating.models.a", "'magic'"]),
        ({"a": {"kind": "rsattae+xgboost", "recipe": "slow"}}, ["recipe", "'slow'"]),
        (
            {"a": {"kind": "rsattae+xgboost", "changes": {"fold": 2}}},
            ["changes: there is no parameter 'fold'", "did you mean 'folds'"],
        ),
        (
            {"a": {"kind": "rsattae+xgboost", "changes": {"folds": 0}}},
            ["folds", "greater than or equal to 1"],
        ),
        ({}, ["rating: there is no model", "rating.matrix"]),
    ],
)
def test_faulty_models(refusal, models, words):
    write_params(dataset="simulated", rating={"models": models})
    sentence = refusal(lambda: run_stage(RatingParams, rating.run))
    assert all(word in sentence for word in words), sentence


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("", ["mine.csv is empty"]),
        (HEADER, ["mine.csv", "no rows"]),
        ("user;film;stars\n1;2;3\n", ["no column 'user_id'", "'user;film;stars'"]),
        (HEADER.encode() + "1,caf\xe9,3\n".encode("latin-1"), ["not UTF-8", "line 2"]),
        (csv_rows() + "3,100,many\n3,101,\n", ["rating rows are bad", "mine.csv, line", "max_bad_fraction"]),
        (csv_rows() + "77,100,6\n", ["rating rows are bad", "mine.csv, line 92", "max_bad_fraction"]),
        (csv_rows() + "0,101,5\n", ["2 of 91 rating rows are bad", "mine.csv, line 2"]),
        (HEADER + "1,1,3\n", ["part of the split is empty"]),
    ],
    ids=[
        "empty",
        "header only",
        "columns",
        "encoding",
        "not a number",
        "out of range",
        "pair twice",
        "one row",
    ],
)
def test_faulty_csv(refusal, content, words):
    write_csv(content)
    write_params(**csv_params())
    sentence = refusal()
    assert all(word in sentence for word in words), sentence


@pytest.mark.parametrize(
    ("rows", "reasons"),
    [
        ("77,100,abc,9\n", {92: "rating 'abc' is not a number"}),
        ("77,100,,9\n", {92: "rating is missing"}),
        ("77,100,6.5,9\n", {92: "rating 6.5 is not in 1 to 5"}),
        ("77,100,6,9\n", {92: "rating 6 is not in 1 to 5"}),
        ("77,100,3,noon\n", {92: "timestamp 'noon' is not a time"}),
        ("77,100,3,-1\n", {92: "timestamp -1 is not in 0 to 2051222400"}),
        (",100,3,9\n", {92: "user_id is missing"}),
        ("77,100\n", {92: "the line '77,100' has too few or too many fields"}),
        ("77,100,3," + "x" * 99 + "\n", {92: "timestamp '" + "x" * 56 + "... is not a time"}),
        ("0,101,5,9\n", {2: "the user rates the item more than once", 92: "the user rates the item more than once"}),
    ],
)  # fmt: skip
def test_refused_rows_are_listed_with_their_text(refusal, rows, reasons):
    sound = csv_rows().replace("rating\n", "rating,when\n", 1).splitlines()
    write_csv("\n".join([sound[0], *(f"{line},9" for line in sound[1:])]) + "\n" + rows)
    write_params(**csv_params({"timestamp_min": 0}, timestamp_column="when"))
    sentence = refusal()
    assert f"mine.csv, line {min(reasons)} ({reasons[min(reasons)]})" in sentence
    assert "reports/quarantine.csv" in sentence
    assert "null" not in sentence
    listed = pd.read_csv(environment.REFUSED_ROWS)
    errors = listed[listed["severity"] == "error"]
    assert dict(zip(errors["line"], errors["reason"], strict=True)) == reasons
    assert set(errors["file"]) == {"mine.csv"}


def test_look_tells_as_many_bad_rows_as_stop_the_run(refusal):
    sound = csv_rows().replace("rating\n", "rating,when\n", 1).splitlines()
    rows = [sound[0], *(f"{line},1500000000" for line in sound[1:])]
    odd = [
        "0,101,5,1500000009",
        "77,100,abc,9",
        "0,102",
        ",100,3,1500000000",
        "8,999,3,1500000000",
        "8,101,4,",
    ]
    file = write_csv("\n".join([*rows, *odd, *odd]) + "\n")
    items = file.with_name("items.csv")
    items.write_text("item_id\n" + "".join(f"{item}\n" for item in range(100, 110)))
    found = look(file, "mine", items)
    write_params(dataset=found.section)
    [told] = [sentence for sentence in found.odd if "rows are bad" in sentence]
    assert told.startswith("14 of 102 rows are bad (13.73%): ")
    assert "14 of 102 rating rows are bad (13.73%, more than" in refusal()
    for start in ("4 rows have something", "4 rows lack", "10 rows rate an item", "2 rows name what is not"):
        assert [sentence for sentence in found.odd if sentence.startswith(start)], found.odd


def test_list_of_refused_rows_has_the_text_and_goes_when_all_is_well(refusal):
    write_csv(csv_rows() + "77,100,abc\n")
    write_params(**csv_params())
    refusal()
    [values] = pd.read_csv(environment.REFUSED_ROWS).query("severity == 'error'")["values"]
    assert json.loads(values)["rating as written"] == "abc"
    write_csv(csv_rows())
    run_prepare()
    assert not environment.REFUSED_ROWS.exists()


def test_list_of_refused_rows_is_whole_or_as_it_was(refusal, monkeypatch):
    environment.REFUSED_ROWS.parent.mkdir(exist_ok=True)
    write_csv(csv_rows() + "77,100,abc\n")
    write_params(**csv_params())

    def full(source: Path, target: Path) -> None:
        Path(target).write_text("half")
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("tasks.engine.artifacts.shutil.copy2", full)
    assert "disk is full" in refusal()
    assert not environment.REFUSED_ROWS.exists()


def test_of_bad_rows_alone_nothing_is_left_whatever_share_is_allowed(refusal):
    write_csv(HEADER + "".join(f"{user},{item},many\n" for user in range(9) for item in range(9)))
    write_params(**csv_params({"max_bad_fraction": 1.0}))
    sentence = refusal()
    assert "81 of 81 rating rows are bad (100.00%, so that none is left), first mine.csv, line 2" in sentence
    assert "max_bad_fraction" not in sentence
    assert len(pd.read_csv(environment.REFUSED_ROWS).query("severity == 'error'")) == 81


def test_ratings_between_two_steps_are_told_and_stay(caplog):
    write_csv(csv_rows() + "0,100,3.7\n3,101,1.5\n2,102,5\n")
    write_params(**csv_params(rating_step=0.5))
    run_prepare()
    told = "1 of 93 ratings: the rating is none of 1, 1.5, … 5; first: mine.csv, line 92 (3.7)"
    assert told in caplog.text
    interim = pd.read_parquet(ROOT / "data" / "interim" / "ratings.parquet")
    assert np.float32(3.7) in set(interim["rating"])
    caplog.clear()
    write_params(**csv_params(rating_step=0.1))
    run_prepare()
    assert "none of" not in caplog.text


@pytest.mark.parametrize("form", ["csv", "parquet", "jsonl"])
def test_numbers_that_are_not_finite_are_told_or_missing_and_reach_no_model(form, monkeypatch):
    sound = [row.split(",") for row in csv_rows().splitlines()[1:]]
    ratings = [(int(user), int(item), float(value), 900_000_000.0) for user, item, value in sound]
    odd = [(0, 100, np.inf, 900_000_000.0), (3, 101, np.nan, 900_000_000.0), (2, 102, 3.0, -np.inf)]
    items = pd.DataFrame({"item_id": range(100, 110), "tempo": [np.inf, -np.inf, np.nan, *range(7)]})
    users = pd.DataFrame({"user_id": range(12), "wealth": [np.inf, np.nan, -np.inf, *range(9)]})
    tables = {
        "mine": pd.DataFrame(ratings + odd, columns=["user_id", "item_id", "rating", "when"]),
        "items": items,
        "users": users,
    }
    folder = ROOT / "data" / "incoming"
    folder.mkdir(parents=True, exist_ok=True)
    for name, table in tables.items():
        file = folder / f"{name}.{form}"
        if form == "parquet":
            table.to_parquet(file, index=False)
        elif form == "csv":
            table.astype(str).replace("inf", "1e400").to_csv(file, index=False)
        else:
            # As Python's own writer has them, which is no JSON by its rules, and as numbers too large for 64 bits.
            lines = [json.dumps(record) for record in table.to_dict("records")]
            file.write_text("\n".join(lines).replace("-Infinity", "-1e400") + "\n")
    csv = {
        "path": f"mine.{form}",
        "timestamp_column": "when",
        "items_path": f"items.{form}",
        "item_columns": ["tempo"],
        "users_path": f"users.{form}",
        "user_columns": ["wealth"],
        "title_column": None,
    }
    write_params(dataset="csv", prepare={"csv": csv, "validation": {"max_bad_fraction": 0.5}})
    run_prepare()
    quarantine = pd.read_parquet(ROOT / "data" / "quarantine.parquet").query("severity == 'error'")
    assert sorted(quarantine["line"]) == [line + (form == "csv") for line in (91, 92, 93)]
    for file in sorted((ROOT / "data" / "interim").glob("*.parquet")):
        numbers = pd.read_parquet(file).select_dtypes("number").astype("float64")
        assert not np.isinf(numbers).any(axis=None), file
    assert pd.read_parquet(ROOT / "data" / "interim" / "items.parquet")["tempo"].isna().sum() == 3
    assert pd.read_parquet(ROOT / "data" / "interim" / "users.parquet")["wealth"].isna().sum() == 3


def test_few_bad_rows_go_to_quarantine_with_their_place(capfd):
    file = write_csv(csv_rows() + "77,100,6\n3,100,many\n")
    write_params(**csv_params({"max_bad_fraction": 0.1}))
    capfd.readouterr()
    run_prepare()
    said = [line for line in capfd.readouterr().out.splitlines() if line.startswith("prepare ")]
    assert said == [f"prepare {number}/5: {step}" for number, step in enumerate(prepare.STEPS, start=1)]
    quarantine = pd.read_parquet(ROOT / "data" / "quarantine.parquet")
    errors = quarantine[quarantine["dropped"]]
    assert set(zip(errors["file"], errors["line"], strict=True)) == {(file.name, 92), (file.name, 93)}
    interim = pd.read_parquet(ROOT / "data" / "interim" / "ratings.parquet")
    assert len(interim) == 90
    assert interim["rating"].between(1, 5).all()
    assert "rating as written" not in interim


def test_pair_that_occurs_twice_counts_once_its_last_row():
    write_csv(csv_rows() + "0,101,5\n")
    write_params(**csv_params({"max_bad_fraction": 0.1}))
    run_prepare()
    interim = pd.read_parquet(ROOT / "data" / "interim" / "ratings.parquet")
    pair = interim[(interim["user_id"] == 0) & (interim["item_id"] == 101)]
    assert pair["rating"].tolist() == [5.0]
    assert len(interim) == 90


def test_user_with_one_rating_and_item_unseen_in_training_are_fine():
    # User 50 has one rating; each of the items 900 ... 939 has one, so some are tested on without having been seen.
    lonely = "50,100,3\n" + "".join(f"{number % 12},{900 + number},4\n" for number in range(40))
    write_csv(csv_rows() + lonely)
    models = {"global-mean": {"kind": "global-mean"}, "user-item-bias": {"kind": "user-item-bias"}}
    write_params(**csv_params(), seed=0, rating={"models": models})
    run_prepare()
    split = pd.read_parquet(ROOT / "data" / "processed" / "split.parquet")
    assert split.loc[split["user_id"] == 50, "part"].tolist() == ["train"]
    test, train = (split[split["part"] == part] for part in ("test", "train"))
    assert not test["item_id"].isin(train["item_id"]).all()
    report = yaml.safe_load((ROOT / "reports" / "prepare" / "validation.json").read_text())
    warned = [rule for rule in report["expectations"] if rule["column"] == "ratings_of_user"]
    assert [(rule["severity"], rule["unexpected"]) for rule in warned] == [("warning", 1)]
    assert report["success"]
    run_stage(RatingParams, rating.run)
    scores = pd.read_csv(ROOT / "reports" / "rating" / "test" / "scores.csv")
    assert scores["value"].notna().all()


@pytest.mark.parametrize(
    ("handed", "words"),
    [
        ([], "is started by `attrec`"),
        (["cil"], "is started by `attrec`"),
        (['{"tabel": "cil"}'], "did you mean 'table'"),
        (['{"table": "cil", "splits": 0}'], "splits: input should be greater than or equal to 1"),
        (['{"table": "nowhere"}'], "no table 'nowhere', only ml-100k"),
    ],
)
def test_faulty_parameters_that_are_handed_over(refusal, monkeypatch, handed, words):
    monkeypatch.setattr(sys, "argv", ["flow", *handed])
    assert words in refusal(lambda: run_asked(results.ResultsParams, results.run))


def make_archive(folder: Path, members: dict[str, bytes]) -> Path:
    file = folder / "ml-100k.zip"
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return file


def truncated(folder: Path) -> None:
    file = make_archive(folder, {"ml-100k/u.data": b"1\t2\t3\t881250949\n" * 1000})
    file.write_bytes(file.read_bytes()[:-30])


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda folder: None, ["could not be downloaded", "ATTREC_DATA_DIR"]),
        (truncated, ["not a complete zip archive"]),
        (lambda folder: make_archive(folder, {"ml-100k/u.item": b"1|x\n"}), ["has no member ml-100k/u."]),
        (
            lambda folder: make_archive(
                folder,
                {
                    f"ml-100k/{name}": b"1\t2\t3\t881250949\n"
                    for name in ("u.data", "u.user", "u.item", "u1.test")
                },
            ),
            ["sha256 differs"],
        ),
        (lambda folder: make_archive(folder, {"../u.data": b"1"}), ["unsafe path", "../u.data"]),
        (
            lambda folder: make_archive(folder, {"ml-100k/u.data": bytes(30_000_000)}),
            ["would expand", "times"],
        ),
    ],
    ids=[
        "missing and no network",
        "truncated",
        "lacks a member",
        "tampered",
        "path outside",
        "absurd expansion",
    ],
)
def test_faulty_archive(refusal, tmp_path, monkeypatch, make, words):
    make(tmp_path)
    monkeypatch.setenv("ATTREC_DATA_DIR", str(tmp_path))
    write_params(dataset="ml-100k")
    sentence = refusal()
    assert all(word in sentence for word in words), sentence


def test_full_disk(refusal, monkeypatch):
    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(pd.DataFrame, "to_parquet", full)
    write_params(dataset="simulated", prepare={"simulated": {**SIMULATED, "seed": 404}})
    assert "disk is full" in refusal()


def test_full_disk_at_the_last_step(refusal, monkeypatch):
    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("tasks.engine.artifacts.shutil.copytree", full)
    write_params(dataset="simulated", prepare={"simulated": SIMULATED})
    assert "disk is full" in refusal()


def test_debug_raises_instead(monkeypatch):
    monkeypatch.setattr(sys, "argv", ["flow", "--debug"])
    write_params(dataset="nowhere")
    with pytest.raises(registry.DataError, match="no dataset 'nowhere'"):
        run_prepare()


@pytest.mark.parametrize("debug", ["", "1"])
def test_what_a_log_quotes_controls_no_terminal(monkeypatch, debug):
    """Lines of a traceback stay lines."""
    monkeypatch.setenv(environment.DEBUG_VARIABLE, debug)
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    logging.getLogger().addHandler(handler)
    try:
        with one_sentence_logs():
            logging.getLogger("prefect.flow_runs").warning("first: %s\n100 %%", "\x1b[31m\u202e")
            logging.getLogger("attrec.reader").warning("%s is odd", "\x1b]0;title\x07")
    finally:
        logging.getLogger().removeHandler(handler)
    bad = "\N{REPLACEMENT CHARACTER}"
    assert stream.getvalue() == f"first: {bad}[31m{bad}\n100 %\n{bad}]0;title{bad} is odd\n"


def test_defect_keeps_its_traceback_in_the_log():
    def record(error: Exception) -> logging.LogRecord:
        return logging.LogRecord("prefect", logging.ERROR, "", 0, "failed", None, (type(error), error, None))

    assert is_worth_a_traceback(record(ValueError("a defect")))
    assert not is_worth_a_traceback(record(registry.DataError("a fault of the input")))
