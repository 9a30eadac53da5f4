"""The study of a search: what is asked, the database that its workers share, and trials that killed ones have left."""

from __future__ import annotations

import hashlib
import json
import os
import platform
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from string import Template
from typing import Any
from urllib.parse import quote

import optuna
from optuna.distributions import BaseDistribution
from optuna.exceptions import ExperimentalWarning, StorageInternalError, UpdateFinishedTrialError
from optuna.pruners import MedianPruner
from optuna.samplers import BaseSampler, TPESampler
from optuna.storages import RDBStorage, RetryHeartbeatStaleTrialCallback, fail_stale_trials
from optuna.study import Study
from optuna.trial import FrozenTrial, Trial, TrialState
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy.exc import SQLAlchemyError

from attrec.addresses import has_secret
from attrec.errors import ParamsError, ServiceError
from attrec.models.specs import Spec
from attrec.models.tunable import Choice, Space, Tunable, described, rounded, value_at
from tasks.engine import environment
from tasks.engine.faults import without_secrets
from tasks.engine.processes import is_alive, process_tag

START, VALUES, CPU_SECONDS, WORKER = "start", "values", "cpu_seconds", "worker"
"""What a trial is marked with: that it is the configuration which the search began from; what of it was changed; what
its fits took; the machine and process that carry it."""
FOUND = (TrialState.COMPLETE, TrialState.PRUNED)
COUNTED = (*FOUND, TrialState.RUNNING)
RANDOM_TRIALS = 8
"""First trials that are drawn without looking at the others."""
HEARTBEAT_SECONDS, LOST_AFTER_SECONDS = 30, 180
"""A worker says so often that its trial goes on; after so long a silence another one takes it up."""
NAMING_SECONDS = 15
"""So long after it was made a trial has named its worker, if that lives."""
STORAGE_VARIABLE = "ATTREC_TUNING_STORAGE"
OF, IS = "of", "is"
"""Marks of a study, what it is of; of a trial, which configuration it is."""
LOST = "failed_trial"
"""By which Optuna marks a trial that is made again: the number of the first that was lost."""
NO_ADDRESS = "--storage is no address as SQLAlchemy has it, such as postgresql://me@host/studies."
MOST_RETRIES = 2
MOST_TRIALS = 200
"""Where a budget names CPU-minutes alone: a baseline's fits take next to none."""


class Budget(BaseModel):
    """How long a study goes on, all its workers together."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    trials: int | None = Field(None, ge=1)
    """Configurations, the first one and those that were pruned among them."""
    cpu_minutes: float | None = Field(None, gt=0)
    """Of fits, of whichever run: a fit that is in the cache counts what it took when it was made."""

    @property
    def most_trials(self) -> int:
        """Never more than these."""
        return self.trials or MOST_TRIALS

    def is_spent(self, study: Study) -> bool:
        """Whether no trial shall begin any more."""
        trials = study.get_trials(deepcopy=False, states=COUNTED)
        spent = self.cpu_minutes is not None and cpu_seconds(study) >= 60 * self.cpu_minutes
        return spent or len(trials) >= self.most_trials

    def __str__(self) -> str:
        said = [f"{self.trials} trials"] if self.trials else []
        said += [f"{self.cpu_minutes:g} CPU-minutes"] if self.cpu_minutes else []
        return " or ".join(said)


@dataclass(frozen=True)
class Search:
    """What is searched: around which configuration, where, on which data and by which figure."""

    family: str
    model: str
    start: Spec
    space: Space
    metric: str
    lower_is_better: bool
    dataset: str
    split: str
    data: str
    """Hash of what fits and choices see."""
    code: str
    """Hash of what the model's class reaches."""
    seed: int

    @property
    def study(self) -> str:
        """Name of the study: whoever asks the same question joins it."""
        asked = [
            *(self.start.resolved(), self.start.tried, described(self.space), self.metric),
            *(self.dataset, self.split, self.data, self.code, self.seed),
        ]
        text = json.dumps(asked, sort_keys=True, default=str)
        return f"{self.family} {self.model} {hashlib.sha256(text.encode()).hexdigest()[:12]}"

    @property
    def of(self) -> str:
        """What all studies have in common whose configurations were chosen among."""
        return " ".join([self.family, self.model, self.dataset, self.split])

    @property
    def start_values(self) -> dict[str, Any]:
        """Where the first configuration stands in the space; it may have values that are not in it."""
        config = self.start.config()
        values = {path: value_at(config, path) for path in self.space}
        return {path: value for path, value in values.items() if self.space[path].holds(value)}

    def suggest(self, trial: Trial) -> dict[str, Any]:
        """What a trial changes, by path; nothing if it is the first configuration."""
        first = trial.user_attrs.get(START)
        paths = self.start_values if first else self.space
        values = {path: _suggested(trial, path, self.space[path]) for path in paths}
        return {} if first else values


def storage_url() -> str:
    """Of the database that is named, or else of one of this checkout.

    It is in the environment, since parameters are logged, and `$NAME` in it stands for a variable of the environment.

    Raises:
        ParamsError: that is not set.
    """
    said = os.environ.get(STORAGE_VARIABLE)
    if not said:
        # A dollar in the path of a checkout names nothing.
        return f"sqlite:///{environment.STATE / 'tuning.db'}"
    try:
        return Template(said).substitute({name: quote(value, safe="") for name, value in os.environ.items()})
    except KeyError as error:
        raise ParamsError(
            f"--storage names the variable {error.args[0]}, which is not set in this environment."
        ) from None
    except ValueError:
        raise ParamsError("--storage has a $ without a name: write $$ where a dollar is meant.") from None


def require_no_password(url: str) -> None:
    """Raises: ParamsError if an address has one written out: it would stand in the list of processes and in logs."""
    try:
        written_out = has_secret(url)
    except ValueError as error:
        raise ParamsError(NO_ADDRESS) from error
    if written_out:
        raise ParamsError(
            "--storage has a password written out: put it into a variable of the environment and name that, as in "
            "'postgresql://me:$PASSWORD@host/studies'."
        )


@contextmanager
def one_sentence_faults() -> Iterator[None]:
    """Raises: ServiceError in place of what a database that cannot be used raises."""
    try:
        yield
    except (SQLAlchemyError, StorageInternalError, ImportError) as error:
        cause = error.__cause__ or error
        told = " ".join(str(getattr(cause, "orig", None) or cause).split())
        raise ServiceError(
            f"The database of the study, {without_secrets(storage_url())}, cannot be used"
            f" ({without_secrets(told)[:160]}): check --storage, and that it runs."
        ) from error


def open_storage(attempts: int = 3) -> RDBStorage:
    """The database, with its tables.

    Args:
        attempts: Workers that begin at once make the tables at once, and all but one fail the first time.

    Raises:
        ServiceError: it cannot be used.
    """
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    warnings.filterwarnings("ignore", category=ExperimentalWarning)
    url = storage_url()
    waiting = {"connect_args": {"timeout": 60}} if url.startswith("sqlite") else {"pool_pre_ping": True}
    try:
        with one_sentence_faults():
            return RDBStorage(
                url,
                engine_kwargs=waiting,
                heartbeat_interval=HEARTBEAT_SECONDS,
                grace_period=LOST_AFTER_SECONDS,
                heartbeat_stale_trial_callback=_wait_again,
            )
    except ServiceError:
        if attempts == 1:
            raise
        time.sleep(1)
        return open_storage(attempts - 1)
    except ValueError as error:  # a port that is no number
        raise ParamsError(NO_ADDRESS) from error


def open_study(search: Search) -> Study:
    """The study, new or gone on with: trials whose workers were killed wait to be taken up again.

    Raises:
        ServiceError: its database cannot be used.
    """
    storage = open_storage()
    with one_sentence_faults():
        study = optuna.create_study(
            storage=storage,
            study_name=search.study,
            direction="minimize" if search.lower_is_better else "maximize",
            load_if_exists=True,
            sampler=NumberedSampler(search.seed, multivariate=len(search.start_values) == len(search.space)),
            pruner=MedianPruner(n_startup_trials=4, n_warmup_steps=_warm_up(search.start), n_min_trials=3),
        )
        study.set_user_attr(OF, search.of)
        take_up(study)
        _put_start_in(study, search)
    return study


def _put_start_in(study: Study, search: Search) -> None:
    """The first configuration waits to be tried, unless it was, or failed so often that others have their turn."""
    starts = [one for one in study.get_trials(deepcopy=False) if START in one.user_attrs]
    failed = sum(one.state is TrialState.FAIL for one in starts)
    if failed == len(starts) <= MOST_RETRIES:
        study.enqueue_trial(search.start_values, user_attrs={START: True})


def digest(spec: Spec) -> str:
    """Of a configuration."""
    return hashlib.sha256(spec.config().model_dump_json().encode()).hexdigest()[:16]


def this_worker() -> str:
    """The machine and the process."""
    return f"{platform.node()} {process_tag()}"


def take_up(study: Study) -> bool:
    """Let trials wait again whose worker is gone: of this machine at once, of another one when it has been silent long.

    Returns:
        Whether there was any.
    """
    fail_stale_trials(study)
    running = study.get_trials(deepcopy=True, states=(TrialState.RUNNING,))
    lost = [one for one in running if _is_lost(one.user_attrs.get(WORKER))]
    unnamed = [one.number for one in running if WORKER not in one.user_attrs]
    until = time.monotonic() + NAMING_SECONDS
    while unnamed and time.monotonic() < until:
        time.sleep(0.1)
        running = study.get_trials(deepcopy=False, states=(TrialState.RUNNING,))
        unnamed = [one.number for one in running if one.number in unnamed and WORKER not in one.user_attrs]
    given_up = {number for number in [*(one.number for one in lost), *unnamed] if _is_given_up(study, number)}
    for one in lost:
        if one.number in given_up:
            _wait_again(study, one)
    return bool(given_up)


def _is_given_up(study: Study, number: int) -> bool:
    """Whether it was this worker that gave a trial up: another one may have been quicker."""
    try:
        study.tell(number, state=TrialState.FAIL)
    except (ValueError, UpdateFinishedTrialError):
        return False
    return True


def _wait_again(study: Study, lost: FrozenTrial) -> None:
    """Let a lost trial wait with its values; if not all were drawn, the next trial draws them from the beginning.

    To draw the rest alone would take other numbers of the same sequence.
    """
    if {VALUES, START} & lost.user_attrs.keys():
        RetryHeartbeatStaleTrialCallback(MOST_RETRIES, inherit_intermediate_values=True)(study, lost)


def _is_lost(worker: str | None) -> bool:
    machine, _, process = (worker or "").partition(" ")
    return machine == platform.node() and not is_alive(process)


def is_superfluous(study: Study, trial: Trial, budget: Budget) -> bool:
    """Whether workers that did the same at the same moment have gone past the budget, or put the start or a lost trial
    in twice."""
    counted = study.get_trials(deepcopy=False, states=COUNTED)
    before = [one for one in counted if one.number < trial.number]
    start = START in trial.user_attrs and any(START in one.user_attrs for one in before)
    lost = next((one.system_attrs.get(LOST) for one in counted if one.number == trial.number), None)
    again = lost is not None and any(one.system_attrs.get(LOST) == lost for one in before)
    return start or again or len(before) >= budget.most_trials


def cpu_seconds(study: Study) -> float:
    """Of all fits of a study, pruned ones among them."""
    return sum(float(one.user_attrs.get(CPU_SECONDS, 0)) for one in study.get_trials(deepcopy=False))


def tried(search: Search, study: Study) -> int:
    """How many configurations of the model were fitted on these data to find the best one.

    Those of other studies in this database count too, whatever their space, seed or code, and those that params.yaml
    tells of.
    """
    own = _configurations(study)
    everywhere = set(own)
    for name, told in _user_attrs_of_studies(study).items():
        if told.get(OF) == search.of and name != study.study_name:
            everywhere |= _configurations(optuna.load_study(study_name=name, storage=study._storage))
    return max(len(everywhere), search.start.tried + len(own) - 1)


def _configurations(study: Study) -> set[str]:
    return {
        str(one.user_attrs[IS])
        for one in study.get_trials(deepcopy=False, states=FOUND)
        if IS in one.user_attrs
    }


def _user_attrs_of_studies(study: Study) -> dict[str, dict[str, Any]]:
    summaries = optuna.get_all_study_summaries(study._storage, include_best_trial=False)
    return {summary.study_name: summary.user_attrs for summary in summaries}


def start_of(study: Study) -> FrozenTrial | None:
    """The trial of the first configuration, when it has ended."""
    trials = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
    return next((one for one in trials if START in one.user_attrs), None)


class NumberedSampler(BaseSampler):
    """TPE whose draws hang on the seed and on how many trials came before, whatever worker asks.

    So a study that was killed and gone on with makes the same trials as one that was not, and no two workers draw the
    same.
    """

    def __init__(self, seed: int, multivariate: bool) -> None:
        self._seed, self._multivariate = seed, multivariate
        self._tpe = self._of(0)

    def _of(self, place: int) -> TPESampler:
        return TPESampler(
            seed=1_000_003 * self._seed + place,
            n_startup_trials=RANDOM_TRIALS,
            multivariate=self._multivariate,
        )

    def before_trial(self, study: Study, trial: FrozenTrial) -> None:
        earlier = study.get_trials(deepcopy=False, states=COUNTED)
        self._tpe = self._of(sum(one.number < trial.number for one in earlier))

    def infer_relative_search_space(self, study: Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        return self._tpe.infer_relative_search_space(study, trial)

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        return self._tpe.sample_relative(study, trial, search_space)

    def sample_independent(
        self, study: Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        return self._tpe.sample_independent(study, trial, param_name, param_distribution)


def _suggested(trial: Trial, path: str, where: Tunable) -> Any:
    if isinstance(where, Choice):
        return trial.suggest_categorical(path, list(where.values))
    if where.whole:
        return trial.suggest_int(path, int(where.low), int(where.high), log=where.log)
    value = rounded(trial.suggest_float(path, where.low, where.high, log=where.log))
    return min(max(value, where.low), where.high)


def _warm_up(start: Spec) -> int:
    """Epochs before which nothing is pruned: a tenth of all."""
    return max(2, (start.model(start.config()).rounds or 0) // 10)
