"""Playlist metrics by hand and against plain definitions."""

from __future__ import annotations

import numpy as np
import pytest

from attrec.datasets.histories import Histories
from attrec.metrics.intervals import compare_means, mean_intervals
from attrec.metrics.playlist import METRICS, mean_ndcg, ndcg_at, playlist_metrics, r_precision, ranks_of
from attrec.metrics.ranking import MISS


def test_ranks_by_hand_without_what_was_given() -> None:
    scores = np.array([9, 8, 7, 6, 5], dtype="float32")
    seen = np.array([True, False, False, False, False])
    assert ranks_of(scores, np.array([4, 1, -1, 0]), seen).tolist() == [4, 1, MISS, MISS]


def test_ties_are_broken_against_the_model() -> None:
    level = np.zeros(6, dtype="float32")
    assert sorted(ranks_of(level, np.array([0, 3]), np.zeros(6, dtype=bool)).tolist()) == [5, 6]


def test_metrics_by_hand() -> None:
    held_out = Histories.of_lists([[1, 2, 3], [7]])
    ranks = np.array([1, 4, 60, 2])
    values = playlist_metrics(ranks, held_out)
    ideal = 1 + 1 / np.log2(3) + 1 / 2
    assert tuple(values) == METRICS
    assert values["r-precision"].tolist() == pytest.approx([1 / 3, 0])
    assert values["ndcg@10"].tolist() == pytest.approx([(1 + 1 / np.log2(5)) / ideal, 1 / np.log2(3)])
    assert values["recall@50"].tolist() == pytest.approx([2 / 3, 1])


def test_the_best_ranking_has_one_even_where_more_than_k_are_held_out() -> None:
    held_out = Histories.of_lists([list(range(15))])
    ranks = np.arange(1, 16)
    assert ndcg_at(ranks, held_out, 10).tolist() == pytest.approx([1])
    assert r_precision(ranks, held_out).tolist() == [1]


def test_the_tenth_song_counts_and_the_eleventh_does_not() -> None:
    held_out = Histories.of_lists([[1], [2]])
    ranks = np.array([10, 11])
    assert playlist_metrics(ranks, held_out)["ndcg@10"].tolist() == pytest.approx([1 / np.log2(11), 0])
    assert mean_ndcg(ranks, held_out) == pytest.approx(1 / np.log2(11) / 2)
    assert mean_ndcg(np.array([10, 10]), held_out) == pytest.approx(1 / np.log2(11))


def test_recall_of_more_songs_than_the_cut_off_is_below_one() -> None:
    held_out = Histories.of_lists([list(range(60)), [1, 2]])
    ranks = np.array([*range(1, 61), 50, 51])
    assert playlist_metrics(ranks, held_out)["recall@50"].tolist() == pytest.approx([50 / 60, 1 / 2])


def test_values_go_to_the_bootstrap_as_they_are() -> None:
    held_out = Histories.of_lists([[1, 2], [3], [4, 5]])
    good = playlist_metrics(np.array([1, 2, 1, 1, 2]), held_out)
    bad = playlist_metrics(np.array([60, 70, 90, 1, 99]), held_out)
    assert mean_intervals(good, resamples=50)["r-precision"].value == 1
    table = compare_means({"a": good["ndcg@10"], "b": bad["ndcg@10"]}, "ndcg@10", resamples=50)
    assert table["reference"].tolist() == ["a"]
