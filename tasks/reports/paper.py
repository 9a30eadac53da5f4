"""The RSAttAE paper's Fig. 4A, Fig. 4B and Table II as tables and plots."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
from matplotlib.figure import Figure

from attrec.ratings.boosting import BoostedTrees
from attrec.ratings.rsattae.autoencoder import PretrainedAutoencoder
from attrec.reporting.plots.ratings import convergence, dimension_against_loss, grid_search
from attrec.reporting.style import to_svg
from tasks.engine.artifacts import Artifact, writing
from tasks.engine.caching import cached_task

PUBLISHED_TABLE_2 = {1300: 0.8705, 1500: 0.8699, 1700: 0.8695, 1900: 0.8694}


@cached_task("paper-outputs")
def write_paper_outputs(
    by_dimension: dict[str, dict[str, Artifact]],
    attentive: dict[str, Artifact],
    vanilla: dict[str, Artifact],
    head: Artifact,
    dataset: str,
) -> Artifact:
    """Draw them.

    Args:
        by_dimension: Autoencoders of both sides by embedding dimension.
        attentive: RSAttAE at d = 64.
        vanilla: The autoencoder without attention at d = 64.
        head: XGBoost with the grid of Table II, on RSAttAE at d = 64.
        dataset: Published figures are shown beside those of the published dataset alone.

    Returns:
        Folder with `fig4a`, `fig4b` and `table2`, each as .csv and .svg.
    """
    with writing("paper") as draft:
        dimensions = pd.DataFrame(
            [
                {"side": fitted.side, "dimension": int(dimension), "loss": fitted.course.best_loss}
                for dimension, pair in by_dimension.items()
                for fitted in _loaded(pair)
            ]
        )
        _write(draft.folder, "fig4a", dimensions, dimension_against_loss(dimensions))
        curves = pd.concat(
            [
                fitted.course.frame().assign(side=fitted.side, model=model)
                for model, pair in (("RSAttAE", attentive), ("vanilla autoencoder", vanilla))
                for fitted in _loaded(pair)
            ]
        ).rename(columns={"validation_loss": "validation", "train_loss": "train"})
        curves = curves[["side", "model", "epoch", "train", "validation"]]
        _write(draft.folder, "fig4b", curves, convergence(curves))
        losses = BoostedTrees.load(head.path).validation_rmse
        grid = pd.DataFrame({"n_estimators": list(losses), "rmse": list(losses.values())})
        if dataset == "ml-100k":
            grid["published"] = grid["n_estimators"].map(PUBLISHED_TABLE_2)
        _write(draft.folder, "table2", grid, grid_search(grid))
    return draft.artifact


def _loaded(pair: dict[str, Artifact]) -> list[PretrainedAutoencoder]:
    return [PretrainedAutoencoder.load(artifact.path) for artifact in pair.values()]


def _write(folder: Path, name: str, table: pd.DataFrame, figure: Figure) -> None:
    table.to_csv(folder / f"{name}.csv", index=False, float_format="%.6f")
    (folder / f"{name}.svg").write_text(to_svg(figure, name, name), encoding="utf-8")
