"""A study: where it begins, when it ends, and what becomes of trials whose workers were killed."""

from __future__ import annotations

import platform
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.study import Study
from optuna.trial import TrialState

from attrec.errors import ParamsError, ServiceError
from attrec.models.tunable import Choice, Range, Space
from attrec.sequences.specs import SEQUENCE_MODELS
from tasks.engine.processes import PROCESS_TAG
from tasks.tuning import study as module
from tasks.tuning.study import (
    IS,
    START,
    STORAGE_VARIABLE,
    VALUES,
    WORKER,
    Budget,
    Search,
    digest,
    is_superfluous,
    require_no_password,
    start_of,
    this_worker,
    tried,
)

GONE = f"{PROCESS_TAG}{2**22 + 1}@0.0"
SPACE: Space = {"network.dropout": Range(0.0, 0.6), "batch": Range(16, 128, log=True)}


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'studies.db'}"


def open_study(asked: Search, url: str) -> Study:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(STORAGE_VARIABLE, url)
        return module.open_study(asked)


def search(space: Space = SPACE) -> Search:
    return Search(
        family="sequence",
        model="sasrec",
        start=SEQUENCE_MODELS.spec("sasrec"),
        space=space,
        metric="ndcg@10",
        lower_is_better=False,
        dataset="made",
        split="leave-one-out",
        data="",
        code="",
        seed=3,
    )


def ask(study: Study, asked: Search, trials: int) -> list[Mapping[str, Any]]:
    """So many more trials, whose figure is their dropout."""
    made = []

    def objective(trial: optuna.Trial) -> float:
        values = asked.suggest(trial)
        trial.set_user_attr(VALUES, values)
        trial.set_user_attr(IS, digest(asked.start.with_values(values)))
        made.append(values)
        return float(values.get("network.dropout", 0.2))

    study.optimize(objective, n_trials=trials)
    return made


def test_it_begins_with_the_recipe_and_gone_on_with_makes_the_trials_of_one_that_ran_through(
    url: str,
) -> None:
    through = ask(open_study(search(), url), search(), 14)
    assert through[0] == {}
    assert len({str(values) for values in through}) == 14
    other = url.replace("studies", "others")
    parts = [values for number in (1, 4, 9) for values in ask(open_study(search(), other), search(), number)]
    assert parts == through
    study = open_study(search(), other)
    assert len(study.trials) == 14
    assert study.trials[0].params == {"network.dropout": 0.2, "batch": 32}
    assert tried(search(), study) == 14


def test_a_killed_trial_is_taken_up_again_and_counts_once(url: str) -> None:
    through = ask(open_study(search(), url), search(), 6)
    other = url.replace("studies", "others")
    study = open_study(search(), other)
    ask(study, search(), 3)
    killed = study.ask()
    assert search().suggest(killed) == through[3]
    killed.set_user_attr(VALUES, through[3])
    killed.report(0.1, 1)
    killed.set_user_attr(WORKER, this_worker())
    # This process carries it, and it lives; so may one of another machine.
    assert open_study(search(), other).trials[3].state is TrialState.RUNNING
    killed.set_user_attr(WORKER, f"elsewhere {GONE}")
    assert open_study(search(), other).trials[3].state is TrialState.RUNNING
    killed.set_user_attr(WORKER, f"{platform.node()} {GONE}")
    again = open_study(search(), other)
    assert [one.state for one in again.trials[3:]] == [TrialState.FAIL, TrialState.WAITING]
    assert again.trials[4].intermediate_values == {1: 0.1}
    assert ask(again, search(), 3) == through[3:]
    assert len(open_study(search(), other).get_trials(states=(TrialState.COMPLETE,))) == 6


def test_a_trial_that_was_killed_before_it_had_begun_is_drawn_again(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "NAMING_SECONDS", 0.2)
    through = ask(open_study(search(), url), search(), 4)
    other = url.replace("studies", "others")
    study = open_study(search(), other)
    ask(study, search(), 2)
    study.ask()
    assert ask(open_study(search(), other), search(), 2) == through[2:]


def test_a_trial_that_was_killed_while_its_values_were_drawn_is_drawn_again(url: str) -> None:
    through = ask(open_study(search(), url), search(), 4)
    other = url.replace("studies", "others")
    study = open_study(search(), other)
    ask(study, search(), 2)
    killed = study.ask()
    killed.set_user_attr(WORKER, f"{platform.node()} {GONE}")
    killed.suggest_float("network.dropout", 0.0, 0.6)
    assert ask(open_study(search(), other), search(), 2) == through[2:]


def test_a_budget_is_kept_by_workers_that_begin_at_once(url: str) -> None:
    study, budget = open_study(search(), url), Budget(trials=3, cpu_minutes=None)
    trials = [study.ask() for _ in range(4)]
    assert [is_superfluous(study, trial, budget) for trial in trials] == [False, False, False, True]
    assert budget.is_spent(study)


def test_two_workers_that_both_put_the_start_in_fit_it_once(url: str) -> None:
    study = open_study(search(), url)
    study.enqueue_trial(search().start_values, user_attrs={START: True})
    budget = Budget(trials=9, cpu_minutes=None)
    assert [is_superfluous(study, study.ask(), budget) for _ in range(3)] == [False, True, False]


def test_a_lost_trial_that_two_workers_put_in_again_is_made_once(url: str) -> None:
    study = open_study(search(), url)
    ask(study, search(), 3)
    lost = study.ask()
    lost.set_user_attr(VALUES, search().suggest(lost))
    lost.set_user_attr(WORKER, f"{platform.node()} {GONE}")
    other = open_study(search(), url)
    assert [one.state for one in other.trials[3:]] == [TrialState.FAIL, TrialState.WAITING]
    assert not module.take_up(study)
    # As if both had seen it at once.
    module._wait_again(study, study.trials[3])
    budget = Budget(trials=9, cpu_minutes=None)
    assert [is_superfluous(study, study.ask(), budget) for _ in range(2)] == [False, True]


def test_a_start_that_failed_is_tried_again_but_not_for_ever(url: str) -> None:
    for _ in range(3):
        study = open_study(search(), url)
        study.tell(study.ask(), state=TrialState.FAIL)
    study = open_study(search(), url)
    assert [one.user_attrs.get(START) for one in study.trials] == [True] * 3
    assert start_of(study) is None
    ask(study, search(), 1)
    assert start_of(study) is None
    assert study.best_trial.number == 3


def test_all_searches_of_a_model_on_these_data_count_as_tried(url: str) -> None:
    ask(open_study(search(), url), search(), 5)
    # The start is the same in all; with the same seed other code tries the same configurations.
    for asked, count in ((replace(search(), seed=4), 7), (replace(search(), code="edited"), 7)):
        study = open_study(asked, url)
        ask(study, asked, 3)
        assert tried(asked, study) == count
    elsewhere = replace(search(), dataset="elsewhere")
    study = open_study(elsewhere, url)
    ask(study, elsewhere, 2)
    assert tried(elsewhere, study) == 2
    told = replace(search(), start=search().start.model_copy(update={"tried": 30}))
    study = open_study(told, url)
    ask(study, told, 3)
    assert tried(told, study) == 30 + 2


@pytest.mark.parametrize(
    "address",
    [
        "postgresql://me:secret@host/x",
        "postgresql://me@host/x?PWD=secret",
        "postgresql://me:se/cret@host/x",
    ],
)
def test_a_password_that_is_written_out_is_refused(address: str) -> None:
    with pytest.raises(ParamsError) as refused:
        require_no_password(address)
    assert "secret" not in str(refused.value)
    assert "se/cret" not in str(refused.value)


def test_a_password_may_be_a_variable_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    address = "postgresql://me:$STUDY_PASSWORD@host/x"
    require_no_password(address)
    monkeypatch.setenv(STORAGE_VARIABLE, address)
    with pytest.raises(ParamsError, match="the variable STUDY_PASSWORD, which is not set"):
        module.storage_url()
    monkeypatch.setenv("STUDY_PASSWORD", "a/b")
    assert module.storage_url() == "postgresql://me:a%2Fb@host/x"


def test_another_question_is_another_study(url: str) -> None:
    asked = search()
    others = [
        replace(asked, seed=4),
        replace(asked, data="grown"),
        replace(asked, code="edited"),
        search({**SPACE, "batch": Choice((16, 32))}),
        replace(asked, start=asked.start.with_values({"batch": 7})),
    ]
    assert len({one.study for one in (asked, *others)}) == 1 + len(others)


@pytest.mark.parametrize(
    "address",
    ["nonsense", "host:port/db", "postgresql://host:port/db", "postgresql://team:secret@127.0.0.1:1/none",
     "sqlite:////proc/none/studies.db"],
)  # fmt: skip
def test_a_database_that_cannot_be_used(url: str, address: str) -> None:
    with pytest.raises((ServiceError, ParamsError), match=r"cannot be used|no address") as refused:
        open_study(search(), address)
    assert "secret" not in str(refused.value)


def test_a_dollar_in_the_path_of_a_checkout_names_nothing(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv(STORAGE_VARIABLE, raising=False)
    monkeypatch.setattr(module.environment, "STATE", tmp_path / "of $NOBODY" / ".attrec")
    assert module.storage_url() == f"sqlite:///{tmp_path}/of $NOBODY/.attrec/tuning.db"
