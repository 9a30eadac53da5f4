"""Score a cross-validation: every rating is tested once, in its own fold."""

from __future__ import annotations

import pandas as pd

from attrec.metrics.intervals import bootstrap_interval, compare_to_best
from tasks.artifacts import Artifact, writing
from tasks.caching import cached_task
from tasks.evaluate import METRICS, prediction_matrix, score_table
from tasks.predict import truth_of
from tasks.prepared import Prepared


@cached_task("evaluate-folds")
def evaluate_folds(folds: list[Prepared], predictions: dict[str, list[list[Artifact]]]) -> Artifact:
    """Score all models over the test parts of all folds.

    Args:
        folds: Each with its own test part.
        predictions: Of each model, by fold, one artefact a seed.

    Returns:
        Folder with `scores.csv` (model, metric, value, ci_low, ci_high, n, seeds) over all ratings, `by_fold.csv`
        (model, metric, fold, value) and `comparisons.csv`.
    """
    truths = [truth_of(fold, "test") for fold in folds]
    truth = pd.concat(truths, ignore_index=True)
    users, ratings = truth["user_id"], truth["rating"].to_numpy("float64")
    matrices = {}
    by_fold = []
    for model, artifacts in predictions.items():
        parts = [prediction_matrix(rows, own) for rows, own in zip(truths, artifacts, strict=True)]
        matrices[model] = pd.concat([pd.DataFrame(part) for part in parts], axis=1).to_numpy()
        for number, (rows, part) in enumerate(zip(truths, parts, strict=True)):
            for metric in METRICS:
                value = bootstrap_interval(rows["user_id"], rows["rating"], part, metric, resamples=1).value
                by_fold.append({"model": model, "metric": metric, "fold": number, "value": value})
    with writing("fold-evaluation") as draft:
        frames = {
            "scores": score_table(users, ratings, matrices),
            "by_fold": pd.DataFrame(by_fold),
            "comparisons": compare_to_best(users, ratings, matrices),
        }
        for name, frame in frames.items():
            frame.to_csv(draft.folder / f"{name}.csv", index=False, float_format="%.6f")
    return draft.artifact
