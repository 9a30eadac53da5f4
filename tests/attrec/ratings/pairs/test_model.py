"""Pair networks beyond the contract: pretrained vectors, newcomers, explanations, what validation chooses."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from attrec.errors import DataError
from attrec.models.training import TrainingConfig
from attrec.ratings.pairs import embeddings
from attrec.ratings.pairs.model import NeuralCF, PairNetworkConfig
from tests.attrec.ratings.contract import RatingContract, pair_config, shapes

TRAINING = TrainingConfig(epochs=30, learning_rate=0.02, patience=30)
ATTENTIVE = PairNetworkConfig(head="inner", dimension=8, deviation=0.5, training=TRAINING)


@pytest.fixture(scope="module")
def attentive(world) -> NeuralCF:  # type: ignore[no-untyped-def]
    return NeuralCF(ATTENTIVE).fit(world.training, world.user_features, world.item_features, world.validation)


def parameters(model: NeuralCF) -> list[bytes]:
    return [value.numpy().tobytes() for value in model.network.state_dict().values()]


def test_a_newcomer_changes_no_parameter_and_nobody_elses_prediction(attentive, world) -> None:  # type: ignore[no-untyped-def]
    before, predicted = parameters(attentive), attentive.predict(world.test)
    items = world.item_features.index
    history = pd.DataFrame({"user_id": -7, "item_id": items[:6], "rating": np.float32(5)})
    attentive.recommend(-7, 3, history=history)
    attentive.explain(-7, items[8], history)
    assert parameters(attentive) == before
    assert np.array_equal(attentive.predict(world.test), predicted)


def test_a_newcomer_with_a_known_users_ratings_gets_that_users_predictions(attentive, world) -> None:  # type: ignore[no-untyped-def]
    user = world.training["user_id"].iloc[0]
    own = world.training[world.training["user_id"] == user]
    pairs = pd.DataFrame({"user_id": user, "item_id": world.item_features.index})
    twin = attentive.predict(pairs.assign(user_id=-7), own.assign(user_id=-7))
    np.testing.assert_allclose(twin, attentive.predict(pairs), rtol=1e-5)


@pytest.mark.parametrize("embedding", ["simple", "attentive"])
@pytest.mark.parametrize("head", ["inner", "mlp1", "mlp2"])
def test_rows_that_round_a_batch_up_change_nothing(
    world: Any, monkeypatch: pytest.MonkeyPatch, embedding: str, head: str
) -> None:
    config = PairNetworkConfig.model_validate(
        {
            "embedding": embedding,
            "head": head,
            "dimension": 4,
            "biases": head == "inner",
            "training": {"epochs": 3},
        }
    )
    predicted = []
    for step in (10_000, 7):
        monkeypatch.setattr(embeddings, "ROW_STEP", step)
        model = NeuralCF(config).fit(world.training, world.user_features, world.item_features)
        predicted.append(model.predict(world.test))
    assert np.std(predicted[0]) > 1e-3
    np.testing.assert_allclose(predicted[1], predicted[0], rtol=1e-4)


def test_explanation_names_the_users_other_ratings_and_their_weights(attentive, world) -> None:  # type: ignore[no-untyped-def]
    rated = world.training[world.training["user_id"] == world.training["user_id"].iloc[0]]
    user, item = rated["user_id"].iloc[0], rated["item_id"].iloc[0]
    shown = attentive.explain(user, item)
    assert set(shown["item_id"]) == set(rated["item_id"]) - {item}
    assert (
        dict(zip(shown["item_id"], shown["rating"], strict=True)).items()
        <= dict(zip(rated["item_id"], rated["rating"], strict=True)).items()
    )
    assert shown["weight"].is_monotonic_decreasing
    assert 0 < shown["weight"].sum() < 1  # the rest is the default vector's


def test_explanation_of_the_unknown_is_a_clear_error(attentive, world) -> None:  # type: ignore[no-untyped-def]
    user, item = world.training[["user_id", "item_id"]].iloc[0]
    with pytest.raises(DataError, match="item nowhere is unknown"):
        attentive.explain(user, "nowhere")
    with pytest.raises(DataError, match="has no rating this model knows"):
        attentive.explain(-7, item)
    simple = PairNetworkConfig(
        embedding="simple", head="inner", dimension=2, training=TrainingConfig(epochs=1)
    )
    model = NeuralCF(simple).fit(world.training, world.user_features, world.item_features)
    with pytest.raises(DataError, match="no attention weights"):
        model.explain(user, item)


def test_pretrained_vectors_are_where_training_starts(world) -> None:  # type: ignore[no-untyped-def]
    sides = len(world.user_features), len(world.item_features)
    initial = tuple(np.random.default_rng(0).normal(5, 3, (rows, 4)) for rows in sides)
    still = TrainingConfig(epochs=1, learning_rate=1e-12)
    config = PairNetworkConfig(
        embedding="pretrained", head="mlp1", dimension=4, deviation=0.3, training=still
    )
    model = NeuralCF(config).fit(world.training, world.user_features, world.item_features, initial=initial)
    for table, given in zip(
        (model.network.embedding.user, model.network.embedding.item), initial, strict=True
    ):
        found = table.detach().numpy()
        np.testing.assert_allclose(found.mean(0), 0, atol=1e-6)
        np.testing.assert_allclose(found.std(0), 0.3, rtol=1e-4)
        assert np.corrcoef(found[:, 0], given[:, 0])[0, 1] == pytest.approx(1)


def test_validation_keeps_its_best_epoch_and_the_final_fit_runs_as_many(attentive, world) -> None:  # type: ignore[no-untyped-def]
    losses = [loss for loss in attentive.course.validation_loss if loss is not None]
    assert attentive.course.best_epoch == int(np.argmin(losses)) + 1
    assert attentive.chosen_config().training.epochs == attentive.course.best_epoch
    error = attentive.predict(world.validation) - world.validation["rating"]
    assert float(np.sqrt(np.mean(error**2))) == pytest.approx(min(losses), rel=1e-5)


def test_killed_training_resumes_to_the_same_bits(world, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    tables = world.training, world.user_features, world.item_features
    config = ATTENTIVE.model_copy(
        update={
            "context": 4,
            "attention_dropout": 0.2,
            "training": TRAINING.model_copy(update={"checkpoint_every": 5}),
        }
    )
    whole = NeuralCF(config).fit(*tables)

    class Killed(Exception):
        pass

    def kill(epoch: int, train_loss: float, validation_loss: float | None) -> None:
        if epoch == 12:
            raise Killed

    checkpoint = tmp_path / "checkpoint.safetensors"
    with pytest.raises(Killed):
        NeuralCF(config).fit(*tables, checkpoint=checkpoint, progress=kill)
    assert checkpoint.exists()
    epochs: list[int] = []
    resumed = NeuralCF(config).fit(
        *tables, checkpoint=checkpoint, progress=lambda epoch, *_: epochs.append(epoch)
    )
    assert epochs[0] == 11
    assert parameters(resumed) == parameters(whole)


def test_class_probabilities_make_the_prediction(world) -> None:  # type: ignore[no-untyped-def]
    config = PairNetworkConfig(head="mlp2", dimension=4, hidden=(8,), training=TrainingConfig(epochs=3))
    model = NeuralCF(config).fit(world.training, world.user_features, world.item_features)
    probabilities = model.probabilities(world.test)
    np.testing.assert_allclose(probabilities.sum(1), 1, rtol=1e-5)
    np.testing.assert_allclose(probabilities @ np.array(model.values), model.predict(world.test), rtol=1e-5)


def test_too_many_rating_values_for_classes_is_a_clear_error(world) -> None:  # type: ignore[no-untyped-def]
    many = world.training.assign(rating=np.linspace(1, 5, len(world.training), dtype="float32"))
    with pytest.raises(DataError, match="at most 20 different values"):
        NeuralCF().fit(many, world.user_features, world.item_features)


class TestNeuralCF(RatingContract):
    model = NeuralCF
    configs = {
        f"{embedding}+{head}": pair_config(embedding, head)
        for embedding in ("simple", "attentive")
        for head in ("inner", "mlp1", "mlp2")
    } | {
        "attentive as the paper": pair_config(
            "attentive", "inner", context=4, asked_context=6, default_always=False
        )
    }


class TestPretrained(RatingContract):
    """Starts from vectors that are noise, in the place of an autoencoder's."""

    model = NeuralCF
    configs = {"pretrained": pair_config("pretrained", "mlp1")}

    @classmethod
    def fit(cls, model, ratings, user_features, item_features, *validation, **options):
        generator = np.random.default_rng(model.seed)
        sizes = shapes(ratings, user_features, item_features)
        initial = tuple(generator.normal(size=(size, model.config.dimension)) for size in sizes)
        return model.fit(ratings, user_features, item_features, *validation, initial=initial, **options)
