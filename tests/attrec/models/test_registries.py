"""What a folder holds that was saved: nothing, a model of now, or one of another version of the code."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from attrec.errors import DataError
from attrec.models.training import TrainingConfig
from attrec.ratings.pairs.model import NeuralCF, PairNetworkConfig
from attrec.ratings.registry import load_rating_model


@pytest.mark.parametrize("load", [load_rating_model])
def test_a_folder_without_a_model_is_told(load: Callable[[Path], object], tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"holds no saved .* model: fit and save one first"):
        load(tmp_path)


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    ratings = pd.DataFrame({"user_id": [1, 1, 2], "item_id": [1, 2, 1], "rating": [1.0, 5.0, 3.0]})
    ids = pd.DataFrame(index=pd.Index([1, 2]))
    config = PairNetworkConfig(head="inner", dimension=2, training=TrainingConfig(epochs=1))
    NeuralCF(config).fit(ratings, ids, ids).save(tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    "change",
    [
        lambda content: content["config"].update(depth=3),
        lambda content: content.pop("seed"),
        lambda content: content["config"].update(dimension=7),
        lambda content: content["course"].update(lowest=0.1),
    ],
    ids=["a field too many", "a field too few", "another shape", "other losses"],
)
def test_a_model_of_another_version_is_refused_in_a_sentence(
    change: Callable[[dict], object], saved: Path
) -> None:
    assert isinstance(load_rating_model(saved), NeuralCF)
    file = saved / "neural_cf.json"
    content = json.loads(file.read_text())
    change(content)
    file.write_text(json.dumps(content))
    with pytest.raises(DataError, match="holds a rating model of another version of attrec; fit it again"):
        load_rating_model(saved)


def test_short_memory_is_no_fault_of_the_model(saved: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def build(*_: object) -> None:
        raise RuntimeError("DefaultCPUAllocator: can't allocate memory")

    monkeypatch.setattr(NeuralCF, "_build", build)
    with pytest.raises(RuntimeError, match="can't allocate memory"):
        load_rating_model(saved)


@pytest.mark.parametrize("file", ["rating_model.json", "neural_cf.safetensors"])
def test_a_failing_disk_is_no_fault_of_the_model(saved: Path, file: str) -> None:
    (saved / file).unlink()
    # The operating system refuses to read a folder as a file, as it does a broken sector.
    (saved / file).mkdir()
    with pytest.raises(OSError, match=r"Is a directory|No such device"):
        load_rating_model(saved)
