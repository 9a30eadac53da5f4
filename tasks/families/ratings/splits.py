"""Score a comparison over several splits, each with its own test part."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
import pandas as pd

from attrec.metrics.intervals import LOSSES
from attrec.metrics.split_means import Scored, mean_over_splits
from tasks.comparison.score import by_fold_table, by_seed_table, score_table
from tasks.data.prepared import PreparedRatings
from tasks.engine.artifacts import Artifact, writing
from tasks.engine.caching import cached_task
from tasks.families.ratings.answers import prediction_matrix, truth_of
from tasks.families.ratings.figures import error_sums, paired_tests

Together = Literal["pooled", "mean"]


@cached_task("evaluate-splits")
def evaluate_splits(
    splits: list[PreparedRatings],
    predictions: dict[str, list[list[Artifact]]],
    names: list[str],
    name: str,
    together: Together,
    chosen_on: Sequence[int] = (),
) -> Artifact:
    """Score all models over the test parts of all splits.

    Args:
        splits: Each with its own test part.
        predictions: Of each model, by split, one artefact a seed.
        names: Of the splits; they stand in the table where each is a row of its own.
        name: Of the splits together.
        together: `pooled` scores all test parts as one; `mean` scores each, and the mean over them if there are two.
        chosen_on: Splits on whose validation parts recipes were chosen.

    Returns:
        Folder with `scores.csv` (split, model, metric, value, ci_low, ci_high, n, seeds: the fewest of any split),
        `by_fold.csv` (model, metric, fold, value: the mean over seeds), `by_seed.csv` (model, metric, seed_number,
        value of the first split) and `comparisons.csv`: paired tests on the pooled ratings, or else on the first split;
        models without timestamps against the best of these, models with timestamps against the best of those. With
        `chosen_on`, also `unchosen.csv`: `scores.csv` without the ratings that recipes were chosen on.
    """
    truths = [truth_of(split, "test") for split in splits]
    matrices = {
        model: [prediction_matrix(truth, own) for truth, own in zip(truths, artifacts, strict=True)]
        for model, artifacts in predictions.items()
    }
    if together == "pooled":
        tested = pd.concat(truths, ignore_index=True)
        scored = {model: np.concatenate(parts, axis=1) for model, parts in matrices.items()}
        scores = [_scores(name, tested, scored)]
    else:
        tested, scored = truths[0], {model: parts[0] for model, parts in matrices.items()}
        scores = [
            _scores(own, truth, {model: parts[number] for model, parts in matrices.items()})
            for number, (own, truth) in enumerate(zip(names, truths, strict=True))
        ]
        if len(splits) > 1:
            scores.append(_means(name, truths, matrices))
    by_fold = [
        error_sums(truth, {model: parts[number] for model, parts in matrices.items()})
        for number, truth in enumerate(truths)
    ]
    with writing("split-evaluation") as draft:
        frames = {
            "scores": pd.concat(scores, ignore_index=True),
            # The folds of a model below each other.
            "by_fold": by_fold_table(by_fold).sort_values(
                "model", key=lambda names: names.map(list(predictions).index), kind="stable"
            ),
            "by_seed": by_seed_table(by_fold[0]),
            "comparisons": paired_tests(error_sums(tested, scored)),
        }
        if chosen_on:
            chosen = [truth_of(splits[number], "validation") for number in chosen_on]
            kept = ~_pairs(tested).isin(_pairs(pd.concat(chosen)))
            without = {model: matrix[:, kept] for model, matrix in scored.items()}
            frames["unchosen"] = _scores(name, tested[kept], without)
        for file, frame in frames.items():
            frame.to_csv(draft.folder / f"{file}.csv", index=False, float_format="%.6f")
    return draft.artifact


def _pairs(ratings: pd.DataFrame) -> pd.MultiIndex:
    return pd.MultiIndex.from_frame(ratings[["user_id", "item_id"]])


def _scores(name: str, truth: pd.DataFrame, matrices: dict[str, np.ndarray]) -> pd.DataFrame:
    table = score_table(error_sums(truth, matrices))
    table.insert(0, "split", name)
    return table


def _means(name: str, truths: list[pd.DataFrame], matrices: dict[str, list[np.ndarray]]) -> pd.DataFrame:
    """The mean over the splits of each metric, with the interval of that mean."""
    rows = []
    for model, parts in matrices.items():
        scored = [
            Scored(truth["user_id"], truth["rating"], part) for truth, part in zip(truths, parts, strict=True)
        ]
        for metric in LOSSES:
            mean = mean_over_splits(scored, metric)
            figures = {"value": mean.value, "ci_low": mean.low, "ci_high": mean.high}
            counts = {"n": sum(map(len, truths)), "seeds": min(map(len, parts))}
            rows.append({"split": name, "model": model, "metric": metric, **figures, **counts})
    return pd.DataFrame(rows)
