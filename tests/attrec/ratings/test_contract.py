"""What every rating model must do, whatever it is."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Self, get_args

import numpy as np
import pandas as pd
import pytest

from attrec.errors import DataError
from attrec.models.training import TrainingConfig
from attrec.ratings.baselines import GlobalMean, UserItemBias
from attrec.ratings.bayesian.factorization_machine import BayesianFM, BayesianFMConfig
from attrec.ratings.bayesian.matrix_factorization import BayesianMF, BayesianMFConfig
from attrec.ratings.blend import Blend, BlendWeights
from attrec.ratings.boosting import BoostingConfig
from attrec.ratings.glocal_k.model import GLocalK, GLocalKConfig
from attrec.ratings.glocal_k.network import GLocalKNetworkConfig
from attrec.ratings.imputed_svd import ImputedSVD
from attrec.ratings.model import RatingModel
from attrec.ratings.neighbourhoods.model import ResidualNeighbours
from attrec.ratings.pairs.model import NeuralCF, PairNetworkConfig
from attrec.ratings.pairs.xgboost import EmbeddedXGBoost, EmbeddedXGBoostConfig
from attrec.ratings.registry import RATING_MODELS
from attrec.ratings.rsattae.autoencoder import AutoencoderConfig
from attrec.ratings.rsattae.cross_fitting import RSAttAEXGBoostConfig
from attrec.ratings.rsattae.model import RSAttAEXGBoost
from attrec.ratings.rsattae.network import RSAttAEConfig
from attrec.ratings.surprise.baselines import Algorithm, SurpriseBaseline, SurpriseConfig

AUTOENCODER = AutoencoderConfig(
    network=RSAttAEConfig(dimension=8), training=TrainingConfig(epochs=40, learning_rate=0.05)
)
TREES = BoostingConfig(trees=(5, 20, 40), learning_rate=0.2, max_depth=4, column_sample=1.0, reg_alpha=0)
IN_SAMPLE = RSAttAEXGBoostConfig(
    user_autoencoders=(AUTOENCODER,), item_autoencoders=(AUTOENCODER,), embeddings="attended", head=TREES
)
CROSS_FITTED = RSAttAEXGBoostConfig(
    user_autoencoders=(AUTOENCODER,),
    item_autoencoders=(AUTOENCODER,),
    folds=2,
    partitions=2,
    embeddings="none",
    reconstructions=True,
    statistics=True,
    affinities=True,
    start_from_reconstructions=True,
    head=TREES,
    head_seeds=2,
)
STACKED = CROSS_FITTED.model_copy(
    update={
        "partitions": 1,
        "machine": BayesianFMConfig(rank=4, iterations=30, burn_in=5, ordered=True),
        "neighbours": True,
        "profiles": True,
    }
)
GLOCAL_K = GLocalKConfig(
    network=GLocalKNetworkConfig(hidden=12, weight_penalty=0.3), pretraining_rounds=10, fine_tuning_rounds=10
)


def pair_config(embedding: str, head: str, **options: object) -> PairNetworkConfig:
    return PairNetworkConfig.model_validate(
        {
            "embedding": embedding,
            "head": head,
            "dimension": 8,
            "deviation": 0.5,
            "hidden": (16,),
            "batch": 64,
            "training": TrainingConfig(epochs=60, learning_rate=0.02, patience=60),
            **options,
        }
    )


def pair_network(embedding: str, head: str, **options: object) -> Callable[[], RatingModel]:
    config = pair_config(embedding, head, **options)
    return lambda: NeuralCF(config, seed=3)


class Pretrained(NeuralCF):
    """Starts from vectors that are noise, in the place of an autoencoder's."""

    def fit(
        self,
        ratings: pd.DataFrame,
        user_features: pd.DataFrame,
        item_features: pd.DataFrame,
        validation: pd.DataFrame | None = None,
        **options: Any,
    ) -> Self:
        generator = np.random.default_rng(self.seed)
        sizes = (len(table) for table in (user_features, item_features))
        user, item = (generator.normal(size=(size, self.config.dimension)) for size in sizes)
        return super().fit(ratings, user_features, item_features, validation, (user, item), **options)


def blend() -> RatingModel:
    members = {"bias": UserItemBias(), "attentive": pair_network("attentive", "inner")()}
    return Blend(members, BlendWeights(tuple(members), np.array([0.5, 0.5]), 0.0, (1.0, 5.0)))


PAIR_NETWORKS = {
    f"{embedding}+{head}": pair_network(embedding, head)
    for embedding in ("simple", "attentive")
    for head in ("inner", "mlp1", "mlp2")
} | {
    "attentive as the paper": pair_network(
        "attentive", "inner", context=4, asked_context=6, default_always=False
    ),
    "pretrained": lambda: Pretrained(pair_config("pretrained", "mlp1"), seed=3),
}


class PretrainedXGBoost(EmbeddedXGBoost):
    """As `Pretrained`, in each fold."""

    def fit(
        self,
        ratings: pd.DataFrame,
        user_features: pd.DataFrame,
        item_features: pd.DataFrame,
        validation: pd.DataFrame | None = None,
        **options: Any,
    ) -> Self:
        generator = np.random.default_rng(self.seed)
        sizes = len(user_features), len(item_features)
        vectors = [generator.normal(size=(size, self.config.network.dimension)) for size in sizes]
        initial = self.config.folds * [(vectors[0], vectors[1])]
        return super().fit(ratings, user_features, item_features, validation, initial)


def embedded_xgboost(
    embedding: str, boosting: BoostingConfig = TREES, **options: object
) -> EmbeddedXGBoostConfig:
    network = pair_config(embedding, "inner", deviation=0.2, **options)
    return EmbeddedXGBoostConfig(network=network, folds=2, boosting=boosting)


EMBEDDED_XGBOOST: dict[str, Callable[[], RatingModel]] = {
    "simple+xgboost": lambda: EmbeddedXGBoost(embedded_xgboost("simple"), seed=3),
    "pretrained+xgboost": lambda: PretrainedXGBoost(embedded_xgboost("pretrained"), seed=3),
    "attentive+xgboost": lambda: EmbeddedXGBoost(embedded_xgboost("attentive"), seed=3),
}


def surprise_baseline(algorithm: Algorithm) -> Callable[[], RatingModel]:
    return lambda: SurpriseBaseline(SurpriseConfig(algorithm=algorithm), seed=3)


def bayesian_fm(**options: object) -> Callable[[], RatingModel]:
    config = BayesianFMConfig.model_validate({"rank": 3, "iterations": 60, "burn_in": 10, **options})
    return lambda: BayesianFM(config, seed=3)


FACTORIZATION_MACHINES = {
    "bayesian FM": bayesian_fm(chains=2, kept_samples=60),
    "bayesian FM ordered": bayesian_fm(ordered=True),
    "bayesian FM+time": bayesian_fm(time=True, ratings_per_knot=4),
    "bayesian FM of ids": bayesian_fm(implicit_users=False, implicit_items=False, side_features=False),
}


def bayesian_mf(**options: object) -> Callable[[], RatingModel]:
    config = BayesianMFConfig.model_validate({"rank": 3, "iterations": 60, "burn_in": 20, **options})
    return lambda: BayesianMF(config, seed=3)


BAYESIAN_MF = {
    "bayesian MF": bayesian_mf(),
    "bayesian MF of a Gaussian": bayesian_mf(ordered=False, implicit_items=False),
    "bayesian MF of ids": bayesian_mf(implicit_users=False, implicit_items=False, side_features=False),
}
MODELS: dict[str, Callable[[], RatingModel]] = {
    "global mean": GlobalMean,
    "user/item bias": UserItemBias,
    "imputed SVD": ImputedSVD,
    **{algorithm: surprise_baseline(algorithm) for algorithm in get_args(Algorithm)},
    **PAIR_NETWORKS,
    **EMBEDDED_XGBOOST,
    **FACTORIZATION_MACHINES,
    **BAYESIAN_MF,
    "glocal-k": lambda: GLocalK(GLOCAL_K, seed=3),
    "blend": blend,
    "rsattae+xgboost in-sample": lambda: RSAttAEXGBoost(IN_SAMPLE, seed=3),
    "rsattae+xgboost cross-fitted": lambda: RSAttAEXGBoost(CROSS_FITTED, seed=3),
    "residual-neighbours": ResidualNeighbours,
    "stacked": lambda: RSAttAEXGBoost(STACKED, seed=3),
    "stacked+time": lambda: RSAttAEXGBoost(STACKED.model_copy(update={"moments": True}), seed=3),
}


LEARNERS = {
    *PAIR_NETWORKS,
    *EMBEDDED_XGBOOST,
    *FACTORIZATION_MACHINES,
    *BAYESIAN_MF,
    "glocal-k",
    "rsattae+xgboost in-sample",
    "rsattae+xgboost cross-fitted",
    "residual-neighbours",
    "stacked",
    "stacked+time",
}
# Models that choose in several parts at once: here each part has one thing to choose from, the last epoch, 20 trees.
LAST_EPOCH = TrainingConfig(epochs=4, learning_rate=0.02, validate_every=4)
SO_MANY_TREES = TREES.model_copy(update={"trees": (20,)})


def without_choice(config: RSAttAEXGBoostConfig) -> Callable[[], RatingModel]:
    sides = (AUTOENCODER.model_copy(update={"training": LAST_EPOCH}),)
    changes = {"user_autoencoders": sides, "item_autoencoders": sides, "head": SO_MANY_TREES}
    return lambda: RSAttAEXGBoost(config.model_copy(update=changes), seed=3)


def xgboost_without_choice(kind: type[EmbeddedXGBoost], embedding: str) -> Callable[[], RatingModel]:
    return lambda: kind(embedded_xgboost(embedding, SO_MANY_TREES, training=LAST_EPOCH), seed=3)


WITHOUT_CHOICE: dict[str, Callable[[], RatingModel]] = {
    "simple+xgboost": xgboost_without_choice(EmbeddedXGBoost, "simple"),
    "pretrained+xgboost": xgboost_without_choice(PretrainedXGBoost, "pretrained"),
    "attentive+xgboost": xgboost_without_choice(EmbeddedXGBoost, "attentive"),
    "rsattae+xgboost in-sample": without_choice(IN_SAMPLE),
    "rsattae+xgboost cross-fitted": without_choice(CROSS_FITTED),
    "stacked": without_choice(STACKED),
    "stacked+time": without_choice(STACKED.model_copy(update={"moments": True})),
}


@pytest.fixture(scope="module")
def world(world):  # type: ignore[no-untyped-def]
    """With a moment for each rating, no two alike."""
    moments = np.random.default_rng(1).permutation(24 * 18) + 1_000
    timed = {
        part: getattr(world, part).assign(timestamp=moments[getattr(world, part).index])
        for part in ("training", "validation", "test")
    }
    return world._replace(**timed)


@pytest.fixture(scope="module", params=MODELS)
def name(request) -> str:  # type: ignore[no-untyped-def]
    return request.param


@pytest.fixture(scope="module")
def fitted(name, world) -> RatingModel:  # type: ignore[no-untyped-def]
    return MODELS[name]().fit(world.training, world.user_features, world.item_features, world.validation)


@pytest.fixture(scope="module")
def history(world) -> pd.DataFrame:  # type: ignore[no-untyped-def]
    """Two users whom training never saw: one agrees with even items, the other with odd ones."""
    items = world.item_features.index[:8]
    likes = np.tile([5.0, 1.0], 4)
    return pd.concat(
        pd.DataFrame({"user_id": user, "item_id": items, "rating": ratings.astype("float32")})
        for user, ratings in ((9001, likes), (9002, 6 - likes))
    )


def test_predictions_are_finite_in_range_and_one_a_pair(fitted, world) -> None:
    predicted = fitted.predict(world.test)
    assert predicted.shape == (len(world.test),)
    assert np.isfinite(predicted).all()
    assert predicted.min() >= 1
    assert predicted.max() <= 5


def test_predictions_do_not_depend_on_order_or_company(fitted, world) -> None:
    predicted = fitted.predict(world.test)
    shuffled = world.test.sample(frac=1, random_state=0)
    order = world.test.index.get_indexer(shuffled.index)
    # Matrix products of other shapes may round the last bit otherwise.
    np.testing.assert_allclose(fitted.predict(shuffled), predicted[order], rtol=1e-6)
    np.testing.assert_allclose(fitted.predict(world.test[:1]), predicted[:1], rtol=1e-6)


def test_saved_and_loaded_is_the_same_model(fitted, world, history, tmp_path: Path) -> None:
    fitted.save(tmp_path)
    loaded = type(fitted).load(tmp_path)
    new = history.assign(item_id=world.item_features.index[-1])
    assert np.array_equal(loaded.predict(world.test), fitted.predict(world.test))
    assert np.array_equal(loaded.predict(new, history), fitted.predict(new, history))
    known = world.user_features.index[0]
    pd.testing.assert_frame_equal(loaded.recommend(known, 5), fitted.recommend(known, 5))
    assert not [path for path in tmp_path.rglob("*") if path.suffix in {".tmp", ".pkl", ".pt"}]


def test_damaged_model_folder_is_a_clear_error(fitted, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="not a readable model file"):
        type(fitted).load(tmp_path)
    fitted.save(tmp_path)
    (tmp_path / "rating_model.json").write_text("{")
    with pytest.raises(DataError, match=r"rating_model\.json"):
        type(fitted).load(tmp_path)


def test_recommendations_are_the_best_unseen_items(fitted, world) -> None:
    user = world.training["user_id"].iloc[0]
    seen = set(world.training.loc[world.training["user_id"] == user, "item_id"])
    everything = fitted.recommend(user, k=1000, exclude_seen=False)
    assert list(everything["item_id"].sort_values()) == sorted(world.item_features.index)
    assert everything["score"].is_monotonic_decreasing
    unseen = fitted.recommend(user, k=3)
    assert not seen & set(unseen["item_id"])
    expected = everything[~everything["item_id"].isin(fitted_items(fitted, user))][:3]
    assert list(unseen["item_id"]) == list(expected["item_id"])


def fitted_items(model: RatingModel, user: int) -> list[str]:
    code = model.catalogue.users.get_loc(user)
    return list(model.catalogue.items[model.seen[model.seen[:, 0] == code, 1]])


def test_unknown_ids_get_a_sane_prediction(fitted, world) -> None:
    user, item = world.user_features.index[0], world.item_features.index[0]
    pairs = pd.DataFrame({"user_id": [user, -1, -1], "item_id": ["nowhere", item, "nowhere"]})
    predicted = fitted.predict(pairs)
    assert np.isfinite(predicted).all()
    everything = pd.concat([world.training, world.validation])["rating"].mean()
    assert abs(predicted[2] - everything) < 0.2
    with pytest.raises(DataError, match="unknown to this model"):
        fitted.recommend(-1)


def test_new_users_need_no_retraining(fitted, world, history) -> None:
    before = fitted.predict(world.test)
    known = fitted.recommend(9001, k=4, history=history)
    assert not set(known["item_id"]) & set(history["item_id"])
    alone = fitted.predict(history[:8], history[:8])
    together = fitted.predict(history, history)[:8]
    np.testing.assert_allclose(alone, together, rtol=1e-5)
    assert np.array_equal(fitted.predict(world.test, history), before)


def test_rated_id_without_a_feature_row_is_a_clear_error(name, world) -> None:
    with pytest.raises(DataError, match="has no feature row"):
        MODELS[name]().fit(world.training, world.user_features[1:], world.item_features)
    with pytest.raises(DataError, match="no rating to fit"):
        MODELS[name]().fit(world.training[:0], world.user_features, world.item_features)


def test_works_without_features_and_with_a_user_of_one_rating_and_an_unrated_item(name, world) -> None:
    lonely, unrated = world.user_features.index[0], world.item_features.index[0]
    ratings = world.training[world.training["item_id"] != unrated]
    others = ratings["user_id"] != lonely
    ratings = pd.concat([ratings[others], ratings[~others][:1]])
    model = MODELS[name]().fit(ratings, world.user_features[[]], world.item_features[[]])
    pairs = pd.DataFrame({"user_id": [lonely, lonely], "item_id": [unrated, world.item_features.index[1]]})
    assert np.isfinite(model.predict(pairs)).all()


def test_test_ratings_are_never_read(fitted, world, upside_down) -> None:
    assert np.array_equal(fitted.predict(upside_down(world.test)), fitted.predict(world.test))


def test_validation_ratings_choose_and_nothing_else(name, fitted, world, upside_down) -> None:
    """A fit without them, told what they chose, is the same; where nothing is left to choose, they change nothing."""
    features = world.user_features, world.item_features
    if name in WITHOUT_CHOICE:
        expected, changed, without = (
            WITHOUT_CHOICE[name]().fit(world.training, *features, validation).predict(world.test)
            for validation in (world.validation, upside_down(world.validation), None)
        )
        assert np.array_equal(changed, expected)
    else:
        expected = fitted.predict(world.test)
        told = told_what_was_chosen(MODELS[name](), fitted)
        without = told.fit(world.training, *features).predict(world.test)
    # A singular value decomposition of another rank rounds the last bits otherwise.
    np.testing.assert_allclose(without, expected, rtol=1e-12 if name == "imputed SVD" else 0)


def told_what_was_chosen(model: Any, fitted: Any) -> RatingModel:
    """The model with what validation chose for the fitted one; the weights of a blend are given, its members choose."""
    if isinstance(fitted, Blend):
        for name, member in fitted.members.items():
            told_what_was_chosen(model.members[name], member)
    elif hasattr(fitted, "chosen_config"):
        model.config = fitted.chosen_config()
    told: RatingModel = model
    return told


def test_every_model_of_the_registry_is_here() -> None:
    here = [type(make()) for make in MODELS.values()]
    assert [kind for kind in RATING_MODELS.values() if not any(issubclass(one, kind) for one in here)] == []


def test_fitted_again_it_is_the_same_bits_whenever_things_were_rated(name, fitted, world) -> None:
    """Neither when something was rated nor when a rating is asked for may tell anything to who does not say so."""
    features = world.user_features, world.item_features
    expected = fitted.predict(world.test)
    training, validation, asked = (
        part.assign(timestamp=part["timestamp"].to_numpy()[::-1])
        for part in (world.training, world.validation, world.test)
    )
    of_other_times = MODELS[name]().fit(training, *features, validation)
    unchanged = [
        np.array_equal(of_other_times.predict(world.test), expected),
        np.array_equal(fitted.predict(asked), expected),
    ]
    assert unchanged == 2 * [not name.endswith("+time")]
    if name.endswith("+time"):
        again = MODELS[name]().fit(world.training, *features, world.validation)
        assert np.array_equal(again.predict(world.test), expected)


def test_camps_are_learned(name, fitted, world) -> None:
    """Users and items of one camp agree, others do not: biases cannot see it, those that learn of pairs must."""

    def rmse(model: RatingModel) -> float:
        return float(np.sqrt(np.mean((model.predict(world.test) - world.test["rating"]) ** 2)))

    if name not in LEARNERS:
        pytest.skip("a baseline, or what begins with noise")
    biases = UserItemBias().fit(world.training, world.user_features, world.item_features, world.validation)
    assert rmse(fitted) < 1.0 < 1.3 < rmse(biases)
