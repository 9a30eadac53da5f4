"""`dvc repro` with both cores busy: DVC runs one stage after the other, also where they do not hang on each other."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, suppress
from tempfile import TemporaryDirectory, TemporaryFile
from typing import IO, Any

from pydantic import BaseModel

from tasks.engine import environment
from tasks.engine.dvc import command, run_dvc, surroundings
from tasks.engine.params import RunnerConfig, load_params
from tasks.engine.processes import process_tag
from tasks.engine.server import OWNER_VARIABLE
from tasks.engine.slots import SLOTS_VARIABLE

POLL_SECONDS = 0.1


class _Params(BaseModel):
    runner: RunnerConfig = RunnerConfig()


def repro(when_changed: Callable[[], None] = lambda: None) -> int:
    """Run `dvc repro`, before it side by side the changed stages that do not hang on each other; return the exit code.

    They use one Prefect server, which ends with this process, and together as many slots as each would alone.

    Args:
        when_changed: Called as soon as a stage is known to have changed, for what can be begun meanwhile; DVC may yet
            have its outs from another time.
    """
    if load_params(_Params).runner.kind == "dask":  # whose workers share no slots
        return run_dvc("repro")
    with TemporaryDirectory() as slots:
        variables = surroundings() | {OWNER_VARIABLE: process_tag(), SLOTS_VARIABLE: slots}
        for stages in _levels(when_changed):
            if code := _run_side_by_side(stages, variables):
                return code
        return subprocess.run(command("repro"), cwd=environment.ROOT, env=variables).returncode


def _levels(when_changed: Callable[[], None]) -> Iterator[list[str]]:
    """Changed stages that hang on no other one that has changed, until no two of those that follow are such.

    The stages that are given must be up to date when the next ones are asked for.
    """
    from dvc.exceptions import DvcException
    from dvc.repo import Repo
    from dvc.repo.reproduce import plan_repro

    levels: list[list[Any]] = [[None, None]]
    place = 0
    # What DVC cannot read, `dvc repro` says.
    with suppress(DvcException):
        while any(len(level) > 1 for level in levels[place:]):
            with Repo(str(environment.ROOT), _wait_for_lock=True) as repo:
                levels = _by_depth(repo.index.graph, plan_repro(repo.index.graph))
                # Addresses are relative to where this process stands, and `dvc` is started in the project; what stands
                # in other files is left to the `dvc repro` at the end.
                ours = [stage for stage in levels[place] if stage.path_in_repo == "dvc.yaml"]
                status = repo.status(targets=[stage.addressing for stage in ours])
                changed = [str(stage.name) for stage in ours if stage.addressing in status]
            place += 1
            if changed:
                when_changed()
            if len(changed) > 1 or (changed and any(len(level) > 1 for level in levels[place:])):
                yield changed


def _by_depth(graph: Any, stages: Sequence[Any]) -> list[list[Any]]:
    """Stages, in an order in which they can run, by how many must run before them, one after the other."""
    depths: dict[Any, int] = {}
    for stage in stages:
        depths[stage] = 1 + max((depths[before] for before in graph.successors(stage)), default=-1)
    return [[stage for stage in stages if depths[stage] == depth] for depth in sorted(set(depths.values()))]


def _run_side_by_side(stages: Sequence[str], variables: Mapping[str, str]) -> int:
    """Bring stages up to date, each by a `dvc` of its own; return the first exit code that is not 0.

    A terminal shows the bars of the first; what each of the others says comes when it has ended.
    """
    running: list[tuple[subprocess.Popen[bytes], IO[bytes] | None]] = []
    codes = []
    with ExitStack() as files:
        try:
            for stage in stages:
                said = files.enter_context(TemporaryFile()) if running else None
                words = command("--wait-for-lock", "repro", "--single-item", stage)
                process = subprocess.Popen(
                    words, cwd=environment.ROOT, env=variables, stdout=said, stderr=said
                )
                running.append((process, said))
            while running:
                for each in [each for each in running if each[0].poll() is not None]:
                    running.remove(each)
                    codes.append(each[0].returncode)
                    _show(each[1])
                time.sleep(POLL_SECONDS)
        finally:
            for process, _ in running:
                process.kill()  # what it has started ends with this process
                process.wait()
    return next(filter(None, codes), 0)


def _show(said: IO[bytes] | None) -> None:
    if said is not None:
        said.seek(0)
        # A bar writes over itself.
        for line in said.read().decode(errors="replace").split("\n"):
            print(line.rpartition("\r")[2], flush=True)
