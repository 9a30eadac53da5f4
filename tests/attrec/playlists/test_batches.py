"""Batches of playlists: what is given, what is hidden, and which songs the hidden ones are told from."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from attrec.datasets.histories import Histories
from attrec.models.layers import seeded_generator
from attrec.playlists.batches import candidates, playlist_batches


def test_batches_give_a_part_and_hide_the_rest() -> None:
    lists = [[1, 2], [3], [4, 5, 6, 7], list(range(8, 20)), [20, 21, 22]]
    playlists = Histories.of_lists(lists)
    generator, sizes, seen = seeded_generator(0), set(), []
    for _ in range(30):
        for batch in playlist_batches(playlists, 4, (0.25, 0.75), 3, generator):
            for row, playlist in enumerate(batch.playlists):
                given, hidden = (
                    part.items[part.start[row] : part.start[row + 1]] for part in (batch.given, batch.hidden)
                )
                assert sorted([*given, *hidden]) == lists[playlist]
                assert len(given) >= 1
                assert len(hidden) >= 1
                seen.append(int(playlist))
                if playlist == 2:
                    sizes.add(len(given))
                if playlist == 3:
                    assert len(given) == 3
    assert {code: seen.count(code) for code in set(seen)} == dict.fromkeys((0, 2, 3, 4), 30)
    assert sizes == {1, 2, 3}


def test_candidates_of_a_large_catalogue() -> None:
    playlists = Histories.of_lists([[1, 2], [50, 60, 70]])
    (batch,) = playlist_batches(playlists, 8, (0.2, 0.8), 9, seeded_generator(3))
    songs, log_weights = candidates(batch, 100, 5, seeded_generator(4))
    drawn = np.unique(torch.randint(100, (5,), generator=seeded_generator(4)).numpy())
    assert set(songs) == {1, 2, 50, 60, 70, *drawn.tolist()}
    for row in range(2):
        given, hidden = (
            part.items[part.start[row] : part.start[row + 1]] for part in (batch.given, batch.hidden)
        )
        for song, weight in zip(songs, log_weights[row].tolist(), strict=True):
            if song in hidden:
                assert weight == 0
            elif song in given or song not in drawn:
                assert weight == -np.inf
            else:
                assert weight == pytest.approx(np.log(100 / len(drawn)))
    songs, log_weights = candidates(batch, 100, 100, seeded_generator(4))
    assert songs.tolist() == list(range(100))
    assert torch.isinf(log_weights).sum(1).tolist() == batch.given.counts.tolist()
