"""Close the books on flow runs whose process was killed: the server would show them as running for ever."""

from __future__ import annotations

from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterState, FlowRunFilterStateType
from prefect.client.schemas.objects import StateType
from prefect.context import FlowRunContext
from prefect.states import Crashed

from tasks.engine.processes import PROCESS_TAG, is_alive, process_tag


def tag_this_run() -> None:
    """Tag the flow run that calls this with its process: a run that a worker starts was made before its process was."""
    context = FlowRunContext.get()
    if context is None or context.flow_run is None:
        return
    with get_client(sync_client=True) as client:
        client.update_flow_run(context.flow_run.id, tags=[*context.flow_run.tags, process_tag()])


def mark_dead_runs_as_crashed() -> int:
    """Set flow runs that are marked running, but whose process is gone, to Crashed; return how many."""
    running = FlowRunFilter(state=FlowRunFilterState(type=FlowRunFilterStateType(any_=[StateType.RUNNING])))
    crashed = 0
    with get_client(sync_client=True) as client:
        for flow_run in client.read_flow_runs(flow_run_filter=running):
            tag = next((tag for tag in flow_run.tags if tag.startswith(PROCESS_TAG)), None)
            if tag is not None and not is_alive(tag):
                client.set_flow_run_state(flow_run.id, Crashed(message="The process was killed."), force=True)
                crashed += 1
    return crashed
