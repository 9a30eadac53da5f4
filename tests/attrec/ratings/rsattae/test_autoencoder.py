from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from attrec.models.training import TrainingConfig
from attrec.ratings.rsattae.autoencoder import AutoencoderConfig, PretrainedAutoencoder, Side, pretrain
from attrec.ratings.rsattae.network import RSAttAEConfig

CONFIG = AutoencoderConfig(
    network=RSAttAEConfig(dimension=8, dropout=0.1, input_dropout=0.2),
    training=TrainingConfig(epochs=40, learning_rate=0.02, patience=40),
)
CENTRED = AutoencoderConfig(
    network=RSAttAEConfig(dimension=8, linear_output=True),
    training=TrainingConfig(epochs=40, learning_rate=0.02, average_decay=0.9),
    centre="bias",
)
SIDES: tuple[Side, ...] = ("user", "item")


def fit(side: Side, world, config=CONFIG, training=None, validation=None, **options) -> PretrainedAutoencoder:  # type: ignore[no-untyped-def]
    training = world.training if training is None else training
    return pretrain(
        side, training, world.user_features, world.item_features, config, 0, validation, **options
    )


def same(first: PretrainedAutoencoder, second: PretrainedAutoencoder) -> bool:
    return (
        np.array_equal(first.encoded, second.encoded)
        and np.array_equal(first.attended, second.attended)
        and np.array_equal(first.reconstruction(), second.reconstruction())
    )


@pytest.mark.parametrize("side", SIDES)
def test_shapes_and_external_ids(side: Side, world) -> None:  # type: ignore[no-untyped-def]
    fitted = fit(side, world)
    ids = world.user_features.index if side == "user" else world.item_features.index
    assert list(fitted.embedding("encoded").index) == list(ids)
    assert fitted.embedding("attended").shape == (len(ids), 8)
    assert fitted.reconstruction().shape == (24, 18)
    users, items = fitted.catalogue.encode(world.test)
    assert np.array_equal(fitted.predict(world.test), fitted.reconstruction()[users, items])


@pytest.mark.parametrize("side", SIDES)
@pytest.mark.parametrize("config", [CONFIG, CENTRED], ids=["raw", "centred"])
def test_row_order_does_not_matter(side: Side, config: AutoencoderConfig, world) -> None:  # type: ignore[no-untyped-def]
    shuffled = fit(side, world, config, world.training.sample(frac=1, random_state=1))
    np.testing.assert_allclose(
        shuffled.reconstruction(), fit(side, world, config).reconstruction(), atol=1e-4
    )


@pytest.mark.parametrize("side", SIDES)
@pytest.mark.parametrize("config", [CONFIG, CENTRED], ids=["raw", "centred"])
def test_validation_ratings_never_enter_an_embedding(
    side: Side, config: AutoencoderConfig, world, upside_down
) -> None:  # type: ignore[no-untyped-def]
    """Their values may choose the epoch; with the epoch fixed not a bit may change, nor by their presence."""
    fixed = config.model_copy(
        update={"training": config.training.model_copy(update={"validate_every": 1000, "patience": 1000})}
    )
    with_validation = fit(side, world, fixed, validation=world.validation)
    with_others = fit(side, world, fixed, validation=upside_down(world.validation))
    without = fit(side, world, fixed)
    assert with_validation.course.validation_loss[-1] != with_others.course.validation_loss[-1]
    assert same(with_validation, with_others)
    assert same(with_validation, without)


@pytest.mark.parametrize("side", SIDES)
def test_held_out_entries_get_no_gradient(side: Side, world) -> None:  # type: ignore[no-untyped-def]
    """An item nobody rated in training keeps the decoder column it was born with, apart from weight decay (none)."""
    unrated = world.item_features.index[3]
    training = world.training[world.training["item_id"] != unrated]
    short, long = (
        fit(
            "user",
            world,
            CONFIG.model_copy(update={"training": TrainingConfig(epochs=epochs, learning_rate=0.02)}),
            training,
        )
        for epochs in (1, 30)
    )
    before, after = (model.network.decoder_2.weight.detach() for model in (short, long))
    changed = (before != after).any(dim=1).numpy()
    assert not changed[3]
    assert changed.sum() == 17


@pytest.mark.parametrize("side", SIDES)
def test_block_matrix_is_learned(side: Side, world) -> None:  # type: ignore[no-untyped-def]
    fitted = fit(
        side, world, CENTRED.model_copy(update={"training": TrainingConfig(epochs=150, learning_rate=0.02)})
    )
    error = np.sqrt(np.mean((fitted.predict(world.test) - world.test["rating"]) ** 2))
    of_the_mean = np.sqrt(np.mean((world.training["rating"].mean() - world.test["rating"]) ** 2))
    assert of_the_mean > 1.4  # camps differ by 3, noise is 0.5
    assert error < 0.7 * of_the_mean


@pytest.mark.parametrize("config", [CONFIG, CENTRED], ids=["raw", "centred"])
@pytest.mark.parametrize("side", SIDES)
def test_save_and_load(side: Side, config: AutoencoderConfig, world, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    fitted = fit(side, world, config, validation=world.validation)
    fitted.save(tmp_path)
    loaded = PretrainedAutoencoder.load(tmp_path)
    assert same(loaded, fitted)
    assert loaded.course == fitted.course
    assert loaded.config == config


@pytest.mark.parametrize("config", [CONFIG, CENTRED], ids=["raw", "centred"])
def test_a_known_user_presented_as_new_gets_their_own_embedding(config: AutoencoderConfig, world) -> None:  # type: ignore[no-untyped-def]
    fitted = fit("user", world, config)
    ratings, observed = np.zeros((1, 18), "float32"), np.zeros((1, 18), "float32")
    code = 5
    own = world.training[world.training["user_id"] == world.user_features.index[code]]
    columns = world.item_features.index.get_indexer(own["item_id"])
    ratings[0, columns], observed[0, columns] = own["rating"], 1
    features = world.user_features.to_numpy()[[code]]
    encoded, attended, reconstruction = fitted.encode_new_users(ratings, observed, features)
    np.testing.assert_allclose(encoded[0], fitted.encoded[code], atol=1e-5)
    np.testing.assert_allclose(attended[0], fitted.attended[code], atol=1e-5)
    np.testing.assert_allclose(reconstruction[0], fitted.reconstruction()[code], atol=0.05)


@pytest.mark.parametrize("side", SIDES)
def test_rows_without_a_training_rating_are_in_no_batch(side: Side, world) -> None:  # type: ignore[no-untyped-def]
    """Alone in one they would have an error of 0 / 0."""
    of_side = f"{side}_id"
    rated = world.training[of_side].unique()[:3]
    few = world.training[world.training[of_side].isin(rated)]
    fitted = fit(side, world, CONFIG.model_copy(update={"batch": 1}), few)
    assert np.isfinite(fitted.encoded).all()


def test_item_side_has_no_new_users(world) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(ValueError, match="no input for new users"):
        fit("item", world).encode_new_users(np.zeros((1, 18)), np.zeros((1, 18)), np.zeros((1, 2)))


def test_killed_and_resumed_is_bit_identical(world, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    config = CENTRED.model_copy(
        update={"training": CENTRED.training.model_copy(update={"checkpoint_every": 3})}
    )
    expected = fit("user", world, config, validation=world.validation)

    def die(epoch: int, train_loss: float, validation_loss: float | None) -> None:
        if epoch == 10:
            raise KeyboardInterrupt

    checkpoint = tmp_path / "c.safetensors"
    with pytest.raises(KeyboardInterrupt):
        fit("user", world, config, validation=world.validation, checkpoint=checkpoint, progress=die)
    resumed = fit("user", world, config, validation=world.validation, checkpoint=checkpoint)
    assert same(resumed, expected)
    assert resumed.course == expected.course


def test_a_checkpoint_of_other_ratings_is_not_continued(world, upside_down, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    config = CONFIG.model_copy(
        update={"training": CONFIG.training.model_copy(update={"checkpoint_every": 40})}
    )
    checkpoint = tmp_path / "c.safetensors"
    fit("user", world, config, upside_down(world.training), checkpoint=checkpoint)
    assert checkpoint.exists()
    assert same(fit("user", world, config, checkpoint=checkpoint), fit("user", world, config))


def test_features_reach_the_embedding_only_through_attention(world) -> None:  # type: ignore[no-untyped-def]
    features = world.user_features
    others = pd.DataFrame(features.to_numpy()[::-1], index=features.index, columns=features.columns)
    flipped = world._replace(user_features=others)
    vanilla = CONFIG.model_copy(update={"network": RSAttAEConfig(dimension=8, attention=False)})
    assert same(fit("user", world, vanilla), fit("user", flipped, vanilla))
    assert not same(fit("user", world), fit("user", flipped))
