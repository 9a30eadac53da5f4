"""The rating-prediction section: what came first and by how much, in a sentence, a table and plots."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pandas as pd

from attrec.reporting import plots
from attrec.reporting.contents import DatasetReport, RatingReport
from attrec.reporting.leaderboard import checked_leaderboard, lower_is_better, uses_time
from attrec.reporting.sections import Figure, Section, Table, interval, text

SIGNIFICANCE = 0.05
WITH_TIME = "models that use timestamps"


def rating_section(rating: RatingReport, dataset: DatasetReport) -> Section:
    """Lay out the task; `rating.leaderboard` must hold the ranking metric.

    Raises:
        DataError: when the leaderboard breaks its schema.
        ValueError: when no row has the ranking metric.
    """
    board = checked_leaderboard(rating.leaderboard)
    # What timestamps add is no merit of the model: such models are ranked among themselves.
    families = [_ranked(rows, rating.metric) for _, rows in board.groupby(board["model"].map(uses_time))]
    if not families:
        _ranked(board, rating.metric)
    ranked, *timed = families
    section = Section("rating", "Rating prediction", summary=_summary(rating, ranked, dataset))
    section.tables.append(_leaderboard_table(rating, board, ranked, dataset))
    for rows in timed:
        table = _leaderboard_table(rating, board, rows, dataset)
        section.tables.append(replace(table, caption=f"{table.caption}: {WITH_TIME}"))
    if rating.references is not None and len(rating.references):
        section.further_tables.append(
            Table(
                "Published figures for the same split",
                rating.references,
                note="Taken from the papers, whose protocols differ; none was measured here.",
            )
        )
    if rating.ablation is not None and len(rating.ablation):
        note = "Measured on the validation part, where the choices were made."
        section.further_tables.append(Table("What each choice contributed", rating.ablation, note=note))
    if rating.grid is not None and len(rating.grid):
        section.further_tables.append(
            Table("Search over the grid of XGBoost settings (Table II), on validation", rating.grid)
        )
    section.definitions.update(
        {
            model: rating.descriptions[model]
            for rows in families
            for model in rows["model"]
            if model in rating.descriptions
        }
    )
    section.figures.extend(_figures(rating, ranked))
    for rows in timed:
        section.figures.insert(1, _forest(rating, rows, f": {WITH_TIME}"))
    return section


def leaderboard_table(rating: RatingReport, dataset: DatasetReport) -> Table:
    """The figures of one split, best first, with what is in `rating.comparisons` of paired tests."""
    board = checked_leaderboard(rating.leaderboard)
    return _leaderboard_table(rating, board, _ranked(board, rating.metric), dataset)


def _ranked(board: pd.DataFrame, metric: str) -> pd.DataFrame:
    rows = board[board["metric"] == metric]
    if rows.empty:
        raise ValueError(f"the leaderboard has no row with the metric {metric!r}")
    ascending = [lower_is_better(metric), True]
    return rows.sort_values(["value", "model"], ascending=ascending, ignore_index=True)


def _summary(rating: RatingReport, ranked: pd.DataFrame, dataset: DatasetReport) -> list[str]:
    best, metric = ranked.iloc[0], rating.metric.upper()
    seeds = "one seed" if best["seeds"] == 1 else f"mean of {best['seeds']} seeds"
    where = "simulated data" if dataset.simulated else dataset.title
    sentences = [
        f"On {where}, split {best['split']}, {best['model']} has the best test {metric}: {best['value']:.4f} "
        f"(95% interval {best['ci_low']:.4f} to {best['ci_high']:.4f}, {seeds})."
    ]
    if len(ranked) > 1:
        sentences.append(_lead(rating, str(best["model"]), str(ranked.iloc[1]["model"])))
    if rating.noise_floor is not None:
        gap = best["value"] - rating.noise_floor
        sentences.append(
            f"The noise floor, which no model can pass but by luck, is {rating.noise_floor:.4f}: "
            f"the best model lies {abs(gap):.4f} {'above' if gap >= 0 else 'below'} it."
        )
    if rating.champion is not None:
        same = "also " if rating.champion == best["model"] else ""
        sentences.append(f"The model chosen on validation, and registered, is {same}{rating.champion}.")
    return sentences


def _lead(rating: RatingReport, best: str, second: str) -> str:
    test = _comparisons(rating, best).get(second)
    if test is None:
        return f"The next is {second}; whether the lead is more than chance was not tested."
    verdict = "a significant lead" if test["p"] < SIGNIFICANCE else "not a significant lead"
    return (
        f"It is ahead of {second} by {abs(test['difference']):.4f} (95% interval {test['low']:.4f} to "
        f"{test['high']:.4f}, p {_p_value(test['p'])}): {verdict}."
    )


def _comparisons(rating: RatingReport, best: str) -> dict[str, dict[str, float]]:
    """Model → difference to the best, interval and Holm-adjusted p, for the ranking metric."""
    table = rating.comparisons
    if table is None or table.empty:
        return {}
    rows = table[(table["metric"] == rating.metric) & (table["reference"] == best)]
    return {
        str(row["model"]): {
            "difference": row["difference"],
            "low": row["ci_low"],
            "high": row["ci_high"],
            "p": row["p_adjusted"],
        }
        for row in rows.to_dict("records")
    }


def _leaderboard_table(
    rating: RatingReport, board: pd.DataFrame, ranked: pd.DataFrame, dataset: DatasetReport
) -> Table:
    best = str(ranked.iloc[0]["model"])
    tests = _comparisons(rating, best)
    others = [name for name in board["metric"].unique() if name != rating.metric]
    metric = rating.metric.upper()
    rows = []
    for row in ranked.to_dict("records"):
        model = str(row["model"])
        cells: dict[str, object] = {
            "model": model + (" (champion)" if model == rating.champion else ""),
            metric: row["value"],
            "95% interval": interval(row["ci_low"], row["ci_high"]),
        }
        for other in others:
            figures = board[(board["model"] == model) & (board["metric"] == other)]["value"]
            cells[other.upper()] = figures.iloc[0] if len(figures) else float("nan")
        if rating.noise_floor is not None:
            cells["above noise floor"] = row["value"] - rating.noise_floor
        if tests:
            cells |= _test_cells(tests.get(model), model == best)
        rows.append(cells | {"ratings": row["n"], "seeds": row["seeds"]})
    simulated = " (simulated data)" if dataset.simulated else ""
    note = "Intervals by bootstrap over users."
    if tests:
        note += " Differences by paired bootstrap over users; p adjusted for the number of models (Holm); "
        note += f"n.s.: not significant at {SIGNIFICANCE}."
    caption = f"Leaderboard: {dataset.title}, split {ranked.iloc[0]['split']}, test part{simulated}"
    return Table(
        caption,
        pd.DataFrame(rows),
        note=note,
        highlight=0,
        unbroken=("95% interval", "behind the best by", "p"),
    )


def _test_cells(test: dict[str, float] | None, is_best: bool) -> dict[str, object]:
    if test is None:
        return {"behind the best by": "best" if is_best else "not tested", "p": ""}
    behind = f"{text(test['difference'])} ({interval(test['low'], test['high'])})"
    verdict = "" if test["p"] < SIGNIFICANCE else " (n.s.)"
    return {
        "behind the best by": behind,
        "p": _p_value(test["p"]) + verdict,
    }


def _p_value(p: float) -> str:
    return "< 0.001" if p < 0.001 else f"{p:.3f}"


def _forest(rating: RatingReport, ranked: pd.DataFrame, words: str = "") -> Figure:
    metric, best = rating.metric.upper(), ranked.iloc[0]
    floor = "" if rating.noise_floor is None else f", and the noise floor at {rating.noise_floor:.4f}"
    # Published figures are of models without timestamps.
    references = None if words else rating.references
    return Figure.draw(
        plots.forest(ranked, rating.metric, rating.noise_floor, references),
        "forest-time" if words else "forest",
        f"Test {metric} with 95% intervals{words}",
        f"{metric} of {len(ranked)} models, the best {best['model']} at {best['value']:.4f}{floor}.",
    )


def _figures(rating: RatingReport, ranked: pd.DataFrame) -> Iterator[Figure]:
    metric = rating.metric.upper()
    of_model = f" ({rating.champion})" if rating.champion else ""
    yield _forest(rating, ranked)
    if rating.curves is not None and len(rating.curves):
        yield Figure.draw(
            plots.loss_curves(rating.curves),
            "curves",
            "Loss by epoch; the marker is the lowest validation loss",
            f"Training and validation loss of {', '.join(rating.curves['model'].unique())}.",
        )
    for table, entity in ((rating.user_activity, "user"), (rating.item_activity, "item")):
        if table is not None and len(table):
            listed = ", ".join(f"{row.group}: {row.value:.3f}" for row in table.itertuples())
            yield Figure.draw(
                plots.error_by_activity(table, entity, rating.metric),
                f"activity-{entity}",
                f"Test {metric} by the {entity}'s number of training ratings",
                f"{metric} by training ratings of the {entity}: {listed}.",
            )
    if rating.calibration is not None and len(rating.calibration):
        yield Figure.draw(
            plots.calibration(rating.calibration),
            "calibration",
            f"Calibration{of_model}: mean true rating of rows predicted alike",
            "Mean true rating against mean predicted rating; a calibrated model lies on the diagonal.",
        )
    if rating.predictions is not None and len(rating.predictions):
        medians = ", ".join(f"{row.rating:g}: {row.q50:.2f}" for row in rating.predictions.itertuples())
        yield Figure.draw(
            plots.predictions_by_rating(rating.predictions),
            "predictions",
            f"Predictions for each true rating{of_model}: median, half and 90% of the rows; dash: perfect",
            f"Median prediction by true rating: {medians}.",
        )
    if rating.importance is not None and len(rating.importance):
        leading = rating.importance.nlargest(3, "importance")["feature"]
        yield Figure.draw(
            plots.feature_importance(rating.importance),
            "importance",
            "Feature importance of the XGBoost head (the 25 highest)",
            f"Bar chart of feature importance, led by {', '.join(leading)}.",
        )
    if rating.dimensions is not None and len(rating.dimensions):
        yield Figure.draw(
            plots.dimension_against_loss(rating.dimensions),
            "dimensions",
            "Embedding dimension against validation loss (Fig. 4A)",
            "Lowest validation loss for each embedding dimension, users and movies.",
        )
    if rating.convergence is not None and len(rating.convergence):
        yield Figure.draw(
            plots.convergence(rating.convergence),
            "convergence",
            "Convergence of the vanilla autoencoder and of RSAttAE (Fig. 4B)",
            "Validation loss by epoch of both autoencoders, one panel for users and one for movies.",
        )
    if rating.grid is not None and len(rating.grid):
        yield Figure.draw(
            plots.grid_search(rating.grid),
            "grid",
            "Validation RMSE by number of trees (Table II)",
            "Validation RMSE for each number of boosting rounds of the grid.",
        )
