"""What the sections of all tasks share: who leads and by how much, in sentences, a table with tests and a plot."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import isnan

import pandas as pd

from attrec.metrics.intervals import FEWEST_USERS, RESAMPLES
from attrec.reporting.contents import DatasetReport, TaskReport
from attrec.reporting.elements import Figure, Table, interval, interval_words, text
from attrec.reporting.leaderboard import (
    SHOWN,
    best_first,
    checked_leaderboard,
    lower_is_better,
    metric_name,
    uses_time,
)
from attrec.reporting.plots import common as plots

SIGNIFICANCE = 0.05
MEASURED = "How this was measured"
"""Under what sections fold away what only who checks the figures wants to know."""
_UNITS = (("hour", 3600), ("minute", 60), ("second", 1))
_COUNTS = ((1e9, "billion"), (1e6, "million"), (1e3, "thousand"))
_COSTS = (
    " Size: numbers that a model is made of, trained or stored (nodes of trees, neighbours, samples), and megabytes of "
    "what is kept of it. CPU s: seconds of computing of all that had to be fitted for it, mean over seeds; a blend "
    "counts its members."
)


def summary(report: TaskReport, ranked: pd.DataFrame, dataset: DatasetReport) -> list[str]:
    """Sentences: who leads, whether the lead is more than chance, how far the noise floor is, who was chosen.

    Args:
        ranked: the rows of the ranking metric, best first.
    """
    best, metric = ranked.iloc[0], metric_name(report.metric)
    seeds = "one seed" if best["seeds"] == 1 else f"mean of {best['seeds']} seeds"
    where = "simulated data" if dataset.simulated else dataset.title
    sentences = [
        f"On {where}, split {best['split']}, {best['model']} has the best test {metric}: {best['value']:.4f} "
        f"({interval_words(best['ci_low'], best['ci_high'])}, {seeds})."
    ]
    if len(ranked) > 1:
        sentences.append(_lead(report, ranked))
    if report.noise_floor is not None:
        gap = best["value"] - report.noise_floor
        sentences.append(
            f"The noise floor, which no model can pass but by luck, is {report.noise_floor:.4f}: "
            f"the best model lies {abs(gap):.4f} {'above' if gap >= 0 else 'below'} it."
        )
    if report.champion is not None:
        same = "also " if report.champion == best["model"] else ""
        sentences.append(f"The model chosen on validation, and registered, is {same}{report.champion}.")
    return sentences


def leaderboard_table(report: TaskReport, dataset: DatasetReport) -> Table:
    """The figures of one split, best first, with what is in `report.comparisons` of paired tests."""
    board = checked_leaderboard(report.leaderboard)
    return standings_table(report, board, best_first(board, report.metric), dataset)


def standings_table(
    report: TaskReport, board: pd.DataFrame, ranked: pd.DataFrame, dataset: DatasetReport
) -> Table:
    """The rows of `ranked`, with the other metrics of the task that `board` has."""
    best = str(ranked.iloc[0]["model"])
    tests = leads(report, best)
    shown = SHOWN[str(ranked.iloc[0]["task"])]
    labels = {
        name: name + (" (best on validation)" if name == report.champion else "")
        for name in ranked["model"].map(str)
    }
    costs = _costs(report.costs)
    others = [name for name in shown if name != report.metric and name in set(board["metric"])]
    rows = []
    for row in ranked.to_dict("records"):
        model = str(row["model"])
        cells: dict[str, object] = {
            "model": labels[model],
            metric_name(report.metric): row["value"],
            "95% interval": interval(row["ci_low"], row["ci_high"]),
        }
        for other in others:
            figures = board[(board["model"] == model) & (board["metric"] == other)]["value"]
            cells[metric_name(other)] = figures.iloc[0] if len(figures) else float("nan")
        if report.noise_floor is not None:
            cells["above floor"] = row["value"] - report.noise_floor
        if tests:
            cells |= _test_cells(tests.get(model), model == best)
        rows.append(
            cells
            | {report.counted: row["n"], "seeds": row["seeds"], "tried": row["tried"]}
            | costs.get(model, {})
        )
    simulated = " (simulated data)" if dataset.simulated else ""
    whom = "users" if report.counted == "ratings" else report.counted
    table = pd.DataFrame(rows)
    same, kept = _alike(table, report.counted)
    note = f"{same}Intervals by bootstrap over {whom}."
    if tests:
        note += f" Differences by paired bootstrap over {whom}; p adjusted for the number of models (Holm); "
        smallest = min(1.0, 2 * len(tests) / (RESAMPLES + 1))
        note += f"n.s.: not significant at {SIGNIFICANCE}. Of so many models {RESAMPLES:,} resamples tell no p below "
        note += f"{smallest:.2g}."
    if "size" in table:
        note += _COSTS
    if "tried" in kept:
        note += (
            " Tried: configurations of the model that were looked at on validation before this one was taken."
        )
    return Table(
        f"Leaderboard: {dataset.title}, split {ranked.iloc[0]['split']}, test part{simulated}",
        table[kept],
        note=note,
        highlight=0,
        unbroken=("95% interval", "behind the best by", "p", "size"),
        aligned=("MB", "CPU s"),
        links={labels[model]: address for model, address in report.links.items() if model in labels},
    )


def _alike(table: pd.DataFrame, counted: str) -> tuple[str, list[str]]:
    """What is the same in all rows, in words, and the columns that are left."""
    kept, told = [str(name) for name in table.columns], []
    if table[counted].nunique() == 1:
        kept.remove(counted)
        told.append(f"{table[counted].iloc[0]:,} {counted}")
    if table["seeds"].nunique() == 1:
        kept.remove("seeds")
        seeds = table["seeds"].iloc[0]
        told.append("one seed" if seeds == 1 else f"{seeds} seeds")
    if (table["tried"] == 1).all():
        kept.remove("tried")
    return f"Each model: {', '.join(told)}. " if told else "", kept


def _costs(costs: pd.DataFrame | None) -> dict[str, dict[str, object]]:
    """By model, the cells that say what it is made of and what its fit took; nothing where that is not known."""
    if costs is None or costs.empty:
        return {}
    return {
        str(row["model"]): {
            "size": f"{_short(rounded(row['numbers']))} {row['counted']}",
            "MB": f"{row['megabytes']:.1f}",
            "CPU s": "" if pd.isna(row["cpu_seconds"]) else f"{row['cpu_seconds']:,.1f}",
        }
        for row in costs.to_dict("records")
    }


def rounded(count: float) -> str:
    """A count to three digits: 24.4 million."""
    if count < 10_000:
        return f"{count:,.0f}"
    unit, word = next((unit, word) for unit, word in _COUNTS if count >= unit)
    return f"{count / unit:.3g} {word}"


def _short(count: str) -> str:
    return count.replace(" thousand", " k").replace(" million", " M").replace(" billion", " G")


def spent(seconds: float) -> str:
    """Time of computing as people say it."""
    if seconds < 1.5:
        return "about a second of computing" if seconds >= 0.5 else "less than a second of computing"
    unit, length = next((unit, length) for unit, length in _UNITS if seconds >= 1.5 * length)
    return f"{seconds / length:.0f} {unit}s of computing"


def forest(
    report: TaskReport, ranked: pd.DataFrame, references: pd.DataFrame | None, name: str, words: str = ""
) -> Figure:
    """Every model's figure and interval, and published figures below them: of models with timestamps where the ranked
    ones use them, of the others where they do not.

    Args:
        name: tells the figures of one page apart.
        words: what the caption adds, such as which models these are.
    """
    metric, best = metric_name(report.metric), ranked.iloc[0]
    if references is not None:
        references = references[references["model"].map(uses_time) == uses_time(str(best["model"]))]
    floor = "" if report.noise_floor is None else f", and the noise floor at {report.noise_floor:.4f}"
    return Figure.draw(
        plots.forest(ranked, report.metric, report.noise_floor, references),
        name,
        f"Test {metric} with 95% intervals{words}",
        f"{metric} of {len(ranked)} models, the best {best['model']} at {best['value']:.4f}{floor}.",
    )


def published_and_ablation(report: TaskReport) -> list[Table]:
    """The tables of published figures, and of what each choice contributed, where there are any."""
    tables = []
    if report.references is not None and len(report.references):
        titles = {name: metric_name(name) for names in SHOWN.values() for name in names}
        titles["value"] = metric_name(report.metric)
        note = "Taken from the papers, whose protocols differ; none was measured here."
        references = report.references.rename(columns=titles)
        tables.append(Table("Published figures for the same split", references, note=note))
    if report.ablation is not None and len(report.ablation):
        note = "Measured on the validation part, where the choices were made."
        tables.append(Table("What each choice contributed", report.ablation, note=note))
    return tables


def definitions(report: TaskReport, models: Sequence[str]) -> dict[str, str]:
    """What each of these models is, where that is known."""
    return {model: report.descriptions[model] for model in models if model in report.descriptions}


@dataclass(frozen=True)
class Lead:
    """By how much the best model is ahead of another one: above zero, whichever direction is the better one."""

    by: float
    low: float
    high: float
    p: float
    """Holm-adjusted."""

    @property
    def significant(self) -> bool:
        """Whether it is more than chance."""
        return self.p < SIGNIFICANCE

    @property
    def p_text(self) -> str:
        """As it is written after "p "."""
        return "< 0.001" if self.p < 0.001 else f"{self.p:.3f}"


def leads(report: TaskReport, best: str) -> dict[str, Lead]:
    """By model, the best one's lead in the ranking metric, where it was tested."""
    table = report.comparisons
    if table is None or table.empty:
        return {}
    leads = {}
    for row in table[(table["metric"] == report.metric) & (table["reference"] == best)].to_dict("records"):
        difference, low, high = row["difference"], row["ci_low"], row["ci_high"]
        if not lower_is_better(report.metric):
            difference, low, high = -difference, -high, -low
        leads[str(row["model"])] = Lead(difference, low, high, row["p_adjusted"])
    return leads


def tested_users(report: TaskReport, ranked: pd.DataFrame) -> int:
    """How many users, or playlists, the test has."""
    return int(ranked["n"].max()) if report.users is None else report.users


def _lead(report: TaskReport, ranked: pd.DataFrame) -> str:
    best, second = ranked["model"].astype(str).iloc[:2]
    lead = leads(report, best).get(second)
    if lead is None:
        return f"The next is {second}; whether the lead is more than chance was not tested."
    ahead = f"It is ahead of {second} by {abs(lead.by):.4f}"
    if tested_users(report, ranked) < FEWEST_USERS:
        return f"{ahead}: too few were tested to say whether that is chance."
    verdict = "a significant lead" if lead.significant else "not a significant lead"
    return f"{ahead} (95% interval {lead.low:.4f} to {lead.high:.4f}, p {lead.p_text}): {verdict}."


def _test_cells(lead: Lead | None, is_best: bool) -> dict[str, object]:
    if lead is None:
        return {"behind the best by": "best" if is_best else "not tested", "p": ""}
    if isnan(lead.low):
        return {"behind the best by": text(lead.by), "p": "too few tested"}
    behind = f"{text(lead.by)} ({interval(lead.low, lead.high)})"
    return {"behind the best by": behind, "p": lead.p_text + ("" if lead.significant else " (n.s.)")}
