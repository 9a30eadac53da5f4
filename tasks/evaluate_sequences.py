"""Score ranks: figures with by-user intervals, paired tests, coverage and popularity, by length of the history."""

from __future__ import annotations

import json
from collections.abc import Mapping

import numpy as np
import pandas as pd

from attrec.metrics.beyond_accuracy import coverage_at, popularity_at, popularity_lift_at
from attrec.metrics.intervals import compare_means_to_best, mean_intervals
from attrec.metrics.ranking import METRICS, SAMPLED_METRICS
from tasks.artifacts import Artifact, writing
from tasks.caching import cached_task
from tasks.rank import Part, rank_matrix, read_ranks
from tasks.sequences import PreparedSequences, load_sequence_data, load_test_histories

RANKING_METRIC = "ndcg@10"
BEYOND_AT = 10
LENGTH_GROUPS = 5


@cached_task("evaluate-sequences", task_run_name="evaluate {part}")
def evaluate_sequences(
    sequences: PreparedSequences, part: Part, ranks: dict[str, list[Artifact]]
) -> Artifact:
    """Score all models on one part.

    Args:
        ranks: By model, one artefact of `rank` a seed.

    Returns:
        Folder with `scores.csv` (model, metric, value, ci_low, ci_high, n, seeds), `by_seed.csv`, `comparisons.csv`
        (paired tests of NDCG@10), `beyond.csv` (model, coverage, popularity, lift; of the first seed) and
        `by_length.csv` (model, group, users, value, ci_low, ci_high).
    """
    matrices = {model: rank_matrix(artifacts) for model, artifacts in ranks.items()}
    sampled = {model: rank_matrix(artifacts, "sampled_rank") for model, artifacts in ranks.items()}
    data = load_sequence_data(sequences.fit)
    before = data.actions if part == "validation" else load_test_histories(sequences)
    users = read_ranks(next(iter(ranks.values()))[0])["user_id"]
    lengths = before["user_id"].value_counts().reindex(users).fillna(0).to_numpy(dtype=np.int64)
    values = {model: METRICS[RANKING_METRIC](matrix) for model, matrix in matrices.items()}
    scores = score_table(matrices, sampled)
    frames = {
        "scores": scores,
        "by_seed": _by_seed(matrices),
        "comparisons": compare_means_to_best(values, RANKING_METRIC),
        "beyond": _beyond(ranks, data.actions),
        "by_length": _by_length(values, lengths),
    }
    nested: dict[str, dict[str, float]] = {}
    for row in scores.to_dict("records"):
        nested.setdefault(str(row["model"]), {})[str(row["metric"])] = round(float(row["value"]), 6)
    with writing("sequence-evaluation") as draft:
        for name, frame in frames.items():
            frame.to_csv(draft.folder / f"{name}.csv", index=False, float_format="%.6f")
        (draft.folder / "metrics.json").write_text(json.dumps(nested, indent=2) + "\n")
    return draft.artifact


def score_table(matrices: Mapping[str, np.ndarray], sampled: Mapping[str, np.ndarray]) -> pd.DataFrame:
    """model, metric, value, ci_low, ci_high, n, seeds of ranks [seeds, users], in the catalogue and among negatives."""
    ranks = {
        (model, metric): of_ranks(of_model[model])
        for model in matrices
        for metrics, of_model in ((METRICS, matrices), (SAMPLED_METRICS, sampled))
        for metric, of_ranks in metrics.items()
    }
    rows = []
    for (model, metric), interval in mean_intervals(ranks).items():
        seeds, users = matrices[model].shape
        figures = {"value": interval.value, "ci_low": interval.low, "ci_high": interval.high}
        rows.append({"model": model, "metric": metric, **figures, "n": users, "seeds": seeds})
    return pd.DataFrame(rows)


def best_sequence_model(scores: pd.DataFrame) -> str:
    """Model with the highest NDCG@10."""
    rows = scores[scores["metric"] == RANKING_METRIC]
    return str(rows.sort_values(["value", "model"], ascending=[False, True], kind="stable")["model"].iloc[0])


def _by_seed(matrices: Mapping[str, np.ndarray]) -> pd.DataFrame:
    return pd.DataFrame(
        [
            {"model": model, "metric": metric, "seed_number": number, "value": of_ranks(ranks).mean()}
            for model, matrix in matrices.items()
            for metric, of_ranks in METRICS.items()
            for number, ranks in enumerate(matrix)
        ]
    )


def _beyond(ranks: Mapping[str, list[Artifact]], actions: pd.DataFrame) -> pd.DataFrame:
    counts = actions["item_id"].value_counts().sort_index()
    items, popularity = pd.Index(counts.index), counts.to_numpy()
    rows = []
    for model, artifacts in ranks.items():
        frame = read_ranks(artifacts[0])
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


def _by_length(values: Mapping[str, np.ndarray], lengths: np.ndarray) -> pd.DataFrame:
    """NDCG@10 by the length of the history, in groups of about equally many users."""
    edges = np.unique(np.quantile(lengths, np.linspace(0, 1, LENGTH_GROUPS + 1), method="lower"))
    group = np.clip(np.searchsorted(edges, lengths, side="right") - 1, 0, max(len(edges) - 2, 0))
    rows = []
    for number in np.unique(group):
        own = group == number
        label = f"{lengths[own].min()}–{lengths[own].max()}"
        for model, interval in mean_intervals({name: of[:, own] for name, of in values.items()}).items():
            figures = {"value": interval.value, "ci_low": interval.low, "ci_high": interval.high}
            rows.append({"model": model, "group": label, "users": int(own.sum()), **figures})
    return pd.DataFrame(rows)
