"""A small world with structure to learn: 24 users and 18 items in two camps each, a third of the pairs held out."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pandas as pd
import pytest
import torch

# What a contract asserts is told as what a test asserts.
pytest.register_assert_rewrite(
    "tests.attrec.models.contract",
    "tests.attrec.ratings.contract",
    "tests.attrec.sequences.contract",
    "tests.attrec.playlists.contract",
)


class World(NamedTuple):
    training: pd.DataFrame
    validation: pd.DataFrame
    test: pd.DataFrame
    user_features: pd.DataFrame
    item_features: pd.DataFrame


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def world() -> World:
    generator = np.random.default_rng(0)
    users = pd.Index(generator.permutation(24) * 10 + 5, name="user_id")
    items = pd.Index([f"m{code}" for code in generator.permutation(18)], name="item_id")
    user_camp, item_camp = np.arange(24) % 2, np.arange(18) % 2
    user_code, item_code = np.divmod(generator.permutation(24 * 18), 18)
    agree = user_camp[user_code] == item_camp[item_code]
    rating = np.clip(np.where(agree, 4.5, 1.5) + generator.choice([-0.5, 0.5], len(agree)), 1, 5)
    pairs = pd.DataFrame(
        {"user_id": users[user_code], "item_id": items[item_code], "rating": rating.astype("float32")}
    )
    user_features = pd.DataFrame(
        np.eye(2, dtype="float32")[user_camp], index=users, columns=["camp=a", "camp=b"]
    )
    genre = np.eye(3, dtype="float32")[generator.integers(0, 3, 18)]
    item_features = pd.DataFrame(genre, index=items).add_prefix("genre=")
    return World(pairs[:240], pairs[240:300], pairs[300:], user_features, item_features)


def swap(ratings: pd.DataFrame) -> pd.DataFrame:
    """The same pairs with every rating turned upside down."""
    return ratings.assign(rating=(6 - ratings["rating"]).astype("float32"))


@pytest.fixture(scope="session")
def upside_down() -> object:
    return swap
