"""Sample one Bayesian matrix factorisation."""

from __future__ import annotations

from attrec.models.bayesian_mf import BayesianMF, BayesianMFConfig
from tasks.artifacts import Artifact, writing
from tasks.caching import cached_task
from tasks.prepared import Phase, load_fit_data
from tasks.sampling_progress import sampling_bar


@cached_task("fit-bayesian-mf", task_run_name="fit Bayesian MF {phase} seed {seed}")
def fit_bayesian_mf(config: BayesianMFConfig, seed: int, fit: Artifact, phase: Phase) -> Artifact:
    """Sample the posterior; there is nothing to choose.

    Returns:
        Folder of the saved model.
    """
    data = load_fit_data(fit, phase)
    model = BayesianMF(config, seed)
    with sampling_bar(f"{phase} Bayesian MF") as show:
        model.fit(data.ratings, data.user_features, data.item_features, progress=show)
    with writing("model") as draft:
        model.save(draft.folder)
    return draft.artifact
