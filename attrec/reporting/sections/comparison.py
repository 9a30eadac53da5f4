"""The page of a comparison over several splits: who leads, published beside measured, cost, classes, splits."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pandas as pd

from attrec.files import write_text
from attrec.reporting.contents import ComparisonReport, RatingReport
from attrec.reporting.elements import Figure, Section, Table, interval, interval_words
from attrec.reporting.leaderboard import uses_time
from attrec.reporting.page import data_section, lay_out
from attrec.reporting.plots import comparison as plots
from attrec.reporting.sections.ratings import WITH_TIME
from attrec.reporting.standings import leaderboard_table

PAIR_HEADS = ("inner", "mlp1", "mlp2")
GROUPS = ("pair network", "other", "with timestamps")


def render_comparison(report: ComparisonReport) -> str:
    """The page as HTML; it refers to nothing outside itself, and no clock is read."""
    singles = len(report.by_split["split"].unique())
    lead = (
        f"{len(report.models)} models compared on {singles} splits"
        if singles > 1
        else "Models compared on a split"
    )
    sections = [_results(report), _published(report), _cost(report), _classes(report), _splits(report)]
    shown = [section for section in sections if section is not None]
    return lay_out(
        report.dataset, report.provenance, f"{lead}, {report.split}.", [*shown, data_section(report.dataset)]
    )


def write_comparison(report: ComparisonReport, path: Path) -> None:
    """Write the page to `path`, whole or not at all."""
    write_text(path, render_comparison(report))


def _results(report: ComparisonReport) -> Section:
    section = Section("results", "Results", summary=_summary(report))
    for split in dict.fromkeys([report.split, report.tested]):
        section.tables.extend(_leaderboards(report, split))
    measured = _rmse(report, report.tested)
    published = _published_rmse(report, report.tested)
    for timed in (False, True):
        rows = _family(measured, timed).merge(_family(published, timed), on="model", how="outer")
        if len(rows):
            words = _words(timed)
            section.figures.append(
                Figure.draw(
                    plots.published_and_measured(rows),
                    f"forest{'-time' if timed else ''}",
                    f"Test RMSE, split {report.tested}{words}",
                    f"Test RMSE of {len(rows)} models{words}, measured with 95% intervals and as published.",
                )
            )
    if report.ablation is not None and len(report.ablation):
        note = "Measured on the validation part, where the choices were made."
        section.further_tables.append(Table("What each choice contributed", report.ablation, note=note))
    return section


def _summary(report: ComparisonReport) -> list[str]:
    sentences = []
    for timed in (False, True):
        rows = _family(_rmse(report, report.split), timed).sort_values(["value", "model"])
        if rows.empty:
            continue
        best = rows.iloc[0]
        among = f"Of the {WITH_TIME}" if timed else "Without timestamps"
        sentences.append(
            f"{among}, {best['model']} has the lowest test RMSE on {report.split}: {best['value']:.4f} "
            f"({interval_words(best['ci_low'], best['ci_high'])})."
        )
    compared = _with_published(report)
    if len(compared):
        better, clearly = (int((compared[name] <= 0).sum()) for name in ("difference", "high"))
        sentences.append(
            f"{better} of the {len(compared)} models with a published figure are at or below it ({report.tested}), "
            f"{clearly} of them with their whole interval, which leaves out what another seed would change."
        )
    return sentences


def _leaderboards(report: ComparisonReport, split: str) -> Iterator[Table]:
    """One table of models without timestamps, one of those with; tests stand where they were made."""
    board = report.leaderboard[report.leaderboard["split"] == split]
    tests = report.comparisons if split == report.tested else None
    for timed in (False, True):
        rows = board[board["model"].map(uses_time) == timed]
        if rows.empty:
            continue
        rating = RatingReport(leaderboard=rows, comparisons=None if tests is None else _family(tests, timed))
        table = leaderboard_table(rating, report.dataset)
        note = table.note
        if split != report.tested:
            note = (
                "Each figure is the mean over the splits of the error on each; its interval redraws users, and scores "
                "every split on the users drawn. Seeds: the fewest of any split. "
                f"Paired tests are below, on {report.tested}, whose test part no choice has seen: recipes were chosen "
                "inside its training part, which holds the test parts of the others."
            )
        elif timed:
            note += " Timestamps show bursts of ratings on both sides of a target: such models stand apart."
        yield replace(table, caption=table.caption + _words(timed), note=note)


def _published(report: ComparisonReport) -> Section | None:
    """Each published table beside ours, split by split and source by source."""
    if report.published is None or report.published.empty:
        return None
    section = Section("published", "Published and measured")
    facts = report.models.set_index("model")
    for (source, split), rows in report.published.groupby(["source", "split"], sort=False):
        ours = _rmse(report, str(split)).set_index("model")
        if ours.empty and split != report.tested:
            continue
        table = pd.DataFrame({"model": rows["model"].tolist(), "published": rows["value"].tolist()})
        own = ours.reindex(table["model"])
        table["measured"] = own["value"].to_numpy()
        table["95% interval"] = [
            "" if pd.isna(low) else interval(low, high)
            for low, high in zip(own["ci_low"], own["ci_high"], strict=True)
        ]
        table["measured − published"] = table["measured"] - table["published"]
        note = "Negative: ours is lower. Published figures have no interval and their protocols differ."
        epochs = facts.reindex(table["model"])
        if epochs["common_epoch"].notna().any():
            table["common epoch"] = epochs["common_epoch"].array
            table["its held-out RMSE"] = epochs["common_epoch_rmse"].to_numpy()
            note += (
                " The paper picks one epoch for all folds, the best on the mean over the folds of the held-out RMSE. "
                "The last columns are that choice, made and measured on the validation parts inside our training "
                "parts: optimistic by construction, and by models trained on fewer rows. Measured is the test error, "
                "each fold having chosen its epoch on its own validation part."
            )
        elif not len(own.dropna(subset="value")):
            note = "None of these was measured here."
        section.tables.append(Table(str(source), table, note=note, unbroken=("95% interval",)))
    return section if section.tables else None


def _cost(report: ComparisonReport) -> Section:
    rows = _rmse(report, report.tested).merge(report.models, on="model", how="left")
    rows["group"] = pd.Categorical(rows["model"].map(_group), GROUPS)
    section = Section("cost", "What the models cost")
    for cost, label, caption in (
        ("parameters", "numbers in the model", "Test RMSE against the size of the model"),
        ("cpu_seconds", "CPU-seconds of training", "Test RMSE against training time"),
    ):
        if (rows[cost] > 0).any():
            section.figures.append(
                Figure.draw(
                    plots.error_against_cost(rows, cost, label),
                    cost,
                    caption,
                    f"{caption}: {int((rows[cost] > 0).sum())} models, logarithmic axis; the figures are in the table.",
                )
            )
    table = rows.sort_values(["value", "model"])[["model", "value", "parameters", "counted"]]
    table = table.rename(columns={"value": "RMSE"})
    for column in ("cpu_seconds", "seconds"):
        values = rows[column].reindex(table.index)
        table[column.replace("cpu_", "CPU-")] = [
            "" if pd.isna(value) else f"{value:,.1f}" for value in values
        ]
    note = (
        "Trained: fitted parameters of the model that predicts. Stored: what a model without such parameters, or with "
        "many draws of them, keeps: nodes of trees and their tables, neighbours' ratings, samples, a completed matrix. "
        "A blend counts its members. Time is all that had to be fitted, autoencoders and selection on validation "
        "included, mean over splits and seeds; CPU-seconds are those of the computing thread."
    )
    for timed in (False, True):
        if len(family := _family(table, timed)):
            caption = f"Size and training time{_words(timed)}"
            aligned = ("CPU-seconds", "seconds")
            section.further_tables.append(Table(caption, family, note=note, aligned=aligned))
            note = ""
    return section


def _classes(report: ComparisonReport) -> Section | None:
    if report.class_bins is None or report.class_bins.empty:
        return None
    section = Section("classes", "Class probabilities")
    section.figures.append(
        Figure.draw(
            plots.class_reliability(report.class_bins),
            "classes",
            "Share of test ratings given, against the predicted probability of that rating; on the line is calibrated",
            f"Reliability of each rating's probability, {', '.join(report.class_bins['model'].unique())}.",
        )
    )
    known = report.models.dropna(subset="log_loss")
    table = known[["model", "expected_calibration_error", "log_loss"]].sort_values("log_loss")
    note = (
        "Expected calibration error: mean over the ratings of the mean gap between predicted probability and observed "
        "share, in ten bins of equal width, weighted by rows. Log-loss: mean −ln p of the rating given. First seed."
    )
    section.tables.append(Table("Calibration of class probabilities", table, note=note))
    return section


def _splits(report: ComparisonReport) -> Section:
    section = Section("splits", "Split by split")
    rows = report.by_split
    for timed in (False, True):
        family = _family(rows, timed)
        if family.empty or rows["split"].nunique() < 2:
            continue
        words = _words(timed)
        section.figures.append(
            Figure.draw(
                plots.error_by_split(family),
                f"splits{'-time' if timed else ''}",
                f"Test RMSE on each split{words}",
                f"Test RMSE of {family['model'].nunique()} models on {rows['split'].nunique()} splits{words}.",
            )
        )
    if rows["split"].nunique() > 1:
        wide = rows.pivot(index="model", columns="split", values="value")[list(dict.fromkeys(rows["split"]))]
        wide = wide.assign(mean=wide.mean(axis=1)).sort_values("mean", kind="stable").reset_index()
        wide.columns.name = None
        for timed in (False, True):
            if len(family := _family(wide, timed)):
                section.further_tables.append(
                    Table(f"Test RMSE by split{_words(timed)}", family, folded=True)
                )
    section.tables.append(Table("Ratings in each part", report.splits))
    return section


def _words(timed: bool) -> str:
    return f": {WITH_TIME}" if timed else ""


def _group(model: str) -> str:
    if uses_time(model):
        return GROUPS[2]
    return GROUPS[0] if model.rpartition("+")[2] in PAIR_HEADS else GROUPS[1]


def _family(rows: pd.DataFrame, timed: bool) -> pd.DataFrame:
    return rows[rows["model"].map(uses_time).astype(bool) == timed]


def _rmse(report: ComparisonReport, split: str) -> pd.DataFrame:
    """model, value, ci_low, ci_high."""
    board = report.leaderboard
    rows = board[(board["metric"] == "rmse") & (board["split"] == split)]
    return rows[["model", "value", "ci_low", "ci_high"]]


def _published_rmse(report: ComparisonReport, split: str) -> pd.DataFrame:
    """model, published: the lowest figure published of each."""
    if report.published is None:
        return pd.DataFrame({"model": pd.Series(dtype=str), "published": pd.Series(dtype=float)})
    rows = report.published[(report.published["metric"] == "rmse") & (report.published["split"] == split)]
    return rows.groupby("model")["value"].min().rename("published").reset_index()


def _with_published(report: ComparisonReport) -> pd.DataFrame:
    """model, difference: measured - published, where both are known; high: the same of the interval's upper end."""
    both = _rmse(report, report.tested).merge(_published_rmse(report, report.tested), on="model")
    own = both[["value", "ci_high"]].sub(both["published"], axis=0)
    return pd.DataFrame({"model": both["model"], "difference": own["value"], "high": own["ci_high"]})
