"""Configurations of Bayesian factorisation machines, as measured best on validation."""

from __future__ import annotations

from attrec.ratings.bayesian.factorization_machine import BayesianFMConfig

# Many short chains err less than one long one: a chain seldom leaves the part of the posterior that it finds.
_SMALL = BayesianFMConfig(
    rank=10, iterations=100, burn_in=10, chains=10, kept_samples=200, ordered=True, ratings_per_knot=8
)

FM_RECIPES = {
    "small": _SMALL,
    "small+time": _SMALL.model_copy(update={"time": True}),
    # A chain needs some 200 iterations to settle, and an iteration takes over a second: one chain it is.
    "large": BayesianFMConfig(rank=16, iterations=280, burn_in=20, kept_samples=130, ordered=True),
}
"""`small`: for 100,000 ratings or so (chosen on ML-100K); `large`: a million (CIL); `+time` sees timestamps."""
