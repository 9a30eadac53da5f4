"""Blends: a linear combination of the predictions of diverse models, with weights learned on held-out ratings.

Stacking (Wolpert 1992; Breiman 1996) where all members are fitted without the ratings that the weights are learned on.
The plain mean is the bagging of Hutter et al., "Attentive Neural Collaborative Filtering", section III.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, Self

import numpy as np
import pandas as pd
from pydantic import Field

from attrec.errors import DataError
from attrec.models.base import Parameters, Saved
from attrec.ratings.model import Member, RatingConfig, RatingData, RatingModel


class BlendConfig(RatingConfig):
    """How members are weighted."""

    weights: Literal["linear", "mean"] = "linear"
    """`linear`: least squares on held-out ratings, drawn to equal weights; `mean`: equal weights, nothing learned."""
    ridges: tuple[float, ...] = Field(default=(1e-4, 1e-3, 1e-2, 1e-1), min_length=1)
    """Candidate pulls towards equal weights, as shares of the number of ratings; chosen by cross-validation over
    users."""
    folds: int = Field(default=5, ge=2, le=1000)
    """Folds of users for that choice and for honest held-out predictions of the blend itself."""


@dataclass(frozen=True)
class BlendWeights:
    """prediction = Σ weight · member's prediction + intercept."""

    members: tuple[str, ...]
    weights: np.ndarray
    """[members] float64."""
    intercept: float
    rating_range: tuple[float, float]
    """Lowest and highest training rating; the blend stays inside."""

    @classmethod
    def equal(cls, members: Iterable[str], rating_range: tuple[float, float]) -> Self:
        """The plain mean."""
        named = tuple(members)
        return cls(named, np.full(len(named), 1 / len(named)), 0.0, rating_range)

    def combine(self, predictions: Mapping[str, np.ndarray]) -> np.ndarray:
        """The blend [n] of the members' predictions [n]."""
        stacked = np.stack([predictions[name].astype("float64") for name in self.members])
        return np.clip(self.weights @ stacked + self.intercept, *self.rating_range)

    def to_json(self) -> dict[str, Any]:
        return {**vars(self), "weights": self.weights.tolist()}

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> Self:
        low, high = content["rating_range"]
        weights = np.array(content["weights"], dtype="float64")
        return cls(tuple(content["members"]), weights, content["intercept"], (low, high))


def fit_weights(
    predictions: Mapping[str, np.ndarray],
    ratings: np.ndarray,
    users: np.ndarray,
    rating_range: tuple[float, float],
    config: BlendConfig,
) -> tuple[BlendWeights, np.ndarray]:
    """Learn the weights from ratings [n] that no member was fitted on; the blend stays in `rating_range`.

    Returns:
        The weights learned on all of them, and the blend's predictions [n] in which each user's come from weights
        learned on the other folds of users. Two choices have seen all users: the ridge, one of a few numbers, and what
        the members chose on these ratings (epochs, trees), which favours members that choose.
    """
    members = tuple(predictions)
    matrix = np.column_stack([predictions[name].astype("float64") for name in members])
    truth = ratings.astype("float64")
    if config.weights == "mean":
        mean = BlendWeights.equal(members, rating_range)
        return mean, mean.combine(predictions)
    _, codes = np.unique(users, return_inverse=True)
    fold = np.random.default_rng(0).permutation(codes.max() + 1)[codes] % config.folds
    held_out = {}
    for ridge in config.ridges:
        out = np.empty(len(truth))
        for number in range(config.folds):
            inside, outside = fold != number, fold == number
            if not inside.any():
                inside = outside
            weights, intercept = _ridge(matrix[inside], truth[inside], ridge)
            out[outside] = np.clip(matrix[outside] @ weights + intercept, *rating_range)
        held_out[ridge] = out
    chosen = min(held_out, key=lambda ridge: float(np.mean((held_out[ridge] - truth) ** 2)))
    return BlendWeights(members, *_ridge(matrix, truth, chosen), rating_range), held_out[chosen]


def _ridge(matrix: np.ndarray, truth: np.ndarray, ridge: float) -> tuple[np.ndarray, float]:
    """Least squares with the penalty ridge · n · var · |w - 1/k|², which makes ridge free of units."""
    n, k = matrix.shape
    centre, mean = matrix.mean(0), truth.mean()
    centred = matrix - centre
    equal = np.full(k, 1 / k)
    gram = centred.T @ centred
    penalty = ridge * np.trace(gram) / k * np.eye(k)
    # A trace of it keeps the system regular where two members are equal, and the weights where nothing tells of them.
    penalty += 1e-12 * n * np.eye(k)
    weights = np.linalg.solve(gram + penalty, centred.T @ (truth - mean) + penalty @ equal)
    return weights, float(mean - centre @ weights)


class Blend(RatingModel):
    """Fitted members and their weights, as one model; `fit_weights` learns the weights.

    >>> import pandas as pd
    >>> from attrec.ratings import Blend, ImputedSVD, UserItemBias
    >>> ratings = pd.DataFrame(
    ...     [(u, i, 5 if (u + i) % 2 == 0 else 1) for u in range(20) for i in range(12) if (u + i) % 5],
    ...     columns=["user_id", "item_id", "rating"],
    ... )
    >>> held_out = ratings.sample(frac=0.2, random_state=0)
    >>> model = Blend.of({"bias": UserItemBias(), "svd": ImputedSVD(ranks=(2,))})
    >>> model = model.fit(ratings.drop(held_out.index), validation=held_out)
    >>> sorted(model.recommend(0, k=2)["item_id"])
    [0, 10]
    """

    config_class = BlendConfig

    config: BlendConfig
    members: dict[str, RatingModel]
    weights: BlendWeights

    @classmethod
    def of(
        cls,
        members: Mapping[str, RatingModel],
        weights: BlendWeights | None = None,
        config: BlendConfig | None = None,
    ) -> Self:
        """A blend of these members, by name; where they are fitted, `adopt_catalogue` makes it whole.

        Args:
            weights: They stay, whatever it is fitted on; without any, a fit learns them on its validation ratings.
        """
        blend = cls(config)
        blend.members = dict(members)
        if weights is not None:
            blend.weights = weights
        return blend

    def _fit(self, data: RatingData) -> None:
        """Fit every member anew, and learn the weights if none were given.

        Raises:
            DataError: it has no members, or weights are to be learned and there are no validation ratings.
        """
        if "members" not in vars(self):
            raise DataError("A blend needs members: make it by Blend.of({name: model, …}), and fit that.")
        for member in self.members.values():
            member.fit(data.ratings, data.user_features, data.item_features, data.validation)
        if "weights" in vars(self):
            return
        if self.config.weights == "mean":
            self.weights = BlendWeights.equal(self.members, self.rating_range)
        elif data.validation is None or data.held_out is None:
            raise DataError(
                "A blend learns its weights on validation ratings: give some, or take the mean, as by"
                ' BlendConfig(weights="mean").'
            )
        else:
            predictions = {name: own._predict(data.validation, None) for name, own in self.members.items()}
            held_out = data.held_out
            self.weights, _ = fit_weights(
                predictions, held_out.values, held_out.users, self.rating_range, self.config
            )

    def adopt_catalogue(self) -> Self:
        """Take over from the fitted members which users, items and ratings the blend knows."""
        first = self.members[self.weights.members[0]]
        self.catalogue, self.seen, self.rating_range = first.catalogue, first.seen, first.rating_range
        return self

    def _predict(self, pairs: pd.DataFrame, history: pd.DataFrame | None) -> np.ndarray:
        predictions = {name: self.members[name]._predict(pairs, history) for name in self.weights.members}
        return self.weights.combine(predictions)

    def score(self, users: pd.Index, history: pd.DataFrame | None = None) -> np.ndarray:
        scores = {name: self.members[name].score(users, history).ravel() for name in self.weights.members}
        return self.weights.combine(scores).reshape(len(users), -1)

    @property
    def attends(self) -> bool:
        return any(member.attends for member in self.members.values())

    def explain(
        self, user_id: int | str, item_id: int | str, history: pd.DataFrame | None = None
    ) -> pd.DataFrame:
        """As `RatingModel.explain`, of `attentive_member` alone."""
        member = self.attentive_member()
        if member is None:
            return super().explain(user_id, item_id, history)
        return member.model.explain(user_id, item_id, history)

    def attentive_member(self) -> Member | None:
        """The attentive member of the largest weight."""
        weights = zip(self.weights.members, self.weights.weights.tolist(), strict=True)
        members = [Member(name, weight, self.members[name]) for name, weight in weights]
        attentive = [member for member in members if member.model.attends]
        return max(attentive, key=lambda member: member.weight, default=None)

    def parameters(self) -> Parameters:
        parts = {f"members/{n}": self.members[name] for n, name in enumerate(self.weights.members)}
        return Parameters(values={"weights": self.weights.to_json()}, parts=parts)

    def take(self, saved: Saved) -> None:
        self.weights = BlendWeights.from_json(saved.values["weights"])
        self.members = {
            name: RatingModel.load(saved.folder / "members" / str(number))
            for number, name in enumerate(self.weights.members)
        }
