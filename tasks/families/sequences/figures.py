"""Scores of sequence models: figures by user, paired tests, coverage and popularity, by length of the history."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from attrec.metrics.beyond_accuracy import coverage_at, popularity_at, popularity_lift_at
from attrec.metrics.intervals import UserSums
from attrec.metrics.ranking import METRICS, SAMPLED_METRICS
from tasks.comparison.score import (
    by_length_table,
    by_seed_table,
    comparison_table,
    of_metric,
    score_table,
    write_evaluation,
)
from tasks.engine.artifacts import Artifact, writing
from tasks.engine.caching import cached_task
from tasks.engine.training_data import Part
from tasks.families.sequences.answers import rank_matrix, read_ranks
from tasks.families.sequences.data import PreparedSequences, load_sequence_ceiling, load_test_histories

RANKING_METRIC = "ndcg@10"
BEYOND_AT = 10


@cached_task("evaluate-sequences", task_run_name="evaluate {part}")
def evaluate_sequences(
    sequences: PreparedSequences,
    part: Part,
    ranks: dict[str, list[Artifact]],
    reference: str | None = None,
) -> Artifact:
    """Score all models on one part.

    Args:
        ranks: By model, one artefact of `rank` a seed.
        reference: The model that the others are tested against; None for the best.

    Returns:
        Folder with `scores.csv` (model, metric, value, ci_low, ci_high, n, seeds), `by_seed.csv`, `comparisons.csv`
        (paired tests of NDCG@10), `beyond.csv` (model, coverage, popularity, lift; of the first seed),
        `by_length.csv` (model, group, users, value, ci_low, ci_high) and, of the test of simulated actions,
        `ceiling.csv` (metric, value).
    """
    said = {model: [read_ranks(artifact) for artifact in artifacts] for model, artifacts in ranks.items()}
    matrices = {model: rank_matrix(frames) for model, frames in said.items()}
    sampled = {
        model: rank_matrix(frames, "sampled_rank")
        for model, frames in said.items()
        if all("sampled_rank" in frame for frame in frames)
    }
    actions = sequences.training.actions()
    before = actions if part == "validation" else load_test_histories(sequences)
    users = next(iter(said.values()))[0]["user_id"]
    lengths = before["user_id"].value_counts().reindex(users).fillna(0).to_numpy(dtype=np.int64)
    in_catalogue = value_sums(matrices)
    frames = {
        "scores": score_table(value_sums(matrices, sampled)),
        "by_seed": by_seed_table(in_catalogue),
        "comparisons": comparison_table(in_catalogue, RANKING_METRIC, reference),
        "beyond": _beyond({model: frames[0] for model, frames in said.items()}, actions),
        "by_length": by_length_table(of_metric(in_catalogue, RANKING_METRIC), lengths),
    }
    ceiling = None if part == "validation" else load_sequence_ceiling(sequences)
    if ceiling is not None:
        frames["ceiling"] = ceiling.mean().rename("value").rename_axis("metric").reset_index()
    with writing("sequence-evaluation") as draft:
        write_evaluation(draft.folder, frames)
    return draft.artifact


def value_sums(
    matrices: Mapping[str, np.ndarray], sampled: Mapping[str, np.ndarray] | None = None
) -> dict[tuple[str, str], UserSums]:
    """By model and metric, of ranks [seeds, users] in the catalogue and, of the models that have them, among
    negatives."""
    return {
        (model, metric): UserSums.of_values(of_ranks(of_model[model]))
        for model in matrices
        for metrics, of_model in ((METRICS, matrices), (SAMPLED_METRICS, sampled or {}))
        if model in of_model
        for metric, of_ranks in metrics.items()
    }


def _beyond(ranks: Mapping[str, pd.DataFrame], actions: pd.DataFrame) -> pd.DataFrame:
    counts = actions["item_id"].value_counts().sort_index()
    items, popularity = pd.Index(counts.index), counts.to_numpy()
    rows = []
    for model, frame in ranks.items():
        lists = np.full((len(frame), BEYOND_AT), -1, dtype=np.int64)
        for row, recommended in enumerate(frame["recommended"]):
            codes = items.get_indexer(pd.Index(recommended[:BEYOND_AT], dtype=items.dtype))
            lists[row, : len(codes)] = codes
        targets = items.get_indexer(pd.Index(frame["item_id"]))
        rows.append(
            {
                "model": model,
                f"coverage@{BEYOND_AT}": coverage_at(lists, len(items), BEYOND_AT),
                f"popularity@{BEYOND_AT}": popularity_at(lists, popularity, BEYOND_AT),
                f"popularity-lift@{BEYOND_AT}": popularity_lift_at(lists, targets, popularity, BEYOND_AT),
            }
        )
    return pd.DataFrame(rows)
