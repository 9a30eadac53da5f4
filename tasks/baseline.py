"""Fit a baseline: the figures that every other rating model has to beat."""

from __future__ import annotations

from typing import Literal

from attrec.ratings.baselines import GlobalMean, UserItemBias
from attrec.ratings.model import RatingModel
from tasks.engine.artifacts import Artifact, writing
from tasks.engine.caching import cached_task
from tasks.families.ratings.data import Phase, load_fit_data

BaselineKind = Literal["global-mean", "user-item-bias"]


@cached_task("fit-baseline")
def fit_baseline(kind: BaselineKind, fit: Artifact, phase: Phase) -> Artifact:
    """Fit one baseline.

    The bias model chooses its regularisation on validation; in the final phase it is fitted again with that choice.

    Returns:
        Folder of the saved model.
    """
    select = load_fit_data(fit, "select")
    model: RatingModel = GlobalMean() if kind == "global-mean" else UserItemBias()
    model.fit(select.ratings, select.user_features, select.item_features, select.validation)
    if phase == "final":
        data = load_fit_data(fit, "final")
        model = UserItemBias(model.chosen_config()) if isinstance(model, UserItemBias) else GlobalMean()
        model.fit(data.ratings, data.user_features, data.item_features)
    with writing("model") as draft:
        model.save(draft.folder)
    return draft.artifact
