"""Item vectors that begin as items stand together."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
import torch

from attrec.datasets.histories import Histories
from attrec.sequences.item_start import cooccurrence_vectors, positive_information
from attrec.sequences.sasrec import SASRec


def test_information_by_hand() -> None:
    """Two users, [0, 1] and [0, 2, 2]: pairs 01, 02, 02 and 22, each in both orders."""
    found = positive_information(Histories.of_lists([[0, 1], [0, 2, 2]]), 4).toarray()
    of_item = {0: 3, 1: 1, 2: 4}
    expected = np.zeros((4, 4))
    for (one, other), together in {(0, 1): 1, (0, 2): 2, (2, 2): 2}.items():
        value = max(0.0, math.log(together * 8 / (of_item[one] * of_item[other])))
        expected[one, other] = expected[other, one] = value
    np.testing.assert_allclose(found, expected, rtol=1e-6)


def test_only_what_stands_within_five_steps_is_together() -> None:
    found = positive_information(Histories.of_lists([[0, 1, 1, 1, 1, 2, 3]]), 4)
    assert found[0, 2] > 0
    assert found[0, 3] == 0


def test_what_one_user_does_after_another_is_not_together() -> None:
    assert positive_information(Histories.of_lists([[0], [1]]), 2).nnz == 0


def test_vectors_are_the_nearest_of_their_width_and_of_the_spread_that_is_asked() -> None:
    rng = np.random.default_rng(0)
    histories = Histories.of_lists([rng.integers(0, 12, 9).tolist() for _ in range(30)])
    vectors = cooccurrence_vectors(histories, 12, 12, spread=0.04, seed=0)
    assert vectors.std(unbiased=False).item() == pytest.approx(0.04, rel=1e-5)
    u, s, _ = np.linalg.svd(positive_information(histories, 12).toarray())
    products = vectors.double().numpy() @ vectors.double().numpy().T
    expected = (u * s) @ u.T
    np.testing.assert_allclose(products / products[0, 0], expected / expected[0, 0], rtol=1e-3, atol=1e-3)
    assert torch.equal(vectors, cooccurrence_vectors(histories, 12, 12, spread=0.04, seed=0))


def test_a_catalogue_smaller_than_the_width_leaves_columns_empty() -> None:
    vectors = cooccurrence_vectors(Histories.of_lists([[0, 1, 2], [0, 2, 1]]), 3, 5, spread=1.0, seed=0)
    assert vectors.shape == (3, 5)
    assert not vectors[:, 3:].any()


def test_a_network_begins_there_on_what_it_is_trained_on_alone() -> None:
    """With a step size next to 0 the item vectors stay where they began; validation is no part of that."""
    rng = np.random.default_rng(1)
    actions = pd.DataFrame({"user_id": np.repeat(range(40), 6), "item_id": rng.integers(0, 9, 240)})
    model = SASRec(
        network={"dimension": 8, "length": 6},
        start="cooccurrence",
        training={"epochs": 1, "learning_rate": 1e-12},
    )
    last = actions.groupby("user_id").tail(1)
    model.fit(actions.drop(last.index), last)
    seen = Histories.of(actions.drop(last.index), model.users, model.items)
    expected = cooccurrence_vectors(seen, len(model.items), 8, spread=0.04, seed=0)
    torch.testing.assert_close(model.network.item.detach(), expected, rtol=0, atol=1e-6)
