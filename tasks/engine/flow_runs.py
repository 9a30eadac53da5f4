"""The flow runs of this checkout: noted while they are under way, below the run that started them, and closed when
their process was killed, as the server would show them as running for ever."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from uuid import UUID

from prefect import Flow
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.context import FlowRunContext, TaskRunContext
from prefect.exceptions import ObjectNotFound
from prefect.flow_engine import run_flow
from prefect.states import Crashed, Pending
from prefect.utilities.callables import get_call_parameters

from tasks.engine.running import left_behind, under_way
from tasks.engine.server import store

TASK_RUN_VARIABLE = "ATTREC_TASK_RUN"
# Prefect keeps task runs when it gets to it.
TASK_RUN_SECONDS = 15.0


def run_noted(flow: Flow[[Any], None], *arguments: Any) -> None:
    """Run a flow, below the task run that the environment names if it does."""
    parameters = get_call_parameters(flow.fn, arguments, {})
    with get_client(sync_client=True) as client:
        flow_run = client.create_flow_run(
            flow,
            parameters=flow.serialize_parameters(parameters),
            parent_task_run_id=_parent(client),
            state=Pending(),
        )
    with under_way(store(), str(flow_run.id)):
        run_flow(flow, flow_run=flow_run, parameters=parameters)


@contextmanager
def noted() -> Iterator[None]:
    """Note the flow run that calls this, which a worker may have made."""
    context = FlowRunContext.get()
    assert context is not None
    assert context.flow_run is not None
    with under_way(store(), str(context.flow_run.id)):
        yield


@contextmanager
def parent_of_flows() -> Iterator[None]:
    """Flow runs of the processes that are started inside the block are shown below the task run that calls this."""
    context = TaskRunContext.get()
    assert context is not None
    os.environ[TASK_RUN_VARIABLE] = str(context.task_run.id)
    try:
        yield
    finally:
        del os.environ[TASK_RUN_VARIABLE]


def mark_dead_runs_as_crashed() -> None:
    """Set flow runs whose process is gone to Crashed."""
    with get_client(sync_client=True) as client:
        for run_id in left_behind(store()):
            try:
                state = client.read_flow_run(UUID(run_id)).state
            except ObjectNotFound:
                continue
            if state is None or not state.is_final():
                client.set_flow_run_state(
                    UUID(run_id), Crashed(message="The process was killed."), force=True
                )


def _parent(client: SyncPrefectClient) -> UUID | None:
    """The task run that is to be the parent; None if the server has not kept it: it refuses runs below such a one."""
    named = os.environ.get(TASK_RUN_VARIABLE)
    deadline = time.monotonic() + TASK_RUN_SECONDS
    while named is not None and time.monotonic() < deadline:
        try:
            return client.read_task_run(UUID(named)).id
        except ObjectNotFound:
            time.sleep(0.2)
    return None
