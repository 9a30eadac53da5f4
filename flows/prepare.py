"""Flow `prepare`: raw ratings to validated, clean, split and encoded tables."""

from __future__ import annotations

from pathlib import Path

from prefect import flow
from pydantic import BaseModel, ConfigDict, Field, field_validator

from attrec.datasets.own_data import OwnDataConfig
from attrec.datasets.playlist_simulator import PlaylistSimulatorConfig
from attrec.datasets.registry import REGISTRY, DatasetConfig, find_archive, get_spec, rating_scale
from attrec.datasets.simulator import SimulatorConfig
from attrec.errors import ParamsError
from attrec.parameters import shortened
from attrec.prepare.features import FeatureConfig
from attrec.prepare.rating_splits import SplitConfig
from flows.stage import run_stage
from tasks.data.clean import clean_tables
from tasks.data.ingest import carry_incoming, fetch, ingest, snapshot
from tasks.data.prepared import PreparedRatings
from tasks.data.split import part_tables, split_ratings
from tasks.data.track_data import track_prepared
from tasks.data.validate import ValidationConfig, enforce, validate
from tasks.engine import environment
from tasks.engine.artifacts import Artifact, publish
from tasks.engine.flow_runs import run_noted
from tasks.engine.logs import tell

STEPS = ("read the ratings", "validate", "clean", "split", "encode features")


class PrepareSection(BaseModel):
    """Section `prepare` of params.yaml."""

    model_config = ConfigDict(extra="forbid")

    validation: ValidationConfig = ValidationConfig()
    split: SplitConfig = SplitConfig()
    features: FeatureConfig = FeatureConfig()
    simulated: SimulatorConfig = SimulatorConfig()
    simulated_playlists: PlaylistSimulatorConfig = PlaylistSimulatorConfig()
    csv: OwnDataConfig | None = Field(
        None, description="your own data, where `dataset` has no more than a name; else they stand there"
    )

    @field_validator("csv")
    @classmethod
    def _names_no_other(cls, own: OwnDataConfig | None) -> OwnDataConfig | None:
        if own is not None and own.name in REGISTRY and own.name != "csv":
            raise ValueError(f"{own.name} is a dataset that `attrec datasets` lists; give yours another name")
        return own


class PrepareParams(BaseModel):
    """What the flow reads from params.yaml."""

    model_config = ConfigDict(extra="forbid")

    dataset: str
    prepare: PrepareSection = PrepareSection()

    @property
    def own_data(self) -> OwnDataConfig | None:
        """One's own data, if these are what is asked for."""
        own = self.prepare.csv
        return own if own is not None and own.name == self.dataset else None

    def dataset_config(self) -> DatasetConfig | None:
        """What the dataset itself needs.

        Raises:
            ParamsError: dataset csv without a file, or with one that is not in data/incoming.
        """
        if self.own_data is not None:
            return _under_incoming(self.own_data)
        if self.dataset == "simulated":
            return self.prepare.simulated
        if self.dataset == "simulated-playlists":
            return self.prepare.simulated_playlists
        if self.dataset == "csv":
            raise ParamsError(
                "dataset is csv, but prepare.csv in params.yaml does not say which file: set its path."
            )
        return None

    def features(self) -> FeatureConfig:
        """Which attributes become features: those of one's own data do, too."""
        own = self.own_data
        return self.prepare.features.with_columns(
            *((own.user_columns, own.item_columns) if own else ((), ()))
        )

    def check(self) -> None:
        """Find the faults that show only where dataset and parameters meet, and a dataset that cannot be had.

        Raises:
            DataError: there is no such dataset.
            DatasetUnavailable: it is not on this machine and has no address to download it from.
            ParamsError: as `dataset_config`, or a published split that the dataset does not have.
        """
        own = self.prepare.csv
        spec = get_spec(self.dataset, None if own is None else own.name)
        self.dataset_config()
        own = self.own_data
        self.prepare.features.check_columns(*((own.user_columns, own.item_columns) if own else ((), ())))
        self.prepare.split.resolved_name(spec.official_splits, spec.unofficial_split)
        if spec.archive is not None and not spec.urls:
            find_archive(self.dataset, download_dir=environment.DOWNLOADS)


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


def _under_incoming(config: OwnDataConfig) -> OwnDataConfig:
    """The same with paths as seen from data/incoming, the folder that DVC watches."""

    def inside(path: Path) -> Path:
        incoming = environment.INCOMING.resolve()
        try:
            full = (environment.INCOMING / path).resolve()
            there = full.is_file()
        except (OSError, RuntimeError, ValueError) as error:
            raise ParamsError(f"{config.name}: {shortened(str(path))} is no path of a file.") from error
        if not full.is_relative_to(incoming):
            raise ParamsError(
                f"{config.name}: {path} is outside data/incoming: put the file there, so that DVC sees its changes."
            )
        if not there:
            raise ParamsError(
                f"{config.name}: {path} does not exist in data/incoming: put your ratings file there."
            )
        return full.relative_to(incoming)

    named = {"path": config.path, "items_path": config.items_path, "users_path": config.users_path}
    return config.model_copy(update={key: path and inside(path) for key, path in named.items()})


def run(params: PrepareParams) -> None:
    """Run the flow."""
    run_noted(prepare, params)


if __name__ == "__main__":
    run_stage(PrepareParams, run)
