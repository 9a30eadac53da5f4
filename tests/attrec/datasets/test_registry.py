"""Names, addresses and what a wrong name or configuration gets."""

from __future__ import annotations

import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from attrec.datasets.own_data import OwnDataConfig
from attrec.datasets.registry import (
    REGISTRY,
    RatingScale,
    find_archive,
    get_spec,
    load_dataset,
    official_test_pairs,
    rating_scale,
)
from attrec.datasets.simulator import SimulatorConfig
from attrec.errors import ArchiveError, DataError, DatasetUnavailable, ParamsError


def test_every_dataset_is_there() -> None:
    assert set(REGISTRY) == {
        "simulated", "simulated-playlists", "csv", "ml-100k", "ml-1m", "ml-10m", "ml-20m", "ml-25m", "ml-32m",
        "ml-latest-small", "ml-1m-sequences", "cil", "spotify-playlists",
    }  # fmt: skip
    not_public = {"cil", "ml-1m-sequences", "spotify-playlists"}
    for name, spec in REGISTRY.items():
        assert spec.name == name
        assert (spec.archive is None) == (spec.read is None)
        assert bool(spec.urls) == (spec.archive is not None and name not in not_public)
        assert all(url.startswith("https://") and url.endswith(f"/{spec.archive}") for url in spec.urls)
        assert spec.licence


def test_what_is_verified_is_said() -> None:
    verified = {name for name, spec in REGISTRY.items() if spec.verified}
    assert verified == {"ml-100k", "ml-latest-small", "ml-1m-sequences", "cil", "spotify-playlists"}


def test_where_nobody_rates_there_is_no_scale() -> None:
    without_ratings = {name for name, spec in REGISTRY.items() if spec.feedback == "actions"}
    assert without_ratings == {"ml-1m-sequences", "spotify-playlists", "simulated-playlists"}
    assert rating_scale("ml-1m-sequences") is None
    assert rating_scale("csv", OwnDataConfig(path=Path("x"), rating_column=None)) is None


@pytest.mark.parametrize(("wrong", "meant"), [("ml100k", "ml-100k"), ("simulate", "simulated")])
def test_unknown_name_lists_the_names_and_suggests(wrong: str, meant: str) -> None:
    with pytest.raises(DataError, match=rf"no dataset '{wrong}'.*ml-latest-small.*Did you mean {meant}\?"):
        get_spec(wrong)


def test_config_of_another_dataset_is_refused() -> None:
    with pytest.raises(ParamsError, match="path"):
        load_dataset("csv")
    with pytest.raises(ParamsError, match="simulator"):
        load_dataset("simulated", OwnDataConfig(path=Path("x")))
    with pytest.raises(ParamsError, match="its own simulator"):
        load_dataset("simulated-playlists", SimulatorConfig())


def test_rating_scale() -> None:
    assert rating_scale("ml-20m") == RatingScale(0.5, 5.0, 0.5)
    config = OwnDataConfig(path=Path("x"), rating_min=0, rating_max=10, rating_step=2)
    assert rating_scale("csv", config) == RatingScale(0.0, 10.0, 2.0)


def test_simulated_needs_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ATTREC_DATA_DIR", raising=False)
    tables = load_dataset("simulated", SimulatorConfig(n_users=30, n_items=60, n_ratings=600))
    assert len(tables.ratings) == 600
    with pytest.raises(DataError, match="no archive"):
        find_archive("simulated")


def test_unpublished_split() -> None:
    with pytest.raises(DataError, match=r"ml-1m has no published split 'u1' \(it has: none\)"):
        official_test_pairs("ml-1m", "u1")


def test_dataset_that_is_nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def unreachable(*_: object, **__: object) -> Path:
        raise DatasetUnavailable("nowhere")

    monkeypatch.setattr("attrec.datasets.registry.fetch", unreachable)
    with pytest.raises(DatasetUnavailable):
        load_dataset("ml-100k", data_dir=tmp_path, download_dir=tmp_path)


@pytest.mark.realdata
def test_tampered_archive_names_the_member(data_dir: Path, tmp_path: Path) -> None:
    with (
        zipfile.ZipFile(data_dir / "ml-100k.zip") as original,
        zipfile.ZipFile(tmp_path / "ml-100k.zip", "w") as tampered,
    ):
        for name in original.namelist():
            content = original.read(name)
            if name.endswith("u.data"):
                content = content.replace(b"196\t242\t3\t", b"196\t242\t5\t", 1)
            tampered.writestr(name, content)
    with pytest.raises(ArchiveError, match=r"ml-100k/u\.data .*sha256 differs"):
        load_dataset("ml-100k", data_dir=tmp_path)


@pytest.mark.realdata
def test_truncated_archive(data_dir: Path, tmp_path: Path) -> None:
    shutil.copyfile(data_dir / "ml-100k.zip", tmp_path / "ml-100k.zip")
    with (tmp_path / "ml-100k.zip").open("r+b") as file:
        file.truncate(1_000_000)
    with pytest.raises(ArchiveError, match="not a complete zip"):
        load_dataset("ml-100k", data_dir=tmp_path)


def test_importing_the_registry_stays_light() -> None:
    heavy = "{'torch', 'sklearn', 'xgboost', 'matplotlib', 'mlflow', 'prefect', 'dvc'}"
    code = f"import sys, attrec.datasets.registry; print(sorted({heavy} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
