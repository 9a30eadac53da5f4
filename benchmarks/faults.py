"""Run the battery of faults for long, and write what each kind drew and how it ended: benchmarks/faults.md.

Run it with `make break` (ROUNDS=20: draws of each kind; SEED=1: others). The tests are those of tests/flows/faults, of
which those of files, parameters and paths are in every run of all tests, one draw each. They fail where anything is
lost.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pandas as pd

from attrec.files import write_text
from benchmarks.pipeline import PROJECT
from benchmarks.rows import commit, machine

PAGE = """\
# Faults

What happens when a run is killed, its state is damaged, or its files, parameters and surroundings are strange:
{draws:,} draws (`make break ROUNDS={rounds} SEED={seed}`; {machine}, commit {commit},
{minutes:.0f} minutes, simulated data of 60 users). Each run is compared with one that was left alone: the DVC hashes of
all outs that hold no run ids, and every figure of the leaderboard, bit for bit. A draw that ends otherwise than in this
table fails its test: {failed}.

{table}
"""


def main() -> None:
    """Run the tests, write the page; fail as they do."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=20, help="draws of each kind")
    parser.add_argument("--seed", type=int, default=0, help="what they are drawn from")
    asked = parser.parse_args()
    taken_at, begun = commit(), time.monotonic()
    with tempfile.TemporaryDirectory(prefix="attrec-faults-") as folder:
        noted = Path(folder) / "faults.jsonl"
        options = ["--rounds", str(asked.rounds), "--faults-seed", str(asked.seed), "--faults", str(noted)]
        tests = [sys.executable, "-m", "pytest", "tests/flows/faults", "--timeout", "0", *options]
        code = subprocess.run(tests, cwd=PROJECT).returncode
        drawn = pd.read_json(noted, lines=True)
    page = PAGE.format(
        draws=len(drawn),
        rounds=asked.rounds,
        seed=asked.seed,
        machine=machine(),
        commit=taken_at,
        minutes=(time.monotonic() - begun) / 60,
        failed="none did" if code == 0 else "SOME DID, see the tests",
        table=table(drawn),
    )
    write_text(PROJECT / "benchmarks" / "faults.md", page)
    raise SystemExit(code)


def table(drawn: pd.DataFrame) -> str:
    """By kind, how many ended how, and what was drawn first."""
    counted = drawn.groupby(["kind", "ended"], sort=False)["drawn"].agg(["size", "first"]).reset_index()
    rows = [
        f"| {kind} | {ended} | {number:,} | `{str(first)[:60].replace('`', ' ').replace('|', ' ')}` |"
        for kind, ended, number, first in counted.itertuples(index=False)
    ]
    return "\n".join(["| fault | ended in | draws | for example |", "|---|---|---|---|", *rows])


if __name__ == "__main__":
    main()
