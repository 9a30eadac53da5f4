"""Playlist metrics by hand and against plain definitions."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from attrec.datasets.histories import Histories
from attrec.metrics.intervals import compare_means, mean_intervals
from attrec.metrics.playlist import METRICS, ndcg_at, playlist_metrics, r_precision, rank_playlists, ranks_of
from attrec.metrics.ranking import MISS


def model_of(scores: np.ndarray) -> Any:
    """Gives playlist p the scores of row p; the first song of a playlist says which it is."""

    def score(playlists: Histories) -> np.ndarray:
        return scores[playlists.items[playlists.start[:-1]]]

    return SimpleNamespace(items=pd.RangeIndex(scores.shape[1]), score=score)


def test_ranks_by_hand_without_what_was_given() -> None:
    scores = np.array([9, 8, 7, 6, 5], dtype="float32")
    seen = np.array([True, False, False, False, False])
    assert ranks_of(scores, np.array([4, 1, -1, 0]), seen).tolist() == [4, 1, MISS, MISS]


def test_ranks_among_some_songs_alone() -> None:
    scores = np.array([[9, 8, 7, 6, 5]], dtype="float32")
    among = np.array([True, False, True, False, True])
    asked = Histories.of_lists([[0]]), Histories.of_lists([[4, 3]])
    ranked = rank_playlists(model_of(scores), *asked, k=5, among=among)
    assert ranked.ranks.tolist() == [4, 3]
    assert ranked.ranks_among is not None
    assert ranked.ranks_among.tolist() == [2, MISS]
    assert ranked.lists.tolist() == [[1, 2, 3, 4, -1]]


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


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**31), st.integers(1, 5))
def test_ranks_agree_with_a_plain_sort(seed: int, levels: int) -> None:
    rng = np.random.default_rng(seed)
    n = 30
    scores = rng.integers(0, 10 * levels, (4, n)).astype("float32")
    songs = [rng.permutation(np.arange(4, n)) for _ in range(4)]
    given_songs = [[playlist, *some[:3].tolist()] for playlist, some in enumerate(songs)]
    wanted = [some[3 : 3 + 1 + playlist * 2].tolist() for playlist, some in enumerate(songs)]
    held_out = Histories.of_lists(wanted)
    found = rank_playlists(model_of(scores), Histories.of_lists(given_songs), held_out, k=5)
    for playlist in range(4):
        free = [song for song in range(n) if song not in given_songs[playlist]]
        ranking = sorted(free, key=lambda song: (-scores[playlist, song], song in wanted[playlist]))
        places = {ranking.index(song) + 1 for song in wanted[playlist]}
        own = found.ranks[held_out.start[playlist] : held_out.start[playlist + 1]]
        assert set(own.tolist()) == places
        assert not set(found.lists[playlist].tolist()) & set(given_songs[playlist])


def test_values_go_to_the_bootstrap_as_they_are() -> None:
    held_out = Histories.of_lists([[1, 2], [3], [4, 5]])
    good = playlist_metrics(np.array([1, 2, 1, 1, 2]), held_out)
    bad = playlist_metrics(np.array([60, 70, 90, 1, 99]), held_out)
    assert mean_intervals(good, resamples=50)["r-precision"].value == 1
    table = compare_means({"a": good["ndcg@10"], "b": bad["ndcg@10"]}, "ndcg@10", resamples=50)
    assert table["reference"].tolist() == ["a"]


def test_playlists_that_do_not_belong_together() -> None:
    one, two = Histories.of_lists([[0]]), Histories.of_lists([[1], [2]])
    with pytest.raises(ValueError, match="as many playlists"):
        rank_playlists(model_of(np.zeros((1, 3), dtype="float32")), one, two)
    with pytest.raises(ValueError, match="at least one held-out song"):
        rank_playlists(model_of(np.zeros((1, 3), dtype="float32")), one, Histories.of_lists([[]]))
