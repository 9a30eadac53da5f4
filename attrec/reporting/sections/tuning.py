"""The section on searches for better configurations: what each gained on validation, its course, and what counted."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from attrec.reporting.elements import Figure, Section, Table
from attrec.reporting.leaderboard import metric_name
from attrec.reporting.plots import tuning as plots
from attrec.reporting.tuned import Found

Study = tuple[Found, pd.DataFrame]
"""What was found, and the trials (see `read_trials`)."""


def tuning_section(studies: Sequence[Study]) -> Section:
    """Lay out the studies of a dataset, in the order given."""
    section = Section("tuning", "Tuning", summary=_summary(studies))
    note = (
        "Figures on validation, of one seed; the best of many is flattered by chance, and the leaderboard says what a "
        "model is worth. Gain: better than the start, whichever way the metric goes. Tried: different configurations, "
        "those of earlier searches among them."
    )
    rows = pd.DataFrame(map(_row, studies))
    section.tables.append(Table("Searches on validation", rows, note=note, aligned=("CPU-minutes",)))
    best = [
        {"model": found.model, "field": path, "value": str(value)}
        for found, _ in studies
        for path, value in found.values.items()
    ]
    if best:
        caption = "The best configurations, where they depart from the start"
        section.tables.append(Table(caption, pd.DataFrame(best)))
    for number, (found, trials) in enumerate(studies):
        whose = f"{found.model} ({found.family})"
        section.figures.append(
            Figure.draw(
                plots.course(trials, found.metric, found.lower_is_better, found.start),
                f"tuning-course-{number}",
                f"{whose}: the course of the search, on validation",
                f"Validation {metric_name(found.metric)} of {found.trials} trials, {found.pruned} of them pruned; the "
                f"best has {found.best:.4f}.",
            )
        )
        if found.importance:
            first = max(found.importance, key=lambda path: found.importance[path])
            section.figures.append(
                Figure.draw(
                    plots.importance(found.importance),
                    f"tuning-importance-{number}",
                    f"{whose}: what counted",
                    f"Importance of {len(found.importance)} fields; {first} counted most.",
                )
            )
        section.further_tables.append(Table(f"Trials of {whose}", _shown(found, trials), folded=True))
    return section


def _summary(studies: Sequence[Study]) -> list[str]:
    sentences = []
    for found, _ in studies:
        metric = metric_name(found.metric)
        if found.start is None:
            sentences.append(
                f"Of {found.tried} configurations of {found.model}, the best has a validation {metric} of "
                f"{found.best:.4f}; what the start has is not known, since its fit failed."
            )
        elif found.values:
            sentences.append(
                f"Of {found.tried} configurations of {found.model}, the best has a validation {metric} of "
                f"{found.best:.4f} where the start has {found.start:.4f}."
            )
        else:
            sentences.append(
                f"Of {found.tried} configurations of {found.model}, none has a better validation {metric} than the "
                f"start, {found.start:.4f}."
            )
    return sentences


def _row(study: Study) -> dict[str, object]:
    found, _ = study
    return {
        "model": found.model,
        "task": found.family,
        "metric": metric_name(found.metric),
        "start": found.start,
        "best": found.best,
        "gain": found.gain,
        "trials": found.trials,
        "pruned": found.pruned,
        "tried": found.tried,
        "CPU-minutes": f"{found.cpu_seconds / 60:.1f}",
        "budget": found.budget,
        "code": found.git_commit[:7] + (" and changes" if found.git_dirty else ""),
    }


def _shown(found: Found, trials: pd.DataFrame) -> pd.DataFrame:
    """All trials, the best first and those without a figure last."""
    ranked = trials.sort_values(
        ["value", "trial"], ascending=[found.lower_is_better, True], na_position="last"
    )
    # An empty column says nothing.
    return ranked.drop(columns=[name for name in ("same_as", "reason", "start") if name in ranked]).dropna(
        axis="columns", how="all"
    )
