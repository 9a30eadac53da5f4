"""Score ranks of held-out songs: figures with by-playlist intervals, paired tests, coverage, by length."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from attrec.metrics.beyond_accuracy import coverage_at, popularity_at
from attrec.metrics.intervals import UserSums
from attrec.metrics.playlist import METRICS, playlist_metrics
from tasks.comparison.score import (
    by_fold_table,
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
from tasks.families.playlists.answers import RanksFile, read_held_out_ranks, read_lists
from tasks.families.playlists.data import PreparedPlaylists, load_ceiling

Values = Mapping[tuple[str, str], np.ndarray]
"""By model and metric: [seeds, playlists], the playlists in one order for all models."""

RANKING_METRIC = "ndcg@10"
BEYOND_AT = 10


@cached_task("evaluate-playlists", task_run_name="evaluate {part}")
def evaluate_playlists(
    splits: list[PreparedPlaylists],
    part: Part,
    ranks: dict[str, list[list[Artifact]]],
    without: Sequence[int | str] = (),
    reference: str | None = None,
) -> Artifact:
    """Score all models on one part, of several splits together.

    A playlist that is in this part of several splits counts once, with the mean of its figures.

    Args:
        ranks: By model, for each split, one artefact of `rank_held_out` a seed.
        without: Playlists that are not scored.
        reference: The model that the others are tested against; None for the best.

    Returns:
        Folder with `scores.csv` (model, metric, value, ci_low, ci_high, n, seeds), `known.csv` (the same of the songs
        that training playlists have, ranked among these alone; if there are any), `by_seed.csv`, `by_fold.csv` (model,
        metric, fold, value), `comparisons.csv` (paired tests of each metric against its best model), `beyond.csv`
        (model, coverage, popularity; of the first seed), `by_length.csv` (model, group, users, value,
        ci_low, ci_high) and, of the test of simulated playlists, `ceiling.csv` (metric, value).
    """
    of_folds = [{model: of[fold] for model, of in ranks.items()} for fold in range(len(splits))]
    by_fold = [_values(own, without) for own in of_folds]
    values = _together(by_fold, _names(of_folds, without))
    of_known = _together(
        [_values(own, without, "known_ranks") for own in of_folds], _names(of_folds, without, "known_ranks")
    )
    first = pd.concat([read_lists(artifacts[0]) for artifacts in next(iter(ranks.values()))])
    scored = ~first["user_id"].isin(without)
    lengths = first[scored].drop_duplicates("user_id")["given"].to_numpy()
    sums = _sums(values)
    tests = [comparison_table(sums, metric, reference) for metric in METRICS]
    frames = {
        "scores": score_table(sums),
        "by_seed": by_seed_table(sums),
        "by_fold": by_fold_table([_sums(fold) for fold in by_fold]),
        "comparisons": pd.concat(tests, ignore_index=True),
        "beyond": _beyond(splits, ranks, without),
        "by_length": by_length_table(of_metric(sums, RANKING_METRIC), lengths),
    }
    if all(matrix.shape[1] for matrix in of_known.values()):
        frames["known"] = score_table(_sums(of_known))
    ceilings = [] if part == "validation" else [load_ceiling(split) for split in splits]
    if possible := [ceiling for ceiling in ceilings if ceiling is not None]:
        means = pd.concat(possible)[scored.to_numpy()][list(METRICS)].mean()
        frames["ceiling"] = means.rename("value").rename_axis("metric").reset_index()
    with writing("playlist-evaluation") as draft:
        write_evaluation(draft.folder, frames)
    return draft.artifact


def playlist_values(
    artifacts: Sequence[Artifact], without: Sequence[int | str] = (), file: RanksFile = "ranks"
) -> dict[str, np.ndarray]:
    """By metric [seeds, playlists], of one model and split."""
    ranks = [read_held_out_ranks(artifact, file) for artifact in artifacts]
    names = _asked(artifacts[0], file)
    seeds = [playlist_metrics(*of_seed) for of_seed in ranks]
    return {metric: np.stack([of[metric] for of in seeds])[:, ~names.isin(without)] for metric in METRICS}


def _values(
    ranks: Mapping[str, Sequence[Artifact]], without: Sequence[int | str], file: RanksFile = "ranks"
) -> dict[tuple[str, str], np.ndarray]:
    return {
        (model, metric): of_metric
        for model, artifacts in ranks.items()
        for metric, of_metric in playlist_values(artifacts, without, file).items()
    }


def _asked(artifact: Artifact, file: RanksFile) -> pd.Index:
    names = read_held_out_ranks(artifact, file)[1].ids
    assert names is not None
    return names


def _names(
    of_folds: Sequence[Mapping[str, Sequence[Artifact]]],
    without: Sequence[int | str],
    file: RanksFile = "ranks",
) -> np.ndarray:
    """The playlists of all folds, as `_values` has them."""
    asked = [_asked(next(iter(own.values()))[0], file) for own in of_folds]
    return np.concatenate([names[~names.isin(without)] for names in asked])


def _together(by_fold: Sequence[Values], names: np.ndarray) -> dict[tuple[str, str], np.ndarray]:
    """The folds side by side, one column a playlist: the mean where it is in several."""
    playlist, _ = pd.factorize(names)
    counts = np.bincount(playlist)

    def averaged(matrix: np.ndarray) -> np.ndarray:
        sums = np.zeros((len(counts), len(matrix)))
        np.add.at(sums, playlist, matrix.T)
        means: np.ndarray = sums.T / counts
        return means

    return {key: averaged(np.concatenate([fold[key] for fold in by_fold], axis=1)) for key in by_fold[0]}


def _sums(values: Values) -> dict[tuple[str, str], UserSums]:
    return {key: UserSums.of_values(matrix) for key, matrix in values.items()}


def _beyond(
    splits: Sequence[PreparedPlaylists],
    ranks: Mapping[str, Sequence[Sequence[Artifact]]],
    without: Sequence[int | str],
) -> pd.DataFrame:
    """Coverage of the whole catalogue, by the lists of all splits; popularity is that of each split's own training."""
    songs = splits[0].training.vectors().ids
    playlists = [split.training.playlists() for split in splits]
    counts = [own["item_id"].value_counts().reindex(songs).fillna(0).to_numpy() for own in playlists]
    rows = []
    for model, of_splits in ranks.items():
        lists = [read_lists(artifacts[0]) for artifacts in of_splits]
        codes = [_codes(own.loc[~own["user_id"].isin(without), "recommended"], songs) for own in lists]
        popularity = [popularity_at(own, count, BEYOND_AT) for own, count in zip(codes, counts, strict=True)]
        rows.append(
            {
                "model": model,
                f"coverage@{BEYOND_AT}": coverage_at(np.concatenate(codes), len(songs), BEYOND_AT),
                f"popularity@{BEYOND_AT}": np.average(popularity, weights=[len(own) for own in codes]),
            }
        )
    return pd.DataFrame(rows)


def _codes(recommended: pd.Series, songs: pd.Index) -> np.ndarray:
    """[n, k] codes of lists of ids, -1 where a list has ended."""
    lists = np.full((len(recommended), BEYOND_AT), -1, dtype=np.int64)
    for row, ids in enumerate(recommended):
        own = songs.get_indexer(pd.Index(ids[:BEYOND_AT], dtype=songs.dtype))
        lists[row, : len(own)] = own
    return lists
