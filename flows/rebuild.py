"""The whole pipeline as one flow, for a worker's schedule: DVC's stages in DVC's order, leaving the same dvc.lock."""

from __future__ import annotations

import os
from typing import Any

from dvc.exceptions import ReproductionError
from dvc.repo import Repo
from dvc.repo.reproduce import plan_repro
from prefect import flow, tags, task
from prefect.client.schemas.objects import State
from prefect.states import Completed

from attrec.errors import ServiceError
from flows.stage import one_sentence_errors, one_sentence_logs
from tasks.engine import environment
from tasks.engine.dvc import surroundings
from tasks.engine.processes import process_tag
from tasks.engine.server import OWNER_VARIABLE, prefect_api
from tasks.engine.sweep import mark_dead_runs_as_crashed, tag_this_run


@task(name="stage", task_run_name="{name}")
def reproduce_stage(name: str) -> State[None]:
    """Bring one DVC stage up to date; its state is named Cached when nothing had changed."""
    with Repo(str(environment.ROOT)) as repo:
        try:
            changed = repo.reproduce(targets=[name], single_item=True)
        except ReproductionError as error:
            raise ServiceError(f"The stage {name} failed: its own message stands above.") from error
    if not changed:
        return Completed(name="Cached", message=f"{name} is up to date")
    return Completed(message=f"{name} was rebuilt")


def stage_order() -> list[str]:
    """Names of the stages of dvc.yaml, each after those it depends on."""
    with Repo(str(environment.ROOT)) as repo:
        return [stage.addressing for stage in plan_repro(repo.index.graph, None)]


@flow(name="rebuild", flow_run_name="rebuild")
def rebuild() -> dict[str, str]:
    """Rebuild what changed, stage by stage.

    Returns:
        `rebuilt` or `cached` for each stage.
    """
    # The stages are processes of their own: they use this flow's API and end when this process ends.
    os.environ.update({**surroundings(), OWNER_VARIABLE: process_tag()})
    tag_this_run()
    with tags(process_tag()):
        return {name: _outcome(reproduce_stage(name, return_state=True)) for name in stage_order()}


def _outcome(state: State[Any]) -> str:
    if not state.is_completed():
        raise ServiceError("A stage failed, so the rebuild ends here: its own message stands above.")
    return "cached" if state.name == "Cached" else "rebuilt"


def main() -> None:
    """Run it here, without a worker."""
    with one_sentence_errors(), prefect_api() as url, one_sentence_logs():
        os.environ["PREFECT_API_URL"] = url
        mark_dead_runs_as_crashed()
        for name, outcome in rebuild().items():
            print(f"{name}: {outcome}")


if __name__ == "__main__":
    main()
