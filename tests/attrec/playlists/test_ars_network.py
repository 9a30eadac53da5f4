"""The share of attention that each song of a playlist receives: by hand, and what must hold of any playlist."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch

from attrec.models.layers import seeded_generator
from attrec.playlists.ars import ARS, ARSConfig
from attrec.playlists.ars_network import ARSNetwork
from attrec.prepare.songs import Vectors

TINY = {"dimension": 4, "pairs": 2, "hidden": 4, "cooccurrence": 2, "training": {"epochs": 2}}
PLAYLISTS = pd.DataFrame(
    [(playlist, song) for playlist in range(6) for song in range(playlist, playlist + 5)],
    columns=["user_id", "item_id"],
)
VALUES = np.random.default_rng(0).standard_normal((10, 3)).astype("float32")


def network() -> ARSNetwork:
    """Two pairs in two dimensions with drawn weights, in training: nothing may be dropped."""
    made = ARSNetwork(2, 3, 2, True, "distance", True, 0.5, seeded_generator(0))
    drawn = np.random.default_rng(1)
    with torch.no_grad():
        for parameter in made.parameters():
            parameter.copy_(torch.from_numpy(drawn.normal(size=parameter.shape)))
    return made


def received(songs: list[list[float]]) -> np.ndarray:
    with torch.no_grad():
        return network().attention(torch.tensor(songs)).numpy()


SONGS = [[0.3, -1.0], [1.2, 0.4], [-0.7, 0.1]]


def test_by_hand() -> None:
    weights = {name: value.numpy().astype(float) for name, value in network().state_dict().items()}
    x, shares = np.array(SONGS), []
    for pair in ("pairs.0", "pairs.1"):
        query, key = (x @ weights[f"{pair}.{name}.weight"].T for name in ("query", "key"))
        for row in query @ key.T / np.sqrt(2):
            shares.append(np.exp(row) / np.exp(row).sum())
    assert received(SONGS) == pytest.approx(np.mean(shares, axis=0), rel=1e-5)


def test_the_order_of_the_songs_means_nothing_and_equal_songs_receive_the_same() -> None:
    first, second, third = received(SONGS)
    assert received(SONGS[::-1]) == pytest.approx([third, second, first], rel=1e-5)
    twice = received([*SONGS, SONGS[1]])
    assert twice[1] == pytest.approx(twice[3], rel=1e-6)
    assert twice.sum() == pytest.approx(1)
    assert received([SONGS[0]] * 4) == pytest.approx([0.25] * 4)


@pytest.fixture(scope="module")
def fitted() -> ARS:
    songs = Vectors(pd.RangeIndex(10), ("x", "y", "z"), VALUES)
    return ARS(ARSConfig.model_validate(TINY)).fit(PLAYLISTS, songs)


def test_each_song_is_told_its_own_share(fitted: ARS) -> None:
    told = fitted.explain([7, 2, 5, "nobody's song"])
    shares = told.set_index("item_id")["attention"]
    with torch.no_grad():
        own = fitted.network.attention(torch.from_numpy(fitted.vectors[[2, 5, 7]])).numpy()
    assert shares[[2, 5, 7]].to_numpy() == pytest.approx(own)
    assert len(set(shares.round(6))) == 3
    assert shares.sum() == pytest.approx(1)
    assert told["weight"].is_monotonic_decreasing
    assert fitted.explain([5])["attention"].tolist() == pytest.approx([1])


def test_a_recipe_without_attention_has_none_to_tell() -> None:
    songs = Vectors(pd.RangeIndex(10), ("x", "y", "z"), VALUES)
    plain = ARS(ARSConfig.model_validate({**TINY, "attention": False})).fit(PLAYLISTS, songs)
    assert plain.explain([2, 5]).columns.tolist() == ["item_id", "weight"]
