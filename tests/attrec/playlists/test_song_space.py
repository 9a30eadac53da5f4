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


def test_columns_that_are_mostly_zero_count_as_in_a_product_with_all() -> None:
    """Vectors and gradients; of 60 songs all but one have an artist, of forty, among three numbers."""
    rng = np.random.default_rng(0)
    numbers = [0, 5, 42]
    content = np.zeros((60, 43), dtype="float32")
    content[:, numbers] = rng.normal(size=(60, 3))
    content[np.arange(59), rng.choice(np.delete(np.arange(43), numbers), 59)] = 3
    lists = [rng.choice(60, 5, replace=False).tolist() for _ in range(8)]
    made = SongSpace(content, Histories.of_lists(lists), 6, 4, 0.0, seeded_generator(0))
    assert made.content.shape == (60, 3)
    assert made.labels.nnz == 59
    songs, without = [3, 59, 0, 17, 3, *lists[0]], [2]

    whole = torch.from_numpy(content / np.sqrt(np.square(content).sum() / 60))
    member = torch.tensor(
        [[float(s in has and p not in without) for p, has in enumerate(lists)] for s in range(60)]
    )
    assert made.of_playlists is not None
    sums = member @ made.of_playlists / member.sum(1, keepdim=True).clamp(min=1).sqrt()
    expected = torch.cat([whole, sums], 1)[songs] @ made.weight.T + made.bias
    vectors, _ = made(torch.tensor(songs), torch.tensor(without))
    assert torch.allclose(vectors, expected, atol=1e-5)
    wanted = torch.randn(vectors.shape, generator=seeded_generator(1))
    trained = list(made.parameters())
    gradients = (torch.autograd.grad((found * wanted).sum(), trained) for found in (vectors, expected))
    for ours, theirs in zip(*gradients, strict=True):
        assert torch.allclose(ours, theirs, atol=1e-5)


def test_what_is_not_zero_is_dropped_now_and_then_and_weighs_more_for_it() -> None:
    content = np.eye(2000, dtype="float32")
    made = SongSpace(content, Histories.of_lists([[0]]), 1, 0, 0.25, seeded_generator(0))
    vectors, _ = made(torch.arange(2000), torch.empty(0, dtype=torch.int64))
    shares = (vectors / made.weight.T).squeeze(1)
    kept = shares > 0
    assert torch.allclose(shares[kept], torch.tensor(4 / 3))
    assert (shares[~kept] == 0).all()
    assert kept.float().mean().item() == pytest.approx(0.75, abs=0.04)
