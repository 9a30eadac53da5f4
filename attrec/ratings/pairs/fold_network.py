"""A pair network that has not seen one fold of the ratings, and what it tells boosted trees about pairs."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from attrec.ratings.pairs.embeddings import EmbeddedPairs, Targets
from attrec.ratings.pairs.model import NeuralCF

START = "network"
"""The feature that the trees correct: the network's own prediction."""


class Described(NamedTuple):
    """What a network says of some pairs."""

    predicted: np.ndarray
    """[n] its own predictions, by the biases alone where it has no vectors."""
    embedded: np.ndarray
    """[n] bool: whether it has vectors for user and item."""
    features: pd.DataFrame
    """[embedded, 3d + 1] `network`, then the vectors of user and item and their product."""


class FoldNetwork(NeuralCF):
    """Fitted on the other folds' ratings; an attentive user is their ratings in the other folds alone."""

    def describe(self, pairs: pd.DataFrame, history: pd.DataFrame | None = None) -> Described:
        """Own predictions and features of pairs, `history` as in `predict`.

        Without vectors are unknown items, items that nobody rated in the other folds and users of whom the embedding
        knows nothing: those that `predict` leaves to the biases.
        """
        predicted = self._predict(pairs, history)
        users, items = self.catalogue.encode(pairs)
        contexts = self.rated
        embedded = (users >= 0) & ((contexts.counts > 0)[users] | self.attends)
        if history is not None and len(history):
            new_users, contexts = self._with_new_users(history)
            codes = new_users.get_indexer(pd.Index(pairs["user_id"]))
            new = (users < 0) & (codes >= 0)
            users = np.where(new, codes + len(self.catalogue.users), users)
            embedded |= new
        rated_items = np.bincount(self.rated.items, minlength=len(self.catalogue.items)) > 0
        embedded &= (items >= 0) & rated_items[items]
        d = self.config.dimension
        vectors = self._by_user(self._vectors, 3 * d, contexts, users[embedded], items[embedded])
        names = [f"{part} {axis}" for part in ("user", "item", "product") for axis in range(d)]
        features = pd.DataFrame(vectors, columns=names)
        features.insert(0, START, predicted[embedded].astype("float32"))
        return Described(predicted, embedded, features)

    def _vectors(self, targets: Targets) -> Tensor:
        """[u, m, u∘m] [n, 3d] of the real targets."""
        pairs: EmbeddedPairs = self.network.embedding(targets)
        return torch.cat([pairs.user, pairs.item, pairs.user * pairs.item], dim=1)
