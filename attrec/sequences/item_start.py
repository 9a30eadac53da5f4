"""Where item vectors begin, other than anywhere."""

from __future__ import annotations

import numpy as np
import torch
from scipy.sparse import coo_array, csr_array
from torch import Tensor

from attrec.datasets.histories import Histories

STEPS = 5
"""Actions this near to one another are together."""


def cooccurrence_vectors(histories: Histories, n_items: int, width: int, spread: float, seed: int) -> Tensor:
    """[items, width] vectors whose products are near the positive pointwise mutual information of items that stand
    within a few steps of one another: U sqrt(S) of its singular value decomposition (Levy & Goldberg, "Neural Word
    Embedding as Implicit Matrix Factorization", 2014), scaled to a standard deviation of `spread`.
    """
    # Here, not above: scikit-learn takes a second to import, and a fitted network needs none of it.
    from sklearn.utils.extmath import randomized_svd

    width_found = min(width, n_items)
    u, s, _ = randomized_svd(
        positive_information(histories, n_items), width_found, n_iter=2, random_state=seed
    )
    vectors = np.zeros((n_items, width), dtype="float32")
    vectors[:, :width_found] = u * np.sqrt(s)
    return torch.from_numpy(vectors * np.float32(spread / (vectors.std() or 1)))


def positive_information(histories: Histories, n_items: int) -> csr_array:
    """[items, items] max(0, log n_ij n / (n_i n_j)) of the pairs within a few steps, in either order."""
    together = csr_array((n_items, n_items), dtype="float32")
    for steps in range(1, STEPS + 1):
        same = histories.users[steps:] == histories.users[:-steps]
        pairs = histories.items[:-steps][same], histories.items[steps:][same]
        ones = np.ones(len(pairs[0]), dtype="float32")
        together += coo_array((ones, pairs), shape=together.shape).tocsr()
    counted = (together + together.T).tocoo()
    of_item = counted.sum(0)
    expected = of_item[counted.row] * (of_item[counted.col] / of_item.sum())
    information = np.maximum(np.log(counted.data / expected), 0)
    return coo_array((information, (counted.row, counted.col)), shape=counted.shape).tocsr()
