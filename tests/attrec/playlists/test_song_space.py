"""Vectors of songs by hand: content and training playlists, of which a song's own never tells it."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from attrec.datasets.histories import Histories
from attrec.models.layers import seeded_generator
from attrec.playlists.song_space import SongSpace, singular_playlists


def space(playlists: list[list[int]], songs: int, cooccurrence: int = 3) -> SongSpace:
    content = np.arange(songs * 2, dtype="float32").reshape(songs, 2)
    return SongSpace(content, Histories.of_lists(playlists), 5, cooccurrence, 0.0, seeded_generator(0)).eval()


def test_a_hidden_song_is_not_told_by_its_own_playlist() -> None:
    playlists = space([[0, 1], [1, 2], [0, 2, 3]], 5)
    assert playlists.of_playlists is not None
    everyone = torch.arange(5)
    vectors, counts = playlists(everyone, without=torch.tensor([1]))
    assert counts.tolist() == [2, 1, 1, 1, 0]
    with torch.no_grad():
        playlists.of_playlists[1] += 100
    again, _ = playlists(everyone, without=torch.tensor([1]))
    assert torch.equal(vectors, again)
    whole, counts = playlists(everyone, without=torch.empty(0, dtype=torch.int64))
    assert counts.tolist() == [2, 2, 2, 1, 0]
    assert not torch.equal(whole[1], vectors[1])


def test_song_vectors_by_hand() -> None:
    playlists = space([[0, 1], [1, 2], [0, 2, 3]], 5)
    assert playlists.of_playlists is not None
    of_playlists = playlists.of_playlists.detach().numpy()
    content = np.arange(10).reshape(5, 2) / np.sqrt((np.arange(10) ** 2).sum() / 5)
    cooccurrence = np.stack([
        (of_playlists[0] + of_playlists[2]) / np.sqrt(2),
        (of_playlists[0] + of_playlists[1]) / np.sqrt(2),
        (of_playlists[1] + of_playlists[2]) / np.sqrt(2),
        of_playlists[2],
        np.zeros(3),
    ])  # fmt: skip
    expected = np.hstack([content, cooccurrence]) @ playlists.weight.detach().numpy().T
    wanted = torch.tensor([4, 0, 2])
    vectors, _ = playlists(wanted, without=torch.empty(0, dtype=torch.int64))
    assert vectors.detach().numpy() == pytest.approx(expected[[4, 0, 2]], abs=1e-5)


@pytest.mark.parametrize("length", [2, 50])
def test_cooccurrence_begins_as_singular_vectors(length: int) -> None:
    rng = np.random.default_rng(0)
    lists = [sorted(rng.choice(12, 4, replace=False).tolist()) for _ in range(9)]
    matrix = np.zeros((12, 9))
    for playlist, songs in enumerate(lists):
        matrix[songs, playlist] = 1
    found = singular_playlists(Histories.of_lists(lists), 12, length)
    left = np.linalg.svd(matrix, full_matrices=False)[0]
    begun = matrix @ found
    assert found.shape == (9, min(length, 9))
    for column in range(min(length, 9)):
        cosine = begun[:, column] @ left[:, column] / np.linalg.norm(begun[:, column])
        assert abs(cosine) == pytest.approx(1, abs=1e-4)
    assert np.linalg.norm(begun, axis=0) == pytest.approx(np.linalg.norm(begun[:, 0]), rel=1e-3)
    assert np.square(found).sum(axis=1).mean() == pytest.approx(1, rel=1e-4)
