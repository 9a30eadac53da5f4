"""The champion alias moves to a model that is better on validation by a paired test, and without a test where none is
possible or the champion can answer no more."""

from __future__ import annotations

import json
import shutil
import uuid
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import TEMPORARILY_UNAVAILABLE
from mlflow.utils.file_utils import local_file_uri_to_path

from attrec.errors import DataError, ServiceError
from attrec.models.size import ModelSize
from attrec.ratings.baselines import UserItemBias
from attrec.shown import as_markdown
from tasks.comparison import champion as contest_rules
from tasks.comparison import registry
from tasks.comparison.card import Card, row_keys
from tasks.comparison.champion import Challenger, challenge
from tasks.comparison.family import Contest
from tasks.comparison.registry import CHAMPION, ensure_registered, follow_dataset, saved_in
from tasks.comparison.track import log_kept_model
from tasks.engine.artifacts import Artifact
from tasks.engine.run_store import client
from tasks.engine.tracking import DatasetVersion, tracked_run
from tasks.families.playlists.family import PLAYLISTS
from tasks.families.ratings.family import RATINGS
from tasks.families.sequences.family import SEQUENCES

USERS, RATINGS_A_USER = 60, 20
PAIR = ["user_id", "item_id"]


@pytest.fixture
def name(monkeypatch):
    """Of the registered model, in an experiment of the test's own."""
    experiment = f"trial-{uuid.uuid4().hex[:8]}"
    monkeypatch.setenv("MLFLOW_EXPERIMENT_NAME", experiment)
    return f"{experiment}-rating"


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


def not_asked(model: Artifact) -> pd.DataFrame:
    pytest.fail("the champion was asked again")


def keep(
    folder: Path,
    answers: pd.DataFrame,
    dataset: str,
    split: str,
    contest: Contest,
    seen: pd.DataFrame | None,
) -> Path:
    """A model as a stage leaves it, that said these answers and has seen these rows."""
    shutil.rmtree(folder, ignore_errors=True)
    fitted, nothing = predictions(1.0), pd.DataFrame(index=pd.RangeIndex(USERS))
    UserItemBias().fit(fitted, nothing, nothing).save(folder)
    pd.DataFrame({"item_id": range(RATINGS_A_USER), "title": "Film"}).to_parquet(folder / "items.parquet")
    card = Card(
        family="rating",
        model="bias",
        sentence="Biases.",
        dataset=DatasetVersion(name=dataset, digest="d1", source="data/processed", rows=len(fitted)),
        split=split,
        split_hash=split,
        seeds=[0],
        config={},
        size=ModelSize(numbers=1, counted="trained"),
        textual_users=False,
    )
    (folder / "card").mkdir()
    (folder / "card" / "card.json").write_text(card.model_dump_json())
    (folder / "card" / "figures.csv").write_text("part,metric,value\nvalidation,rmse,1.0\n")
    (folder / "card" / "losses.csv").write_text("part,epoch,train_loss,validation_loss\n")
    answers.to_parquet(folder / "card" / "validation.parquet", index=False)
    rows = answers.head(0) if seen is None else seen
    keys = pd.DataFrame({"key": row_keys(rows, contest.rows)})
    keys.to_parquet(folder / "card" / "seen.parquet", index=False)
    return folder


@pytest.fixture
def enter(name, tmp_path) -> Callable[..., str]:
    """Log a model that said these answers, and let it challenge; return the decision."""

    def run(
        answers: pd.DataFrame,
        dataset: str = "a",
        split: str = "s",
        contest: Contest = RATINGS.contest,
        seen: pd.DataFrame | None = None,
        ask: Callable[[Artifact], pd.DataFrame] = not_asked,
        before: Callable[[], None] = lambda: None,
    ) -> str:
        folder = keep(tmp_path / uuid.uuid4().hex, answers, dataset, split, contest, seen)
        with tracked_run("trial", {}, {}) as parent:
            tracked = log_kept_model(RATINGS, folder, parent, {}, None)
        before()
        return challenge(Challenger(folder, tracked, contest), 0, ask)

    return run


def model_folder(name: str, version: str = "1") -> Path:
    return Path(local_file_uri_to_path(client().get_model_version_download_uri(name, version)))


def champion(name: str, alias: str = CHAMPION) -> str:
    return str(client().get_model_version_by_alias(name, alias).version)


def test_the_alias_follows_the_dataset_that_was_reproduced(name, enter):
    enter(predictions(1.0), dataset="a")
    enter(predictions(1.0), dataset="b")
    assert champion(name) == champion(name, "champion-b") == "2"
    follow_dataset("a")
    assert champion(name) == champion(name, "champion-a") == "1"
    follow_dataset("nothing was fitted to this one")
    assert champion(name) == "1"


def test_models_of_others_follow_no_dataset_of_ours(name, enter, tmp_path):
    enter(predictions(1.0), dataset="a")
    theirs = f"{name}-of-somebody"
    client().create_registered_model(theirs)
    client().create_model_version(theirs, tmp_path.as_uri())
    client().set_registered_model_alias(theirs, "champion-a", "1")
    follow_dataset("a")
    assert set(client().get_registered_model(theirs).aliases) == {"champion-a"}


def test_an_experiment_in_a_folder_of_its_own_leaves_the_alias_of_the_checkout(name, enter, monkeypatch):
    enter(predictions(1.0), dataset="a")
    monkeypatch.setattr("tasks.engine.environment.CHECKOUT", Path("elsewhere"))
    enter(predictions(1.0), dataset="b")
    assert (champion(name), champion(name, "champion-b")) == ("1", "2")


def test_first_model_becomes_champion(name, enter):
    assert "first champion" in enter(predictions(1.0))
    assert champion(name) == "1"


def test_better_model_takes_over_and_worse_or_equal_does_not(name, enter):
    enter(predictions(1.0))
    assert "champion stays" in enter(predictions(1.2, seed=1))
    assert champion(name) == "1"
    assert "stays champion" in enter(predictions(1.0))
    assert champion(name) == "1"
    assert "becomes champion" in enter(predictions(0.5, seed=2))
    assert champion(name) == "3"


def test_a_champion_that_can_be_loaded_stays(name, enter):
    enter(predictions(1.0))
    assert "champion stays" in enter(predictions(1.2, seed=1))
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
def test_a_champion_of_other_code_does_not_stay(name, enter, change, fault):
    enter(predictions(1.0))
    change(model_folder(name))
    said = enter(predictions(1.2, seed=1))
    assert "replaces version 1, which cannot be loaded: " in said
    assert fault in said
    assert champion(name) == champion(name, "champion-a") == "2"
    # MLflow's pages take it for Markdown.
    assert as_markdown(said[said.index("replaces") :]) in client().get_model_version(name, "2").description


def test_a_champion_whose_files_are_gone_does_not_stay(name, enter):
    enter(predictions(1.0))
    shutil.rmtree(model_folder(name))
    assert "replaces version 1, whose files are gone" in enter(predictions(1.2, seed=1))
    assert champion(name) == champion(name, "champion-a") == "2"


@pytest.mark.parametrize(
    "fault",
    [RuntimeError("DefaultCPUAllocator: can't allocate memory"), MemoryError("Unable to allocate 9 GiB")],
)
def test_a_champion_stays_when_memory_is_short(name, enter, monkeypatch, fault):
    def take(*_: object) -> None:
        raise fault

    enter(predictions(1.0))
    with pytest.raises(ServiceError, match=f"cannot be read .{fault}"):
        enter(predictions(1.2, seed=1), before=lambda: monkeypatch.setattr(UserItemBias, "take", take))
    assert champion(name) == champion(name, "champion-a") == "1"


@pytest.mark.parametrize("call", ["download_artifacts", "list_artifacts", "load_model"])
def test_a_champion_stays_when_the_store_is_locked(name, enter, monkeypatch, call):
    def locked(*_: object, **__: object) -> None:
        raise MlflowException("database is\nlocked", TEMPORARILY_UNAVAILABLE)

    enter(predictions(1.0))
    with monkeypatch.context() as patch, pytest.raises(ServiceError) as told:
        patch.setattr(contest_rules.pyfunc if call == "load_model" else contest_rules.artifacts, call, locked)
        enter(predictions(1.2, seed=1))
    assert f"The champion of {name} cannot be read (database is locked)" in str(told.value)
    assert champion(name) == champion(name, "champion-a") == "1"


@pytest.mark.parametrize(
    "damage", [Path.unlink, lambda file: file.write_bytes(b"PAR1")], ids=["missing", "cut short"]
)
def test_a_champion_whose_predictions_cannot_be_read_stays(name, enter, damage):
    enter(predictions(1.0))
    damage(saved_in(model_folder(name)) / "card" / "validation.parquet")
    with pytest.raises(ServiceError, match="remove its alias champion-a"):
        enter(predictions(1.2, seed=1))
    assert champion(name) == champion(name, "champion-a") == "1"


def test_of_ranking_figures_the_higher_one_wins(name, enter):
    enter(values(0.2), contest=SEQUENCES.contest)
    assert "champion stays" in enter(values(0.1, seed=1), contest=SEQUENCES.contest)
    assert "NDCG@10 difference +0.1" in enter(values(0.3), contest=SEQUENCES.contest)
    assert champion(name) == "3"


def test_playlists_are_held_to_each_other_by_their_names_alone(name, enter):
    enter(values(0.2).drop(columns="item_id"), contest=PLAYLISTS.contest)
    shuffled = values(0.3).drop(columns="item_id").sample(frac=1, random_state=0)
    assert "NDCG@10 difference +0.1" in enter(shuffled, contest=PLAYLISTS.contest)
    assert champion(name) == "2"


def test_lower_rmse_that_is_not_significant_does_not_take_over(name, enter):
    base = predictions(1.0)
    enter(base)
    slightly = base.copy()
    better, worse = slightly["user_id"] < USERS // 2 + 2, slightly["user_id"] >= USERS // 2 + 2
    slightly.loc[better, "prediction"] += 0.02 * np.sign(slightly["rating"] - slightly["prediction"])
    slightly.loc[worse, "prediction"] -= 0.019 * np.sign(slightly["rating"] - slightly["prediction"])
    rmse = [np.sqrt(((frame["rating"] - frame["prediction"]) ** 2).mean()) for frame in (slightly, base)]
    assert rmse[0] < rmse[1]
    assert "champion stays" in enter(slightly)
    assert champion(name) == "1"


def test_each_dataset_keeps_its_champion(name, enter):
    enter(predictions(0.5), dataset="a")
    enter(predictions(2.0), dataset="b")
    assert (champion(name), champion(name, "champion-a"), champion(name, "champion-b")) == ("2", "1", "2")
    enter(predictions(0.9, seed=3), dataset="a")
    assert champion(name) == champion(name, "champion-a") == "1"


def test_on_grown_data_the_champion_is_asked_again_about_rows_that_its_fit_has_not_seen(name, enter):
    """The champion, which has learned half of the rows by heart, is worse on the others."""
    rows = predictions(1.0)
    seen = rows[rows["item_id"] < RATINGS_A_USER // 2]
    by_heart = predictions(2.0, seed=5)
    by_heart.loc[seen.index, "prediction"] = rows["rating"][seen.index]
    enter(rows.drop(seen.index), split="yesterday", seen=seen)
    said = enter(predictions(1.0, seed=1), split="today", ask=lambda _: by_heart)
    assert "becomes champion" in said
    assert f"on {len(rows) - len(seen):,} validation rows that its fit had not seen" in said
    assert champion(name) == champion(name, "champion-a") == "2"


def test_on_grown_data_a_champion_that_is_not_beaten_stays(name, enter):
    rows = predictions(1.0)
    enter(rows, split="yesterday", seen=rows.head(100))
    said = enter(predictions(1.2, seed=1), split="today", ask=lambda _: predictions(1.0, seed=2))
    assert "champion stays" in said
    assert champion(name) == champion(name, "champion-a") == "1"


def test_the_champion_that_is_asked_again_is_the_registered_model(name, enter):
    asked = []

    def ask(model: Artifact) -> pd.DataFrame:
        asked.append(UserItemBias.load(model.path).predict(predictions(1.0)[PAIR]))
        return predictions(1.0)

    enter(predictions(1.0), split="yesterday")
    enter(predictions(1.2, seed=1), split="today", ask=ask)
    assert len(asked[0]) == USERS * RATINGS_A_USER


def test_what_the_champion_said_of_validation_rows_before_its_last_fit_counts(name, enter):
    """Its last fit has seen all rows; of half of them it had an answer before."""
    rows = predictions(1.0)
    half = rows[rows["item_id"] < RATINGS_A_USER // 2]
    enter(half.assign(prediction=half["rating"] + 2), split="yesterday", seen=rows)
    by_heart = rows.assign(prediction=rows["rating"])
    said = enter(rows, split="today", ask=lambda _: by_heart)
    assert "becomes champion" in said
    assert f"on {len(half):,} validation rows" in said


def test_a_champion_stays_where_too_few_users_are_left_to_tell(name, enter):
    rows = predictions(1.0)
    enter(rows.head(0), split="one", seen=rows[rows["user_id"] >= 19])
    said = enter(predictions(0.1), split="two", ask=lambda _: rows)
    assert "of 19 users, too few to tell" in said
    assert champion(name) == "1"


def test_a_champion_that_cannot_answer_is_replaced(name, enter):
    enter(predictions(0.5), split="one")

    def cannot(model: Artifact) -> pd.DataFrame:
        raise DataError("fit it again.")

    assert "cannot answer any more (fit it again.)" in enter(predictions(2.0), split="two", ask=cannot)
    assert champion(name) == "2"


def test_a_champion_of_numbers_is_not_asked_about_text(name, enter):
    enter(predictions(0.5), split="one")
    card = saved_in(model_folder(name)) / "card" / "card.json"
    card.write_text(card.read_text().replace('"textual_users":false', '"textual_users":true'))
    said = enter(predictions(2.0), split="two")
    assert "which was fitted on ids of another type" in said
    assert champion(name) == "2"


def test_a_row_is_known_again_whether_its_ids_are_numbers_or_text():
    rows = predictions(1.0)[PAIR]
    assert (
        row_keys(rows, ("user_id", "item_id")) == row_keys(rows.astype(str), ("user_id", "item_id"))
    ).all()


def test_what_is_equal_bit_for_bit_gets_no_version_of_its_own(name, enter):
    enter(predictions(1.0))
    assert "version 1 (bias) is what was fitted again, and stays champion" in enter(predictions(1.0))
    enter(predictions(1.2, seed=1))
    assert "version 2 (bias) is not better" in enter(predictions(1.2, seed=1))
    assert len(client().search_model_versions(f"name = '{name}'")) == 2
    assert champion(name) == "1"


def test_what_is_equal_to_a_version_whose_files_are_gone_gets_one_of_its_own(name, enter):
    enter(predictions(1.0))
    enter(predictions(1.2, seed=1))
    shutil.rmtree(model_folder(name, "2"))
    assert "version 3 (bias) is not better" in enter(predictions(1.2, seed=1))


def test_a_champion_that_another_machine_enters_in_between_is_challenged(name, enter):
    enter(predictions(1.0), split="one")

    def meanwhile(model: Artifact) -> pd.DataFrame:
        enter(predictions(0.1, seed=1), split="two", ask=lambda _: predictions(2.0))
        return predictions(2.0)

    assert "the champion stays" in enter(predictions(0.5, seed=2), split="two", ask=meanwhile)
    assert champion(name) == "2"


def test_a_registered_model_of_somebody_else_is_left_alone(name):
    client().create_registered_model(name)
    with pytest.raises(ServiceError, match="that attrec has not made: set MLFLOW_EXPERIMENT_NAME"):
        ensure_registered("rating")
    assert not client().get_registered_model(name).tags


def test_what_attrec_registered_before_it_marked_its_own_is_taken_over(name, tmp_path):
    client().create_registered_model(name)
    client().create_model_version(
        name, tmp_path.as_uri(), tags={"split": "s", "decision": "is the first champion."}
    )
    ensure_registered("rating")
    assert client().get_registered_model(name).tags["attrec.family"] == "rating"


def test_a_registered_model_that_another_machine_makes_in_between_is_taken(name, monkeypatch):
    ensure_registered("rating")
    monkeypatch.setattr(registry, "find_registered", lambda _: None)
    ensure_registered("rating")
    assert client().get_registered_model(name).tags["attrec.family"] == "rating"


def test_a_champion_that_cannot_be_loaded_goes_also_where_few_users_could_tell(name, enter):
    few = predictions(1.0).query("user_id < 5")
    enter(few)
    rename_a_field(model_folder(name))
    assert "replaces version 1, which cannot be loaded" in enter(few.assign(prediction=3.0))
    assert champion(name) == "2"


def test_a_rank_that_was_found_on_other_data_does_not_count(name, enter):
    rows = values(0.2)
    enter(rows.assign(value=9.0), split="yesterday", contest=SEQUENCES.contest, seen=rows.head(150))
    said = enter(rows, split="today", contest=SEQUENCES.contest, ask=lambda _: rows.assign(value=0.1))
    assert "becomes champion" in said
    assert "on 50 validation rows" in said
