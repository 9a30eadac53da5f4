"""How the tasks of a flow run side by side: threads on one machine, or Dask workers."""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import Any, TypeVar

from prefect.futures import PrefectFuture, as_completed
from prefect.task_runners import TaskRunner, ThreadPoolTaskRunner
from tqdm import tqdm

from tasks.engine.params import RunnerConfig
from tasks.engine.slots import WAITING_THREADS, set_compute_slots

R = TypeVar("R")


def task_runner(config: RunnerConfig) -> TaskRunner[Any]:
    """The Prefect task runner that the params ask for; Dask workers are processes on 127.0.0.1."""
    if config.kind == "threads":
        set_compute_slots(config.workers)
        return ThreadPoolTaskRunner(max_workers=WAITING_THREADS)
    # Read when Dask is imported; its account of every connection would bury the progress bars.
    os.environ.setdefault("DASK_LOGGING__DISTRIBUTED", "warning")
    # It samples every worker's stack a hundred times a second, for a dashboard that nobody sees.
    os.environ.setdefault("DASK_DISTRIBUTED__WORKER__PROFILE__ENABLED", "False")
    from prefect_dask import DaskTaskRunner

    cluster = {
        "n_workers": config.workers,
        "threads_per_worker": 1,
        "host": "127.0.0.1",
        "dashboard_address": None,
    }
    runner: TaskRunner[Any] = DaskTaskRunner(cluster_kwargs=cluster)
    return runner


def gather(futures: Iterable[PrefectFuture[R]], label: str) -> list[R]:
    """Results in the order of submission, with a progress bar; the first failure is raised."""
    submitted = list(futures)
    with tqdm(total=len(submitted), desc=label, unit="task", leave=True, dynamic_ncols=True) as bar:
        for done in as_completed(submitted):
            done.result()
            bar.update()
    return [future.result() for future in submitted]
