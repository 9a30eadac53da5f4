"""`attrec` teaches by --help, and refuses bad use in one sentence."""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
import sys
import threading
import zipfile
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from datetime import datetime
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from unittest.mock import ANY

import click
import pytest
import typer
import yaml

import attrec as library
from attrec.datasets import registry
from attrec.datasets.registry import REGISTRY
from attrec.reporting.leaderboard import LeaderboardRow, build_leaderboard, write_leaderboard
from cli import completion
from cli.app import app
from cli.pipeline import print_leaderboard
from flows import gains
from flows.results import TABLES, ResultsParams
from flows.tune import TuneParams
from tasks.engine import environment, tracking
from tasks.tuning.study import STORAGE_VARIABLE, Budget

COMMANDS = (
    *("datasets", "predict", "recommend", "explain"),
    *("runs", "reproduce", "results", "cross-validate", "paper", "tune", "ui", "worker"),
)


def test_help_lists_every_command_and_says_where_to_begin(attrec):
    shown = attrec("--help")
    assert shown.code == 0
    assert all(command in shown.out for command in COMMANDS)
    assert "attrec reproduce" in shown.out
    assert "attrec recommend --user" in shown.out


@pytest.mark.parametrize(
    ("command", "lesson"),
    [
        ("datasets", "ATTREC_DATA_DIR"),
        ("predict", "attrec predict --user 196 --item 242"),
        ("recommend", "attrec recommend --ratings mine.csv"),
        ("runs", "newest"),
        ("reproduce", "dvc repro"),
        ("results", "Resumes where it was stopped"),
        ("paper", "reports/paper"),
        ("tune", "attrec tune rating attentive+mlp1 --trials 30"),
        ("ui", "MLflow UI"),
        ("worker", "prefect deployment run rebuild/rebuild"),
    ],
)
def test_help_of_each_command_teaches(attrec, command, lesson):
    shown = attrec(command, "--help")
    assert shown.code == 0
    assert lesson in " ".join(shown.out.replace("│", " ").split())


@pytest.mark.parametrize(
    ("words", "asked"),
    [
        (["ml-100k"], {"table": "ml-100k"}),
        (["cil"], {"table": "cil"}),
        (["cil", "--splits", "2"], {"table": "cil", "splits": 2}),
        (["cil", "--folds", "2"], {"table": "cil", "splits": 2}),
        (["ml-100k", "--splits", "1", "--seeds", "3"], {"table": "ml-100k", "splits": 1, "seeds": 3}),
        (["ml-1m-sequences", "--seeds", "1"], {"table": "ml-1m-sequences", "seeds": 1}),
        (["spotify-playlists", "--folds", "2"], {"table": "spotify-playlists", "splits": 2}),
        (["spotify-playlists", "--only", "ablation"], {"table": "spotify-playlists", "only": "ablation"}),
    ],
)
def test_published_tables_are_measured_by_one_flow(attrec, monkeypatch, words, asked):
    calls: list[list[str]] = []

    def note(command: list[str], **_: object) -> subprocess.CompletedProcess[str]:
        calls.append(command[1:])
        return subprocess.CompletedProcess(command, 0)

    monkeypatch.setattr(subprocess, "run", note)
    ended = attrec("results", *words)
    assert ended.code == 0, ended.err
    [(option, module, params)] = calls
    assert (option, module) == ("-m", "flows.results")
    assert ResultsParams.model_validate_json(params) == ResultsParams.model_validate(asked)


def test_what_is_tuned_is_handed_over_but_for_the_address_of_a_database(attrec, monkeypatch):
    calls: list[list[str]] = []

    def note(command: list[str], **_: object) -> subprocess.CompletedProcess[str]:
        calls.append([*command[1:], os.environ[STORAGE_VARIABLE]])
        return subprocess.CompletedProcess(command, 0)

    monkeypatch.setenv(STORAGE_VARIABLE, "")
    monkeypatch.setattr(subprocess, "run", note)
    words = ["user-item-bias", "SVDpp", "--cpu-minutes", "3", "--storage", "postgresql://me:$PW@here/x"]
    ended = attrec("tune", "rating", *words)
    assert ended.code == 0, ended.err
    [(option, module, params, url)] = calls
    assert (option, module, url) == ("-m", "flows.tune", words[-1])
    assert "postgresql" not in params
    asked = TuneParams.model_validate_json(params)
    assert (asked.family, asked.models) == ("rating", ["user-item-bias", "SVDpp"])
    assert asked.budget == Budget(trials=None, cpu_minutes=3)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["rating"], "Name the models to tune, or say --all."),
        (["rating", "user-item-bias", "--all"], "Name the models to tune, or say --all."),
        (["rating", "user-item-bais"], "There is no rating model 'user-item-bais'; did you mean"),
        (["rating", "global-mean"], "global-mean has nothing to tune: it has no parameters."),
        (["playlist", "ars"], "params.yaml has no section playlist"),
        (
            ["rating", "user-item-bias", "--storage", "postgresql://me:pw@h/x"],
            "--storage has a password written out",
        ),
    ],
)
def test_what_cannot_be_tuned_is_told_before_a_flow_starts(attrec, monkeypatch, words, said):
    monkeypatch.setattr(subprocess, "run", lambda *_, **__: pytest.fail("a flow was started"))
    assert said in attrec("tune", *words).sentence


@pytest.mark.parametrize("words", [[], ["--list"]])
def test_published_tables_are_listed_with_what_they_are_of(attrec, monkeypatch, words):
    monkeypatch.setattr(subprocess, "run", lambda *_, **__: pytest.fail("a flow was started"))
    shown = attrec("results", *words)
    assert shown.code == 0
    listed = {name: table.about for name, table in TABLES.items()} | {gains.TABLE: gains.ABOUT}
    assert shown.out.splitlines() == [f"{name}: {about}" for name, about in listed.items()]
    assert all(table.about for table in TABLES.values())


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["nowhere"], "There is no table 'nowhere', only ml-100k, cil, "),
        (["ml-1m-sequences", "--splits", "1"], "has one split: leave out --splits."),
        (["cil", "--splits", "11"], "--splits is 11, but there are 10 splits."),
        (["ml-latest-small", "--only", "ablation"], "ml-latest-small has no ablation."),
        (
            ["spotify-playlists", "--splits", "1", "--only", "ablation"],
            "goes with the whole of its table: leave out --splits and --seeds.",
        ),
    ],
)
def test_tables_that_cannot_be_measured_are_told_before_a_flow_starts(attrec, monkeypatch, words, said):
    monkeypatch.setattr(subprocess, "run", lambda *_, **__: pytest.fail("a flow was started"))
    assert said in attrec("results", *words).sentence


def test_the_command_starts_without_what_takes_seconds_to_import(project):
    slow = {"pandas", "requests", "torch", "mlflow", "prefect", "matplotlib", "scipy.optimize"}
    asked = f"import sys, cli.app; print(*sorted({slow} & sys.modules.keys()))"
    shown = subprocess.run([sys.executable, "-c", asked], cwd=project, capture_output=True, text=True)
    assert shown.returncode == 0, shown.stderr
    assert shown.stdout.split() == []


def test_datasets_lists_all(attrec):
    shown = attrec("datasets")
    assert shown.code == 0
    assert all(name in shown.out for name in REGISTRY)
    assert "built in" in shown.out


@pytest.mark.parametrize(("named", "shown"), [("/where/zips/are", "/where/zips/are"), ("", "not set")])
def test_datasets_says_where_it_looks_first(attrec, monkeypatch, named, shown):
    monkeypatch.setenv("ATTREC_DATA_DIR", named)
    [line] = [line for line in attrec("datasets").out.splitlines() if "ATTREC_DATA_DIR" in line]
    assert line.index(f"ATTREC_DATA_DIR names ({shown})") < line.index(str(environment.DOWNLOADS))


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        """Keep the test output quiet."""


@pytest.fixture
def publisher(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A server on this machine that the registry takes for the publisher of ml-1m; its folder."""
    served = tmp_path / "served"
    served.mkdir()
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(served)))
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    url = f"http://127.0.0.1:{server.server_address[1]}/ml-1m.zip"
    monkeypatch.setitem(registry.REGISTRY, "ml-1m", replace(REGISTRY["ml-1m"], urls=(url,)))
    monkeypatch.setattr(environment, "DOWNLOADS", tmp_path / "downloads")
    monkeypatch.delenv("ATTREC_DATA_DIR", raising=False)
    yield served
    server.shutdown()
    thread.join()
    server.server_close()


def test_datasets_get_downloads_once(attrec, publisher):
    with zipfile.ZipFile(publisher / "ml-1m.zip", "w") as archive:
        archive.writestr("ml-1m/ratings.dat", "1::1::5::978300760\n")
    target = environment.DOWNLOADS / "ml-1m.zip"
    got = attrec("datasets", "get", "ml-1m")
    assert got.code == 0
    assert str(target) in got.out
    assert target.read_bytes() == (publisher / "ml-1m.zip").read_bytes()
    (publisher / "ml-1m.zip").unlink()
    assert attrec("datasets", "get", "ml-1m").code == 0


def test_datasets_get_that_fails(attrec, publisher):
    assert "answered 404" in attrec("datasets", "get", "ml-1m").err.splitlines()[-1]
    assert "nothing to download" in attrec("datasets", "get", "simulated").sentence
    assert "Did you mean ml-1m" in attrec("datasets", "get", "ml1m").sentence


def test_datasets_get_of_what_is_not_public_says_where_to_put_it(attrec, publisher):
    assert "put cil.zip into a folder" in attrec("datasets", "get", "cil").sentence
    assert not environment.DOWNLOADS.exists()
    environment.DOWNLOADS.mkdir()
    (environment.DOWNLOADS / "cil.zip").touch()
    assert attrec("datasets", "get", "cil").code == 0


@pytest.mark.parametrize("command", ["ui", "worker"])
def test_port_that_is_taken(attrec, command):
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        sentence = attrec(command, "--port", str(port)).sentence
    assert f"Port {port}" in sentence
    assert "--port" in sentence


@pytest.mark.parametrize("port", ["0", "-1", "70000"])
@pytest.mark.parametrize("command", ["ui", "worker"])
def test_port_that_cannot_be(attrec, command, port):
    ended = attrec(command, "--port", port)
    assert ended.code == 2
    assert "Traceback" not in ended.err


SOUND = {
    "dataset": "simulated",
    "prepare": {"split": {"name": "random"}},
    "rating": {"models": {"a": {"kind": "global-mean"}}},
    "sequence": {"models": {"popularity": {"kind": "popularity"}}},
    "playlist": {"models": {"popularity": {"kind": "popularity"}}},
    "paper": {"dimensions": [8]},
}


@pytest.fixture
def checkout(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[[dict[str, object]], list[str]]:
    """Make a project with these params; return the words of every call of DVC, which does nothing and fails."""

    def make(params: dict[str, object]) -> list[str]:
        (tmp_path / ".dvc").mkdir()
        (tmp_path / "params.yaml").write_text(yaml.safe_dump(params))
        calls: list[str] = []

        def fail(words: list[str], **_: object) -> subprocess.CompletedProcess[str]:
            if "dvc" in words:
                calls.append(" ".join(words[2:]))
            return subprocess.CompletedProcess(words, 1)

        monkeypatch.setattr(environment, "ROOT", tmp_path)
        monkeypatch.setattr(subprocess, "run", fail)
        return calls

    return make


@pytest.mark.parametrize(
    ("fault", "words", "said"),
    [
        ({"datset": "simulated"}, [], "did you mean 'dataset'"),
        ({"dataset": "nowhere"}, [], "no dataset 'nowhere'"),
        ({}, ["--dataset", "nowhere"], "no dataset 'nowhere'"),
        ({"dataset": {"name": "shop", "path": "none.csv"}}, [], "none.csv does not exist"),
        ({"dataset": "csv"}, [], "prepare.csv in params.yaml does not say which file"),
        ({"prepare": {"csv": {"path": "none.csv"}}}, ["--dataset", "csv"], "none.csv does not exist"),
        ({"prepare": {"spilt": {}}}, [], "did you mean 'split'"),
        ({"prepare": {"split": {"name": "u1"}}}, [], "no published split 'u1'"),
        ({"rating": {"models": {"a": {"kind": "magic"}}}}, [], "'magic'"),
        ({"rating": {"modles": {}}}, ["--dataset", "ml-100k"], "did you mean 'models'"),
        ({"sequence": {"models": {"a": {"kind": "popularity"}}}}, [], "the name a must begin with"),
        ({"sequence": {"exclude_sen": True}}, [], "did you mean 'exclude_seen'"),
        ({"playlist": {"models": {"mine": {"kind": "ars"}}}}, [], "the name mine must begin with ars-"),
        ({"playlist": {"lykes": {}}}, [], "did you mean 'likes'"),
        ({"seed": -1}, [], "seed: "),
        ({"runner": {"workers": 0}}, [], "runner.workers"),
        ({"paper": {"dimensions": "many"}}, [], "paper.dimensions"),
    ],
)
def test_reproduce_checks_every_section_before_dvc_removes_anything(attrec, checkout, fault, words, said):
    calls = checkout({**SOUND, **fault})
    assert said in attrec("reproduce", *words).sentence
    assert calls == []


@pytest.mark.parametrize(
    ("params", "words", "call"),
    [
        ({}, [], "dvc repro"),
        ({}, ["--dataset", "simulated"], "dvc repro"),
        ({}, ["--dataset", "ml-100k"], "dvc exp run -S dataset=ml-100k"),
        ({"dataset": "csv"}, ["--dataset", "simulated"], "dvc exp run -S dataset=simulated"),
        ({"dataset": {"name": "shop", "path": "shop.csv"}}, ["--dataset", "simulated"], "dvc repro"),
        ({"prepare": {"split": {"name": "u1"}}}, ["--dataset", "ml-100k"], "dvc exp run -S dataset=ml-100k"),
    ],
)
def test_reproduce_calls_dvc_when_the_params_are_sound_with_this_dataset(
    attrec, checkout, params, words, call
):
    calls = checkout({**SOUND, **params})
    assert attrec("reproduce", *words).code == 1
    assert calls == [call]


FIGURES = {
    "rating": {"best": {"rmse": 0.9, "mae": 0.8}, "worst": {"rmse": 1.1, "mae": 0.7}},
    "sequence": {
        "best": {
            "ndcg@10": 0.19,
            "hr@10": 0.32,
            "mrr@10": 0.15,
            "ndcg@5": 0.17,
            "ndcg@20-sampled-uniform100": 0.5,
        },
        "worst": {
            "ndcg@10": 0.05,
            "hr@10": 0.4,
            "mrr@10": 0.3,
            "ndcg@5": 0.3,
            "ndcg@20-sampled-uniform100": 0.9,
        },
    },
}


def test_leaderboard_shows_a_row_a_model_the_best_first_by_what_ranks_its_task(monkeypatch, tmp_path, capsys):
    (tmp_path / "reports").mkdir()
    rows = [
        LeaderboardRow(
            task, "simulated", "random", model, metric, value, value - 0.01, value + 0.01, 9, 1, "run"
        )
        for task, models in FIGURES.items()
        for model, figures in models.items()
        for metric, value in figures.items()
    ]
    write_leaderboard(build_leaderboard(rows), tmp_path / "reports" / "leaderboard.csv")
    monkeypatch.setattr(environment, "ROOT", tmp_path)
    monkeypatch.setenv("COLUMNS", "200")
    print_leaderboard()
    shown = [re.findall(r"[^\s│┃]+", line) for line in capsys.readouterr().out.splitlines()]
    assert [words for words in shown if words[:1] in (["model"], ["best"], ["worst"])] == [
        ["model", "RMSE", "95", "%", "interval", "MAE", "seeds"],
        ["best", "0.9000", "0.8900", "to", "0.9100", "0.8000", "1"],
        ["worst", "1.1000", "1.0900", "to", "1.1100", "0.7000", "1"],
        ["model", "NDCG@10", "95", "%", "interval", "HR@10", "MRR@10", "seeds"],
        ["best", "0.1900", "0.1800", "to", "0.2000", "0.3200", "0.1500", "1"],
        ["worst", "0.0500", "0.0400", "to", "0.0600", "0.4000", "0.3000", "1"],
    ]


LOGGED = {
    "a-rating-run": ("simulated", {"seed": 3}, {"validation/rmse": 0.91, "test/rmse": 0.92, "test/mae": 0.7}),
    "a-sequence-run": (
        "movies[b]",
        {"seed": 0, "seeds": 5},
        {"validation/ndcg@10": 0.21, "test/ndcg@10": 0.19, "test/hr@10": 0.3},
    ),
    "a-bare-run": ("movies[b]", {}, {"loss/train": 5.0}),
}


@pytest.fixture
def logged() -> None:
    """Runs of three kinds, the last of which failed."""
    for name, (dataset, params, figures) in LOGGED.items():
        tags = {"dataset": dataset, "model": f"it's {name}"}
        with suppress(ValueError), tracking.tracked_run(name, params, tags) as run_id:
            tracking.log_metrics(run_id, figures)
            if name == "a-bare-run":
                raise ValueError


def test_runs_show_what_they_are_of_and_the_metric_that_ranks_their_task(attrec, logged):
    lines = [line.split() for line in attrec("runs", "--limit", "3").out.splitlines()]
    shown = {words[0]: words[1:] for words in lines if words and words[0].startswith("a-")}
    assert all(re.fullmatch("[0-9a-f]{8}", words.pop()) for words in shown.values())
    today = f"{datetime.now():%m-%d}"
    assert shown == {
        "a-rating-run": ["simulated", today, ANY, "3", "RMSE", "0.9100", "0.9200"],
        "a-sequence-run": ["movies[b]", today, ANY, "0", "+4", "NDCG@10", "0.2100", "0.1900"],
        "a-bare-run": ["(failed)", "movies[b]", today, ANY],
    }


@pytest.mark.parametrize(
    ("words", "names"),
    [
        (["--dataset", "movies[b]", "--limit", "2"], {"a-sequence-run", "a-bare-run"}),
        (["--model", "it's a-rating-run", "--limit", "1"], {"a-rating-run"}),
        (["--model", "nobody\\"], set()),
    ],
)
def test_runs_of_a_dataset_or_a_model(attrec, logged, words, names):
    shown = attrec("runs", *words)
    assert shown.code == 0, shown.err
    assert set(re.findall("a-[a-z]+-run", shown.out)) == names


def test_runs_that_cannot_be_asked_for(attrec):
    assert "quotes of both kinds" in attrec("runs", "--model", "a'b\"c").sentence
    assert attrec("runs", "--limit", "100000").code == 2


def test_runs_cut_nothing_at_80_columns(attrec, monkeypatch):
    name, dataset = "a-model-of-a-long-name+another", "simulated-playlists"
    with tracking.tracked_run(name, {"seed": 0, "seeds": 5}, {"dataset": dataset}) as run_id:
        tracking.log_metrics(run_id, {"validation/ndcg@10": 0.21, "test/ndcg@10": 0.19})
    monkeypatch.setenv("COLUMNS", "80")
    first, *rest = attrec("runs", "--limit", "1").out.splitlines()[1:-1]
    assert all(len(line) <= 80 for line in (first, *rest))
    folded = [line.split() for line in (first, *rest)]
    assert folded[0][-3:] == ["0.2100", "0.1900", run_id[:8]]
    assert "".join(words[0] for words in folded).startswith(name)


def words_after_tab(project: Path, *words: str) -> set[str]:
    """What bash offers when Tab is pressed at the end of these words."""
    program = "import sys; sys.argv = ['attrec']; from cli.app import main; main()"
    asked = {
        "_ATTREC_COMPLETE": "complete_bash",
        "COMP_WORDS": " ".join(words),
        "COMP_CWORD": str(len(words) - 1),
    }
    shown = subprocess.run(
        [sys.executable, "-c", program],
        cwd=project,
        env={**os.environ, **asked},
        capture_output=True,
        text=True,
    )
    assert shown.returncode == 0, shown.stderr
    return set(shown.stdout.split())


def test_the_shell_completes_names(project):
    kept = environment.ROOT / "models" / "rating" / "kept-for-completion" / "card"
    kept.mkdir(parents=True)
    try:
        assert words_after_tab(project, "attrec", "datasets", "get", "ml-10") == {"ml-100k", "ml-10m"}
        assert words_after_tab(project, "attrec", "reproduce", "--dataset", "ml-100") == {"ml-100k"}
        assert words_after_tab(project, "attrec", "results", "ml-1m-") == {"ml-1m-sequences", "ml-1m-papers"}
        assert words_after_tab(project, "attrec", "recommend", "--model", "kept-for") == {
            "kept-for-completion"
        }
        assert words_after_tab(project, "attrec", "runs", "--model", "ch") == {"champion"}
    finally:
        shutil.rmtree(kept.parent)


def test_the_shell_completes_every_table():
    assert (*TABLES, gains.TABLE) == completion.TABLES


def commands(group: click.Group, path: str) -> Iterator[tuple[str, click.Command]]:
    """Every command, with the words that call it."""
    for name, command in group.commands.items():
        yield f"{path} {name}", command
        if isinstance(command, click.Group):
            yield from commands(command, f"{path} {name}")


def test_help_of_every_command_has_an_example():
    lacking = [
        words
        for words, command in commands(typer.main.get_group(app), "attrec")
        if not re.search(f"`{words} ?[^`]*`", command.help or "")
    ]
    assert lacking == []


def test_version(attrec):
    assert attrec("--version").out == f"attrec {library.__version__}\n"


def test_debug_raises_instead(attrec):
    with pytest.raises(registry.DataError, match="nowhere"):
        attrec("--debug", "datasets", "get", "nowhere")


def test_unknown_command_and_option(attrec):
    for words in (("recomend",), ("runs", "--many")):
        ended = attrec(*words)
        assert ended.code == 2
        assert "Traceback" not in ended.err
