"""Sample one Bayesian matrix factorisation."""

from __future__ import annotations

from attrec.ratings.bayesian.matrix_factorization import BayesianMF, BayesianMFConfig
from tasks.engine.artifacts import Artifact, writing
from tasks.engine.caching import cached_task
from tasks.engine.sampling_progress import sampling_bar
from tasks.families.ratings.data import Phase, load_fit_data


@cached_task("fit-bayesian-mf", task_run_name="fit Bayesian MF {phase} seed {seed}")
def fit_bayesian_mf(config: BayesianMFConfig, seed: int, fit: Artifact, phase: Phase) -> Artifact:
    """Sample the posterior; there is nothing to choose.

    Returns:
        Folder of the saved model.
    """
    data = load_fit_data(fit, phase)
    model = BayesianMF(config, seed)
    with sampling_bar(f"{phase} Bayesian MF", model.rounds) as show:
        model.fit(data.ratings, data.user_features, data.item_features, progress=show)
    with writing("model") as draft:
        model.save(draft.folder)
    return draft.artifact
