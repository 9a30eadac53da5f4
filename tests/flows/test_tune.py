"""Searches, end to end: on validation alone, cached, pruned, tracked, killed, shared, and put into params.yaml."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np
import optuna
import pandas as pd
import pytest
import yaml
from prefect.settings import PREFECT_TASKS_REFRESH_CACHE, temporary_settings

from attrec.errors import ParamsError
from attrec.reporting.tuned import Found, read_trials
from flows import gains, prepare, sequence, tune
from flows.sequence_params import SequenceParams
from flows.stage import run_stage_with
from tasks.engine import environment, run_store
from tasks.engine.params import load_params
from tasks.engine.server import Api
from tasks.reports.published import table_file
from tasks.tuning.found import found_folder
from tasks.tuning.study import STORAGE_VARIABLE, Budget

pytestmark = pytest.mark.slow

PARAMS = """\
# The first line stays.
dataset: simulated
prepare:
  simulated: {n_users: 60, n_items: 80, n_ratings: 2000, seed: 0}
rating:
  models:
    user-item-bias: {kind: user-item-bias}  # so does this
    mean: {kind: global-mean}
sequence:
  models:
    sasrec: {kind: sasrec, changes: {network: {dimension: 8}, training: {epochs: 3}}}
    item-knn: {kind: item-knn, changes: {neighbours: null}}   # and this
"""
TRIALS = 8
ASKED = {"family": "sequence", "models": ["sasrec"], "budget": Budget(trials=TRIALS, cpu_minutes=None)}


@dataclass
class Studied:
    found: Found
    trials: pd.DataFrame
    models: int = 0
    """How many it has left, where none of them was there before."""

    @property
    def table(self) -> pd.DataFrame:
        """Without what differs from run to run."""
        return self.trials.drop(columns=["cpu_seconds", "epochs", "trial"])


def studied(storage: Path | None = None, **asked: object) -> Studied:
    """Run the flow with the params.yaml of this state folder."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(STORAGE_VARIABLE, f"sqlite:///{storage}" if storage else "")
        return _studied(asked)


def _studied(asked: Mapping[str, object]) -> Studied:
    params = load_params(tune.TuneParams).model_copy(update={**ASKED, **asked})
    before = models()
    run_stage_with(params, tune.run)
    folder = found_folder(params.family, params.models[0])
    return Studied(Found.read(folder), read_trials(folder), models() - before)


def models() -> int:
    """In the store of fits, which tests of one process share."""
    return len(list((environment.ARTIFACTS / "model").glob("[!.]*")))


@pytest.fixture(scope="module")
def through(prefect_server: Api) -> Iterator[Studied]:
    """A study that ran through, of the tiny world in which others are killed."""
    (environment.ROOT / "params.yaml").write_text(PARAMS)
    yield studied()
    (environment.ROOT / "params.yaml").unlink()


def test_it_begins_with_what_is_there_and_prunes(through: Studied) -> None:
    trials, found = through.trials, through.found
    assert len(trials) == found.trials == found.tried == TRIALS
    assert trials["start"].tolist() == [True] + [False] * (TRIALS - 1)
    assert found.start == trials["value"][0]
    assert found.best == trials["value"].max()
    pruned = trials[trials["state"] == "pruned"]
    assert len(pruned) == found.pruned > 0
    assert pruned["value"].isna().all()
    # From the third trial on, after the second or the last of three epochs.
    assert pruned["epochs"].between(2, 3).all()
    assert (pruned["epochs"] == 2).any()
    assert 0 < found.cpu_seconds == pytest.approx(trials["cpu_seconds"].sum(), abs=0.1)
    assert set(found.importance) == set(found.space)


def test_a_trial_is_a_run_below_that_of_the_study(through: Studied) -> None:
    client, parent = run_store.client(), through.found.run_id
    below = f"tags.`mlflow.parentRunId` = '{parent}'"
    runs = client.search_runs([run_store.experiment_id()], below)
    assert {run.info.status for run in runs} == {"FINISHED"}
    states = pd.Series([run.data.tags["trial.state"] for run in runs]).value_counts()
    assert states.to_dict() == through.trials["state"].value_counts().to_dict()
    best = next(run for run in runs if run.data.tags["trial"] == str(through.found.best_trial))
    assert best.data.metrics["validation/ndcg_10"] == pytest.approx(through.found.best)
    logged = client.get_run(parent)
    assert logged.data.metrics["gain/validation/ndcg_10"] == pytest.approx(through.found.gain)
    assert {one.path for one in client.list_artifacts(parent, "tuning")} == {
        *("tuning/study.json", "tuning/trials.csv", "tuning/course.png", "tuning/importance.png")
    }


def test_the_same_again_costs_nothing_and_what_was_pruned_is_no_model(
    through: Studied, tmp_path: Path
) -> None:
    assert through.models == (through.trials["state"] == "complete").sum()
    again = studied(storage=tmp_path / "other.db")
    pd.testing.assert_frame_equal(again.table, through.table)
    assert again.models == 0
    # Gone on with, there is nothing left to do.
    assert studied().found.trials == TRIALS


def test_what_was_found_is_put_into_params_yaml_and_comments_stay(through: Studied) -> None:
    file = environment.ROOT / "params.yaml"
    found = studied(models=["item-knn"], budget=Budget(trials=4, cpu_minutes=None), write=True).found
    text, values = file.read_text(), yaml.safe_load(file.read_text())
    told = values["sequence"]["models"]["item-knn"]
    assert told["tried"] == found.tried == 4
    spec = load_params(tune.TuneParams).sequence.all_models()["item-knn"]
    assert [told["changes"].get(path) for path in found.values] == [
        [value] for value in found.values.values()
    ]
    assert spec.tried == 4
    changed = [line for line in text.splitlines() if line not in PARAMS.splitlines()]
    assert all("item-knn" in line for line in changed), changed
    for comment in ("# The first line stays.", "# so does this", "# and this"):
        assert comment in text
    # A search that begins there has seen those before it.
    more = studied(models=["item-knn"], budget=Budget(trials=3, cpu_minutes=None)).found
    assert more.tried == 4 + 2
    file.write_text(PARAMS)


def test_no_choice_hangs_on_a_test_rating(through: Studied) -> None:
    generator = np.random.default_rng(5)
    pairs = pd.MultiIndex.from_product([range(30), range(100, 125)], names=["user_id", "item_id"])
    ratings = pairs.to_frame(index=False)[generator.random(len(pairs)) < 0.6]
    ratings["rating"] = generator.integers(1, 6, len(ratings))
    incoming, file = environment.ROOT / "data" / "incoming" / "leak.csv", environment.ROOT / "params.yaml"
    incoming.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(
        yaml.safe_dump({**yaml.safe_load(PARAMS), "dataset": {"name": "leak", "path": "leak.csv"}})
    )
    asked = {"family": "rating", "models": ["user-item-bias"], "budget": Budget(trials=3, cpu_minutes=None)}
    try:
        ratings.to_csv(incoming, index=False)
        before = studied(**asked)
        splits = map(pd.read_parquet, environment.ARTIFACTS.glob("split/*/split.parquet"))
        # Other tests of this process have left theirs.
        [split] = [one for one in splits if len(one) == len(ratings)]
        is_test = (split["part"] == "test").to_numpy()
        assert 50 < is_test.sum() < len(is_test)
        ratings.loc[is_test, "rating"] = ratings["rating"] % 5 + 1
        ratings.to_csv(incoming, index=False)
        # In a database of its own, and with nothing that could come from the cache.
        with temporary_settings({PREFECT_TASKS_REFRESH_CACHE: True}):
            after = studied(**asked, storage=environment.STATE / "leak.db")
    finally:
        file.write_text(PARAMS)
    assert after.found.study == before.found.study
    pd.testing.assert_frame_equal(after.table, before.table)


@pytest.mark.parametrize(
    ("family", "models", "space", "said"),
    [
        ("sequence", ["sasrce"], {}, "There is no sequence model 'sasrce'; did you mean 'sasrec'?"),
        ("rating", ["mean"], {}, "mean has nothing to tune: it has no parameters."),
        (
            "sequence",
            ["sasrec"],
            {"network.dropout": {"low": 0.0, "high": 3.0}},
            "tune.sequence.sasrec.space: changes: network.dropout: input should be less than or equal to 0.99",
        ),
        ("sequence", ["sasrec"], {"bacth": [1, 2]}, "there is no parameter 'bacth'; did you mean 'batch'?"),
        (
            "sequence",
            ["sasrec"],
            {"batch": {"low": 1.5, "high": 9}},
            "batch: input should be a valid integer",
        ),
        ("sequence", ["sasrec"], {"network": {"low": 1, "high": 9}}, "network: input should be a valid"),
    ],
)
def test_what_cannot_be_searched_is_told_before_anything_runs(
    through: Studied, family: str, models: list[str], space: dict[str, object], said: str
) -> None:
    section = tune.TuneSection.model_validate({family: {models[0]: {"space": space}} if space else {}})
    asked = {"family": family, "models": models, "tune": section}
    with pytest.raises(ParamsError) as refused:
        load_params(tune.TuneParams).model_copy(update=asked).check()
    assert said in str(refused.value)


def test_killed_and_gone_on_with_it_is_the_study_that_ran_through(through, fresh, eventually):
    (fresh.folder / "params.yaml").write_text(PARAMS)
    database = fresh.folder / ".attrec" / "tuning.db"
    words = ("cli.app", "tune", "sequence", "sasrec", "--trials", str(TRIALS))

    def states() -> list[str]:
        if not database.exists():
            return []
        try:
            with sqlite3.connect(database) as connection:
                return [state for (state,) in connection.execute("select state from trials")]
        except sqlite3.OperationalError:
            return []

    process = fresh.start(*words)
    eventually(lambda: states().count("COMPLETE") >= 3 or process.poll() is not None, 120, "three trials")
    assert process.poll() is None, "the search ended before it was to be killed"
    fresh.kill_all()
    process.wait()
    assert 3 <= len(states()) < TRIALS
    printed = fresh.run(*words, "--format", "json")
    [told] = json.loads(printed[printed.rindex("[\n") : printed.rindex("]") + 1])
    folder = fresh.folder / "reports" / "tuning" / "sequence" / "sasrec"
    again = Studied(Found.read(folder), read_trials(folder))
    pd.testing.assert_frame_equal(again.table, through.table)
    assert told["best"] == through.found.best
    assert {"FAIL", "RUNNING", "WAITING"} & set(states()) <= {"FAIL"}


def test_two_workers_share_a_study_through_a_database(fresh, postgres):
    # Long enough that neither is done before the other has begun.
    (fresh.folder / "params.yaml").write_text(PARAMS.replace("epochs: 3", "epochs: 40, patience: 40"))
    url, trials = postgres.database(), 10
    password = urlsplit(url).password
    named = url.replace(password, "$STUDY_PASSWORD")
    words = ("cli.app", "tune", "sequence", "sasrec", "--trials", str(trials), "--storage", named)
    team = replace(fresh, variables={"STUDY_PASSWORD": password})
    workers = [team.start(*words) for _ in range(2)]
    assert [worker.wait(timeout=300) for worker in workers] == [0, 0], fresh.log.read_text()[-3000:]
    [name] = optuna.get_all_study_names(url)
    study = optuna.load_study(study_name=name, storage=url)
    counted = [one for one in study.trials if one.state.name in ("COMPLETE", "PRUNED")]
    assert len(counted) == trials
    assert len({one.user_attrs["worker"] for one in counted}) == 2
    assert sum("start" in one.user_attrs for one in counted) == 1
    assert Found.read(fresh.folder / "reports" / "tuning" / "sequence" / "sasrec").trials == trials


def test_what_searches_gain_is_told_beside_what_each_began_at(through: Studied, monkeypatch) -> None:
    search = load_params(tune.TuneParams).model_copy(update=ASKED)
    monkeypatch.setattr(gains, "SEARCHES", (search,))
    run_stage_with(gains.GainsParams(), gains.run)
    [row] = pd.read_csv(table_file(gains.TABLE, "gains.csv")).to_dict("records")
    assert (row["model"], row["trials"], row["seeds"]) == ("sasrec", TRIALS, 1)
    assert row["validation_best"] == pytest.approx(through.found.best, abs=1e-6)
    assert row["difference"] == pytest.approx(row["test_best"] - row["test_start"], abs=2e-6)
    assert row["ci_low"] <= row["difference"] <= row["ci_high"]
    # The same configurations by the stage, which knows no search.
    start = search.sequence.models["sasrec"]
    best = start.with_values(through.found.values)
    models = {"sasrec": start.model_dump(mode="json"), "sasrec-best": best.model_dump(mode="json")}
    text = yaml.safe_load(PARAMS)
    text["sequence"]["models"] = models
    (environment.ROOT / "params.yaml").write_text(yaml.safe_dump(text))
    try:
        run_stage_with(load_params(prepare.PrepareParams), prepare.run)
        run_stage_with(load_params(SequenceParams), sequence.run)
    finally:
        (environment.ROOT / "params.yaml").write_text(PARAMS)
    scores = pd.read_csv(environment.ROOT / "reports" / "sequence" / "test" / "scores.csv")
    told = scores[scores["metric"] == "ndcg@10"].set_index("model")["value"]
    assert [row["test_start"], row["test_best"]] == pytest.approx(
        [told["sasrec"], told["sasrec-best"]], abs=1e-6
    )
