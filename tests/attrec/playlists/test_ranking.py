"""A model at the catalogue: ranks by hand and against a plain sort, and the mean that a fit is chosen by."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from attrec.datasets.histories import Histories
from attrec.metrics.ranking import MISS
from attrec.playlists.ranking import rank_playlists


def model_of(scores: np.ndarray) -> Any:
    """Gives playlist p the scores of row p; the first song of a playlist says which it is."""

    def score(playlists: Histories) -> np.ndarray:
        return scores[playlists.items[playlists.start[:-1]]]

    return SimpleNamespace(items=pd.RangeIndex(scores.shape[1]), score=score)


def test_ranks_among_some_songs_alone() -> None:
    scores = np.array([[9, 8, 7, 6, 5]], dtype="float32")
    among = np.array([True, False, True, False, True])
    asked = Histories.of_lists([[0]]), Histories.of_lists([[4, 3]])
    ranked = rank_playlists(model_of(scores), *asked, k=5, among=among)
    assert ranked.ranks.tolist() == [4, 3]
    assert ranked.ranks_among is not None
    assert ranked.ranks_among.tolist() == [2, MISS]
    assert ranked.lists.tolist() == [[1, 2, 3, 4, -1]]


@settings(max_examples=40)
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


def test_playlists_that_do_not_belong_together() -> None:
    one, two = Histories.of_lists([[0]]), Histories.of_lists([[1], [2]])
    with pytest.raises(ValueError, match="as many playlists"):
        rank_playlists(model_of(np.zeros((1, 3), dtype="float32")), one, two)
    with pytest.raises(ValueError, match="at least one held-out song"):
        rank_playlists(model_of(np.zeros((1, 3), dtype="float32")), one, Histories.of_lists([[]]))
