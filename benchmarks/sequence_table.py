"""What benchmarks/sequences.py measured, as a table."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from benchmarks.rows import Row, Rows

OURS = "attrec SASRec"
SEARCHED = 0
"""The seed of the search; what is told of its choice are the seeds after it."""
SEARCHED_TOO = (101, 102)
"""More seeds of the search, for those that take less than `NEARLY` times what the best takes."""
NEARLY = 1.15
HEADER = (
    "system",
    "precision",
    "setting",
    "set-up",
    "epoch",
    "evaluation of all users",
    "epochs to target",
    "**seconds to target**",
    "peak memory",
)


@dataclass(frozen=True)
class Setting:
    """What a search may choose."""

    batch: int
    learning_rate: float
    """Adam's."""
    matrix_rate: float | None = None
    """Muon's, of the matrices of layers; None leaves them to Adam."""

    def larger(self) -> Setting:
        """With step sizes half as large again."""
        muon = None if self.matrix_rate is None else round(1.5 * self.matrix_rate, 6)
        return Setting(self.batch, round(1.5 * self.learning_rate, 6), muon)

    def __str__(self) -> str:
        muon = "" if self.matrix_rate is None else f", Muon {self.matrix_rate:g}"
        return f"batch {self.batch}, Adam {self.learning_rate:g}{muon}"


@dataclass(frozen=True)
class System:
    """One network in one precision, with one setting."""

    name: str
    precision: Literal["float32", "bfloat16"]
    code: str | None = None
    """Ours, or our script that trains the other's: rows of other code do not count."""
    setting: Setting = Setting(128, 1e-3)

    def __str__(self) -> str:
        return f"{self.name} {self.precision}, {self.setting}"

    def key(self, seed: int) -> str:
        """The name of a training among the rows."""
        return f"{self}, seed {seed}"

    def trainings(self, rows: Rows) -> list[Row]:
        """Those of its seeds, from the first after that of the search on, that are measured."""
        found: list[Row] = []
        while (row := rows.find(self.key(SEARCHED + 1 + len(found)), self.code)) is not None:
            found.append(row)
        return found

    def commits(self, rows: Rows) -> set[str]:
        """Those that its trainings were measured at."""
        seeds = range(SEARCHED + 1, SEARCHED + 1 + len(self.trainings(rows)))
        return {rows.commit_of(self.key(seed), self.code) for seed in seeds}

    def searched(self, rows: Rows) -> Row | None:
        """Its training in the search, if there was one."""
        return rows.find(self.key(SEARCHED), self.code)


def speed_table(rows: Rows, systems: Sequence[System], searched: Sequence[System] = ()) -> str:
    """benchmarks/sequences.md.

    Args:
        systems: With what the search chose.
        searched: With every setting that was tried.
    """
    told = rows.conditions
    lines = [line(system, rows) for system in systems if system.trainings(rows)]
    versions = {row["version"] for system in systems for row in system.trainings(rows) if "version" in row}
    rival = f", RecTools {', '.join(sorted(versions))}" if versions else ""
    commits = ", ".join(sorted(set().union(*(system.commits(rows) for system in systems))))
    return "\n".join(
        [
            "# Speed of the sequence models",
            "",
            f"ML-1M, leave-one-out; d {told['dimension']}, {told['blocks']} blocks, {told['heads']} heads, length"
            f" {told['length']}, dropout {told['dropout']:g}. CPU seconds of the process"
            f" on one thread of {told['machine']}; torch {told['torch']}{rival} (`make bench-sequences`, code of"
            f" {commits}).",
            "",
            f"Target: validation NDCG@10 of {told['target']:g}, all items ranked, seen ones left out.",
            "",
            "| " + " | ".join(HEADER) + " |",
            "|" + "---|" * len(HEADER),
            *lines,
            "",
            *notes(systems, rows),
            "",
            *search_table(rows, searched),
        ]
    )


def search_table(rows: Rows, searched: Sequence[System]) -> list[str]:
    """What each setting took that was tried."""
    tried = [(system, row) for system in searched if (row := system.searched(rows)) is not None]
    if not tried:
        return []
    cells = [
        (system.name, system.precision, str(system.setting), *to_target([row], rows.conditions["target"]))
        for system, row in tried
    ]
    lines = [f"| {' | '.join(row)} |" for row in cells]
    return [
        "## The search",
        "",
        f"The same batches and step sizes for all, one training each (seed {SEARCHED}), and steps half as large again"
        " where the largest were the best; one that was a fifth behind what the best one so far had reached in the same"
        " time, once that was half the target, or that had taken as long without reaching the target, was ended. Of"
        f" those within {NEARLY - 1:.0%} of the best the one was chosen that took least on average of this seed and"
        f" {' and '.join(map(str, SEARCHED_TOO))}. The table above has the seeds after it.",
        "",
        "| system | precision | setting | epochs to target | seconds to target |",
        "|---|---|---|---|---|",
        *lines,
        "",
    ]


def notes(systems: Sequence[System], rows: Rows) -> list[str]:
    """How it is counted, of the systems that are measured."""
    measured = [system for system in systems if system.trainings(rows)]
    names = {system.name for system in measured}
    rivals = [system for system in measured if system.name != OURS]
    told = list(ALIKE)
    if rivals:
        told += OF_RIVALS
    if any(system.precision == "bfloat16" for system in rivals):
        told.append(
            "- bfloat16 is autocast in training on both sides (`bf16-mixed` of Lightning for SASRecModel), and ours"
            " keeps the residuals and the softmaxes in bfloat16 too, which theirs compute in float32."
        )
    elif any(system.precision == "bfloat16" for system in measured):
        told.append("- Compare float32 with float32: RecTools was not measured in bfloat16.")
    if "FlatSASRecNet" in names:
        told.append(
            "- FlatSASRecNet is `rectools.fast_transformers.FlatSASRecNet`: a network whose feed-forward layers are"
            " four times as wide, without a training loop, which gets the start, Adam and loss of SASRecModel here."
            " torch's fast path of attention is off for it, since padding comes out as NaN."
        )
    return told


ALIKE = (
    "How it is counted:",
    "",
    "- Every training is a process of its own, with the same split, thread count and settings of the memory"
    " allocator; batch and step sizes are what each did best with in the same search.",
    "- Set-up is what is done once: histories or datasets, the network and where it begins, the trainer. It counts in"
    " the seconds to the target.",
    "- Epoch: median of all epochs but the first of each training. Evaluation: median; lists of ten for every user"
    " over all items, and their NDCG@10. Validation is float32.",
    "- Ours learns its first epoch from all that users did in stretches of 50 actions, with the softmax over a step's"
    " targets and 256 more items, from item vectors that begin as singular vectors of what stands together, and keeps"
    " an average of its weights: `sequence_changes.md` has what each of these gives. Asked, it reads the newest 200.",
)

OF_RIVALS = (
    "- What RecTools would work out again for every epoch and every evaluation is kept for it after the first time.",
    "- Seconds to target: set-up, and all epochs and validations up to the first that reaches it, where ours ranks the"
    " targets and RecTools, which has no ranks, lists ten; mean ± standard deviation of as many seeds as stated.",
    "- The share of dropout is the same. RecTools' networks drop attention weights and what is inside the feed-forward"
    " layer too, ours what each sublayer adds. Adam has β₂ = 0.98 on both sides.",
    "- SASRecModel is `rectools.models.SASRecModel`.",
)


def line(system: System, rows: Rows) -> str:
    """One line of the table."""
    trainings = system.trainings(rows)
    target = rows.conditions["target"]
    epoch = median(trainings, "epochs", skip=1)
    cells = (
        system.name if system.name == OURS else f"RecTools {system.name}",
        system.precision,
        str(system.setting),
        f"{np.median([row['set_up'] for row in trainings]):.1f} s",
        f"{epoch:.1f} s",
        f"{median(trainings, 'evaluations'):.2f} s",
        *to_target(trainings, target),
        f"{max(row['peak_mb'] for row in trainings) / 1024:.1f} GiB",
    )
    return "| " + " | ".join(cells) + " |"


def median(trainings: Sequence[Row], what: str, skip: int = 0) -> float:
    """Over all trainings together, without the first ones of each."""
    return float(np.median([value for row in trainings for value in row[what][skip:]]))


def to_target(trainings: Sequence[Row], target: float) -> tuple[str, str]:
    """Epochs and CPU seconds until the target was reached, over seeds."""
    seeds = "1 seed" if len(trainings) == 1 else f"{len(trainings)} seeds"
    ends = [first_at(row, target) for row in trainings]
    if None in ends:
        best = max(max(row["ndcg"]) for row in trainings)
        missed = "not reached" if len(ends) == 1 else f"not reached by {ends.count(None)} of {seeds}"
        return "–", f"{missed}: best {best:.4f} in {max(len(row['ndcg']) for row in trainings)} epochs"
    epochs = [end for end in ends if end is not None]
    seconds = [seconds_until(row, end) for row, end in zip(trainings, epochs, strict=True)]
    spread = f" ± {np.std(seconds, ddof=1):.0f}" if len(seconds) > 1 else ""
    shown = f"{min(epochs)}" if min(epochs) == max(epochs) else f"{min(epochs)}–{max(epochs)}"
    return shown, f"**{np.mean(seconds):.0f}{spread} s** ({seeds})"


def seconds_until(row: Row, epoch: int) -> float:
    """CPU seconds of the set-up, of the first epochs and of their validations."""
    return float(row["set_up"] + sum(row["epochs"][:epoch]) + sum(row["validations"][:epoch]))


def first_at(row: Row, target: float) -> int | None:
    """Epochs until the target was reached, None if it was not."""
    return next((epoch for epoch, figure in enumerate(row["ndcg"], 1) if figure >= target), None)
