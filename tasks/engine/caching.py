"""The cache policy of every Prefect task here: a hit means same inputs, same reachable code and intact artefacts."""

from __future__ import annotations

import hashlib
import inspect
import json
import logging
import os
from collections.abc import Callable, Collection
from dataclasses import asdict, dataclass, is_dataclass
from functools import cache, lru_cache, wraps
from importlib.metadata import version
from pathlib import Path
from typing import Any, ParamSpec, TypeVar
from uuid import uuid4

from prefect import Task, task
from prefect.cache_policies import CachePolicy
from prefect.context import TaskRunContext
from prefect.results import ResultRecord
from prefect.serializers import JSONSerializer
from prefect.transactions import IsolationLevel
from pydantic import BaseModel, Field

from attrec.files import remove
from tasks.engine import environment
from tasks.engine.artifacts import Artifact
from tasks.engine.faults import memory_faults
from tasks.engine.imports import source_hash
from tasks.engine.locks import ProcessLocks
from tasks.engine.slots import compute_slot
from tasks.engine.timings import remember, timed

# A figure can change with any of these.
LIBRARIES = (
    "torch",
    "xgboost-cpu",
    "scikit-learn",
    "numpy",
    "scipy",
    "pandas",
    "pyarrow",
    "great-expectations",
    "scikit-surprise",
    "myfm",
)


_log = logging.getLogger(__name__)
P = ParamSpec("P")
R = TypeVar("R")


@cache
def loaded_source_hash(module: str) -> str:
    """Hash of the code this process runs: what is edited while it runs counts from the next process on."""
    return source_hash(module)


@lru_cache(maxsize=1)
def library_versions() -> tuple[str, ...]:
    """Installed versions of what computes."""
    return tuple(f"{library}=={version(library)}" for library in LIBRARIES)


def _jsonable(value: Any) -> Any:
    """What a key is made of: of objects their fields and their class, of classes the code that they reach."""
    if isinstance(value, type):
        return {"class": value.__qualname__, "code": loaded_source_hash(value.__module__)}
    if isinstance(value, BaseModel):
        return {**_jsonable(type(value)), "fields": value.model_dump(mode="json")}
    if is_dataclass(value) and not isinstance(value, type):
        return {**_jsonable(type(value)), "fields": asdict(value)}
    if isinstance(value, Path):
        return str(value)
    raise TypeError(f"a cached task takes plain values, configs and artefacts, not {type(value).__name__}")


def _artifacts_in(value: Any) -> list[Artifact]:
    """Artefacts inside the JSON form in which Prefect stores a result."""
    if isinstance(value, dict):
        if value.keys() == {"kind", "sha256"}:
            return [Artifact(**value)]
        return [artifact for item in value.values() for artifact in _artifacts_in(item)]
    if isinstance(value, list):
        return [artifact for item in value for artifact in _artifacts_in(item)]
    return []


class CheckedJSON(JSONSerializer[Any]):
    """JSON behind its sha256."""

    type: str = Field("checked-json", frozen=True)

    def dumps(self, obj: Any) -> bytes:
        """As JSON, checksum first."""
        content = super().dumps(obj)
        return b" ".join([_checksum(content), content])

    def loads(self, blob: bytes) -> Any:
        """Raises: ValueError if it is not what was dumped."""
        return super().loads(self.checked(blob))

    @staticmethod
    def checked(blob: bytes) -> bytes:
        """The JSON alone. Raises: ValueError if it is not what was dumped."""
        checksum, _, content = blob.partition(b" ")
        if checksum != _checksum(content):
            raise ValueError("a result has another checksum than when it was stored")
        return content


def _checksum(content: bytes) -> bytes:
    return hashlib.sha256(content).hexdigest().encode()


def _stored_artifacts(record: Path) -> list[Artifact]:
    stored: ResultRecord[str] = ResultRecord.model_validate_json(record.read_bytes())
    return _artifacts_in(json.loads(CheckedJSON.checked(stored.result.encode())))


@dataclass
class VerifiedInputs(CachePolicy):
    """Key = inputs + task name + source of every project module the task reaches + versions of the libraries.

    An input that is a class, or an object of one, counts with the source that its class reaches: a task that is handed
    the class of what it makes runs again when that class is edited, and only then.

    Prefect's own `TASK_SOURCE` sees the text of the task function alone and trusts that a cached file is still
    there. This policy drops the stored record when an artefact it names is gone or changed, so that the task runs.
    """

    shown: frozenset[str] = frozenset()
    """Inputs that are for the eye alone."""

    def compute_key(
        self, task_ctx: TaskRunContext, inputs: dict[str, Any], flow_parameters: dict[str, Any], **kwargs: Any
    ) -> str:
        """Return the key; delete a record under it that can no longer be trusted."""
        function = inspect.unwrap(task_ctx.task.fn)
        text = json.dumps(
            [
                f"{function.__module__}.{function.__qualname__}",
                loaded_source_hash(function.__module__),
                library_versions(),
                {name: value for name, value in inputs.items() if name not in self.shown},
            ],
            default=_jsonable,
            sort_keys=True,
        )
        key = hashlib.sha256(text.encode()).hexdigest()
        # Whoever computes the same writes the record before it lets go: half of one is no reason to drop it.
        locks, holder = ProcessLocks(), str(uuid4())
        locks.acquire_lock(key, holder)
        try:
            _drop_unless_intact(environment.RESULTS / key, task_ctx.task.name)
        finally:
            locks.release_lock(key, holder)
        return key


def _drop_unless_intact(record: Path, task_name: str) -> None:
    if not os.path.lexists(record):
        return
    try:
        # Who opens a pipe waits for one that writes into it.
        intact = record.is_file() and all(artifact.is_intact() for artifact in _stored_artifacts(record))
    except (AttributeError, OSError, RecursionError, ValueError):
        intact = False
    if not intact:
        _log.warning("What %s made before is gone or damaged, and is made anew.", task_name)
        remove(record)


def cached_task(
    name: str, shown: Collection[str] = (), **options: Any
) -> Callable[[Callable[P, R]], Task[..., R]]:
    """Make a Prefect task whose result, a small handle, is cached by `VerifiedInputs`.

    Args:
        name: Name shown in the Prefect UI.
        shown: Arguments that are for the eye alone: whatever they are, the result is the same.
        options: Further options of `prefect.task`, such as `retries`.
    """
    options.setdefault("task_run_name", name)

    def decorate(function: Callable[P, R]) -> Task[..., R]:
        @wraps(function)
        def in_a_slot(*arguments: P.args, **keywords: P.kwargs) -> R:
            run = TaskRunContext.get()
            # Ids ascend as tasks are submitted: what others wait for was handed in before them.
            turn = run.task_run.id.int if run else 0
            with memory_faults(run.task_run.name if run else name), compute_slot(turn), timed() as timing:
                result = function(*arguments, **keywords)
            if isinstance(result, Artifact):
                remember(result, timing)
            return result

        make: Callable[[Callable[P, R]], Task[P, R]] = task(
            name=name,
            cache_policy=VerifiedInputs(
                isolation_level=IsolationLevel.SERIALIZABLE,
                lock_manager=ProcessLocks(),
                shown=frozenset(shown),
            ),
            persist_result=True,
            result_storage=environment.RESULTS,
            result_serializer=CheckedJSON(),
            cache_result_in_memory=False,
            **options,
        )
        return make(in_a_slot)

    return decorate


def of_model(task: Task[P, R], name: str, seed: int | None = None) -> Task[P, R]:
    """The same task, whose runs say of which model they are, and with which seed."""
    whose = name if seed is None else f"{name} seed {seed}"
    return task.with_options(task_run_name=f"{whose}: {task.task_run_name or task.name}")
