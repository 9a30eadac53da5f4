"""Flow `prepare`: raw ratings to validated, clean, split and encoded tables."""

from __future__ import annotations

from prefect import flow
from pydantic import BaseModel

from attrec.datasets.own_data import OwnDataConfig
from attrec.datasets.registry import rating_scale
from flows.prepare_params import PrepareParams
from flows.stage import run_stage
from tasks.data.clean import clean_tables
from tasks.data.ingest import carry_incoming, fetch, ingest, snapshot
from tasks.data.prepared import PreparedRatings
from tasks.data.split import part_tables, split_ratings
from tasks.data.track_data import track_prepared
from tasks.data.validate import enforce, validate
from tasks.engine import environment
from tasks.engine.artifacts import Artifact, publish
from tasks.engine.flow_runs import run_noted
from tasks.engine.logs import tell

STEPS = ("read the ratings", "validate", "clean", "split", "encode features")


class PreparedRun(BaseModel):
    """Everything the flow made."""

    raw: Artifact
    validated: Artifact
    cleaned: Artifact
    split: Artifact
    prepared: PreparedRatings


def _begin(step: str) -> None:
    tell(f"prepare {STEPS.index(step) + 1}/{len(STEPS)}: {step}")


def prepare_dataset(params: PrepareParams) -> PreparedRun:
    """The chain of cached tasks, for any flow that needs prepared data; says each step before it begins.

    Raises:
        AttrecError: the parameters do not fit (see `PrepareParams.check`), the data cannot be had, or are too bad.
    """
    params.check()
    config = params.dataset_config()
    if isinstance(config, OwnDataConfig):
        snapshot(config)
    scale = rating_scale(params.dataset, config)
    steps = None if scale is None else (scale.minimum, scale.maximum, scale.step)
    _begin("read the ratings")
    raw = ingest(params.dataset, config, fetch(params.dataset, config))
    _begin("validate")
    validated = validate(raw, params.prepare.validation, steps)
    enforce(validated)
    _begin("clean")
    cleaned = clean_tables(raw, validated)
    _begin("split")
    split = split_ratings(params.dataset, cleaned, params.prepare.split)
    _begin("encode features")
    prepared = part_tables(params.dataset, cleaned, split, params.features(), params.own_data)
    return PreparedRun(raw=raw, validated=validated, cleaned=cleaned, split=split, prepared=prepared)


@flow(name="prepare", flow_run_name="prepare {params.dataset}")
def prepare(params: PrepareParams) -> None:
    """Rebuild the data of params.yaml into data/ and reports/prepare/."""
    carry_incoming()
    done = prepare_dataset(params)
    data, reports = environment.ROOT / "data", environment.ROOT / "reports" / "prepare"
    publish(done.raw.path, data / "raw")
    publish(done.cleaned.path, data / "interim")
    for name, folder in done.prepared.folders().items():
        publish(folder.path, data / "processed" / name)
    publish(done.split.path / "split.parquet", data / "processed" / "split.parquet")
    publish(done.split.path / "split.json", reports / "split.json")
    publish(done.validated.path / "quarantine.parquet", data / "quarantine.parquet")
    publish(done.validated.path / "validation.json", reports / "validation.json")
    publish(done.cleaned.path / "cleaning.json", reports / "cleaning.json")
    track_prepared(params.model_dump(mode="json"), done.validated, done.split)


def run(params: PrepareParams) -> None:
    """Run the flow."""
    run_noted(prepare, params)


if __name__ == "__main__":
    run_stage(PrepareParams, run)
