"""What `prepare` reads from params.yaml; apart from the flow, for whoever asks which dataset it is needs no more."""

from __future__ import annotations

from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, field_validator

from attrec.datasets.own_data import OwnDataConfig
from attrec.datasets.playlist_simulator import PlaylistSimulatorConfig
from attrec.datasets.registry import REGISTRY, DatasetConfig, find_archive, get_spec
from attrec.datasets.simulator import SimulatorConfig
from attrec.errors import ParamsError
from attrec.parameters import shortened
from attrec.prepare.features import FeatureConfig
from attrec.prepare.rating_splits import SplitConfig
from tasks.data.bounds import ValidationConfig
from tasks.engine import environment


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
