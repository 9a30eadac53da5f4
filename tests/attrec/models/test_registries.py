"""What a folder holds that was saved: nothing, a model of now, or one of another version of the code."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from attrec.errors import DataError
from attrec.models.pair_network import NeuralCF, PairNetworkConfig
from attrec.models.playlist_registry import load_playlist_model
from attrec.models.registry import load_rating_model
from attrec.models.sequence_registry import load_sequence_model
from attrec.training import TrainingConfig


@pytest.mark.parametrize("load", [load_rating_model, load_sequence_model, load_playlist_model])
def test_a_folder_without_a_model_is_told(load: Callable[[Path], object], tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"holds no saved .* model: fit and save one first"):
        load(tmp_path)


@pytest.mark.parametrize(
    "change",
    [
        lambda content: content["config"].update(depth=3),
        lambda content: content.pop("seed"),
        lambda content: content["config"].update(dimension=7),
        lambda content: content["history"].update(lowest=0.1),
    ],
    ids=["a field too many", "a field too few", "another shape", "another history"],
)
def test_a_model_of_another_version_is_refused_in_a_sentence(
    change: Callable[[dict], object], tmp_path: Path
) -> None:
    ratings = pd.DataFrame({"user_id": [1, 1, 2], "item_id": [1, 2, 1], "rating": [1.0, 5.0, 3.0]})
    ids = pd.DataFrame(index=pd.Index([1, 2]))
    config = PairNetworkConfig(head="inner", dimension=2, training=TrainingConfig(epochs=1))
    NeuralCF(config).fit(ratings, ids, ids).save(tmp_path)
    assert isinstance(load_rating_model(tmp_path), NeuralCF)
    file = tmp_path / "neural_cf.json"
    content = json.loads(file.read_text())
    change(content)
    file.write_text(json.dumps(content))
    with pytest.raises(DataError, match="holds a rating model of another version of attrec; fit it again"):
        load_rating_model(tmp_path)
