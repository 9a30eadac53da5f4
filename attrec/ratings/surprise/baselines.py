"""The baselines that papers take from scikit-surprise: its algorithms, fitted by it or exactly as by it.

Hug, "Surprise: A Python library for recommender systems", JOSS 5(52), 2020; Table I of Hutter et al., "Attentive Neural
Collaborative Filtering". Predictions are computed for all pairs at once from the fitted arrays.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Any, Literal, Self, cast

import numpy as np
import pandas as pd
from pydantic import Field, ValidationError, model_validator
from scipy.sparse import csr_array
from scipy.special import ndtri

from attrec.errors import ParamsError, TrainingDiverged
from attrec.models.base import Parameters, Saved
from attrec.models.tunable import Choice, Range, Space
from attrec.ratings.baselines import UserItemBias, UserItemBiasConfig
from attrec.ratings.catalogue import EncodedRatings
from attrec.ratings.model import RatingConfig, RatingData, RatingModel
from attrec.ratings.surprise.neighbours import NeighbourOptions, Neighbours

if TYPE_CHECKING:
    from surprise import AlgoBase, Trainset

Algorithm = Literal[
    "NormalPredictor",
    "BaselineOnly",
    "KNNBasic",
    "KNNWithMeans",
    "KNNWithZScore",
    "KNNBaseline",
    "SVD",
    "SVDpp",
    "NMF",
    "SlopeOne",
    "CoClustering",
]
_NEIGHBOURS: Space = {
    "options.k": Range(10, 200, log=True),
    "options.min_k": Range(1, 10),
    "options.sim_options.name": Choice(("msd", "cosine", "pearson", "pearson_baseline")),
    "options.sim_options.user_based": Choice((True, False)),
    "options.sim_options.min_support": Range(1, 10),
}
_FACTORS: Space = {
    "options.n_factors": Range(5, 200, log=True),
    "options.n_epochs": Range(10, 60),
    "options.lr_all": Range(1e-3, 2e-2, log=True),
    "options.reg_all": Range(5e-3, 0.2, log=True),
}
SPACES: Mapping[Algorithm, Space] = {
    "KNNBasic": _NEIGHBOURS,
    "KNNWithMeans": _NEIGHBOURS,
    "KNNWithZScore": _NEIGHBOURS,
    "KNNBaseline": _NEIGHBOURS,
    "SVD": _FACTORS,
    "SVDpp": _FACTORS,
    "NMF": {
        "options.n_factors": Range(5, 60, log=True),
        "options.n_epochs": Range(20, 100),
        "options.reg_pu": Range(1e-2, 0.5, log=True),
        "options.reg_qi": Range(1e-2, 0.5, log=True),
    },
    "CoClustering": {
        "options.n_cltr_u": Range(2, 20),
        "options.n_cltr_i": Range(2, 20),
        "options.n_epochs": Range(10, 60),
    },
    "BaselineOnly": {
        "options.bsl_options.reg_u": Range(1.0, 50.0, log=True),
        "options.bsl_options.reg_i": Range(1.0, 50.0, log=True),
    },
}
"""What is searched of each algorithm that has anything to set: the library's options have no fields of their own."""
OURS = {"self", "kwargs", "random_state", "verbose", "cache_ratings"}


class SurpriseConfig(RatingConfig):
    """An algorithm of the library and what departs from its defaults."""

    algorithm: Algorithm = "SVD"
    """Name in the library."""
    options: dict[str, Any] = Field({})
    """Keyword arguments of the algorithm's class, such as n_factors or sim_options; the seed is the model's own."""
    shuffle: bool = True
    """Give BaselineOnly, SVD, SVDpp, NMF and CoClustering the ratings in random order, as the library's own
    cross-validation does. It matters: on the ETH CIL ratings sorted by user and item, SVDpp has an RMSE of 1.006
    instead of 1.014."""

    @classmethod
    def saved(cls, fields: dict[str, Any]) -> Self:
        # Validating the options again would need the library, which predictions do not.
        return cast("Self", cls.model_construct(**fields))

    @model_validator(mode="after")
    def _options_fit(self) -> Self:
        import surprise

        accepted = set(inspect.signature(getattr(surprise, self.algorithm)).parameters) - OURS
        accepted |= {"bsl_options"} if self.algorithm.startswith("KNN") else set()
        unknown = sorted({*self.options} - accepted)
        if unknown:
            names = ", ".join(sorted(accepted)) or "none"
            raise ValueError(f"{self.algorithm} has no option {unknown[0]!r}; its options are: {names}")
        try:
            self.neighbours()
        except ValidationError as error:
            raise ValueError(_sentence(self.algorithm, error)) from error
        return self

    def neighbours(self) -> NeighbourOptions:
        """Those of the options that are about neighbours and their baselines, with their defaults."""
        own = {name: self.options[name] for name in NeighbourOptions.model_fields if name in self.options}
        return NeighbourOptions.model_validate(own)


def _sentence(algorithm: str, error: ValidationError) -> str:
    """The first fault of the options of an algorithm."""
    fault = error.errors()[0]
    place = ".".join(str(part) for part in fault["loc"])
    if fault["type"] == "extra_forbidden":
        return f"{algorithm} has no option {place!r}"
    if fault["type"] == "model_type":
        return f"option {place} of {algorithm} must hold `name: value` pairs, not be {fault['input']!r}"
    must = fault["msg"].removeprefix("Input should ")
    return f"option {place} of {algorithm} must {must}, not {fault['input']!r}"


@dataclass(frozen=True)
class Factors:
    """level + b_u + b_i + ⟨p_u, q_i⟩: BaselineOnly, SVD, SVDpp, NMF; and CoClustering with p_u its row of averages."""

    level: float
    user_bias: np.ndarray
    """[n_users]"""
    item_bias: np.ndarray
    """[n_items]"""
    user: np.ndarray
    """[n_users, d], of SVDpp with the implicit part added."""
    item: np.ndarray
    """[n_items, d]"""

    def predict(self, users: np.ndarray, items: np.ndarray) -> np.ndarray:
        """Predictions [n] of coded pairs whose user and item both have training ratings; not clipped."""
        inner = np.einsum("nd,nd->n", self.user[users], self.item[items])
        return np.asarray(self.level + self.user_bias[users] + self.item_bias[items] + inner)

    def score(self, users: np.ndarray) -> np.ndarray:
        """Predictions [n, items] by users of all items; as `predict` has them."""
        inner = self.user[users] @ self.item.T
        return np.asarray(self.level + self.user_bias[users][:, None] + self.item_bias + inner)


@dataclass(frozen=True)
class Slopes:
    """SlopeOne: the user's mean plus the mean deviation of the item from what the user rated."""

    user_mean: np.ndarray
    """[n_users]"""
    deviation: np.ndarray
    """[n_items, n_items] mean of r_i - r_j over who rated both; NaN if nobody did."""
    users: np.ndarray
    """[ratings] user codes."""
    items: np.ndarray
    """[ratings] item codes."""

    def predict(self, users: np.ndarray, items: np.ndarray) -> np.ndarray:
        """Predictions [n] of coded pairs whose user and item both have training ratings; not clipped."""
        asked, position = np.unique(users, return_inverse=True)
        theirs = np.isin(self.users, asked)
        row, column = np.searchsorted(asked, self.users[theirs]), self.items[theirs]
        rated = csr_array((np.ones(len(row)), (row, column)), shape=(len(asked), len(self.deviation)))
        relevant = ~np.isnan(self.deviation)
        total = rated @ np.where(relevant, self.deviation, 0.0).T
        count = rated @ relevant.astype("float64").T
        shift = total[position, items] / np.maximum(count[position, items], 1)
        return np.asarray(self.user_mean[users] + shift)


@dataclass(frozen=True)
class NormalDraws:
    """NormalPredictor: a draw from the normal distribution of the ratings, one for each pair and seed.

    The draw hangs on the pair alone, so the library's stream of draws cannot be had: only its distribution.
    """

    mean: float
    deviation: float
    seed: int

    def predict(self, users: np.ndarray, items: np.ndarray) -> np.ndarray:
        """Predictions [n] of coded pairs; not clipped."""
        state = _mixed(np.full(len(users), self.seed, dtype="uint64"))
        for codes in (users, items):
            state = _mixed(state ^ codes.astype("uint64"))
        uniform = ((state >> np.uint64(11)).astype("float64") + 0.5) / 2.0**53
        return np.asarray(self.mean + self.deviation * ndtri(uniform))


Fitted = Factors | Slopes | NormalDraws | Neighbours


class SurpriseBaseline(RatingModel):
    """One algorithm of scikit-surprise 1.1.5.

    Where the library knows only one side of a pair it has eleven different answers; here somebody or something without
    training ratings is always predicted by μ + b_u + b_i, for which a new user's history gives b_u.

    The library's SlopeOne and CoClustering cut half stars off without a word; ours do not.

    Seconds on one core for 1.06 million ratings of 10,000 users × 1,000 items, fit + 118,000 predictions: SVDpp 100,
    the KNN 3 + 26, CoClustering 12 (30 on a busy machine, as SVD 6–17 and NMF 8–30), SlopeOne 3 + 2, BaselineOnly 3,
    NormalPredictor 1; memory 0.8 GB, the KNN 1.0 GB. Fits by the library hold Python's lock: side by side they need
    processes, not threads.

    >>> import pandas as pd
    >>> from attrec.ratings import SurpriseBaseline
    >>> ratings = pd.DataFrame(
    ...     [(u, i, 5 if (u + i) % 2 == 0 else 1) for u in range(20) for i in range(12) if (u + i) % 5],
    ...     columns=["user_id", "item_id", "rating"],
    ... )
    >>> model = SurpriseBaseline(algorithm="SVD", options={"n_factors": 4, "n_epochs": 200}).fit(ratings)
    >>> sorted(model.recommend(0, k=2)["item_id"])
    [0, 10]
    """

    config_class = SurpriseConfig
    chooses = False

    config: SurpriseConfig

    def _fit(self, data: RatingData) -> None:
        """Nothing is chosen, so features and validation are not used.

        Raises:
            ParamsError: the library refuses a value of the options.
            TrainingDiverged: learning rates are too high for these ratings.
        """
        shrinkage = UserItemBiasConfig(user_regularizations=(5.0,), item_regularizations=(5.0,))
        self.biases = UserItemBias(shrinkage).fit(data.ratings, data.user_features, data.item_features)
        self.fitted = fit_algorithm(self.config, data.encoded, self.seed)

    def _predict(self, pairs: pd.DataFrame, history: pd.DataFrame | None) -> np.ndarray:
        predicted = self.biases._predict(pairs, history)
        users, items = self.catalogue.encode(pairs)
        known = self._has_ratings(users, 0) & self._has_ratings(items, 1)
        if known.any():
            predicted[known] = self.fitted.predict(users[known], items[known])
        return np.clip(predicted, *self.rating_range)

    def score_known(self, users: np.ndarray) -> np.ndarray | None:
        if not isinstance(self.fitted, Factors):
            return None
        scores = self.biases.score_known(users)
        rated = np.ix_(self._has_ratings(users, 0), self._has_ratings(np.arange(scores.shape[1]), 1))
        scores[rated] = self.fitted.score(users)[rated]
        return np.clip(scores, *self.rating_range)

    def _has_ratings(self, codes: np.ndarray, side: int) -> np.ndarray:
        rated = np.zeros(len((self.catalogue.users, self.catalogue.items)[side]), dtype=bool)
        rated[self.seen[:, side]] = True
        return (codes >= 0) & rated[codes]

    @property
    def trained(self) -> int | None:
        if isinstance(self.fitted, NormalDraws):
            return 2
        return 1 + self._size if isinstance(self.fitted, Factors) else None

    @property
    def stored(self) -> int:
        return self._size

    @property
    def _size(self) -> int:
        """Numbers in the fitted arrays; the biases beside them are of no algorithm."""
        return sum(array.size for array in self.parameters().arrays.values())

    def parameters(self) -> Parameters:
        fitted = {field.name: getattr(self.fitted, field.name) for field in fields(self.fitted)}
        arrays = {name: value for name, value in fitted.items() if isinstance(value, np.ndarray)}
        values = {name: value for name, value in fitted.items() if name not in arrays}
        return Parameters(arrays, values, {"biases": self.biases})

    def take(self, saved: Saved) -> None:
        self.biases = UserItemBias.load(saved.folder / "biases")
        fitted = {**saved.values, **saved.arrays}
        algorithm = self.config.algorithm
        if algorithm.startswith("KNN"):
            self.fitted = Neighbours(**fitted)
        else:
            kinds = {"SlopeOne": Slopes, "NormalPredictor": NormalDraws}
            self.fitted = kinds.get(algorithm, Factors)(**fitted)


def fit_algorithm(config: SurpriseConfig, ratings: EncodedRatings, seed: int) -> Fitted:
    """Fit by the library what it fits by gradient steps or a random start; the rest, which are sums, by matrices."""
    algorithm, options = config.algorithm, dict(config.options)
    if algorithm == "NormalPredictor":
        values = ratings.values.astype("float64")
        return NormalDraws(float(values.mean()), float(values.std()), seed)
    if algorithm == "SlopeOne":
        return _slopes(ratings)
    if algorithm.startswith("KNN"):
        bias_options = {"bsl_options": options.get("bsl_options", {})}
        biases = _factors("BaselineOnly", bias_options, ratings, seed)
        return Neighbours.of(algorithm, ratings, biases.user_bias, biases.item_bias, config.neighbours())
    if config.shuffle:
        order = np.random.default_rng(seed).permutation(len(ratings))
        users, items, values = ratings.users[order], ratings.items[order], ratings.values[order]
        ratings = replace(ratings, users=users, items=items, values=values)
    return _factors(algorithm, options, ratings, seed)


def _slopes(ratings: EncodedRatings) -> Slopes:
    shape = ratings.n_users, ratings.n_items
    place = ratings.users, ratings.items
    rated = csr_array((np.ones(len(ratings)), place), shape=shape)
    given = csr_array((ratings.values.astype("float64"), place), shape=shape)
    common = (rated.T @ rated).toarray()
    total = (given.T @ rated - rated.T @ given).toarray()
    deviation = np.where(common > 0, total / np.maximum(common, 1), np.nan)
    mean = given.sum(axis=1) / np.maximum(rated.sum(axis=1), 1)
    return Slopes(mean, deviation, ratings.users.astype("int32"), ratings.items.astype("int32"))


def _factors(algorithm: str, options: Mapping[str, Any], ratings: EncodedRatings, seed: int) -> Factors:
    import surprise

    scale = 1.0
    if algorithm == "CoClustering" and (ratings.values % 1 != 0).any():
        # The library reads these ratings as C integers.
        scale = 1000.0
    kind = getattr(surprise, algorithm)
    reserved: dict[str, Any] = {"random_state": seed, "verbose": False, "cache_ratings": True}
    accepted = inspect.signature(kind).parameters
    chosen = {name: value for name, value in reserved.items() if name in accepted}
    trainset = as_trainset(ratings, scale)
    try:
        fitted = kind(**options, **chosen).fit(trainset)
    except (TypeError, ValueError, ArithmeticError) as error:
        raise ParamsError(
            f"{algorithm} cannot be fitted with the options {dict(options)}: {error}."
        ) from error
    if algorithm == "CoClustering":
        level, user_bias, item_bias, user, item = _coclusters(fitted, scale)
    else:
        level = trainset.global_mean if getattr(fitted, "biased", True) else 0.0
        user_bias, item_bias = fitted.bu, fitted.bi
        user = getattr(fitted, "pu", np.zeros((len(user_bias), 0)))
        item = getattr(fitted, "qi", np.zeros((len(item_bias), 0)))
    user_codes = np.array([trainset.to_raw_uid(inner) for inner in trainset.all_users()])
    item_codes = np.array([trainset.to_raw_iid(inner) for inner in trainset.all_items()])
    n_users, n_items = ratings.n_users, ratings.n_items
    user, item = _placed(user, user_codes, n_users), _placed(item, item_codes, n_items)
    if not (np.isfinite(user).all() and np.isfinite(item).all()):
        raise TrainingDiverged(
            f"{algorithm} diverged with the options {dict(options)}: lower its learning rates."
        )
    if algorithm == "SVDpp":
        rated = csr_array((np.ones(len(ratings)), (ratings.users, ratings.items)), shape=(n_users, n_items))
        counts = np.maximum(rated.sum(axis=1), 1)
        user = user + (rated @ _placed(fitted.yj, item_codes, n_items)) / np.sqrt(counts)[:, None]
    return Factors(
        float(level),
        _placed(user_bias, user_codes, n_users),
        _placed(item_bias, item_codes, n_items),
        user,
        item,
    )


def as_trainset(ratings: EncodedRatings, scale: float = 1.0) -> Trainset:
    """The library's form of the ratings × scale, with our codes as its raw ids."""
    from surprise import Dataset, Reader

    values = ratings.values.astype("float64") * scale
    table = pd.DataFrame({"user": ratings.users, "item": ratings.items, "rating": values})
    reader = Reader(rating_scale=(values.min(), values.max()))
    return Dataset.load_from_df(table, reader).build_full_trainset()


def _coclusters(
    fitted: AlgoBase, scale: float
) -> tuple[float, np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """level, b_u, b_i, p_u, q_i of  C̄_ui + (μ_u - C̄_u) + (μ_i - C̄_i)."""
    user_bias = (fitted.user_mean - fitted.avg_cltr_u[fitted.cltr_u]) / scale
    item_bias = (fitted.item_mean - fitted.avg_cltr_i[fitted.cltr_i]) / scale
    user = fitted.avg_cocltr[fitted.cltr_u] / scale
    return 0.0, user_bias, item_bias, user, np.eye(user.shape[1])[fitted.cltr_i]


def _placed(rows: np.ndarray, codes: np.ndarray, n: int) -> np.ndarray:
    """Rows [k, …] at their codes [k] among n, the others 0."""
    placed = np.zeros((n, *rows.shape[1:]))
    placed[codes] = rows
    return placed


def _mixed(state: np.ndarray) -> np.ndarray:
    """uint64 scrambled so that neighbours share nothing: the output function of SplitMix64 (Steele et al. 2014)."""
    state = state + np.uint64(0x9E3779B97F4A7C15)
    state = (state ^ (state >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    state = (state ^ (state >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return np.asarray(state ^ (state >> np.uint64(31)))
