"""The champion alias moves to a model that is better on validation by a paired test, and without a test where none is
possible or the champion can answer no more."""

from __future__ import annotations

import json
import shutil
import uuid
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from mlflow.exceptions import MlflowException
from mlflow.models import ModelSignature
from mlflow.protos.databricks_pb2 import TEMPORARILY_UNAVAILABLE
from mlflow.types import ColSpec, DataType, Schema
from mlflow.utils.file_utils import local_file_uri_to_path

from attrec.errors import ServiceError
from attrec.ratings.baselines import UserItemBias
from tasks.comparison import champion as contest_rules
from tasks.comparison.champion import (
    CHAMPION,
    Challenger,
    challenge,
    follow_dataset,
)
from tasks.comparison.family import Contest
from tasks.comparison.track import log_served_model
from tasks.engine.artifacts import writing
from tasks.engine.tracking import client, log_files, tracked_run
from tasks.families.playlists.family import PLAYLISTS
from tasks.families.ratings.family import RATINGS
from tasks.families.sequences.family import SEQUENCES

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
    contest: Contest = RATINGS.contest,
) -> str:
    with tracked_run("trial", {}, {}) as run_id:
        frame.to_parquet(tmp_path / contest.file)
        log_files(run_id, tmp_path / contest.file)
        uri = client().get_run(run_id).info.artifact_uri
        challenger = Challenger("model", run_id, uri, dataset, split, frame, contest)
        return challenge(name, challenger, seed=0, unreadable=lambda _: None)


@pytest.fixture
def enter_served(name, tmp_path):
    """As `enter`, with a model that can be served; whether the champion can be loaded is asked of MLflow."""

    def run(frame: pd.DataFrame) -> str:
        nothing = pd.DataFrame(index=pd.RangeIndex(USERS))
        with writing("model") as model:
            UserItemBias().fit(frame, nothing, nothing).save(model.folder)
        items = pd.DataFrame({"item_id": range(RATINGS_A_USER), "title": "Film"})
        signature = ModelSignature(Schema([ColSpec(DataType.long, "user_id")]))
        with tracked_run("trial", {}, {}) as run_id:
            frame.to_parquet(tmp_path / RATINGS.contest.file)
            log_files(run_id, tmp_path / RATINGS.contest.file)
            shutil.rmtree(tmp_path / "model", ignore_errors=True)
            uri = log_served_model(model.artifact, items, signature, run_id, tmp_path)
            return challenge(name, Challenger("model", run_id, uri, "a", "s", frame, RATINGS.contest), seed=0)

    return run


def run_folder(name: str) -> Path:
    run_id = client().get_model_version(name, "1").run_id
    return Path(local_file_uri_to_path(client().get_run(run_id).info.artifact_uri))


def model_folder(name: str) -> Path:
    return Path(local_file_uri_to_path(client().get_model_version_download_uri(name, "1")))


def champion(name: str, alias: str = CHAMPION) -> str:
    return str(client().get_model_version_by_alias(name, alias).version)


def test_the_alias_follows_the_dataset_that_was_reproduced(name, tmp_path):
    enter(name, tmp_path, predictions(1.0), dataset="a")
    enter(name, tmp_path, predictions(1.0), dataset="b")
    assert champion(name) == champion(name, "champion-b") == "2"
    follow_dataset("a")
    assert champion(name) == champion(name, "champion-a") == "1"
    follow_dataset("nothing was fitted to this one")
    assert champion(name) == "1"


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


def test_a_champion_that_can_be_loaded_stays(name, enter_served):
    enter_served(predictions(1.0))
    assert "champion stays" in enter_served(predictions(1.2, seed=1))
    assert champion(name) == champion(name, "champion-a") == "1"


def rename_a_field(folder: Path) -> None:
    [file] = folder.rglob("model.json")
    content = json.loads(file.read_text())
    content["config"]["strengths"] = content["config"].pop("user_regularizations")
    file.write_text(json.dumps(content))


def rename_what_is_imported(folder: Path) -> None:
    file = folder / "served.py"
    file.write_text(file.read_text().replace("read_served", "read_the_served"))


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        (rename_a_field, "of another version of attrec"),
        (rename_what_is_imported, "cannot import name 'read_the_served'"),
    ],
)
def test_a_champion_of_other_code_does_not_stay(name, enter_served, change, fault):
    enter_served(predictions(1.0))
    change(model_folder(name))
    said = enter_served(predictions(1.2, seed=1))
    assert "replaces version 1, which cannot be loaded: " in said
    assert fault in said
    assert champion(name) == champion(name, "champion-a") == "2"


@pytest.mark.parametrize("folder", [run_folder, model_folder])
def test_a_champion_whose_files_are_gone_does_not_stay(name, enter_served, folder):
    enter_served(predictions(1.0))
    shutil.rmtree(folder(name))
    assert "replaces version 1, whose files are gone" in enter_served(predictions(1.2, seed=1))
    assert champion(name) == champion(name, "champion-a") == "2"


@pytest.mark.parametrize(
    "fault",
    [RuntimeError("DefaultCPUAllocator: can't allocate memory"), MemoryError("Unable to allocate 9 GiB")],
)
def test_a_champion_stays_when_memory_is_short(name, enter_served, monkeypatch, fault):
    def take(*_: object) -> None:
        raise fault

    enter_served(predictions(1.0))
    monkeypatch.setattr(UserItemBias, "take", take)
    with pytest.raises(ServiceError, match=f"cannot be read .{fault}"):
        enter_served(predictions(1.2, seed=1))
    assert champion(name) == champion(name, "champion-a") == "1"


@pytest.mark.parametrize("call", ["get_model_version_by_alias", "list_artifacts", "load_model"])
def test_a_champion_stays_when_the_store_is_locked(name, enter_served, monkeypatch, call):
    def locked(*_: object) -> None:
        raise MlflowException("database is\nlocked", TEMPORARILY_UNAVAILABLE)

    enter_served(predictions(1.0))
    with monkeypatch.context() as patch, pytest.raises(ServiceError) as told:
        patch.setattr(contest_rules.pyfunc if call == "load_model" else client(), call, locked)
        enter_served(predictions(1.2, seed=1))
    assert f"The champion of {name} cannot be read (database is locked)" in str(told.value)
    assert champion(name) == champion(name, "champion-a") == "1"


@pytest.mark.parametrize(
    "damage", [Path.unlink, lambda file: file.write_bytes(b"PAR1")], ids=["missing", "cut short"]
)
def test_a_champion_whose_predictions_cannot_be_read_stays(name, enter_served, damage):
    enter_served(predictions(1.0))
    (run_folder(name) / "another").write_text("A file of the run that is there.")
    damage(run_folder(name) / RATINGS.contest.file)
    with pytest.raises(ServiceError, match="remove its alias champion-a"):
        enter_served(predictions(1.2, seed=1))
    assert champion(name) == champion(name, "champion-a") == "1"


def test_of_ranking_figures_the_higher_one_wins(name, tmp_path):
    enter(name, tmp_path, values(0.2), contest=SEQUENCES.contest)
    assert "champion stays" in enter(name, tmp_path, values(0.1, seed=1), contest=SEQUENCES.contest)
    assert "NDCG@10 difference +0.1" in enter(name, tmp_path, values(0.3), contest=SEQUENCES.contest)
    assert champion(name) == "3"


def test_playlists_are_held_to_each_other_by_their_names_alone(name, tmp_path):
    enter(name, tmp_path, values(0.2).drop(columns="item_id"), contest=PLAYLISTS.contest)
    shuffled = values(0.3).drop(columns="item_id").sample(frac=1, random_state=0)
    assert "NDCG@10 difference +0.1" in enter(name, tmp_path, shuffled, contest=PLAYLISTS.contest)
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
