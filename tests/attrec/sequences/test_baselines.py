"""The baselines by hand, what they choose, and the contract of each."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from pydantic import ValidationError

from attrec.datasets.histories import Histories
from attrec.sequences.baselines import (
    ItemKNN,
    ItemKNNConfig,
    MarkovChain,
    MarkovChainConfig,
    Popularity,
)
from tests.attrec.sequences.contract import SequenceContract

# User 1: a b a c, user 2: b c, user 3: a b. Popularity of a, b, c: 3, 3, 2 of 8.
ACTIONS = pd.DataFrame(
    [(1, "a"), (1, "b"), (2, "b"), (1, "a"), (3, "a"), (1, "c"), (2, "c"), (3, "b")],
    columns=["user_id", "item_id"],
)
SHARES = np.array([3, 3, 2]) / 8


class TestPopularity(SequenceContract):
    kind = "popularity"


class TestItemKNN(SequenceContract):
    kind = "item-knn"


class TestMarkovChain(SequenceContract):
    kind = "markov-chain"
    knows_what_follows = 1.0


def asked(*histories: list[int]) -> Histories:
    return Histories.of_lists(histories)


def test_popularity_by_hand() -> None:
    scores = Popularity().fit(ACTIONS).score(asked([], [0, 1]))
    assert scores == pytest.approx(np.tile(SHARES, (2, 1)))


def test_markov_chain_by_hand() -> None:
    model = MarkovChain(MarkovChainConfig(smoothing=(2,))).fit(ACTIONS)
    # a → b twice and c once, b → a once and c once; c ends everything, so popularity stands in.
    scores = model.score(asked([2, 0], [1], [2], []))
    expected = [
        (np.array([0, 2, 1]) + 2 * SHARES) / 5,
        (np.array([1, 0, 1]) + 2 * SHARES) / 4,
        SHARES,
        SHARES,
    ]
    assert scores == pytest.approx(np.stack(expected))
    assert scores.dtype == np.float32


def test_item_knn_by_hand() -> None:
    config = ItemKNNConfig(neighbours=(2,), shrinkage=(1.0,), decay=(0.5,))
    model = ItemKNN(config).fit(ACTIONS)
    # Users of a: 1 3, of b: 1 2 3, of c: 1 2; in common: ab 2, ac 1, bc 2.
    ab = bc = 2 / (np.sqrt(6) + 1)
    ac = 1 / (2 + 1)
    scores = model.score(asked([2, 0], [0, 1, 0], []))
    assert scores[0] == pytest.approx([0.5 * ac, ab + 0.5 * bc, ac], abs=1e-5)
    assert scores[1] == pytest.approx([0.5 * ab, 1.25 * ab, 1.25 * ac + 0.5 * bc], abs=1e-5)
    assert np.argsort(-scores[2], kind="stable").tolist() == [0, 1, 2]


def test_only_the_nearest_neighbours_are_kept() -> None:
    model = ItemKNN(ItemKNNConfig(neighbours=(1,), shrinkage=(0.0,), decay=(1.0,))).fit(ACTIONS)
    ab = 2 / np.sqrt(6)
    # b is nearest to both; b itself lies as near to a as to c and keeps the first.
    expected = np.array([[0, ab, 0], [ab, 0, 0], [0, ab, 0]])
    assert model.neighbours.similarities.toarray() == pytest.approx(expected)


def test_validation_chooses_how_much_order_counts() -> None:
    # Items go in threes. Some users did two of one three and then one of another, which they go on with.
    rows = [(user, 3 * (user % 10) + item) for user in range(50) for item in range(3)]
    targets = []
    for user, (old, new) in enumerate(((0, 1), (2, 3), (4, 5)), start=100):
        rows += [(user, 3 * old), (user, 3 * old + 1), (user, 3 * new)]
        targets.append((user, 3 * new + 1))
    columns = ["user_id", "item_id"]
    actions, validation = pd.DataFrame(rows, columns=columns), pd.DataFrame(targets, columns=columns)
    fitted = ItemKNN(ItemKNNConfig(decay=(1.0, 0.3))).fit(actions, validation)
    assert fitted.chosen[2] == 0.3
    again = ItemKNN(fitted.chosen_config()).fit(actions)
    histories = asked([1, 2, 15], [3])
    assert (again.score(histories) == fitted.score(histories)).all()


def test_validation_chooses_the_smoothing() -> None:
    # What follows is random but for popularity: one step seen tells nothing, so the most smoothing is best.
    rng = np.random.default_rng(2)
    weights = np.arange(1, 31) / np.arange(1, 31).sum()
    rows = [(user, int(item)) for user in range(200) for item in rng.choice(30, 5, p=weights)]
    targets = [(user, int(rng.choice(30, p=weights))) for user in range(200)]
    columns = ["user_id", "item_id"]
    actions, validation = pd.DataFrame(rows, columns=columns), pd.DataFrame(targets, columns=columns)
    noise = MarkovChain(MarkovChainConfig(smoothing=(0.01, 1000))).fit(actions, validation)
    assert noise.smoothing == 1000
    # In a cycle it is the other way round.
    cycle = pd.DataFrame(
        [(user, (user + step) % 9) for user in range(9) for step in range(4)], columns=columns
    )
    following = pd.DataFrame([(user, (user + 4) % 9) for user in range(9)], columns=columns)
    certain = MarkovChain(MarkovChainConfig(smoothing=(0.01, 1000))).fit(cycle, following)
    assert certain.smoothing == 0.01
    assert certain.chosen_config() == MarkovChainConfig(smoothing=(0.01,))
    assert MarkovChain().fit(cycle).smoothing == 100


@pytest.mark.parametrize(
    ("config", "wrong"),
    [
        (MarkovChainConfig, {"smoothing": ()}),
        (MarkovChainConfig, {"smoothing": (0,)}),
        (ItemKNNConfig, {"neighbours": (0,)}),
        (ItemKNNConfig, {"decay": (1.5,)}),
        (ItemKNNConfig, {"shrinkage": (-1,)}),
    ],
)
def test_configs_refuse_nonsense(config, wrong) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(ValidationError):
        config(**wrong)
