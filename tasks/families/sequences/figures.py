"""Score ranks: figures with by-user intervals, paired tests, coverage and popularity, by length of the history."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from attrec.metrics.beyond_accuracy import coverage_at, popularity_at, popularity_lift_at
from attrec.metrics.intervals import compare_means
from attrec.metrics.ranking import METRICS, SAMPLED_METRICS
from tasks.engine.artifacts import Artifact, writing
from tasks.engine.caching import cached_task
from tasks.families.ratings.data import Part
from tasks.families.sequences.data import PreparedSequences, load_sequence_data, load_test_histories
from tasks.families.sequences.ranks import rank_matrix, read_ranks
from tasks.score import Values, best_by, by_length_table, by_seed_table, mean_table, write_evaluation

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
        (paired tests of NDCG@10), `beyond.csv` (model, coverage, popularity, lift; of the first seed) and
        `by_length.csv` (model, group, users, value, ci_low, ci_high).
    """
    said = {model: [read_ranks(artifact) for artifact in artifacts] for model, artifacts in ranks.items()}
    matrices = {model: rank_matrix(frames) for model, frames in said.items()}
    sampled = {
        model: rank_matrix(frames, "sampled_rank")
        for model, frames in said.items()
        if all("sampled_rank" in frame for frame in frames)
    }
    data = load_sequence_data(sequences.fit)
    before = data.actions if part == "validation" else load_test_histories(sequences)
    users = next(iter(said.values()))[0]["user_id"]
    lengths = before["user_id"].value_counts().reindex(users).fillna(0).to_numpy(dtype=np.int64)
    values = {model: METRICS[RANKING_METRIC](matrix) for model, matrix in matrices.items()}
    frames = {
        "scores": score_table(matrices, sampled),
        "by_seed": by_seed_table(_values(matrices)),
        "comparisons": compare_means(values, RANKING_METRIC, reference),
        "beyond": _beyond({model: frames[0] for model, frames in said.items()}, data.actions),
        "by_length": by_length_table(values, lengths),
    }
    with writing("sequence-evaluation") as draft:
        write_evaluation(draft.folder, frames)
    return draft.artifact


def score_table(matrices: Mapping[str, np.ndarray], sampled: Mapping[str, np.ndarray]) -> pd.DataFrame:
    """model, metric, value, ci_low, ci_high, n, seeds of ranks [seeds, users], in the catalogue and, of the models that
    have them, among negatives."""
    ranks = {
        (model, metric): of_ranks(of_model[model])
        for model in matrices
        for metrics, of_model in ((METRICS, matrices), (SAMPLED_METRICS, sampled))
        if model in of_model
        for metric, of_ranks in metrics.items()
    }
    return mean_table(ranks)


def best_sequence_model(scores: pd.DataFrame) -> str:
    """Model with the highest NDCG@10."""
    return best_by(scores, RANKING_METRIC)


def _values(matrices: Mapping[str, np.ndarray]) -> Values:
    return {
        (model, metric): of_ranks(matrix)
        for model, matrix in matrices.items()
        for metric, of_ranks in METRICS.items()
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
