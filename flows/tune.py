"""Flow `tune`: search for a better configuration of models, on validation alone, and leave what was found.

Each trial is made of the cached tasks of a comparison. Killed, it goes on with the same study; several workers share
one.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any, Literal

import pandas as pd
from filelock import FileLock
from prefect import flow
from pydantic import BaseModel, ConfigDict, Field, field_validator

from attrec.errors import DataError, ParamsError
from attrec.models.specs import Spec
from attrec.models.tunable import Space, read_tunable
from attrec.parameters import ModelName, ended, suggestion
from attrec.playlists.specs import PLAYLIST_MODELS
from attrec.ratings.specs import RATING_MODELS, check_ratings
from attrec.reporting.tuned import Found
from attrec.sequences.specs import SEQUENCE_MODELS
from flows.comparison_params import ComparisonParams
from flows.fitting import fit_models
from flows.playlist_params import PlaylistSection
from flows.prepare import prepare_dataset
from flows.prepare_params import PrepareParams, PrepareSection
from flows.rating_params import RatingSection
from flows.sequence_params import SequenceSection
from flows.stage import run_asked, run_in_tasks
from tasks.comparison.family import Family
from tasks.comparison.fit import watched_by
from tasks.comparison.score import read_scores
from tasks.engine import environment
from tasks.engine.caching import loaded_source_hash
from tasks.engine.logs import tell
from tasks.engine.params import RunnerConfig
from tasks.engine.timings import Timing, total
from tasks.families.playlists.data import make_playlists
from tasks.families.playlists.family import PLAYLISTS
from tasks.families.ratings.family import RATINGS
from tasks.families.sequences.data import make_sequences
from tasks.families.sequences.family import SEQUENCES
from tasks.tuning.found import look_at, write_found
from tasks.tuning.params_file import write_best
from tasks.tuning.runs import log_found, study_run
from tasks.tuning.study import Budget, Search, one_sentence_faults, open_storage, open_study
from tasks.tuning.trials import Outcome, PruningWatch, run_trials

FAMILIES: dict[str, Family[Any, Any]] = {family.name: family for family in (RATINGS, SEQUENCES, PLAYLISTS)}
TABLES = {"rating": RATING_MODELS, "sequence": SEQUENCE_MODELS, "playlist": PLAYLIST_MODELS}


class TunedModel(BaseModel):
    """How a model is searched, where that is not as its configuration says."""

    model_config = ConfigDict(extra="forbid")

    space: dict[str, Any] = Field(
        {},
        description="by the path of a field, as in training.learning_rate: [values], or "
        "{low: …, high: …, log: true}; null leaves it as it is",
    )

    @field_validator("space")
    @classmethod
    def _can_be_read(cls, space: dict[str, Any]) -> dict[str, Any]:
        for path, said in space.items():
            if said is not None:
                try:
                    read_tunable(said)
                except ValueError as error:
                    raise ValueError(f"{path}: {error}") from error
        return space

    def around(self, spec: Spec) -> Space:
        """The space of a model, with what is said of it here; all that is in it fits the model's configuration.

        Raises:
            ValueError: a path leads to no field, or a value does not fit.
        """
        said = {path: None if own is None else read_tunable(own) for path, own in self.space.items()}
        space = {path: own for path, own in {**spec.space, **said}.items() if own is not None}
        for path in self.space.keys() & space.keys():
            for value in space[path].examples:
                spec.with_values({path: value})
        return space


class TuneSection(BaseModel):
    """Section `tune` of params.yaml: a key a model, in each family."""

    model_config = ConfigDict(extra="forbid")

    rating: dict[ModelName, TunedModel] = {}
    sequence: dict[ModelName, TunedModel] = {}
    playlist: dict[ModelName, TunedModel] = {}


class TuneParams(ComparisonParams):
    """What the flow reads from params.yaml, and what is asked of it."""

    prepare: PrepareSection = PrepareSection()
    rating: RatingSection | None = None
    sequence: SequenceSection | None = None
    playlist: PlaylistSection | None = None
    tune: TuneSection = TuneSection()
    family: Literal["rating", "sequence", "playlist"] = "rating"
    models: list[str] = Field([], description="none: all that there is anything to tune of")
    budget: Budget = Budget(trials=20, cpu_minutes=None)
    write: bool = Field(False, description="put what was found into params.yaml")

    @property
    def section(self) -> Any:
        """That of the family.

        Raises:
            ParamsError: there is none.
        """
        section = getattr(self, self.family)
        if section is None:
            raise ParamsError(
                f"params.yaml has no section {self.family}: it says what the models are fitted on."
            )
        return section

    def starts(self) -> dict[str, tuple[Spec, Space]]:
        """By name, where each search begins and what it searches.

        Raises:
            ParamsError: there is no such model, there is nothing to tune of one, or its space contradicts itself.
        """
        own: dict[str, Spec] = self.section.all_models()
        known = {**TABLES[self.family].named(), **own}
        overridden: Mapping[str, TunedModel] = getattr(self.tune, self.family)
        for name in (*self.models, *overridden):
            if name not in known:
                raise ParamsError(
                    ended(f"There is no {self.family} model {name!r}{suggestion(name, list(known))}")
                )
        spaces = {name: self._space(name, known[name], overridden) for name in (self.models or own)}
        for name in self.models:
            if not spaces[name]:
                raise ParamsError(f"{name} has nothing to tune{_why(known[name])}.")
        return {name: (known[name], space) for name, space in spaces.items() if space}

    def untunable(self) -> list[str]:
        """Models of params.yaml that have nothing to tune."""
        return [name for name in self.section.all_models() if name not in self.starts()]

    def _space(self, name: str, spec: Spec, overridden: Mapping[str, TunedModel]) -> Space:
        try:
            return {} if spec.blended else overridden.get(name, TunedModel()).around(spec)
        except ValueError as error:
            raise ParamsError(ended(f"tune.{self.family}.{name}.space: {error}")) from error

    def check(self) -> None:
        """Before anything runs.

        Raises:
            AttrecError: as `starts`, or the data cannot be used so.
        """
        pairs = self.rating.matrix.models() if self.rating and self.family == "rating" else {}
        for name in self.starts():
            if self.write and name in pairs:
                raise ParamsError(
                    f"{name} is a pair of rating.matrix, which has no room for changes: name it in rating.models and"
                    " take it out there."
                )
        PrepareParams(dataset=self.dataset, prepare=self.prepare).check()


def _why(spec: Spec) -> str:
    if spec.blended:
        return ": it is made of other models, which have"
    return "" if type(spec.config()).model_fields else ": it has no parameters"


@flow(name="tune", flow_run_name="tune {params.family} on {params.dataset}")
def tune(params: TuneParams) -> None:
    """Search around each model under the same budget: reports/tuning/<family>/<model>/."""
    family, data = FAMILIES[params.family], prepared(params)
    for name, (start, space) in params.starts().items():
        search = asked(family, data, params, name, start, space)
        found = find(family, data, search, params)
        if found is None:
            tell(f"{name}: nothing was found; no configuration has a figure, or other workers are at it.")
        elif params.write:
            tell(write_best(found, start))


def prepared(params: TuneParams) -> Any:
    """The data of the family, as its stage has them."""
    done = prepare_dataset(PrepareParams(dataset=params.dataset, prepare=params.prepare))
    if params.family == "sequence":
        own = params.section
        made = make_sequences(params.dataset, done.cleaned, own.actions, own.split)
        return made.excluding_seen(own.exclude_seen)
    if params.family == "playlist":
        songs = params.section
        return make_playlists(params.dataset, done.cleaned, songs.likes, songs.split, songs.cleaning)
    if done.prepared.training.facts()["feedback"] == "actions":
        raise DataError(f"Nobody rates in {params.dataset}: tune its sequence or playlist models.")
    searched = {name: start for name, (start, _) in params.starts().items()}
    check_ratings(searched, done.prepared.training.rating_values())
    return done.prepared


def asked(
    family: Family[Any, Any], data: Any, params: TuneParams, name: str, start: Spec, space: Space
) -> Search:
    """What is searched; nothing of the test is in it."""
    return Search(
        family=family.name,
        model=name,
        start=start,
        space=space,
        metric=family.contest.metric.lower(),
        lower_is_better=family.contest.lower_is_better,
        dataset=params.dataset,
        split=family.facts(data)["split"]["name"],
        data=data.training.model_dump_json(),
        code=loaded_source_hash(start.model.__module__),
        seed=params.seed + params.section.seeds[0],
    )


def find(family: Family[Any, Any], data: Any, search: Search, params: TuneParams) -> Found | None:
    """Go on with the study of a search until its budget is spent, and leave what was found."""
    study = open_study(search)
    with one_sentence_faults(), study_run(study, search, params.budget) as (run_id, tags):
        run_trials(study, search, params.budget, run_id, tags, partial(attempt, family, data, search))
        # Of the workers of one checkout the last has seen the trials of all, and is to have the last word.
        with FileLock(environment.STATE / "tuning.lock"):
            found = look_at(study, search, params.budget, run_id)
            if found is not None:
                log_found(run_id, write_found(found, study, search), found)
    return found


def attempt(
    family: Family[Any, Any], data: Any, search: Search, spec: Spec, label: str, watch: PruningWatch
) -> Outcome:
    """Fit a configuration in the phase `select` and score what it says on validation."""
    with watched_by(watch):
        [fitted] = fit_models(family, {search.model: spec}, [search.seed], data, label, ("validation",))
    timing = total(fitted.fits[0]) or Timing()
    if not watch.epoch:
        replay(family.losses(fitted), watch, timing)
    scores = read_scores(family.evaluate(data, "validation", {search.model: fitted.validation}))
    value = scores.set_index("metric")["value"][search.metric]
    return Outcome(float(value), timing.cpu_seconds)


def replay(losses: Mapping[str, pd.DataFrame], watch: PruningWatch, timing: Timing) -> None:
    """Tell the losses of a fit that was in the cache: a study is the same whatever has run before."""
    own = losses.get("", pd.DataFrame(columns=["epoch", "validation_loss"]))
    for row in own.dropna(subset="validation_loss").to_dict("records"):
        watch(int(row["epoch"]), float(row["validation_loss"]), timing)


def run(params: TuneParams) -> None:
    """Run the flow."""
    params.check()
    open_storage()
    # Threads, which see who watches their fits; more processes are more workers of one study.
    threads = RunnerConfig(kind="threads", workers=params.runner.workers)
    run_in_tasks(tune, params.model_copy(update={"runner": threads}))


if __name__ == "__main__":
    run_asked(TuneParams, run)
