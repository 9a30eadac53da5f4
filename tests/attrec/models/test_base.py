"""What a folder holds that was saved: nothing, a model of now, or one of another version of the code."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from attrec.errors import DataError
from attrec.models.base import Model
from attrec.models.training import TrainingConfig
from attrec.playlists.baselines import MeanVector
from attrec.playlists.model import PlaylistModel
from attrec.prepare.songs import Vectors
from attrec.ratings.model import RatingModel
from attrec.sequences.model import SequenceModel
from attrec.sequences.sasrec import SASRec, SASRecConfig
from attrec.sequences.transformer import TransformerConfig


@pytest.mark.parametrize("family", [RatingModel, SequenceModel, PlaylistModel])
def test_a_folder_without_a_model_is_told(family: type[Model], tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"holds no saved .* model: fit and save one first"):
        family.load(tmp_path)


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    actions = pd.DataFrame({"user_id": [1, 1, 2, 2], "item_id": [1, 2, 2, 1]})
    config = SASRecConfig(network=TransformerConfig(dimension=2), training=TrainingConfig(epochs=1))
    SASRec(config).fit(actions).save(tmp_path)
    return tmp_path


def changed(folder: Path, change: Callable[[dict[str, Any]], object]) -> None:
    file = folder / "model.json"
    content = json.loads(file.read_text())
    change(content)
    file.write_text(json.dumps(content))


@pytest.mark.parametrize(
    "change",
    [
        lambda content: content["config"].update(depth=3),
        lambda content: content.pop("seed"),
        lambda content: content["config"]["network"].update(dimension=6),
        lambda content: content["values"]["course"].update(lowest=0.1),
        lambda content: content.update({"class": "attrec.sequences.sasrec.Gone"}),
        lambda content: content.update({"class": "attrec.sequences.gone.SASRec"}),
        lambda content: content.update({"class": "attrec.sequences.sasrec.SASRecConfig"}),
        lambda content: content.update({"class": "os.path.join"}),
    ],
    ids=[
        "a field too many", "a field too few", "another shape", "other losses",
        "no such class", "no such module", "no model", "not of this package",
    ],
)  # fmt: skip
def test_a_model_of_another_version_is_refused_in_a_sentence(
    change: Callable[[dict[str, Any]], object], saved: Path
) -> None:
    assert isinstance(SequenceModel.load(saved), SASRec)
    changed(saved, change)
    with pytest.raises(DataError, match="holds a model of another version of attrec; fit it again"):
        SequenceModel.load(saved)


def test_a_model_of_another_family_is_told(tmp_path: Path) -> None:
    songs = Vectors(pd.Index([1, 2]), ("x",), np.zeros((2, 1), dtype="float32"))
    MeanVector().fit(pd.DataFrame({"user_id": [1], "item_id": [2]}), songs).save(tmp_path)
    assert isinstance(PlaylistModel.load(tmp_path), MeanVector)
    with pytest.raises(DataError, match="holds a MeanVector, which is no sequence model"):
        SequenceModel.load(tmp_path)


def test_short_memory_is_no_fault_of_the_model(saved: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def build(*_: object) -> None:
        raise RuntimeError("DefaultCPUAllocator: can't allocate memory")

    monkeypatch.setattr(SASRec, "_build", build)
    with pytest.raises(RuntimeError, match="can't allocate memory"):
        SequenceModel.load(saved)


@pytest.mark.parametrize("file", ["known.json", "known.safetensors", "parameters.safetensors"])
def test_a_failing_disk_is_no_fault_of_the_model(saved: Path, file: str) -> None:
    (saved / file).unlink()
    # The operating system refuses to read a folder as a file, as it does a broken sector.
    (saved / file).mkdir()
    with pytest.raises(OSError, match=r"Is a directory|No such device"):
        SequenceModel.load(saved)
