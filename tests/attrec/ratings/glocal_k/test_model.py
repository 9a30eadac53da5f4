"""GLocal-K: its two kernels by hand, its two trainings, and whom it leaves to the biases."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from attrec.errors import TrainingDiverged
from attrec.models.layers import seeded_generator
from attrec.ratings.baselines import UserItemBias
from attrec.ratings.glocal_k.model import GLocalK, GLocalKConfig
from attrec.ratings.glocal_k.network import GLocalKNetwork, GLocalKNetworkConfig, LocalKernelLayer, convolve
from tests.attrec.ratings.contract import RatingContract

NETWORK = GLocalKNetworkConfig(hidden=12, weight_penalty=0.3)
CONFIG = GLocalKConfig(network=NETWORK, pretraining_rounds=10, fine_tuning_rounds=10)
FIXED = CONFIG.model_copy(update={"pretraining_rounds": 4, "fine_tuning_rounds": 3})


def fit(world, config=CONFIG, validation=True, seed=0, **options) -> GLocalK:  # type: ignore[no-untyped-def]
    held_out = world.validation if validation is True else None if validation is False else validation
    return GLocalK(config, seed).fit(
        world.training, world.user_features, world.item_features, held_out, **options
    )


def rmse(model, ratings: pd.DataFrame) -> float:  # type: ignore[no-untyped-def]
    return float(np.sqrt(np.mean((model.predict(ratings) - ratings["rating"]) ** 2)))


def test_local_kernel_falls_with_the_squared_distance_and_is_zero_beyond_one() -> None:
    layer = LocalKernelLayer(2, 3, 2, seeded_generator(0))
    with torch.no_grad():
        layer.input_vectors.copy_(torch.tensor([[0.0, 0.0], [0.6, 0.0]]))
        layer.output_vectors.copy_(torch.tensor([[0.0, 0.0], [0.0, 0.8], [3.0, 0.0]]))
        layer.weight.copy_(torch.tensor([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]))
        layer.bias.copy_(torch.tensor([0.1, 0.2, 0.3]))
    kernel = layer.kernel()
    # Squared distances: 0, 0.64, 9 and 0.36, 1, 5.76.
    torch.testing.assert_close(kernel, torch.tensor([[1.0, 0.36, 0.0], [0.64, 0.0, 0.0]]))
    output = layer(torch.tensor([[1.0, 10.0]]), kernel)
    torch.testing.assert_close(output, torch.tensor([[1 + 10 * 4 * 0.64 + 0.1, 2 * 0.36 + 0.2, 0.3]]))


@pytest.mark.parametrize("size", [1, 3, 5])
def test_convolution_is_a_plain_loop_over_neighbours(size: int) -> None:
    generator = np.random.default_rng(0)
    ratings, kernel = generator.normal(size=(6, 7)), generator.normal(size=(size, size))
    expected, reach = np.zeros((6, 7)), size // 2
    for item in range(6):
        for user in range(7):
            for down in range(-reach, reach + 1):
                for right in range(-reach, reach + 1):
                    if 0 <= item + down < 6 and 0 <= user + right < 7:
                        weight = kernel[down + reach, right + reach]
                        expected[item, user] += weight * ratings[item + down, user + right]
    convolved = convolve(torch.tensor(ratings), torch.tensor(kernel)).numpy()
    np.testing.assert_allclose(convolved, np.maximum(expected, 0), atol=1e-12)


def test_network_is_the_papers_formula() -> None:
    """Global kernel from the mean of the reconstruction over users; both passes share their weights."""
    network = GLocalKNetwork(
        5, 4, GLocalKNetworkConfig(hidden=3, layers=1, kernel_scale=0.7), seeded_generator(1)
    )
    ratings = torch.randint(0, 6, (5, 4), generator=seeded_generator(2)).float()
    encoder, decoder = network.encoder[0], network.decoder
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.normal_(0, 0.3, generator=seeded_generator(parameter.numel()))

    def autoencoder(matrix: torch.Tensor) -> torch.Tensor:
        hidden = torch.sigmoid(matrix @ (encoder.weight * encoder.kernel()) + encoder.bias)
        return hidden @ (decoder.weight * decoder.kernel()) + decoder.bias

    plain, penalty = network(ratings, smooth=False)
    torch.testing.assert_close(plain, autoencoder(ratings))
    kernel = sum(
        0.7 * weight * kernel
        for weight, kernel in zip(plain.mean(1), network.convolution_kernels, strict=True)
    )
    smooth, _ = network(ratings, smooth=True)
    torch.testing.assert_close(smooth, autoencoder(convolve(ratings, kernel)))
    weights = sum((layer.weight**2).sum() for layer in (encoder, decoder))
    entries = sum((layer.kernel() ** 2).sum() for layer in (encoder, decoder))
    torch.testing.assert_close(penalty, 20 * weights + 0.006 * entries)


def test_penalties_shrink_what_they_are_on(world) -> None:
    def fitted_spread(weight_penalty: float) -> float:
        network = NETWORK.model_copy(update={"weight_penalty": weight_penalty})
        return float(np.std(fit(world, FIXED.model_copy(update={"network": network})).reconstruction))

    assert fitted_spread(1000.0) < 0.5 * fitted_spread(0.3)


def test_camps_are_learned_by_fine_tuning(world) -> None:
    model = fit(world)
    assert rmse(model, world.test) < 1.0 < 1.3 < rmse(model.bias, world.test)
    assert model.fine_tuning.best_loss < 1.0


def test_validation_chooses_the_rounds_of_the_final_fit(world) -> None:
    model = fit(world)
    chosen = model.chosen_config()
    for history, rounds in (
        (model.pretraining, chosen.pretraining_rounds),
        (model.fine_tuning, chosen.fine_tuning_rounds),
    ):
        losses = [loss for loss in history.validation_loss if loss is not None]
        assert rounds == 1 + int(np.argmin(losses))
        assert history.best_loss == min(losses)
    assert rmse(model, world.validation) == pytest.approx(model.fine_tuning.best_loss, rel=1e-5)
    assert len(chosen.bias.user_regularizations) == 1
    # The same rounds on the same ratings, unvalidated, are the same model.
    assert np.array_equal(fit(world, chosen, validation=False).reconstruction, model.reconstruction)


def test_training_stops_when_patience_is_over(world) -> None:
    impatient = CONFIG.model_copy(update={"patience": 1, "fine_tuning_rounds": 500})
    history = fit(world, impatient).fine_tuning
    assert len(history.epochs) == history.best_epoch + 1 < 500


def test_validation_ratings_are_never_inputs(world, upside_down) -> None:
    """Their values may choose rounds and ridge strengths; with one round of each they can change nothing."""
    one = CONFIG.model_copy(update={"pretraining_rounds": 1, "fine_tuning_rounds": 1})
    honest, other = fit(world, one), fit(world, one, upside_down(world.validation))
    assert honest.fine_tuning.validation_loss != other.fine_tuning.validation_loss
    assert np.array_equal(honest.reconstruction, other.reconstruction)
    assert np.array_equal(honest.reconstruction, fit(world, one, validation=False).reconstruction)


def test_seed_decides(world) -> None:
    assert np.array_equal(fit(world, FIXED).reconstruction, fit(world, FIXED).reconstruction)
    assert not np.array_equal(fit(world, FIXED).reconstruction, fit(world, FIXED, seed=1).reconstruction)


def test_does_not_touch_the_process_wide_generator(world) -> None:
    torch.manual_seed(0)
    expected = torch.rand(1)
    torch.manual_seed(0)
    fit(world, FIXED)
    assert torch.rand(1) == expected


@pytest.mark.parametrize("validation", [True, False])
@pytest.mark.parametrize("killed_after", [1, 4, 5, 6])
def test_a_killed_training_resumes_to_the_same_bits(
    world, validation: bool, killed_after: int, tmp_path: Path
) -> None:  # type: ignore[no-untyped-def]
    rounds: list[int] = []

    def killer(epoch: int, train_loss: float, validation_loss: float | None) -> None:
        if epoch == killed_after:
            raise KeyboardInterrupt

    def count(epoch: int, train_loss: float, validation_loss: float | None) -> None:
        rounds.append(epoch)
        assert (validation_loss is not None) == validation

    checkpoint = tmp_path / "checkpoint.safetensors"
    with pytest.raises(KeyboardInterrupt):
        fit(world, FIXED, validation, checkpoint=checkpoint, progress=killer)
    resumed = fit(world, FIXED, validation, checkpoint=checkpoint, progress=count)
    assert rounds == list(range(killed_after + 1, 8))
    whole = fit(world, FIXED, validation)
    assert np.array_equal(resumed.reconstruction, whole.reconstruction)
    assert (resumed.pretraining, resumed.fine_tuning) == (whole.pretraining, whole.fine_tuning)


def test_a_foreign_or_damaged_checkpoint_is_ignored(world, tmp_path: Path) -> None:
    checkpoint = tmp_path / "checkpoint.safetensors"
    fit(world, FIXED, checkpoint=checkpoint, seed=5)
    whole = fit(world, FIXED)
    assert np.array_equal(fit(world, FIXED, checkpoint=checkpoint).reconstruction, whole.reconstruction)
    checkpoint.write_bytes(b"no checkpoint")
    assert np.array_equal(fit(world, FIXED, checkpoint=checkpoint).reconstruction, whole.reconstruction)


def test_whom_the_network_does_not_know_is_left_to_the_biases(world) -> None:
    lonely = world.user_features.index[0]
    training = world.training[world.training["user_id"] != lonely]
    model = GLocalK(FIXED).fit(training, world.user_features, world.item_features)
    bias = UserItemBias().fit(training, world.user_features, world.item_features)
    user, item = world.user_features.index[1], world.item_features.index[1]
    history = pd.DataFrame({"user_id": 9001, "item_id": world.item_features.index[1:6], "rating": 5.0})
    pairs = pd.DataFrame(
        {"user_id": [lonely, 9001, user, -1, user], "item_id": [item, item, "nowhere", item, item]}
    )
    predicted, by_bias = model.predict(pairs, history), bias.predict(pairs, history)
    assert np.array_equal(predicted[:-1], by_bias[:-1])
    assert predicted[1] > model.predict(pairs)[1]
    assert predicted[-1] != by_bias[-1]


def test_an_item_nobody_rated_is_what_the_network_makes_of_an_empty_row(world) -> None:
    unrated = world.item_features.index[-1]
    training = world.training[world.training["item_id"] != unrated]
    model = GLocalK(FIXED).fit(training, world.user_features, world.item_features)
    pairs = pd.DataFrame({"user_id": training["user_id"].unique(), "item_id": unrated})
    users, items = model.catalogue.encode(pairs)
    expected = model.reconstruction[users, items].clip(*model.rating_range)
    np.testing.assert_array_equal(model.predict(pairs), expected)


def test_a_training_that_leaves_the_numbers_says_what_to_change(world) -> None:
    network = NETWORK.model_copy(update={"kernel_scale": 1e38})
    with pytest.raises(TrainingDiverged, match="weight penalty"):
        fit(world, FIXED.model_copy(update={"network": network}))


class TestGLocalK(RatingContract):
    model = GLocalK
    configs = {"glocal-k": CONFIG}
