"""What MLflow remembers: one parent run a flow, one child run a model, one level and no deeper."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from mlflow.entities import Dataset, DatasetInput, InputTag, Metric, Param, RunTag
from mlflow.exceptions import MlflowException
from mlflow.utils.mlflow_tags import MLFLOW_PARENT_RUN_ID, MLFLOW_RUN_NOTE
from pydantic import BaseModel

from tasks.engine.provenance import origin
from tasks.engine.run_store import (
    SERVICE_FAULTS,
    ask_once,
    client,
    experiment_id,
    one_sentence_faults,
    tracking_address,
)
from tasks.engine.running import left_behind, under_way

METRICS_A_CALL = 1000


@contextmanager
def tracked_run(
    name: str,
    params: Mapping[str, Any],
    tags: Mapping[str, str],
    parent: str | None = None,
    description: str = "",
    resumed: str | None = None,
) -> Iterator[str]:
    """A run that ends FINISHED, or FAILED when the block raises.

    Args:
        name: Shown in the UI.
        params: Nested parameters; logged flat, with dots.
        tags: Added to the provenance tags (git commit, dirty flag, versions).
        parent: Run id of the parent; None for a flow's own run.
        description: Shown above the run, as Markdown.
        resumed: Id of a run that is gone on with, in place of a new one.

    Yields:
        The run id.

    Raises:
        ServiceError: the store fails.
    """
    all_tags = {**origin(), **tags}
    if description:
        all_tags[MLFLOW_RUN_NOTE] = description
    if parent is not None:
        all_tags[MLFLOW_PARENT_RUN_ID] = parent
    with one_sentence_faults():
        if parent is None:
            mark_dead_runs_as_killed()
        if resumed is None:
            run_id = str(client().create_run(experiment_id(), run_name=name, tags=all_tags).info.run_id)
        else:
            run_id = resumed
            client().update_run(run_id, status="RUNNING")
        with under_way(tracking_address(), run_id):
            try:
                logged = (
                    [Param(key, str(value)[:6000]) for key, value in _flat(params)] if not resumed else []
                )
                for start in range(0, len(logged), 100):
                    client().log_batch(run_id, params=logged[start : start + 100])
                yield run_id
            except BaseException:
                # Where the store has gone away, what went wrong counts, and the next run closes this one.
                with suppress(*SERVICE_FAULTS):
                    ask_once()
                    client().set_terminated(run_id, "FAILED")
                raise
            client().set_terminated(run_id, "FINISHED")


def mark_dead_runs_as_killed() -> None:
    """Close runs that this checkout left running, and whose process is gone."""
    for run_id in left_behind(tracking_address()):
        with suppress(MlflowException):  # it may have been deleted
            if client().get_run(run_id).info.status == "RUNNING":
                client().set_terminated(run_id, "KILLED")


class DatasetVersion(BaseModel, frozen=True):
    """A version of the data that a run was fitted on."""

    name: str
    digest: str
    """The DVC md5, since MLflow's own reads only 10,000 rows."""
    source: str
    """The out of the stage that made it."""
    rows: int

    def entity(self) -> Dataset:
        """As MLflow has it."""
        return Dataset(
            name=self.name,
            digest=self.digest[:36],
            source_type="local",
            source=json.dumps({"uri": self.source}),
            schema=None,
            profile=json.dumps({"num_rows": self.rows}),
        )


def log_metrics(
    run_id: str,
    metrics: Mapping[str, float],
    model_id: str | None = None,
    dataset: DatasetVersion | None = None,
) -> None:
    """Log final metrics of a run, and of the logged model that they are of, on the dataset."""
    now = _now_ms()
    of = {} if dataset is None else {"dataset_name": dataset.name, "dataset_digest": dataset.digest[:36]}
    points = [
        Metric(_key(name), float(value), now, 0, model_id=model_id, run_id=run_id, **of)
        for name, value in metrics.items()
    ]
    for start in range(0, len(points), METRICS_A_CALL):
        client().log_batch(run_id, metrics=points[start : start + METRICS_A_CALL])


def log_curves(run_id: str, curves: Mapping[str, Mapping[int, float]]) -> None:
    """Log values by epoch, by name."""
    now = _now_ms()
    points = [
        Metric(_key(name), float(value), now, int(epoch))
        for name, values in curves.items()
        for epoch, value in values.items()
    ]
    for start in range(0, len(points), METRICS_A_CALL):
        client().log_batch(run_id, metrics=points[start : start + METRICS_A_CALL])


def set_tags(run_id: str, tags: Mapping[str, str]) -> None:
    """Set tags on a run."""
    client().log_batch(run_id, tags=[RunTag(key, value) for key, value in tags.items()])


def log_text(run_id: str, text: str, file: str) -> None:
    """Log a text as a file."""
    client().log_text(run_id, text, file)


def log_files(run_id: str, folder: Path, artifact_path: str | None = None) -> None:
    """Log a folder, or a single file."""
    if folder.is_dir():
        client().log_artifacts(run_id, str(folder), artifact_path)
    else:
        client().log_artifact(run_id, str(folder), artifact_path)


def log_dataset(run_id: str, dataset: DatasetVersion, context: str) -> None:
    """Log what a run was fitted on."""
    given = DatasetInput(dataset.entity(), [InputTag("mlflow.data.context", context)])
    client().log_inputs(run_id, datasets=[given])


def _flat(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in values.items():
        name = _key(f"{prefix}{key}")
        if isinstance(value, Mapping):
            yield from _flat(value, f"{name}.")
        else:
            yield name, value


def _key(name: str) -> str:
    # MLflow allows no '+', '@' or brackets in names.
    return "".join(letter if letter.isalnum() or letter in "_-. /:" else "_" for letter in name)


def _now_ms() -> int:
    from mlflow.utils.time import get_current_time_millis

    return int(get_current_time_millis())
