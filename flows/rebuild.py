"""The whole pipeline as one flow, for a worker's schedule: DVC's stages in DVC's order, leaving the same dvc.lock."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from dvc.exceptions import DvcException, ReproductionError
from dvc.repo import Repo
from dvc.repo.reproduce import plan_repro
from prefect import flow, task
from prefect.client.schemas.objects import State
from prefect.runtime import flow_run
from prefect.states import Completed, Failed

from attrec.datasets.registry import get_spec
from attrec.errors import AttrecError, ParamsError, ServiceError
from attrec.parameters import ended, suggestion
from flows.prepare_params import PrepareParams
from flows.refill import refill
from flows.stage import one_sentence_errors, one_sentence_logs
from tasks.comparison.registry import follow_dataset
from tasks.engine import environment
from tasks.engine.dvc import run_dvc, surroundings
from tasks.engine.flow_runs import mark_dead_runs_as_crashed, noted, parent_of_flows
from tasks.engine.logs import tell
from tasks.engine.params import PARAMS_FILE, load_params
from tasks.engine.processes import process_tag
from tasks.engine.server import OWNER_VARIABLE, STORE_VARIABLE, prefect_api, store

FAILED = "the stage's own message stands in its flow run, or above"


@task(name="stage", task_run_name="{name}")
def reproduce_stage(name: str) -> State[None]:
    """Bring one DVC stage up to date; its state is named Cached when nothing had changed."""
    # Somebody may be typing another command of DVC.
    with parent_of_flows(), Repo(str(environment.ROOT), _wait_for_lock=True) as repo:
        try:
            changed = repo.reproduce(targets=[name], single_item=True)
        except ReproductionError:
            return Failed(message=f"The stage {name} failed: {FAILED}.")
    return Completed(message="rebuilt") if changed else Completed(name="Cached", message="cached")


@task(name="experiment", task_run_name="experiment {name}")
def run_experiment(name: str, overrides: list[str], stages: list[str]) -> State[None]:
    """Run stages with other parameters, as `dvc exp run --temp` does: what stands in the project stays as it is."""
    changes = [word for override in overrides for word in ("-S", override)]
    with parent_of_flows():
        if run_dvc("--wait-for-lock", "exp", "run", "--temp", "--name", name, *changes, *stages):
            return Failed(message=f"The experiment {name} failed: {FAILED}.")
    return Completed(message=name)


def stage_order(stages: Sequence[str] | None = None) -> list[str]:
    """Names of these stages of dvc.yaml, all by default, and of those that they depend on, which come before them.

    Raises:
        ParamsError: there is no such stage.
    """
    with Repo(str(environment.ROOT)) as repo:
        graph = repo.index.graph
        known = {stage.addressing: stage for stage in plan_repro(graph, None)}
        for name in stages or ():
            if name not in known:
                raise ParamsError(ended(f"There is no stage {name!r}{suggestion(name, list(known))}"))
        asked = None if stages is None else [known[name] for name in stages]
        return [stage.addressing for stage in plan_repro(graph, asked)]


def check_overrides(overrides: Sequence[str]) -> None:
    """See that params.yaml with these in place is one that every stage can read.

    Raises:
        ParamsError: it is not, or they are no overrides as `dvc exp run -S` takes them.
    """
    from dvc.utils.hydra import apply_overrides

    from flows.parameters import check_params

    with tempfile.TemporaryDirectory() as folder:
        changed = Path(folder) / PARAMS_FILE
        shutil.copyfile(environment.ROOT / PARAMS_FILE, changed)
        try:
            apply_overrides(changed, list(overrides))
        except (DvcException, ValueError) as error:
            fault = str(error.__cause__ or error).splitlines()[0].rstrip(".")
            raise ParamsError(ended(f"overrides: {fault}")) from error
        check_params(changed)


def run_name() -> str:
    """`rebuild`, with what the flow run was asked for."""
    asked = flow_run.parameters
    words = [asked.get("dataset"), *(asked.get("overrides") or ()), *(asked.get("stages") or ())]
    return " ".join(["rebuild", *filter(None, words)])


@flow(name="rebuild", flow_run_name=run_name)
def rebuild(
    dataset: str | None = None, overrides: list[str] | None = None, stages: list[str] | None = None
) -> State[None]:
    """Rebuild what changed, stage by stage.

    With a dataset or overrides it is an experiment of DVC, made in a temporary folder, that `dvc exp show` lists;
    without, it brings the checkout up to date.

    Args:
        dataset: A name from `attrec datasets`, or of one's own data; left out, that of params.yaml.
        overrides: Other values than those of params.yaml, as `dvc exp run -S` takes them: rating.seeds=[0,1].
        stages: Names of stages, such as rating; those that they need come first. Left out, all.

    Returns:
        State whose message says `rebuilt` or `cached` of each stage, or the name of the experiment.
    """
    # The stages are processes of their own: they use this flow's API and end when this process ends.
    os.environ.update({**surroundings(), OWNER_VARIABLE: process_tag()})
    with prefect_api(), noted():
        try:
            changes = list(overrides or ())
            params = load_params(PrepareParams)
            if dataset is not None and dataset != params.dataset:
                own = params.prepare.csv
                get_spec(dataset, None if own is None else own.name)
                changes.insert(0, f"dataset={dataset}")
            order = stage_order(stages)
            if changes:
                check_overrides(changes)
                name = f"rebuild-{str(flow_run.id)[:8]}"
                done = [_told("experiment", run_experiment(name, changes, stages or [], return_state=True))]
            else:
                done = [_told(name, reproduce_stage(name, return_state=True)) for name in order]
                # Stages that are cached track nothing, and the store may be another one or a new one.
                for family in refill():
                    tell(f"{family}: the run store is filled again")
                follow_dataset(params.dataset)
        except AttrecError as error:
            return Failed(message=str(error))
        return Completed(message=", ".join(done))


def _told(name: str, state: State[Any]) -> str:
    require_completed(state)
    outcome = f"{name}: {state.message}"
    tell(outcome)
    return outcome


def require_completed(state: State[Any]) -> None:
    """See that a run has ended well.

    Raises:
        ServiceError: it has not; the sentence is the state's.
    """
    if not state.is_completed():
        raise ServiceError(str(state.message))


def main() -> None:
    """Run it here, without a worker."""
    with one_sentence_errors(), prefect_api() as api, one_sentence_logs():
        os.environ |= {STORE_VARIABLE: store(), **api.variables()}
        mark_dead_runs_as_crashed()
        require_completed(rebuild(return_state=True))


if __name__ == "__main__":
    main()
