"""Fit the baselines that a library or some matrix products give."""

from __future__ import annotations

from attrec.ratings.imputed_svd import ImputedSVD, ImputedSVDConfig
from attrec.ratings.neighbourhoods.model import ResidualNeighbours, ResidualNeighboursConfig
from attrec.ratings.surprise.baselines import SurpriseBaseline, SurpriseConfig
from tasks.engine.artifacts import Artifact, writing
from tasks.engine.caching import cached_task
from tasks.families.ratings.data import Phase, load_fit_data


@cached_task("fit-surprise", task_run_name="fit {config.algorithm} {phase} seed {seed}")
def fit_surprise(config: SurpriseConfig, seed: int, fit: Artifact, phase: Phase) -> Artifact:
    """Fit one algorithm of scikit-surprise; it has nothing to choose.

    Returns:
        Folder of the saved model.
    """
    data = load_fit_data(fit, phase)
    model = SurpriseBaseline(config, seed).fit(data.ratings, data.user_features, data.item_features)
    with writing("model") as draft:
        model.save(draft.folder)
    return draft.artifact


@cached_task("fit-imputed-svd", task_run_name="fit SVD-imputed {phase}")
def fit_imputed_svd(
    config: ImputedSVDConfig, fit: Artifact, phase: Phase, selected: Artifact | None = None
) -> Artifact:
    """Fit the SVD; `select` chooses the rank on validation, `final` takes that of the `selected` model.

    Returns:
        Folder of the saved model.
    """
    if selected is not None:
        config = ImputedSVD.load(selected.path).chosen_config()
    data = load_fit_data(fit, phase)
    model = ImputedSVD(config).fit(data.ratings, data.user_features, data.item_features, data.validation)
    with writing("model") as draft:
        model.save(draft.folder)
    return draft.artifact


@cached_task("fit-residual-neighbours", task_run_name="fit residual-neighbours {phase}")
def fit_residual_neighbours(
    config: ResidualNeighboursConfig, fit: Artifact, phase: Phase, selected: Artifact | None = None
) -> Artifact:
    """Compare all with all; `select` fits the shares, `final` takes those of the `selected` model.

    Returns:
        Folder of the saved model.
    """
    if selected is not None:
        config = ResidualNeighbours.load(selected.path).chosen_config()
    data = load_fit_data(fit, phase)
    model = ResidualNeighbours(config)
    model.fit(data.ratings, data.user_features, data.item_features, data.validation)
    with writing("model") as draft:
        model.save(draft.folder)
    return draft.artifact
