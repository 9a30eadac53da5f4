"""Walk a new user's first hour in a fresh clone, time each command, and write benchmarks/first_hour.md.

Run it with `make bench-first-hour`; it needs MovieLens latest-small (see `attrec datasets`), which it writes as a shop
would have exported it.
"""

from __future__ import annotations

import json
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from attrec.datasets.registry import load_dataset
from benchmarks.pipeline import PROJECT, fresh_clone, surroundings
from benchmarks.rows import commit, machine

RESULT = PROJECT / "benchmarks" / "first_hour.md"
SHOWN_LINES = 16
PORT = 5071
QUESTION = {"dataframe_records": [{"user_id": "k0001", "item_id": "f318"}]}
START_SECONDS = 120


@dataclass(frozen=True)
class Step:
    """A command that a user types."""

    why: str
    command: str
    begins: str = ""
    """What of its output is shown begins with the line that has this."""


STEPS = (
    Step(
        "Semicolons, decimal commas, half stars, dates, ids that are words: what is it?",
        "attrec look ../verkauf.csv.gz --items ../filme.csv --name shop",
    ),
    Step(
        "That is right, so into the project with it.",
        "attrec look ../verkauf.csv.gz --items ../filme.csv --name shop --write",
    ),
    Step(
        "Every model of params.yaml, compared, tracked and registered.", "attrec reproduce", begins="rating:"
    ),
    Step(
        "A model that is not among them, searched for a while, and what was found put into params.yaml.",
        "attrec tune rating bayesian-mf --trials 10 --write",
    ),
    Step("Only what that changes is computed.", "attrec reproduce", begins="rating:"),
    Step("Twenty films for everybody.", "attrec export recommendations rating ../best.parquet -k 20"),
    Step(
        "And what comes next, as a table for a spreadsheet.",
        "attrec export recommendations sequence ../next.csv -k 20",
    ),
)


def main() -> None:
    """Make the file, walk the steps, write the page."""
    folder = Path(tempfile.mkdtemp(prefix="attrec-hour-"))
    try:
        clone, taken_at = fresh_clone(folder / "project"), commit()
        rows = write_as_a_shop_would(folder)
        walked = [(step, *timed(step, clone)) for step in STEPS]
        served = seconds_to_an_answer(clone)
        exported = len(pd.read_parquet(folder / "best.parquet"))
        RESULT.write_text(page(walked, served, rows, exported, taken_at))
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def write_as_a_shop_would(folder: Path) -> int:
    """verkauf.csv.gz and filme.csv; how many rows there are."""
    tables = load_dataset("ml-latest-small")
    ratings, items = tables.ratings, tables.items
    pd.DataFrame(
        {
            "Wann": pd.to_datetime(ratings["timestamp"], unit="s").dt.strftime("%d.%m.%Y"),
            "Kunde": [f"k{user:04d}" for user in ratings["user_id"]],
            "Film": [f"f{item}" for item in ratings["item_id"]],
            "Sterne": ratings["rating"].map("{:.1f}".format).str.replace(".", ","),
        }
    ).to_csv(folder / "verkauf.csv.gz", sep=";", index=False)
    pd.DataFrame(
        {
            "Film": [f"f{item}" for item in items["item_id"]],
            "Titel": items["title"],
            "Genres": ["|".join(genres) for genres in items["genres"]],
        }
    ).to_csv(folder / "filme.csv", sep=";", index=False)
    return len(ratings)


def words_of(command: str) -> list[str]:
    """The command as this interpreter runs it in a clone."""
    return [sys.executable, "-m", "cli.app", *shlex.split(command)[1:]]


def timed(step: Step, clone: Path) -> tuple[float, str]:
    """Wall seconds, and what it printed."""
    print(step.command, flush=True)
    started = time.perf_counter()
    done = subprocess.run(
        words_of(step.command),
        cwd=clone,
        env={**surroundings(), "COLUMNS": "110"},
        stdout=subprocess.PIPE,
        text=True,
    )
    if done.returncode:
        sys.exit(f"{step.command} failed:\n{done.stdout[-3000:]}")
    return time.perf_counter() - started, done.stdout


def seconds_to_an_answer(clone: Path) -> tuple[float, float, str]:
    """From `attrec serve` to its first answer, and of one more; and that answer."""
    request = urllib.request.Request(
        f"http://127.0.0.1:{PORT}/invocations",
        json.dumps(QUESTION).encode(),
        {"Content-Type": "application/json"},
    )
    started = time.perf_counter()
    server = subprocess.Popen(words_of(f"attrec serve rating --port {PORT}"), cwd=clone, env=surroundings())
    try:
        while True:
            asked = time.perf_counter()
            try:
                with urllib.request.urlopen(request, timeout=60) as answer:
                    said = answer.read().decode()
                break
            except OSError:
                if server.poll() is not None or asked - started > START_SECONDS:
                    sys.exit("attrec serve does not answer")
                time.sleep(0.2)
        first = time.perf_counter() - started
        asked = time.perf_counter()
        with urllib.request.urlopen(request, timeout=60) as answer:
            answer.read()
        return first, time.perf_counter() - asked, said
    finally:
        server.send_signal(signal.SIGINT)
        server.wait(60)


def page(
    walked: list[tuple[Step, float, str]],
    served: tuple[float, float, str],
    rows: int,
    exported: int,
    taken_at: str,
) -> str:
    """All of it, for people."""
    total = sum(seconds for _, seconds, _ in walked) + served[0]
    lines = [
        "# A new user's hour",
        "",
        f"From a strange file to a served model in {total / 60:.0f} minutes: `make bench-first-hour` in a fresh clone,"
        f" the environment installed, once, {machine()}, commit {taken_at}. The file has the {rows:,} ratings of"
        " MovieLens"
        " latest-small, written as a shop might export them: `Wann;Kunde;Film;Sterne` with lines like"
        " `30.07.2000;k0001;f1;4,0`, packed, and a table of titles beside it. Seconds are of the wall clock.",
        "",
    ]
    for number, (step, seconds, printed) in enumerate(walked, 1):
        lines += [f"## {number}. `{step.command}`", "", f"{step.why} **{seconds:.0f} s**", ""]
        lines += ["```", *shown(printed, step.begins), "```", ""]
    first, second, said = served
    question = json.dumps(QUESTION)
    lines += [
        f"## {len(walked) + 1}. `attrec serve rating`",
        "",
        f"The champion over HTTP, on 127.0.0.1: **{first:.0f} s** to its first answer, {1000 * second:.0f} ms for"
        f" one more. `../best.parquet` of step 6 has {exported:,} rows.",
        "",
        "```",
        f"$ curl -H 'Content-Type: application/json' -d '{question}' http://127.0.0.1:{PORT}/invocations",
        said.strip(),
        "```",
    ]
    return "\n".join(lines) + "\n"


def shown(printed: str, begins: str) -> list[str]:
    """The lines of an output that a page has room for."""
    lines = [line.rstrip() for line in printed.rstrip().splitlines()]
    start = next((place for place, line in enumerate(lines) if begins in line), 0)
    kept = lines[start : start + SHOWN_LINES]
    return kept if len(lines) <= start + SHOWN_LINES else [*kept, "…"]


if __name__ == "__main__":
    main()
