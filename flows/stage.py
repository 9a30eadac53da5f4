"""How a DVC stage runs a flow: read params, have a Prefect API, end with one clear sentence when the input is at fault."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import TypeVar

from pydantic import BaseModel

from attrec.errors import AttrecError
from tasks import environment
from tasks.params import load_params
from tasks.server import end_with_owner, prefect_api
from tasks.sweep import mark_dead_runs_as_crashed

P = TypeVar("P", bound=BaseModel)

EXIT_BAD_INPUT = 2


def run_stage(params_model: type[P], run: Callable[[P], None]) -> None:
    """Run a flow as the whole of this process; exit with code 2 and one sentence on an `AttrecError`.

    Args:
        params_model: What the flow reads from `params.yaml`.
        run: The flow, called with the validated parameters.
    """
    try:
        params = load_params(params_model)
        end_with_owner()
        with prefect_api():
            mark_dead_runs_as_crashed()
            run(params)
    except AttrecError as error:
        if "--debug" in sys.argv[1:]:
            raise
        print(f"Error: {error}", file=sys.stderr)
        environment.BAD_INPUT.touch()
        sys.exit(EXIT_BAD_INPUT)
