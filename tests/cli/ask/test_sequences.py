"""`attrec recommend --titles`, training by torchrun, and the registered model behind HTTP."""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import psutil
import pytest
import requests
import yaml
from mlflow import MlflowClient
from mlflow.utils.file_utils import local_file_uri_to_path
from safetensors import safe_open

from attrec.datasets.simulator import SimulatorConfig, simulate
from attrec.datasets.tables import Tables
from attrec.models.checkpoints import Checkpoint, read_checkpoint, write_checkpoint
from attrec.models.training import TrainingConfig
from attrec.prepare.sequence_splits import SequenceConfig, SequenceSplitConfig
from attrec.sequences.baselines import Popularity
from attrec.sequences.sasrec import SASRec, SASRecConfig
from attrec.sequences.transformer import TransformerConfig
from cli import train_sequences
from tasks.comparison.card import keep_model
from tasks.comparison.champion import Challenger, challenge
from tasks.comparison.family import Fitted
from tasks.comparison.fit import fit
from tasks.comparison.track import log_kept_model
from tasks.engine import environment
from tasks.engine.artifacts import writing
from tasks.engine.run_store import EXPERIMENT_VARIABLE
from tasks.engine.tracking import DatasetVersion, tracked_run
from tasks.families.sequences.answers import rank
from tasks.families.sequences.data import load_sequence_facts, make_sequences
from tasks.families.sequences.family import SEQUENCES
from tasks.families.sequences.figures import evaluate_sequences
from tests.cli.conftest import EXPERIMENT

TYPED = ["electric horzion", "The Uncharted Kingdom", "forgotten carnival 1995"]
TITLES = ["The Electric Horizon (1985)", "The Uncharted Kingdom (1992)", "The Forgotten Carnival (1995)"]


@pytest.fixture(scope="module")
def tables() -> Tables:
    return simulate(SimulatorConfig(n_users=30, n_items=40, n_ratings=500, min_ratings_per_user=10))


@pytest.fixture(scope="module")
def registered(tables: Tables) -> None:
    """What the flow `sequence` does with two models, without Prefect: the tasks as plain functions."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(EXPERIMENT_VARIABLE, EXPERIMENT)
        register(tables)


def register(tables: Tables) -> None:
    with writing("clean") as cleaned:
        tables.save(cleaned.folder)
    sequences = make_sequences.fn("simulated", cleaned.artifact, SequenceConfig(), SequenceSplitConfig())
    network = TransformerConfig(dimension=8)
    configs = {
        Popularity: Popularity.config_class(),
        SASRec: SASRecConfig(network=network, training=TrainingConfig(epochs=5)),
    }
    facts = load_sequence_facts(sequences)
    dataset = DatasetVersion(name="simulated", digest="d1", source="data/interim", rows=500)
    tags = {"dataset": "simulated", "dvc.stage": "sequence"}
    with tracked_run("sequence", {}, {}) as parent:
        for kind, config in configs.items():
            name = kind.__name__.lower()
            model = fit.fn(name, kind, config, 0, sequences.training)
            ranks = rank.fn(model, kind, sequences, "validation")
            fitted = Fitted(name=name, config={}, seeds=[0], models=[model], validation=[ranks])
            scores = {"validation": evaluate_sequences.fn(sequences, "validation", {name: [ranks]})}
            kept = keep_model.fn(
                name, SEQUENCES, fitted, sequences.training, facts, dataset, scores, challenges=True
            )
            logged = log_kept_model(SEQUENCES, kept.path, parent, tags, None)
    challenge(Challenger(kept.path, logged, SEQUENCES.contest), 0, lambda _: pytest.fail("asked again"))


def wait_for(condition: Callable[[], Any], seconds: float, what: str) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"not within {seconds:.0f} s: {what}"
        time.sleep(0.01)


def rows(out: str) -> list[str]:
    """The item ids of the lines of the table."""
    return re.findall(r"^\W*(\d+)\b.*-?\d+\.\d\d\W*$", out, flags=re.MULTILINE)


def test_titles_typed_badly_are_found_and_named(attrec, registered):
    ended = attrec("recommend", "--titles", *TYPED, "-k", "4")
    assert ended.code == 0, ended.err
    assert ended.out.splitlines()[:4] == [
        "Model: sasrec, trained on simulated.",
        *(f"{typed} → {title}" for typed, title in zip(TYPED, TITLES, strict=True)),
    ]
    assert len(rows(ended.out)) == 4
    assert not any(title in ended.out.split("item_id")[1] for title in TITLES)


def ids_of_titles(tables: Tables) -> list[int]:
    return [int(item) for item in tables.items.set_index("title").loc[TITLES, "item_id"]]


def test_a_folder_of_train_sequences_is_asked_by_its_path(attrec, tables, tmp_path, capsys):
    folder = tmp_path / "mine"
    network = {"network": {"dimension": 8}, "training": {"epochs": 2}}
    models = {"sasrec": {"kind": "sasrec", "changes": network}}
    params = {"dataset": "simulated", "sequence": {"models": models}}
    (environment.ROOT / "params.yaml").write_text(yaml.safe_dump(params))
    tables.save(environment.ROOT / "data" / "interim")
    train_sequences.main(["sasrec", "--output", str(folder)])
    ended = attrec("recommend", "--titles", *TYPED, "-k", "4", "--model", str(folder))
    assert ended.code == 0, ended.err
    assert ended.out.startswith(f"Model: {folder}.\n{TYPED[0]} → {TITLES[0]}\n")
    codes = SASRec.load(folder).recommend(ids_of_titles(tables), 4)["item_id"]
    assert rows(ended.out) == [str(code) for code in codes]

    genre = tables.items.set_index("item_id")["genres"][int(codes.iloc[0])][0]
    (line,) = [line for line in ended.out.splitlines() if re.match(rf"\W*{codes.iloc[0]}\b", line)]
    assert genre in line

    params["sequence"]["models"]["sasrec"]["kind"] = "bert4rec"
    params["sequence"]["models"] = {"bert4rec": params["sequence"]["models"]["sasrec"]}
    network["causal_epochs"] = 0
    (environment.ROOT / "params.yaml").write_text(yaml.safe_dump(params))
    with pytest.raises(SystemExit):
        train_sequences.main(["bert4rec", "--output", str(folder)])
    assert "holds a model of another kind (SASRec)" in capsys.readouterr().err

    (folder / "items.parquet").unlink()
    assert "no items.parquet" in attrec("recommend", "--titles", *TYPED, "--model", str(folder)).sentence


@pytest.mark.parametrize("name", ["popularity", "nobody"])
def test_what_is_not_trained_by_epochs_is_refused(attrec, tmp_path, capsys, name):
    models = {kind: {"kind": kind} for kind in ("bert4rec", "popularity", "sasrec")}
    params = {"dataset": "simulated", "sequence": {"models": models}}
    (environment.ROOT / "params.yaml").write_text(yaml.safe_dump(params))
    with pytest.raises(SystemExit):
        train_sequences.main([name, "--output", str(tmp_path / "mine")])
    said = f"Error: {name} is no transformer of params.yaml; there is bert4rec, sasrec.\n"
    assert capsys.readouterr().err == said
    assert not (tmp_path / "mine").exists()


def test_attention_is_drawn(attrec, registered, tmp_path):
    file = tmp_path / "seen.svg"
    ended = attrec("recommend", "--titles", *TYPED, "--model", "sasrec", "--attention", str(file))
    assert ended.code == 0, ended.err
    assert len(rows(ended.out)) == 10
    assert f"{file}: how much each title" in ended.out.replace("\n", "")
    assert ElementTree.parse(file).getroot().tag.endswith("svg")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "Say what somebody liked"),
        (["Avengers: Endgame"], "No title is like 'Avengers: Endgame'; the nearest are"),
        (["The Silver Waltz VIII"], "No title is like 'The Silver Waltz VIII'; the nearest are The Silver Waltz"),
        ([TYPED[0], TITLES[0]], f"are both {TITLES[0]}: leave one out"),
        ([TYPED[0], "--model", "nobody"], "no registered or tracked model 'nobody'"),
        ([TYPED[0], "--model", "./"], "holds no saved sequence model"),
        ([TYPED[0], "--attention", "map.txt"], "map.txt cannot be drawn"),
        ([TYPED[0], "--attention", "nowhere/map.svg"], "nowhere/map.svg cannot be drawn"),
        ([TYPED[0], "--attention", "/proc/map.svg"], "/proc/map.svg cannot be written"),
        ([TYPED[0], "--attention", "map.svg", "--model", "popularity"], "no attention to draw"),
        ([TYPED[0], "--user", "1"], "leave out --user and --ratings"),
    ],
)  # fmt: skip
def test_bad_use(attrec, registered, monkeypatch, tmp_path, words, said):
    monkeypatch.chdir(tmp_path)
    assert said in attrec("recommend", "--titles", *words).sentence
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_torchrun_resumes_what_was_killed(
    tables: Tables, project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("ATTREC_ROOT", str(tmp_path))
    tables.save(tmp_path / "data" / "interim")
    changes = {
        "network": {"dimension": 8},
        "training": {"epochs": 40, "patience": 40, "checkpoint_every": 1},
    }
    models = {"sasrec": {"kind": "sasrec", "changes": changes}}
    params = {"dataset": "simulated", "sequence": {"models": models}}
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(params))
    words = ["torch.distributed.run", "--standalone", "--local-addr", "127.0.0.1", "--nproc-per-node", "2"]
    command = [
        sys.executable,
        "-m",
        *words,
        "-m",
        "cli.train_sequences",
        "sasrec",
        "--output",
        str(tmp_path / "mine"),
    ]
    checkpoints = tmp_path / ".attrec" / "checkpoints"

    def saved() -> list[Path]:
        return [file for file in checkpoints.glob("*.safetensors") if not file.name.startswith(".")]

    with (tmp_path / "log").open("wb") as log:
        started = subprocess.Popen(command, cwd=project, stdout=log, stderr=log)
        try:
            wait_for(lambda: saved() or started.poll() is not None, 300, "a checkpoint")
        finally:
            for process in [*psutil.Process(started.pid).children(recursive=True), started]:
                process.kill()
            started.wait()
    assert not (tmp_path / "mine").exists(), "it ended before it was killed"
    (checkpoint,) = saved()
    # A loss that no training has, so that what goes on from here is told from what begins anew.
    with safe_open(checkpoint, framework="pt") as file:
        fingerprint = file.metadata()["fingerprint"]
    read = read_checkpoint(checkpoint, fingerprint)
    course = json.loads(read.notes["course"])
    course["train_loss"][0] = 123.0
    changed = Checkpoint(read.tensors, {**read.notes, "course": json.dumps(course)})
    write_checkpoint(checkpoint, fingerprint, changed)

    ended = subprocess.run(command, cwd=project, capture_output=True, text=True, timeout=300)
    assert ended.returncode == 0, ended.stderr[-3000:]
    model = SASRec.load(tmp_path / "mine")
    assert model.course.epochs == list(range(1, 41))
    assert model.course.train_loss[0] == 123.0
    said = re.findall(r"validation NDCG@10 (\d\.\d{4})", ended.stdout)
    assert said == [f"{1 - model.course.best_loss:.4f}"]
    assert not saved()


@pytest.mark.slow
def test_served_over_http(registered, tables: Tables, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    ids = ids_of_titles(tables)
    # It starts `uvicorn`, as a user who has activated the environment has it.
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    where = ["--host", "127.0.0.1", "--port", str(port), "--env-manager", "local"]
    command = [
        sys.executable,
        "-m",
        "mlflow",
        "models",
        "serve",
        "-m",
        f"models:/{EXPERIMENT}-sequence@champion",
        *where,
    ]
    url = f"http://127.0.0.1:{port}"

    def answers() -> bool:
        try:
            return requests.get(f"{url}/ping", timeout=5).ok
        except requests.RequestException:
            return started.poll() is not None

    def ask(records: list[dict[str, Any]], **params: int) -> requests.Response:
        body = {"dataframe_records": records, "params": params}
        return requests.post(f"{url}/invocations", json=body, timeout=60)

    with (tmp_path / "log").open("wb") as log:
        started = subprocess.Popen(command, cwd=tmp_path, stdout=log, stderr=log)
    try:
        wait_for(answers, 300, "the server answers")
        assert started.poll() is None, (tmp_path / "log").read_text()[-3000:]
        by_title = ask([{"title": typed, "history": "mine"} for typed in TYPED], k=3)
        assert by_title.status_code == 200, by_title.text
        found = by_title.json()["predictions"]
        assert [row["rank"] for row in found] == [1, 2, 3]
        assert {row["after"] for row in found} == {"; ".join(TITLES)}
        assert {row["history"] for row in found} == {"mine"}

        by_id = ask([{"item_id": item_id} for item_id in ids], k=3)
        assert [row["item_id"] for row in by_id.json()["predictions"]] == [row["item_id"] for row in found]

        mixed = ask([{"item_id": ids[0]}, {"title": TYPED[1]}, {"item_id": ids[2]}], k=3)
        assert mixed.status_code == 200, mixed.text
        assert [row["item_id"] for row in mixed.json()["predictions"]] == [row["item_id"] for row in found]

        refused = ask([{"title": "Avengers: Endgame"}])
        assert refused.status_code == 400
        assert "No title is like 'Avengers: Endgame'" in refused.json()["message"]
        assert "Traceback" not in refused.text

        # Clients leave in the middle of what they send, and before what they asked is answered.
        body = json.dumps({"dataframe_records": [{"item_id": ids[0]}] * 1000, "params": {"k": 3}}).encode()
        head = f"POST /invocations HTTP/1.1\r\nHost: {url}\r\nContent-Type: application/json\r\n"
        whole = f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body
        for sent in (whole[: len(whole) // 2], whole) * 10:
            with socket.create_connection(("127.0.0.1", port), timeout=60) as client:
                client.sendall(sent)
        # Its files vanish: it answers from memory.
        registry = MlflowClient()
        version = registry.get_model_version_by_alias(f"{EXPERIMENT}-sequence", "champion")
        files = Path(
            local_file_uri_to_path(registry.get_model_version_download_uri(version.name, version.version))
        )
        files.rename(tmp_path / "vanished")
        try:
            assert ask([{"item_id": item_id} for item_id in ids], k=3).json() == by_id.json()
        finally:
            (tmp_path / "vanished").rename(files)
    finally:
        ours = [started]
        with suppress(psutil.NoSuchProcess):
            ours += psutil.Process(started.pid).children(recursive=True)
        for process in ours:
            process.terminate()
        for process in ours:
            process.wait(timeout=30)
