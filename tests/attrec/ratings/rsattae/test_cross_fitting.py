import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from attrec.errors import DataError
from attrec.models.training import TrainingConfig
from attrec.ratings.bayesian.factorization_machine import BayesianFMConfig
from attrec.ratings.boosting import BoostingConfig
from attrec.ratings.folds import fold_of_rows
from attrec.ratings.rsattae.autoencoder import AutoencoderConfig
from attrec.ratings.rsattae.cross_fitting import (
    RSAttAEXGBoostConfig,
    autoencoder_jobs,
    chosen_config,
    machine_jobs,
    member_rows,
    run_autoencoder_job,
    run_machine_job,
)
from attrec.ratings.rsattae.model import RSAttAEXGBoost
from attrec.ratings.rsattae.network import RSAttAEConfig
from attrec.ratings.rsattae.recipes import RECIPES
from attrec.ratings.rsattae.training_tables import BLEND, MACHINE, TrainingTables, fit_head, training_tables

AUTOENCODER = AutoencoderConfig(
    network=RSAttAEConfig(dimension=4, input_dropout=0.2, linear_output=True),
    training=TrainingConfig(epochs=15, learning_rate=0.02),
    centre="bias",
)
CONFIG = RSAttAEXGBoostConfig(
    user_autoencoders=(AUTOENCODER,),
    item_autoencoders=(AUTOENCODER,),
    folds=3,
    embeddings="none",
    reconstructions=True,
    statistics=True,
    affinities=True,
    start_from_reconstructions=True,
    head=BoostingConfig(trees=(5, 10), max_depth=3, learning_rate=0.2, column_sample=1.0),
)
STACKED = CONFIG.model_copy(
    update={
        "machine": BayesianFMConfig(rank=2, iterations=8, burn_in=2, ordered=True),
        "neighbours": True,
        "profiles": True,
        "moments": True,
        "start_from_reconstructions": False,
    }
)
NO_BLEND = CONFIG.model_copy(update={"start_from_reconstructions": False})


def tables_of(world, config: RSAttAEXGBoostConfig = CONFIG, training=None, validation=None) -> TrainingTables:  # type: ignore[no-untyped-def]
    training = world.training if training is None else training
    data = (training, world.user_features, world.item_features)
    fitted = {
        j.name: run_autoencoder_job(j, *data, config, 0, validation) for j in autoencoder_jobs(config, 0)
    }
    machines = {j.name: run_machine_job(j, *data, config, 0) for j in machine_jobs(config, 0)}
    return training_tables(*data, config, 0, fitted, machines)


def with_moments(world):  # type: ignore[no-untyped-def]
    moments = np.random.default_rng(2).permutation(len(world.training)) * 50
    return world._replace(training=world.training.assign(timestamp=moments))


@given(st.integers(2, 60), st.integers(2, 7), st.integers(0, 3), st.integers(0, 3))
def test_folds_partition_the_rows_evenly_whatever_their_order(
    n: int, folds: int, partition: int, seed: int
) -> None:
    pairs = pd.DataFrame({"user_id": np.arange(n) % 7, "item_id": np.arange(n) // 7})
    fold = fold_of_rows(pairs, folds, partition, seed)
    sizes = np.bincount(fold, minlength=folds)
    assert sizes.sum() == n
    assert sizes.max() - sizes.min() <= 1
    order = np.random.default_rng(0).permutation(n)
    assert np.array_equal(fold_of_rows(pairs.iloc[order], folds, partition, seed), fold[order])


def test_jobs_are_distinct_and_reproducible() -> None:
    config = CONFIG.model_copy(update={"partitions": 2, "item_autoencoders": (AUTOENCODER, AUTOENCODER)})
    jobs = autoencoder_jobs(config, 0)
    assert len(jobs) == 2 * 3 * 3
    assert len({job.name for job in jobs}) == len({job.seed for job in jobs}) == len(jobs)
    assert jobs == autoencoder_jobs(config, 0)
    assert not {job.seed for job in jobs} & {job.seed for job in autoencoder_jobs(config, 1)}


def test_every_row_is_unseen_by_exactly_one_member_of_a_partition(world) -> None:  # type: ignore[no-untyped-def]
    unseen = sum((~member_rows(world.training, CONFIG, 0, fold, 0)).astype(int) for fold in range(3))
    assert (unseen == 1).all()
    in_sample = CONFIG.model_copy(update={"folds": 1})
    assert member_rows(world.training, in_sample, 0, 0, 0).all()


@pytest.mark.parametrize("config", [NO_BLEND, STACKED], ids=["autoencoders", "stacked"])
@pytest.mark.parametrize("row", [0, 7, 123])
def test_a_row_never_sees_its_own_rating(world, config: RSAttAEXGBoostConfig, row: int) -> None:  # type: ignore[no-untyped-def]
    """Change one training rating: its own out-of-fold features keep every bit, those of others may change."""
    world = with_moments(world)
    changed = world.training.copy()
    changed.iloc[row, changed.columns.get_loc("rating")] = 6 - changed["rating"].iloc[row]
    before, after = tables_of(world, config).training, tables_of(world, config, changed).training
    assert np.array_equal(before.iloc[row], after.iloc[row])
    moved = (before != after).any()
    for kind in ("reconstruction", MACHINE, "residual", "share of"):
        columns = [name for name in before.columns if kind in name]
        assert moved[columns].any() if columns else config is NO_BLEND


def test_in_sample_features_do_see_it(world) -> None:  # type: ignore[no-untyped-def]
    """The mismatch of the paper's recipe is real: the same change moves the row's own features."""
    config = NO_BLEND.model_copy(update={"folds": 1})
    changed = world.training.copy()
    changed.iloc[0, changed.columns.get_loc("rating")] = 6 - changed["rating"].iloc[0]
    before, after = tables_of(world, config).training, tables_of(world, config, changed).training
    assert not np.array_equal(before.iloc[0], after.iloc[0])


def test_validation_ratings_reach_neither_features_nor_trees(world, upside_down) -> None:  # type: ignore[no-untyped-def]
    """Without early stopping and with one candidate number of trees there is nothing to choose: no bit changes."""
    still = AUTOENCODER.training.model_copy(update={"validate_every": 1000})
    autoencoder = AUTOENCODER.model_copy(update={"training": still})
    config = CONFIG.model_copy(
        update={
            "user_autoencoders": (autoencoder,),
            "item_autoencoders": (autoencoder,),
            "head": CONFIG.head.model_copy(update={"trees": (10,)}),
        }
    )
    predictions = []
    for validation in (world.validation, upside_down(world.validation), None):
        tables = tables_of(world, config, validation=validation)
        head = fit_head(tables, world.training, config, 0, validation)
        predicted = [head.predict(features) for features in tables.features(world.test)]
        predictions.append((tables.training.to_numpy(), np.array(predicted)))
    for features, predicted in predictions[1:]:
        assert np.array_equal(features, predictions[0][0])
        assert np.array_equal(predicted, predictions[0][1])


def test_new_pairs_are_described_by_each_member(world) -> None:  # type: ignore[no-untyped-def]
    data = (world.training, world.user_features, world.item_features)
    fitted = {j.name: run_autoencoder_job(j, *data, CONFIG, 0) for j in autoencoder_jobs(CONFIG, 0)}
    tables = training_tables(*data, CONFIG, 0, fitted)
    described = tables.features(world.test)
    assert len(described) == 3
    for fold, features in enumerate(described):
        expected = fitted[f"item0-p0-f{fold}"].predict(world.test)
        # In half precision.
        np.testing.assert_allclose(features["item0 reconstruction"], expected, rtol=1e-3)
        assert sorted(features) == sorted(tables.training)


def test_out_of_fold_features_of_a_row_come_from_its_own_fold(world) -> None:  # type: ignore[no-untyped-def]
    data = (world.training, world.user_features, world.item_features)
    fitted = {j.name: run_autoencoder_job(j, *data, CONFIG, 0) for j in autoencoder_jobs(CONFIG, 0)}
    features = training_tables(*data, CONFIG, 0, fitted).training["user0 reconstruction"].to_numpy()
    fold = fold_of_rows(world.training, 3, 0, 0)
    for number in range(3):
        rows = fold == number
        expected = fitted[f"user0-p0-f{number}"].predict(world.training[rows])
        np.testing.assert_allclose(features[rows], expected, rtol=1e-3)


def test_machines_are_out_of_fold_in_training_as_the_autoencoders(world) -> None:  # type: ignore[no-untyped-def]
    world = with_moments(world)
    data = (world.training, world.user_features, world.item_features)
    fitted = {j.name: run_autoencoder_job(j, *data, STACKED, 0) for j in autoencoder_jobs(STACKED, 0)}
    machines = {j.name: run_machine_job(j, *data, STACKED, 0) for j in machine_jobs(STACKED, 0)}
    tables = training_tables(*data, STACKED, 0, fitted, machines)
    encoded = tables.catalogue.encode_ratings(world.training)
    fold = fold_of_rows(world.training, 3, 0, 0)
    for number in range(3):
        rows = fold == number
        expected = machines[f"machine-p0-f{number}"][encoded.users[rows], encoded.items[rows]]
        np.testing.assert_allclose(tables.training.loc[rows, MACHINE], expected, rtol=1e-3)
        described = tables.features(world.test)[number][MACHINE]
        users, items = tables.catalogue.encode(world.test)
        np.testing.assert_allclose(described, machines[f"machine-p0-f{number}"][users, items], rtol=1e-3)


def test_a_prediction_is_the_mean_over_members_and_boosters(world) -> None:  # type: ignore[no-untyped-def]
    world = with_moments(world)
    config = STACKED.model_copy(update={"head_seeds": 2, "start_from_reconstructions": True})
    model = RSAttAEXGBoost(config, 0).fit(
        world.training, world.user_features, world.item_features, world.validation.assign(timestamp=500)
    )
    asked = world.test.assign(timestamp=1_000)
    codes = model.catalogue.encode(asked)
    described = model.serving.features(*codes, asked["timestamp"].to_numpy())
    by_hand = np.mean([[head.predict(rows) for head in model.heads] for rows in described], axis=(0, 1))
    assert len(list(model.serving.features(*codes, None))) == 3
    np.testing.assert_allclose(model.predict(asked), by_hand.clip(1, 5), rtol=1e-6)


def test_moments_need_timestamps(world) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(DataError, match="timestamp"):
        tables_of(world, STACKED)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"neighbours": True}, "set machine too"),
        ({"moments": True}, "set machine too"),
        ({"machine": {}, "folds": 1, "embeddings": "encoded"}, "folds of 2 or more"),
        ({"machine": {"time": True}}, "moments: true"),
    ],
)
def test_parts_that_do_not_fit_together(changes: dict[str, object], says: str) -> None:
    with pytest.raises(ValidationError, match=says):
        RSAttAEXGBoostConfig.model_validate({**CONFIG.model_dump(), **changes})


def test_scaled_numbers_have_no_affinity(world) -> None:  # type: ignore[no-untyped-def]
    """A standardised age is no flag: it would put counts near zero into a denominator."""
    plain = tables_of(world).training
    scaled = world._replace(
        user_features=world.user_features.assign(age=np.linspace(-2, 2, len(world.user_features)))
    )
    affinities = [name for name in plain.columns if "affinity" in name]
    assert affinities
    assert [name for name in tables_of(scaled).training.columns if "affinity" in name] == affinities


def test_blend_is_the_least_squares_fit_of_the_reconstructions(world) -> None:  # type: ignore[no-untyped-def]
    tables = tables_of(world)
    inputs = tables.training[["user0 reconstruction", "item0 reconstruction"]].to_numpy("float64")
    residual = world.training["rating"].to_numpy("float64") - tables.training[BLEND].to_numpy("float64")
    assert abs(residual.mean()) < 1e-5
    np.testing.assert_allclose(inputs.T @ residual / len(residual), 0, atol=1e-4)


def test_chosen_config_fixes_epochs_and_trees(world) -> None:  # type: ignore[no-untyped-def]
    data = (world.training, world.user_features, world.item_features)
    fitted = {
        j.name: run_autoencoder_job(j, *data, CONFIG, 0, world.validation)
        for j in autoencoder_jobs(CONFIG, 0)
    }
    tables = training_tables(*data, CONFIG, 0, fitted)
    heads = [fit_head(tables, world.training, CONFIG, seed, world.validation) for seed in range(3)]
    chosen = chosen_config(CONFIG, fitted, heads)
    kept = [fitted[f"item0-p0-f{fold}"].course.best_epoch for fold in range(3)]
    assert chosen.item_autoencoders[0].training.epochs == sorted(kept)[1]
    assert chosen.head.trees == (sorted(head.trees for head in heads)[1],)
    assert (
        chosen.model_copy(
            update={k: getattr(CONFIG, k) for k in ("user_autoencoders", "item_autoencoders", "head")}
        )
        == CONFIG
    )


def test_impossible_configurations_are_refused() -> None:
    with pytest.raises(ValidationError, match="not comparable"):
        RSAttAEXGBoostConfig(folds=2)
    with pytest.raises(ValidationError, match="needs reconstructions"):
        RSAttAEXGBoostConfig(start_from_reconstructions=True)


def test_recipes_are_what_they_say() -> None:
    paper = RECIPES["paper"]
    assert paper.folds == 1
    assert paper.embeddings == "encoded"
    assert paper.user_autoencoders[0].network == RSAttAEConfig(dimension=64)
    assert (paper.head.trees, paper.head.max_depth, paper.head.learning_rate) == (
        (1300, 1500, 1700, 1900),
        9,
        0.01,
    )
    assert RECIPES["full"].folds > RECIPES["quick"].folds > 1
