"""The rating-prediction section: what came first and by how much, in a sentence, a table and plots."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from attrec.reporting.contents import DatasetReport, RatingReport
from attrec.reporting.elements import Figure, Section, Table
from attrec.reporting.leaderboard import best_first, checked_leaderboard, uses_time
from attrec.reporting.plots import common
from attrec.reporting.plots import ratings as plots
from attrec.reporting.sections.examples import add_examples
from attrec.reporting.standings import (
    definitions,
    forest,
    published_and_ablation,
    standings_table,
    summary,
)

WITH_TIME = "models that use timestamps"


def rating_section(rating: RatingReport, dataset: DatasetReport) -> Section:
    """Lay out the task; `rating.leaderboard` must hold the ranking metric.

    Raises:
        DataError: when the leaderboard breaks its schema.
        ValueError: when no row has the ranking metric.
    """
    board = checked_leaderboard(rating.leaderboard)
    # What timestamps add is no merit of the model: such models are ranked among themselves.
    families = [best_first(rows, rating.metric) for _, rows in board.groupby(board["model"].map(uses_time))]
    if not families:
        best_first(board, rating.metric)
    ranked, *timed = families
    section = Section("rating", "Rating prediction", summary=summary(rating, ranked, dataset))
    section.tables.append(standings_table(rating, board, ranked, dataset))
    section.figures.append(forest(rating, ranked, rating.references, "forest"))
    for rows in timed:
        table = standings_table(rating, board, rows, dataset)
        section.tables.append(replace(table, caption=f"{table.caption}: {WITH_TIME}"))
        section.figures.append(forest(rating, rows, rating.references, "forest-time", f": {WITH_TIME}"))
    section.further_tables.extend(published_and_ablation(rating))
    if rating.grid is not None and len(rating.grid):
        section.further_tables.append(
            Table("Search over the grid of XGBoost settings (Table II), on validation", rating.grid)
        )
    section.definitions.update(definitions(rating, [model for rows in families for model in rows["model"]]))
    section.figures.extend(_figures(rating))
    headings = {"had": "Rated highest", "recommended": "Recommended, with the rating expected"}
    add_examples(section, rating, "User", headings)
    return section


def _figures(rating: RatingReport) -> Iterator[Figure]:
    metric = rating.metric.upper()
    of_model = f" ({rating.champion})" if rating.champion else ""
    if rating.curves is not None and len(rating.curves):
        yield Figure.draw(
            common.loss_curves(rating.curves),
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
            "Lowest validation loss for each embedding dimension, users and items.",
        )
    if rating.convergence is not None and len(rating.convergence):
        yield Figure.draw(
            plots.convergence(rating.convergence),
            "convergence",
            "Convergence of the vanilla autoencoder and of RSAttAE (Fig. 4B)",
            "Validation loss by epoch of both autoencoders, one panel for users and one for items.",
        )
    if rating.grid is not None and len(rating.grid):
        yield Figure.draw(
            plots.grid_search(rating.grid),
            "grid",
            "Validation RMSE by number of trees (Table II)",
            "Validation RMSE for each number of boosting rounds of the grid.",
        )
