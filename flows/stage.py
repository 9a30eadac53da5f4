"""How a DVC stage runs a flow: read params, have a Prefect API, end in one sentence when the input is at fault."""

from __future__ import annotations

import gc
import logging
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

from httpx import HTTPError
from prefect import Flow
from pydantic import BaseModel, ValidationError

from attrec.errors import ParamsError
from attrec.parameters import explain
from attrec.shown import one_line
from tasks.engine import environment, run_store
from tasks.engine.artifacts import sweep_staging
from tasks.engine.faults import EXIT_BAD_INPUT, mendable, tell_fault
from tasks.engine.flow_runs import mark_dead_runs_as_crashed, run_noted
from tasks.engine.params import load_params
from tasks.engine.runner import task_runner
from tasks.engine.server import end_with_owner, prefect_api

P = TypeVar("P", bound=BaseModel)


def debugging() -> bool:
    """Whether tracebacks are wanted: `--debug`, or ATTREC_DEBUG=1 for what DVC starts."""
    return "--debug" in sys.argv[1:] or bool(os.environ.get(environment.DEBUG_VARIABLE))


def run_stage(params_model: type[P], run: Callable[[P], None]) -> None:
    """Run a flow of `params.yaml` as the whole of this process.

    Args:
        params_model: What the flow reads from `params.yaml`.
        run: Runs the flow with the validated parameters.
    """
    with one_sentence_errors():
        run_stage_with(load_params(params_model), run)


def run_asked(params_model: type[P], run: Callable[[P], None]) -> None:
    """Run a flow with the parameters that `attrec` has checked and hands over: as JSON, in the one argument."""
    with one_sentence_errors():
        if len(sys.argv) != 2 or not sys.argv[1].startswith("{"):
            raise ParamsError(
                "This flow is started by `attrec`, which checks its parameters: see `attrec --help`."
            )
        try:
            params = params_model.model_validate_json(sys.argv[1])
        except ValidationError as error:
            raise ParamsError(explain(error, params_model)) from error
        run_stage_with(params, run)


def run_stage_with(params: P, run: Callable[[P], None]) -> None:
    """Run a flow with parameters that are at hand."""
    with one_sentence_errors():
        end_with_owner()
        sweep_staging()
        # Asked before anything is computed that could not be tracked.
        run_store.experiment_id()
        with prefect_api(), one_sentence_logs():
            mark_dead_runs_as_crashed()
            # Before data are read: what is imported stays, and need not be looked through again and again.
            gc.freeze()
            environment.collect_garbage_again()
            run(params)


def run_in_tasks(flow: Flow[[Any], None], params: Any) -> None:
    """Run a flow with the task runner of its parameters."""
    run_noted(flow.with_options(task_runner=task_runner(params.runner)), params)


def is_worth_a_traceback(record: logging.LogRecord) -> bool:
    """False for Prefect's own account of a fault that the user can mend, which ends in one sentence anyway.

    So does a Prefect API that goes away.
    """
    fault = record.exc_info[1] if record.exc_info else None
    if record.name == "prefect.events.clients":
        return False
    if isinstance(fault, HTTPError) or (fault is not None and mendable(fault) is not None):
        return False
    return not record.getMessage().startswith(
        ("Finished in state Failed", "Finished in state NotReady", "Task run failed with state")
    )


def control_nothing(record: logging.LogRecord) -> bool:
    """Leave in a message, which may quote data, nothing that a terminal obeys; True, as of every filter that passes."""
    record.msg, record.args = "\n".join(map(one_line, record.getMessage().split("\n"))), None
    return True


@contextmanager
def one_sentence_logs() -> Iterator[None]:
    """Keep such accounts, which `--debug` shows and the Prefect UI has, and control characters off the terminal."""
    filters = [control_nothing] if debugging() else [is_worth_a_traceback, control_nothing]
    kept = [(handler, each) for handler in logging.getLogger().handlers for each in filters]
    # A log that cannot be sent is no news beside the sentence on the API that does not take it.
    logging.raiseExceptions = debugging()
    for handler, each in kept:
        handler.addFilter(each)
    try:
        yield
    finally:
        for handler, each in kept:
            handler.removeFilter(each)


@contextmanager
def one_sentence_errors() -> Iterator[None]:
    """Turn a fault that the user can mend into one sentence and exit code 2; `--debug` shows the traceback."""
    try:
        yield
    except Exception as error:
        fault = mendable(error)
        if fault is None or debugging():
            raise
        tell_fault(fault)
        sys.exit(EXIT_BAD_INPUT)
