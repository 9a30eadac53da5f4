"""Rebuild the default run with the instructions of other processors, and write what moves: benchmarks/processors.md.

Run it with `make bench-processors`; about five minutes for each on 2 cores. The last digit of a sum depends on the
order of its terms, hence on how many numbers a processor adds at once. PyTorch and MKL let themselves be held to older
instructions, which stands here for another machine.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import pandas as pd

from attrec.files import write_text
from benchmarks.pipeline import PROJECT, fresh_clone, leaderboard, timed
from benchmarks.rows import commit, machine

INSTRUCTIONS = {
    "AVX2": {"ATEN_CPU_CAPABILITY": "avx2", "MKL_CBWR": "AVX2"},
    "SSE2": {"ATEN_CPU_CAPABILITY": "default", "MKL_CBWR": "COMPATIBLE"},
}
LEAST = 1e-5
PAGE = """\
# The default run on other processors

`make bench-processors` ({machine}, commit {commit}; the whole default run on simulated data, once with all instructions
of this processor and once with PyTorch and MKL held to older ones). Of {all} figures {moving} move by {least:.5f} or
more, by as much as stands there:

{table}

What moves is what is trained long. A difference in the last digit of a sum grows from step to step until a training
takes another course and ends at another epoch: another processor is to it what another seed is. No share of 943 users
moves by less than 0.001, which is one of them.

`rsattae+xgboost-paper` moves more than the other rating models because it is, as its paper has it, one network a side
and one ensemble of deep trees on what the networks say. The network of the items is trained for some 240 steps on all
rows at once, and a tree that splits elsewhere gives single pairs another rating by half a star; its standard deviation
over seeds on MovieLens 100K, in [the table of ratings](../docs/ratings.md), is several times that of its moves here.
`rsattae+xgboost` is the mean of several folds' networks over shallow trees. To what the tests hold the figures is said
with [the default run](../docs/quickstart.md).
"""


def main() -> None:
    """Rebuild, compare, write the page."""
    taken_at, restrictions = commit(), [{}, *INSTRUCTIONS.values()]
    with tempfile.TemporaryDirectory(prefix="attrec-processors-") as folder:
        boards = [rebuilt(Path(folder) / str(number), held) for number, held in enumerate(restrictions)]
    figures = pd.concat(boards, axis=1, keys=["here", *INSTRUCTIONS])
    moves = figures.drop(columns="here").sub(figures["here"], axis=0)
    moving = moves[moves.abs().max(axis=1) >= LEAST]
    page = PAGE.format(
        machine=machine(),
        commit=taken_at,
        all=len(figures),
        moving=len(moving),
        least=LEAST,
        table=table(figures["here"], moving),
    )
    write_text(PROJECT / "benchmarks" / "processors.md", page)


def rebuilt(clone: Path, held: dict[str, str]) -> pd.Series:
    """The figures of the default run, by family, model and metric, under these variables."""
    print(f"dvc repro with {held or 'all instructions'}", flush=True)
    timed(fresh_clone(clone), "dvc", "repro", variables=held)
    return leaderboard(clone).set_index(["task", "model", "metric"])["value"]


def table(here: pd.Series, moving: pd.DataFrame) -> str:
    """One row a figure, the largest move first."""
    order = moving.abs().max(axis=1).sort_values(ascending=False, kind="stable").index
    rows = [
        f"| `{model}` | {metric} | {here[family, model, metric]:.4f} | "
        + " | ".join(f"{move:+.5f}" for move in moving.loc[(family, model, metric)])
        + " |"
        for family, model, metric in order
    ]
    return "\n".join(
        [
            f"| model | metric | here | {' | '.join(moving)} |",
            "|---|---|---|" + "---|" * len(moving.columns),
            *rows,
        ]
    )


if __name__ == "__main__":
    main()
