"""Measure served models under load, ours beside MLflow's server: benchmarks/serving.md.

    make bench-serving    # locust, which asks, gets an environment of its own, benchmarks/.locust

Server and load share the cores of the machine, as on a small one they would.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import mlflow
import numpy as np
import pandas as pd
import psutil
import requests
import uvicorn
from tqdm import tqdm

from attrec.datasets.registry import load_dataset
from attrec.files import write_text
from attrec.models.base import Model
from attrec.playlists import KMeans
from attrec.ratings import UserItemBias
from attrec.sequences import ItemKNN, SASRec
from attrec.serving.http import application
from attrec.serving.items import save_shown_items, with_actions
from attrec.serving.served import read_served
from benchmarks.rows import Row, commit, machine
from tasks.comparison import served as served_model
from tasks.comparison.track import signature

PROJECT = Path(__file__).resolve().parents[1]
SERVERS = {"attrec serve": "attrec", "mlflow models serve": "mlflow"}
TOGETHER = (1, 32)
"""How many ask at once; each asks again as soon as it is answered."""
PAGE = """\
# Served models under load

Requests of one user, ten items or one prediction each: {dataset}, {cores} cores of {machine} for server and load;
commit {commit}; {seconds} s each, after {warm} s to warm up (`make bench-serving`; locust asks). Milliseconds are those
that a client waits. Memory is what the server held at the end, and how much that is more than after warming up.

{table}

What one `attrec serve` holds after so many more requests, {most_together} at once, of which one in four is refused:

{long}
"""
COLUMNS = ("model", "server", "at once", "requests/s", "median ms", "p99 ms", "failed", "MiB", "grew by")
LONG_COLUMNS = ("model", "requests", "MiB after the first", "MiB after half", "MiB at the end")


def main() -> None:
    """Measure, and write the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--locust", type=Path, help="of an environment that has it")
    parser.add_argument("--dataset", default="ml-1m-sequences", help="whose actions the models learn")
    parser.add_argument("--seconds", type=int, default=12)
    parser.add_argument("--warm", type=int, default=3)
    parser.add_argument("--many", type=int, default=100_000, help="requests over which memory is watched")
    parser.add_argument("--serve", nargs=2, metavar=("FOLDER", "PORT"), help="be a server")
    asked = parser.parse_args()
    if asked.serve:
        folder, port = asked.serve
        uvicorn.run(application(read_served(Path(folder))), port=int(port), log_level="warning")
        return
    lines, long = [], []
    with tempfile.TemporaryDirectory() as there:
        models = fitted(asked.dataset, Path(there))
        cases = [(name, server) for name in models for server in SERVERS]
        for name, server in tqdm(cases, desc="servers", unit="server"):
            folder, request = models[name]
            with started(SERVERS[server], folder) as (url, process):
                for together in TOGETHER:
                    row = under_load(asked, url, request, together, process)
                    lines.append(f"| {name} | {server} | {together} | {' | '.join(row)} |")
                if SERVERS[server] == "attrec":
                    long.append(f"| {name} | {' | '.join(over_many(asked, url, request, process))} |")
    page = PAGE.format(
        **vars(asked),
        cores=os.cpu_count(),
        machine=machine(),
        commit=commit(),
        table="\n".join([*heading(COLUMNS), *lines]),
        most_together=max(TOGETHER),
        long="\n".join([*heading(LONG_COLUMNS), *long]),
    )
    write_text(PROJECT / "benchmarks" / "serving.md", page)
    print(page)


def heading(columns: tuple[str, ...]) -> list[str]:
    """Of a table."""
    return [f"| {' | '.join(columns)} |", "|" + "---|" * len(columns)]


def fitted(dataset: str, there: Path) -> dict[str, tuple[Path, Row]]:
    """By name, the folder of a saved model and a request to it."""
    tables = load_dataset(dataset)
    actions, items = tables.ratings, with_actions(tables.items, tables.ratings)
    own = actions[actions["user_id"] == actions["user_id"].iloc[0]]["item_id"].head(20).tolist()
    history = {"dataframe_records": [{"item_id": item} for item in own], "params": {"k": 10}}
    question = {"dataframe_records": [{"user_id": actions["user_id"].iloc[0].item(), "item_id": own[0]}]}
    users, films = (pd.DataFrame(index=pd.Index(actions[name].unique())) for name in ("user_id", "item_id"))
    rated = actions.drop_duplicates(["user_id", "item_id"]).assign(rating=1 + actions["item_id"] % 5)
    # As many as there might be playlists with so many songs.
    playlists = rated.loc[rated["user_id"].isin(rated["user_id"].unique()[:1000]), ["user_id", "item_id"]]
    brief, number = {"epochs": 1}, np.random.default_rng(0)
    songs = (
        pd.DataFrame(number.normal(size=(len(items), 20)))
        .add_prefix("feature")
        .assign(item_id=items["item_id"])
    )
    models: dict[str, tuple[Model, Row]] = {
        "item-knn": (ItemKNN().fit(actions), history),
        "sasrec": (SASRec(training=brief, network={"length": 50}).fit(actions), history),
        "kmeans of playlists": (KMeans(n_clusters=(20,)).fit(playlists, songs), history),
        "user-item-bias": (UserItemBias().fit(rated, users, films), question),
    }
    found = {}
    for name, (model, request) in models.items():
        model.save(there / name)
        save_shown_items(items, there / name)
        found[name] = there / name, request
    return found


@contextmanager
def started(kind: str, folder: Path) -> Iterator[tuple[str, psutil.Process]]:
    """The address of a server of a saved model, and its process."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = str(probe.getsockname()[1])
    if kind == "attrec":
        words = [sys.executable, "-m", "benchmarks.serving", "--serve", str(folder), port]
    else:
        served = read_served(folder)
        logged = folder.with_name(f"{folder.name}-logged")
        mlflow.pyfunc.save_model(
            str(logged),
            python_model=served_model.__file__,
            artifacts={"model": str(folder)},
            signature=signature(SimpleNamespace(textual_users=False), served),  # type: ignore[arg-type]
            input_example=served.example(),
            pip_requirements=[],
        )
        where = ["--host", "127.0.0.1", "--port", port, "--env-manager", "local"]
        words = [sys.executable, "-m", "mlflow", "models", "serve", "-m", str(logged), *where]
    with subprocess.Popen(
        words, cwd=PROJECT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as process:
        try:
            while not _answers(f"http://127.0.0.1:{port}/ping"):
                if process.poll() is not None:
                    raise SystemExit(f"The server ended: {' '.join(words)}")
                time.sleep(0.5)
            yield f"http://127.0.0.1:{port}", psutil.Process(process.pid)
        finally:
            for child in psutil.Process(process.pid).children(recursive=True):
                child.kill()
            process.kill()


def under_load(asked: Any, url: str, request: Row, together: int, process: psutil.Process) -> tuple[str, ...]:
    """Cells of the table, from the fourth on."""
    load(asked, url, request, together, asked.warm)
    before = memory_mb(process)
    stats = load(asked, url, request, together, asked.seconds)
    after = memory_mb(process)
    return (
        f"{float(stats['Requests/s']):.0f}",
        stats["50%"],
        stats["99%"],
        stats["Failure Count"],
        f"{after:.0f}",
        f"{after - before:.1f}",
    )


def over_many(asked: Any, url: str, request: Row, process: psutil.Process) -> tuple[str, ...]:
    """Cells of the second table, from the second on; the first memory is that after the first answers."""
    count, held = 0, []
    refused = {"dataframe_records": [{"nothing": "that is asked"}] * 100}
    while count < asked.many:
        for one, answered in ((request, 3 * asked.seconds), (refused, asked.seconds)):
            stats = load(asked, url, one, max(TOGETHER), answered)
            told, failed = int(stats["Request Count"]), int(stats["Failure Count"])
            if told == 0 or failed != (told if one is refused else 0):
                raise SystemExit(f"Of {told} requests {failed} were refused: {one}")
            count += told
            held.append((count, memory_mb(process)))
    half = next(memory for done, memory in held if done >= count / 2)
    return (f"{count:,}", f"{held[0][1]:.0f} ({held[0][0]:,})", f"{half:.0f}", f"{held[-1][1]:.0f}")


def load(asked: Any, url: str, request: Row, together: int, seconds: int) -> dict[str, str]:
    """What locust says of so many seconds."""
    with tempfile.TemporaryDirectory() as folder:
        users = ["--users", str(together), "--spawn-rate", str(together), "--run-time", f"{seconds}s"]
        words = [
            str(asked.locust),
            "--locustfile",
            str(PROJECT / "benchmarks" / "serving_load.py"),
            "--headless",
            "--exit-code-on-error=0",  # what is refused is counted
        ]
        subprocess.run(
            [*words, *users, "--host", url, "--csv", f"{folder}/told", "--only-summary"],
            env={**os.environ, "REQUEST": json.dumps(request)},
            check=True,
            capture_output=True,
        )
        with Path(folder, "told_stats.csv").open() as lines:
            return {**list(csv.DictReader(lines))[-1]}


def memory_mb(process: psutil.Process) -> float:
    """Of a server and all that it has started, in MiB."""
    family = [process, *process.children(recursive=True)]
    return float(sum(each.memory_info().rss for each in family) / 2**20)


def _answers(url: str) -> bool:
    try:
        return requests.get(url, timeout=5).ok
    except requests.RequestException:
        return False


if __name__ == "__main__":
    main()
