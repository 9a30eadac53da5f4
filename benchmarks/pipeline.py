"""Measure the pipeline itself on the default data, in a fresh clone, and write benchmarks/results.md.

Run it with `make bench`. Absolute times drift from machine to machine; the table names the one it was measured on.
"""

from __future__ import annotations

import os
import platform
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import psutil
from dvc.utils.hydra import apply_overrides

PROJECT = Path(__file__).resolve().parents[1]
RESULTS = PROJECT / "benchmarks" / "results.md"
KILL_AT_SHARES = (0.3, 0.7)
CHANGED = "rating.models.attentive-inner.changes.training.learning_rate=0.008"
"""A parameter of one model, as `dvc exp run -S` takes it."""


@dataclass(frozen=True)
class Measurement:
    """One row of the table."""

    what: str
    goal: str
    measured: str


def main() -> None:
    """Clone, measure, write the table."""
    folder = Path(tempfile.mkdtemp(prefix="attrec-bench-"))
    try:
        clone = fresh_clone(folder / "project")
        first = timed(clone, "cli.app", "reproduce")
        work = seconds_in_tasks(clone)
        figures = leaderboard(clone)
        idle = min(timed(clone, "dvc", "repro") for _ in range(3))
        asked = min(timed(clone, "cli.app", "recommend", "--user", a_user(clone)) for _ in range(3))
        apply_overrides(clone / "params.yaml", [CHANGED])
        changed = timed(clone, "cli.app", "reproduce")
        alone = fresh_clone(folder / "alone")
        cold = timed(alone, "dvc", "repro")
        same = "figures identical" if leaderboard(alone).equals(figures) else "FIGURES DIFFER"
        rows = [
            Measurement(
                "fresh clone to finished report by `attrec reproduce`, install left out",
                "≤ 180 s",
                f"{first:.0f} s",
            ),
            Measurement(
                "of it outside tasks (servers, imports, tracking)", "≤ 20 s", f"{first - work:.0f} s"
            ),
            Measurement(
                "the same by `dvc repro`, one stage after the other", "≤ 240 s", f"{cold:.0f} s; {same}"
            ),
            Measurement(f"`{CHANGED}` to the new report", "≤ 25 s", f"{changed:.0f} s"),
            Measurement("`dvc repro` with nothing changed (best of 3)", "≤ 3 s", f"{idle:.1f} s"),
            Measurement("`attrec recommend` (best of 3)", "≤ 3 s", f"{asked:.1f} s"),
        ]
        rows += [killed_and_resumed(folder, share, cold, figures) for share in KILL_AT_SHARES]
        write_table(rows)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def fresh_clone(target: Path) -> Path:
    """A clone of the committed state, without state or cache."""
    subprocess.run(["git", "clone", "--quiet", str(PROJECT), str(target)], check=True)
    return target


def surroundings() -> dict[str, str]:
    """The environment of a user who has set nothing of ours."""
    ours = ("PREFECT_", "MLFLOW_", "ATTREC_ROOT", "ATTREC_OWNER")
    return {key: value for key, value in os.environ.items() if not key.startswith(ours)}


def start(clone: Path, *words: str, variables: Mapping[str, str] = {}) -> subprocess.Popen[bytes]:
    """Start `python -m WORDS` in a clone, with these variables set too."""
    own = {**surroundings(), **variables}
    with (clone / "bench.log").open("ab") as log:
        return subprocess.Popen([sys.executable, "-m", *words], cwd=clone, env=own, stdout=log, stderr=log)


def timed(clone: Path, *words: str, variables: Mapping[str, str] = {}) -> float:
    """Wall seconds of a command."""
    started = time.perf_counter()
    if start(clone, *words, variables=variables).wait():
        said = (clone / "bench.log").read_text()[-3000:]
        sys.exit(f"{' '.join(words)} failed; the end of its log:\n{said}")
    return time.perf_counter() - started


def a_user(clone: Path) -> str:
    """Somebody whom the models know."""
    return str(pd.read_parquet(clone / "data" / "interim" / "ratings.parquet")["user_id"].iloc[0])


def seconds_in_tasks(clone: Path) -> float:
    """Seconds during which at least one Prefect task ran."""
    with sqlite3.connect(clone / ".attrec" / "prefect" / "prefect.db") as database:
        runs = pd.read_sql("select start_time, end_time from task_run where end_time is not null", database)
    starts, ends = (pd.to_datetime(runs[column], utc=True) for column in ("start_time", "end_time"))
    total, reached = pd.Timedelta(0), pd.Timestamp(0, tz="UTC")
    for start, end in sorted(zip(starts, ends, strict=True)):
        total += max(end - max(start, reached), pd.Timedelta(0))
        reached = max(reached, end)
    return total.total_seconds()


def leaderboard(clone: Path) -> pd.DataFrame:
    """The figures; run ids differ from run to run by nature."""
    return pd.read_csv(clone / "reports" / "leaderboard.csv").drop(columns="run_id")


def killed_and_resumed(folder: Path, share: float, cold: float, figures: pd.DataFrame) -> Measurement:
    """Kill everything at a share of the cold run's time, run again, compare figures."""
    clone = fresh_clone(folder / f"killed-{share}")
    process = start(clone, "dvc", "repro")
    time.sleep(share * cold)
    family = [*psutil.Process(process.pid).children(recursive=True), psutil.Process(process.pid)]
    for member in family:
        member.send_signal(signal.SIGKILL)
    process.wait()
    again = timed(clone, "dvc", "repro")
    same = leaderboard(clone).equals(figures)
    shutil.rmtree(clone, ignore_errors=True)
    outcome = "figures identical" if same else "FIGURES DIFFER"
    return Measurement(
        f"killed (SIGKILL) after {share * cold:.0f} s, run again",
        "same figures",
        f"{outcome}; {again:.0f} s for the rest",
    )


def write_table(rows: list[Measurement]) -> None:
    """Write benchmarks/results.md."""
    commit = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], cwd=PROJECT, capture_output=True, text=True
    )
    lines = [
        "# The pipeline, measured",
        "",
        f"`make bench` on {os.cpu_count()} cores ({platform.machine()}), Python {platform.python_version()}, commit "
        f"{commit.stdout.strip()}; default (simulated) data; one run each unless the row says otherwise.",
        "",
        "| what | goal | measured |",
        "|---|---|---|",
        *(f"| {row.what} | {row.goal} | {row.measured} |" for row in rows),
        "",
    ]
    RESULTS.write_text("\n".join(lines), encoding="utf-8")
    print("\n".join(lines))


if __name__ == "__main__":
    main()
