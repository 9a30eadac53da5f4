"""The champion alias moves only to a model that is better on validation by a paired test."""

from __future__ import annotations

import uuid

import numpy as np
import pandas as pd
import pytest

from tasks.champion import (
    CHAMPION,
    PLAYLIST,
    RATING,
    SEQUENCE,
    Challenger,
    Contest,
    challenge,
)
from tasks.tracking import client, log_files, tracked_run

USERS, RATINGS_A_USER = 60, 20


@pytest.fixture
def name():
    return f"trial-{uuid.uuid4().hex[:8]}"


def predictions(noise: float, seed: int = 0) -> pd.DataFrame:
    generator = np.random.default_rng(seed)
    user = np.repeat(np.arange(USERS), RATINGS_A_USER)
    rating = np.random.default_rng(99).integers(1, 6, len(user)).astype(float)
    item = np.tile(np.arange(RATINGS_A_USER), USERS)
    prediction = rating + noise * generator.standard_normal(len(user))
    return pd.DataFrame({"user_id": user, "item_id": item, "rating": rating, "prediction": prediction})


def values(mean: float, seed: int = 0) -> pd.DataFrame:
    noise = np.random.default_rng(seed).standard_normal(200)
    return pd.DataFrame({"user_id": np.arange(200), "item_id": 7, "value": mean + 0.1 * noise})


def enter(
    name: str,
    tmp_path,
    frame: pd.DataFrame,
    dataset: str = "a",
    split: str = "s",
    contest: Contest = RATING,
    fault: str | None = None,
) -> str:
    with tracked_run("trial", {}, {}) as run_id:
        frame.to_parquet(tmp_path / contest.file)
        log_files(run_id, tmp_path / contest.file)
        uri = client().get_run(run_id).info.artifact_uri
        challenger = Challenger("model", run_id, uri, dataset, split, frame, contest)
        return challenge(name, challenger, seed=0, unreadable=lambda _: fault)


def champion(name: str, alias: str = CHAMPION) -> str:
    return str(client().get_model_version_by_alias(name, alias).version)


def test_first_model_becomes_champion(name, tmp_path):
    assert "first champion" in enter(name, tmp_path, predictions(1.0))
    assert champion(name) == "1"


def test_better_model_takes_over_and_worse_or_equal_does_not(name, tmp_path):
    enter(name, tmp_path, predictions(1.0))
    assert "champion stays" in enter(name, tmp_path, predictions(1.2, seed=1))
    assert champion(name) == "1"
    assert "champion stays" in enter(name, tmp_path, predictions(1.0))
    assert champion(name) == "1"
    assert "becomes champion" in enter(name, tmp_path, predictions(0.5, seed=2))
    assert champion(name) == "4"


def test_a_champion_that_cannot_be_loaded_any_more_does_not_stay(name, tmp_path):
    enter(name, tmp_path, predictions(1.0))
    said = enter(name, tmp_path, predictions(1.2, seed=1), fault="of another version.")
    assert "replaces version 1, which cannot be loaded: of another version." in said
    assert champion(name) == "2"


def test_of_ranking_figures_the_higher_one_wins(name, tmp_path):
    enter(name, tmp_path, values(0.2), contest=SEQUENCE)
    assert "champion stays" in enter(name, tmp_path, values(0.1, seed=1), contest=SEQUENCE)
    assert "NDCG@10 difference +0.1" in enter(name, tmp_path, values(0.3), contest=SEQUENCE)
    assert champion(name) == "3"


def test_playlists_are_held_to_each_other_by_their_names_alone(name, tmp_path):
    enter(name, tmp_path, values(0.2).drop(columns="item_id"), contest=PLAYLIST)
    shuffled = values(0.3).drop(columns="item_id").sample(frac=1, random_state=0)
    assert "NDCG@10 difference +0.1" in enter(name, tmp_path, shuffled, contest=PLAYLIST)
    assert champion(name) == "2"


def test_lower_rmse_that_is_not_significant_does_not_take_over(name, tmp_path):
    base = predictions(1.0)
    enter(name, tmp_path, base)
    slightly = base.copy()
    better, worse = slightly["user_id"] < USERS // 2 + 2, slightly["user_id"] >= USERS // 2 + 2
    slightly.loc[better, "prediction"] += 0.02 * np.sign(slightly["rating"] - slightly["prediction"])
    slightly.loc[worse, "prediction"] -= 0.019 * np.sign(slightly["rating"] - slightly["prediction"])
    rmse = [np.sqrt(((frame["rating"] - frame["prediction"]) ** 2).mean()) for frame in (slightly, base)]
    assert rmse[0] < rmse[1]
    assert "champion stays" in enter(name, tmp_path, slightly)
    assert champion(name) == "1"


def test_each_dataset_keeps_its_champion(name, tmp_path):
    enter(name, tmp_path, predictions(0.5), dataset="a")
    enter(name, tmp_path, predictions(2.0), dataset="b")
    assert (champion(name), champion(name, "champion-a"), champion(name, "champion-b")) == ("2", "1", "2")
    enter(name, tmp_path, predictions(0.9, seed=3), dataset="a")
    assert champion(name) == champion(name, "champion-a") == "1"


def test_other_split_replaces_without_a_test(name, tmp_path):
    enter(name, tmp_path, predictions(0.5), split="one")
    assert "another split" in enter(name, tmp_path, predictions(2.0), split="two")
    assert champion(name) == "2"
