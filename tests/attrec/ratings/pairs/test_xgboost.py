"""XGBoost over any embedding: no network sees its fold, predictions are means, selection chooses, newcomers attend."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
import pytest
import xgboost

from attrec.errors import DataError
from attrec.models.training import TrainingConfig
from attrec.ratings.boosting import BoostingConfig
from attrec.ratings.folds import fold_of_rows
from attrec.ratings.pairs.fold_network import Described, FoldNetwork
from attrec.ratings.pairs.model import PairNetworkConfig
from attrec.ratings.pairs.recipes import pretraining_recipe
from attrec.ratings.pairs.xgboost import (
    EmbeddedXGBoost,
    EmbeddedXGBoostConfig,
    fit_trees,
    pretraining_jobs,
    train_fold_network,
)
from tests.attrec.ratings.contract import LAST_EPOCH, SO_MANY_TREES, RatingContract, pair_config, shapes
from tests.attrec.ratings.contract import TREES as CONTRACT_TREES

FOLDS = 3
TREES = BoostingConfig(trees=(2, 5, 10), learning_rate=0.3, max_depth=3, column_sample=1.0, reg_alpha=0)


def config(embedding: str = "attentive") -> EmbeddedXGBoostConfig:
    network = PairNetworkConfig.model_validate(
        {
            "embedding": embedding,
            "head": "inner",
            "dimension": 4,
            "training": TrainingConfig(epochs=8, learning_rate=0.02),
        }
    )
    return EmbeddedXGBoostConfig(network=network, folds=FOLDS, boosting=TREES)


@pytest.fixture(scope="module", params=["simple", "attentive"])
def fitted(world, request) -> EmbeddedXGBoost:  # type: ignore[no-untyped-def]
    model = EmbeddedXGBoost(config(request.param), seed=3)
    return model.fit(world.training, world.user_features, world.item_features, world.validation)


@pytest.fixture(scope="module")
def attentive(world) -> EmbeddedXGBoost:  # type: ignore[no-untyped-def]
    return EmbeddedXGBoost(config(), seed=3).fit(
        world.training, world.user_features, world.item_features, world.validation
    )


def weights(network: FoldNetwork) -> list[bytes]:
    return [value.numpy().tobytes() for value in network.network.state_dict().values()]


def test_no_network_sees_the_ratings_of_its_fold(fitted, world, upside_down) -> None:  # type: ignore[no-untyped-def]
    """Neither a weight nor a feature of the fold's rows changes with them; those of every other network do."""
    fold = fold_of_rows(world.training, FOLDS, 0, fitted.seed)
    for changed in range(FOLDS):
        mine = pd.Series(fold == changed, index=world.training.index)
        ratings = upside_down(world.training).where(mine, world.training)
        assert not ratings.equals(world.training)
        for number, network in enumerate(fitted.networks):
            again = train_fold_network(
                number,
                ratings,
                world.user_features,
                world.item_features,
                fitted.config,
                fitted.seed,
                world.validation,
            )
            assert (weights(again) == weights(network)) == (number == changed)
            if number == changed:
                before, after = network.describe(world.training[mine]), again.describe(ratings[mine])
                assert len(before.features) == mine.sum()
                pd.testing.assert_frame_equal(before.features, after.features)


def test_features_are_prediction_vectors_and_product(world, fitted) -> None:  # type: ignore[no-untyped-def]
    network = fitted.networks[1]
    described = network.describe(world.test)
    assert described.embedded.all()
    parts = [described.features.filter(like=f"{part} ").to_numpy() for part in ("user", "item", "product")]
    assert [part.shape[1] for part in parts] == [4, 4, 4]
    np.testing.assert_allclose(parts[2], parts[0] * parts[1], rtol=1e-6)
    expected = 1 + 4 / (1 + np.exp(-parts[2].sum(axis=1)))
    np.testing.assert_allclose(network.predict(world.test), expected, rtol=1e-4)
    np.testing.assert_array_equal(
        described.features["network"], network.predict(world.test).astype("float32")
    )


def test_the_prediction_is_the_mean_of_the_members(world, fitted) -> None:  # type: ignore[no-untyped-def]
    """Of each network's own prediction plus the leaves that the one booster gives to its features."""
    members = []
    for network in fitted.networks:
        described = network.describe(world.test)
        values = described.features[list(fitted.trees.features)].to_numpy("float32")
        matrix = xgboost.DMatrix(values, base_margin=np.zeros(len(values), dtype="float32"))
        leaves = fitted.trees.booster.predict(matrix, iteration_range=(0, fitted.trees.trees))
        assert np.abs(leaves).max() > 0.01
        members.append(described.predicted + leaves)
    np.testing.assert_allclose(fitted.predict(world.test), np.clip(sum(members) / FOLDS, 1, 5), rtol=1e-5)


def test_trees_learn_each_row_from_the_network_of_its_fold(world) -> None:  # type: ignore[no-untyped-def]
    """Networks that know their own number alone: the booster's leaves are then the mean residuals of the folds."""

    class Told(FoldNetwork):
        def __init__(self, number: int) -> None:
            self.number = number

        def describe(self, pairs: pd.DataFrame, history: pd.DataFrame | None = None) -> Described:
            ones = np.ones(len(pairs), dtype="float32")
            return Described(
                3 * ones, ones > 0, pd.DataFrame({"network": 3 * ones, "number": self.number * ones})
            )

    ratings = world.training
    fold = fold_of_rows(ratings, FOLDS, 0, 7)
    ratings = ratings.assign(rating=np.array([1.0, 3.0, 4.5], dtype="float32")[fold])
    plain = {"column_sample": 1.0, "reg_alpha": 0.0, "reg_lambda": 0.0}
    one_tree = BoostingConfig(trees=(1,), learning_rate=1.0, max_depth=3, **plain)
    settings = EmbeddedXGBoostConfig(folds=FOLDS, boosting=one_tree)
    trees = fit_trees([Told(number) for number in range(FOLDS)], ratings, settings, seed=7)
    asked = pd.DataFrame({"network": 3.0, "number": [0.0, 1.0, 2.0]})
    np.testing.assert_allclose(trees.predict(asked), [1.0, 3.0, 4.5], rtol=1e-5)


def test_validation_chooses_epochs_and_trees_for_the_final_fit(fitted) -> None:  # type: ignore[no-untyped-def]
    chosen = fitted.chosen_config()
    best = sorted(network.course.best_epoch for network in fitted.networks)
    assert chosen.network.training.epochs == best[1]
    losses = fitted.trees.validation_rmse
    assert chosen.boosting.trees == (min(losses, key=losses.__getitem__),)
    assert chosen.network.embedding == fitted.config.network.embedding
    assert set(fitted.losses) == {f"network-p0-f{fold}" for fold in range(FOLDS)}


def test_whom_no_network_knows_the_biases_predict(fitted, world) -> None:  # type: ignore[no-untyped-def]
    pairs = pd.DataFrame(
        {"user_id": [world.user_features.index[0], -1], "item_id": ["nowhere", world.item_features.index[0]]}
    )
    expected = np.mean([network.predict(pairs) for network in fitted.networks], axis=0)
    np.testing.assert_allclose(fitted.predict(pairs), expected, rtol=1e-6)


def test_a_newcomer_with_a_known_users_ratings_is_nearly_that_user(attentive, world) -> None:  # type: ignore[no-untyped-def]
    """Nearly: of the newcomer all networks see all ratings, of the known user those of the other folds."""
    user = world.training["user_id"].iloc[0]
    own = world.training[world.training["user_id"] == user]
    pairs = pd.DataFrame({"user_id": user, "item_id": world.item_features.index})
    twin = attentive.predict(pairs.assign(user_id=-7), own.assign(user_id=-7))
    known = attentive.predict(pairs)
    assert np.corrcoef(twin, known)[0, 1] > 0.8


def test_explanation_is_the_mean_of_the_networks_weights(attentive, world) -> None:  # type: ignore[no-untyped-def]
    user, item = world.training["user_id"].iloc[0], world.item_features.index[3]
    shown = attentive.explain(user, item).set_index("item_id")
    weights = pd.concat([network.explain(user, item) for network in attentive.networks])
    expected = weights.groupby("item_id")["weight"].sum() / FOLDS
    rated = set(world.training.loc[world.training["user_id"] == user, "item_id"]) - {item}
    assert set(shown.index) == rated
    assert shown["weight"].is_monotonic_decreasing
    np.testing.assert_allclose(shown["weight"], expected[shown.index], rtol=1e-6)
    with pytest.raises(DataError, match="has no rating this model knows"):
        attentive.explain(-7, item)


def test_too_few_ratings_are_a_clear_error(world) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(DataError, match="2 ratings cannot make 3 folds"):
        EmbeddedXGBoost(config()).fit(world.training[:2], world.user_features, world.item_features)
    apart = world.training.drop_duplicates("item_id")
    with pytest.raises(DataError, match="known to the other folds: give more ratings"):
        EmbeddedXGBoost(config()).fit(apart, world.user_features, world.item_features)


def test_autoencoders_of_all_folds_start_from_the_same_weights() -> None:
    pretraining = pretraining_recipe("autoencoder", 4, FOLDS)
    assert pretraining is not None
    jobs = pretraining_jobs(pretraining, seed=3)
    assert sorted((job.side, job.fold) for job in jobs) == sorted(
        (side, fold) for side in ("user", "item") for fold in range(FOLDS)
    )
    seeds: Sequence[set[int]] = [{job.seed for job in jobs if job.side == side} for side in ("user", "item")]
    assert [len(own) for own in seeds] == [1, 1]


def contract_config(embedding: str) -> EmbeddedXGBoostConfig:
    network = pair_config(embedding, "inner", deviation=0.2)
    return EmbeddedXGBoostConfig(network=network, folds=2, boosting=CONTRACT_TREES)


class TestEmbeddedXGBoost(RatingContract):
    model = EmbeddedXGBoost
    configs = {f"{embedding}+xgboost": contract_config(embedding) for embedding in ("simple", "attentive")}

    @classmethod
    def without_choice(cls, config):
        network = config.network.model_copy(update={"training": LAST_EPOCH})
        return config.model_copy(update={"network": network, "boosting": SO_MANY_TREES})


class TestPretrained(TestEmbeddedXGBoost):
    """Starts from vectors that are noise, in the place of an autoencoder's, the same in each fold."""

    configs = {"pretrained+xgboost": contract_config("pretrained")}

    @classmethod
    def fit(cls, model, ratings, user_features, item_features, *validation, **options):
        generator = np.random.default_rng(model.seed)
        sizes = shapes(ratings, user_features, item_features)
        vectors = tuple(generator.normal(size=(size, model.config.network.dimension)) for size in sizes)
        initial = model.config.folds * [vectors]
        return model.fit(ratings, user_features, item_features, *validation, initial=initial, **options)
