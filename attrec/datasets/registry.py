"""Every dataset by name: where it comes from, what it may be used for, and how it is read."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import pandas as pd

from attrec.datasets.archive import Archive, open_archive
from attrec.datasets.cil import read_cil
from attrec.datasets.fetch import DATA_DIR_VARIABLE, fetch, locate
from attrec.datasets.movielens import (
    read_100k,
    read_csv,
    read_dat,
    read_official_test_pairs,
    read_sequences,
)
from attrec.datasets.own_data import OwnDataConfig, read_own_data
from attrec.datasets.playlist_simulator import PlaylistSimulatorConfig, simulate_playlists
from attrec.datasets.simulator import SimulatorConfig, simulate
from attrec.datasets.spotify import read_spotify
from attrec.datasets.tables import Feedback, Tables
from attrec.errors import DataError, DatasetUnavailable, ParamsError
from attrec.files import StrPath

_PUBLISHER = "https://files.grouplens.org/datasets/movielens"
_MIRROR = "https://huggingface.co/datasets/Recommenders/MovieLens/resolve/main"
_GROUPLENS = "GroupLens: research use, no redistribution, no commercial use without permission"

# Of the text with LF line ends: archives differ in line ends and packing, never in text.
_SHA256_100K = {
    "u.data": "06416e597f82b7342361e41163890c81036900f418ad91315590814211dca490",
    "u.user": "f120e114da2e8cf314fd28f99417c94ae9ddf1cb6db8ce0e4b5995d40e90e62c",
    "u.item": "553841ebc7de3a0fd0d6b62a204ea30c1e651aacfb2814c7a6584ac52f2c5701",
    "u1.test": "18c6014a4b2c7324f250a63f8904a7b16b2b19f911129e346141507b0cbac950",
    "u2.test": "4de658d1e04ed9104629509a2e2528fce833ac8e048280183f1df167632038c3",
    "u3.test": "0f548b51c78327de4c156461d3e430b7e5579fe2b5681586a59416e48fd35f6d",
    "u4.test": "7c02ad0a1e7ab1083c8b9d4b627203a051dd7b5eab46d99fa44de33470de8db9",
    "u5.test": "351cc52e0d15b6c721466276fc24671d40936899e3d01fadeaf312915b8c5634",
    "ua.test": "d0497e202417720f57a184ec8c66be2d1afa4ff41bb53787c57b28d6bf79bc42",
    "ub.test": "d54a72d05730d5892062734b2bec73e976f9b713d18c828a18b968d6cce442da",
}
_SHA256_LATEST_SMALL = {
    "ratings.csv": "80da8b3393dae325bbba5a31f291a6ba55d8d4f4396de3c456f2c1635b1b70e8",
    "movies.csv": "c47b783f23eb304413307e1bb05335e427737da20ec8d3c0e96335567dd5f3dc",
}
_SHA256_1M_SEQUENCES = {
    "ml-1m.txt": "b725f3acb3986fe3130bffd1e77a74d182a1f51799567a236dbd60270f95b0a2",
    "user_ids.txt": "121893a66ab13fad83a67e12e3b3e6ddc56bcd01f0bcedf2ccb10bd8405e6239",
    "item_ids.txt": "9ae42c23af0b0fe2f189b9d5acc6cf3936bffe1a9568390cf5d100c0c1b1fca1",
    "users.dat": "1dc3a95300cb19f7c10e027daf29b8cdf1d908dab65b5edfb45950aa389a10a3",
    "movies.dat": "0140fc2356357c1a851d0f52e893a1e4d3696df632c4141cea8d5bc3d621f0b9",
}
_SHA256_CIL = {
    "data_train.csv": "388a706e0c70a359edebdee5439aa72bad0289d8e268da8e593e21a6ddbf9f31",
    "sampleSubmission.csv": "25ed37a20e4edf6d1dee1124e25deb9ef055caf95f830f1e91cab8f5387e224d",
}
_SHA256_SPOTIFY = {
    "spotify_songs.csv": "de50941df272d120f7bd6936dfecaa162575106ce7512e8776297f51dfb7b0e0",
}

DatasetConfig = OwnDataConfig | SimulatorConfig | PlaylistSimulatorConfig
ArchiveReader = Callable[[Archive, str, Mapping[str, str]], Tables]


@dataclass(frozen=True)
class RatingScale:
    """The ratings that may occur: ``minimum``, ``minimum + step``, … ``maximum``."""

    minimum: float
    maximum: float
    step: float


@dataclass(frozen=True)
class DatasetSpec:
    """One dataset of the registry."""

    name: str
    title: str
    format: str
    """What its files look like, in words."""
    licence: str
    scale: RatingScale | None
    """None where users act without rating."""
    archive: str | None = None
    """File name of its zip; None where there is nothing to download."""
    folder: str = ""
    """The folder inside the zip."""
    read: ArchiveReader | None = None
    urls: tuple[str, ...] = ()
    """Publisher first, then a mirror with the same bytes; none where the archive is not public."""
    size_mb: float = 0.0
    """Size of the zip."""
    sha256: Mapping[str, str] | None = None
    """Digest of each member that is read (LF line ends); None means that nobody has verified this dataset."""
    official_splits: tuple[str, ...] = ()
    unofficial_split: Literal["random", "kfold"] = "random"
    """What the split ``default`` means where there is no published one."""
    has_users: bool = False
    """Whether users come with age, gender and occupation."""
    noun: str | None = None
    """What an item is; None where the data have to say."""

    @property
    def feedback(self) -> Feedback:
        """What its users leave behind; for ``csv`` the parameters say."""
        return "actions" if self.scale is None else "ratings"

    @property
    def verified(self) -> bool:
        """Whether the members are held against known digests."""
        return self.sha256 is not None


def _movielens(
    name: str,
    title: str,
    read: ArchiveReader,
    form: str,
    scale: RatingScale,
    size_mb: float,
    *,
    folder: str | None = None,
    sha256: Mapping[str, str] | None = None,
    official_splits: tuple[str, ...] = (),
    has_users: bool = False,
) -> DatasetSpec:
    archive = f"{name}.zip"
    return DatasetSpec(
        name=name,
        title=title,
        format=form,
        licence=_GROUPLENS,
        scale=scale,
        archive=archive,
        folder=folder or name,
        read=read,
        urls=(f"{_PUBLISHER}/{archive}", f"{_MIRROR}/{archive}"),
        size_mb=size_mb,
        sha256=sha256,
        official_splits=official_splits,
        has_users=has_users,
        noun="film",
    )


_WHOLE_STARS = RatingScale(1.0, 5.0, 1.0)
_HALF_STARS = RatingScale(0.5, 5.0, 0.5)
_SPLITS_100K = ("u1", "u2", "u3", "u4", "u5", "ua", "ub")

_OWN = DatasetSpec(
    name="csv",
    title="Your own data",
    format="a file of any form, or a query, as the parameters say",
    licence="yours",
    scale=_WHOLE_STARS,
)

_SPECS = (
    DatasetSpec(
        name="simulated",
        title="Simulated ratings with a known noise floor",
        format="drawn from a stated model",
        licence="none needed",
        scale=_WHOLE_STARS,
        has_users=True,
        noun="film",
    ),
    DatasetSpec(
        name="simulated-playlists",
        title="Simulated songs and playlists with known chances",
        format="drawn from a stated model",
        licence="none needed",
        scale=None,
    ),
    _OWN,
    _movielens(
        "ml-100k", "MovieLens 100K (1998)", read_100k, "tab- and bar-separated", _WHOLE_STARS, 4.9,
        sha256=_SHA256_100K, official_splits=_SPLITS_100K, has_users=True,
    ),
    _movielens("ml-1m", "MovieLens 1M (2003)", read_dat, "::-separated", _WHOLE_STARS, 5.9, has_users=True),
    _movielens(
        "ml-10m", "MovieLens 10M (2009)", read_dat, "::-separated", _HALF_STARS, 65.6, folder="ml-10M100K"
    ),
    _movielens("ml-20m", "MovieLens 20M (2016)", read_csv, "csv", _HALF_STARS, 198.7),
    _movielens("ml-25m", "MovieLens 25M (2019)", read_csv, "csv", _HALF_STARS, 261.9),
    _movielens("ml-32m", "MovieLens 32M (2024)", read_csv, "csv", _HALF_STARS, 238.9),
    _movielens(
        "ml-latest-small", "MovieLens latest-small (2018)", read_csv, "csv", _HALF_STARS, 1.0,
        sha256=_SHA256_LATEST_SMALL,
    ),
    DatasetSpec(
        name="ml-1m-sequences",
        title="MovieLens 1M as sequences, without ratings and times",
        format="lines `user item` in order of time",
        licence=_GROUPLENS,
        scale=None,
        archive="ml-1m-sequences.zip",
        folder="ml-1m-sequences",
        read=read_sequences,
        size_mb=2.6,
        sha256=_SHA256_1M_SEQUENCES,
        has_users=True,
        noun="film",
    ),
    DatasetSpec(
        name="cil",
        title="ETH CIL collaborative filtering",
        format="csv, ids like r44_c1",
        licence="course data of ETH Zurich, not public",
        scale=_WHOLE_STARS,
        archive="cil.zip",
        folder="cil",
        read=read_cil,
        size_mb=6.5,
        sha256=_SHA256_CIL,
        unofficial_split="kfold",
    ),
    DatasetSpec(
        name="spotify-playlists",
        title="Songs of Spotify playlists, a subset of TidyTuesday 2020-01-21",
        format="csv in Windows-1252, one row a song in a playlist",
        licence="Spotify's audio features as published by TidyTuesday; the subset is not public",
        scale=None,
        archive="spotify-playlists.zip",
        folder="spotify-playlists",
        read=read_spotify,
        size_mb=0.3,
        sha256=_SHA256_SPOTIFY,
    ),
)  # fmt: skip

REGISTRY: dict[str, DatasetSpec] = {spec.name: spec for spec in _SPECS}


def get_spec(name: str, own: str | None = None) -> DatasetSpec:
    """The registry's entry.

    Args:
        own: What one's own data are called, which have a name too.

    Raises:
        DataError: no dataset has this name; the sentence suggests the nearest one.
    """
    names = list(dict.fromkeys([*REGISTRY, *filter(None, [own])]))
    if name in names:
        return known_spec(name)
    near = difflib.get_close_matches(name, names, n=1)
    suggestion = f" Did you mean {near[0]}?" if near else ""
    raise DataError(f"There is no dataset {name!r}; choose one of {', '.join(names)}.{suggestion}")


def known_spec(name: str) -> DatasetSpec:
    """Of a dataset that has been prepared: the registry's entry, that of one's own data where it has none."""
    return REGISTRY.get(name, _OWN)


def nouns(name: str, items: pd.DataFrame, config: DatasetConfig | None = None) -> tuple[str, str]:
    """What an item of a dataset is called, and what several are; songs are items that have artists."""
    own = config if isinstance(config, OwnDataConfig) else None
    noun = (own and own.noun) or known_spec(name).noun or ("song" if "artist" in items else "item")
    return noun, (own and own.nouns) or f"{noun}s"


def rating_scale(name: str, config: DatasetConfig | None = None) -> RatingScale | None:
    """The ratings that may occur, None where users act without rating; for ``csv`` the parameters say."""
    if isinstance(config, OwnDataConfig):
        if config.rating_column is None:
            return None
        return RatingScale(config.rating_min, config.rating_max, config.rating_step)
    return known_spec(name).scale


def find_archive(
    name: str, data_dir: StrPath | None = None, download_dir: StrPath | None = None, progress: bool = True
) -> Path:
    """Path of the dataset's zip, downloaded if it is not on this machine.

    Looked for in ``data_dir`` (or $ATTREC_DATA_DIR), then in ``download_dir``, where downloads go.

    Raises:
        DataError: the dataset has no archive, or there is no such dataset.
        DatasetUnavailable: it is nowhere and could not be downloaded.
    """
    spec = get_spec(name)
    if spec.archive is None:
        raise DataError(f"The dataset {name} has no archive to look for; it is {spec.format}.")
    found = locate(spec.archive, data_dir, download_dir)
    if found is not None:
        return found
    if not spec.urls:
        raise DatasetUnavailable(
            f"{name} has no public address to download it from; put {spec.archive} into a folder and name that folder"
            f" in {DATA_DIR_VARIABLE}."
        )
    return fetch(spec.archive, spec.urls, Path(download_dir or "data/downloads"), progress=progress)


def load_dataset(
    name: str,
    config: DatasetConfig | None = None,
    data_dir: StrPath | None = None,
    download_dir: StrPath | None = None,
    progress: bool = True,
) -> Tables:
    """Read a dataset into canonical tables, downloading it if need be.

    Args:
        config: needed by one's own data, taken by ``simulated`` and ``simulated-playlists``.
        data_dir: folder with the zips; $ATTREC_DATA_DIR where it is None.
        download_dir: where downloads are kept; ``data/downloads`` where it is None.

    Raises:
        DataError: unknown name, or a file that cannot be used as a whole.
        ArchiveError: an archive that is damaged, altered or unsafe.
        DatasetUnavailable: the archive is nowhere to be had.
        ParamsError: ``config`` is not the one this dataset takes.
    """
    if isinstance(config, OwnDataConfig) and name == config.name:
        return read_own_data(config)
    spec = get_spec(name)
    if name == "simulated":
        if not isinstance(config, SimulatorConfig | None):
            raise ParamsError("The dataset simulated takes the parameters of the simulator.")
        return simulate(config or SimulatorConfig())
    if name == "simulated-playlists":
        if not isinstance(config, PlaylistSimulatorConfig | None):
            raise ParamsError("The dataset simulated-playlists takes the parameters of its own simulator.")
        return simulate_playlists(config or PlaylistSimulatorConfig())
    if name == "csv":
        raise ParamsError("The dataset csv needs the path and the columns of your file in the parameters.")
    assert spec.read is not None
    with open_archive(find_archive(name, data_dir, download_dir, progress)) as archive:
        return spec.read(archive, spec.folder, spec.sha256 or {})


def official_test_pairs(
    name: str,
    split: str,
    data_dir: StrPath | None = None,
    download_dir: StrPath | None = None,
    progress: bool = True,
) -> pd.DataFrame:
    """The (user_id, item_id) pairs on which a published split tests.

    Raises:
        DataError: the dataset has no such split, or as :func:`load_dataset`.
    """
    spec = get_spec(name)
    if split not in spec.official_splits:
        published = ", ".join(spec.official_splits) or "none"
        raise DataError(
            f"{name} has no published split {split!r} (it has: {published}); choose another split."
        )
    with open_archive(find_archive(name, data_dir, download_dir, progress)) as archive:
        return read_official_test_pairs(archive, spec.folder, split, spec.sha256 or {})
