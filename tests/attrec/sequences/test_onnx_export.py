"""The padded form of a sequence transformer, and its ONNX file, say what the model says."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from attrec.datasets.histories import Histories
from attrec.sequences.bert4rec import BERT4Rec, BERT4RecConfig
from attrec.sequences.network import SequenceTransformer
from attrec.sequences.onnx_export import PaddedScorer, export_onnx, padded
from attrec.sequences.sasrec import SASRec, SASRecConfig

LENGTH = 6
KINDS = {"sasrec": (SASRec, SASRecConfig), "bert4rec": (BERT4Rec, BERT4RecConfig)}
CHANGES: dict[str, dict[str, Any]] = {
    "": {},
    " with neighbours and distances": {"neighbours": 2, "distances": True},
}
HISTORIES = [[1], [2, 3, 4], [5] * 9, [6, 7], []]


@pytest.fixture(scope="module", params=itertools.product(KINDS, CHANGES), ids="".join)
def fitted(request: pytest.FixtureRequest) -> SequenceTransformer:
    """60 users, 2 to 14 of 20 items each."""
    rng = np.random.default_rng(0)
    counts = rng.integers(2, 15, 60)
    items = np.concatenate([rng.choice(20, count, replace=False) for count in counts])
    actions = pd.DataFrame({"user_id": np.repeat(np.arange(60), counts), "item_id": items})
    kind, change = request.param
    model, config = KINDS[kind]
    network = {"dimension": 8, "heads": 2, "length": LENGTH, **CHANGES[change]}
    training = {"epochs": 3, "learning_rate": 0.01}
    return model(config.model_validate({"network": network, "training": training})).fit(actions)


def untruncated(model: SequenceTransformer) -> tuple[np.ndarray, np.ndarray]:
    """A caller's own table of HISTORIES, longer than the network reads and filled up with a code of its own."""
    mask = [] if model.CAUSAL else [len(model.items)]
    asked = [history + mask for history in HISTORIES]
    lengths = np.array([len(history) for history in asked])
    items = np.full((len(asked), 12), 13)
    for row, history in enumerate(asked):
        items[row, : len(history)] = history
    return items, lengths


def test_padded_rows_score_as_packed_ones(fitted: SequenceTransformer) -> None:
    histories = Histories.of_lists(HISTORIES)
    textbook = PaddedScorer(fitted)(*padded(fitted, histories)).detach().numpy()
    np.testing.assert_allclose(textbook, fitted.score(histories), atol=1e-5)


def test_longer_and_empty_rows_are_scored_as_the_model_does(fitted: SequenceTransformer) -> None:
    items, lengths = (torch.from_numpy(table) for table in untruncated(fitted))
    textbook = PaddedScorer(fitted)(items, lengths).detach().numpy()
    np.testing.assert_allclose(textbook, fitted.score(Histories.of_lists(HISTORIES)), atol=1e-5)


def test_no_real_row_is_what_most_people_choose(fitted: SequenceTransformer) -> None:
    scores = PaddedScorer(fitted)(torch.zeros(1, 3, dtype=torch.long), torch.tensor([0]))
    np.testing.assert_array_equal(scores.detach().numpy()[0], np.log1p(fitted.popularity))


def test_the_scorer_is_a_copy(fitted: SequenceTransformer) -> None:
    scorer = PaddedScorer(fitted)
    ours = {parameter.data_ptr() for parameter in fitted.network.parameters()}
    assert not ours & {parameter.data_ptr() for parameter in scorer.parameters()}
    assert {parameter.device.type for parameter in scorer.parameters()} == {"cpu"}


@pytest.mark.slow
def test_the_file_scores_as_the_model_and_says_what_it_takes(
    fitted: SequenceTransformer, tmp_path: Path
) -> None:
    import onnxruntime

    export_onnx(fitted, tmp_path / "model.onnx")
    assert [file.name for file in tmp_path.iterdir()] == ["model.onnx"]
    session = onnxruntime.InferenceSession(str(tmp_path / "model.onnx"))
    facts = session.get_modelmeta().custom_metadata_map
    mask = {} if fitted.CAUSAL else {"mask": str(len(fitted.items))}
    assert facts == {"length": str(LENGTH), "items": str(len(fitted.items)), **mask}

    def scores(items: np.ndarray, lengths: np.ndarray) -> np.ndarray:
        (answer,) = session.run(None, {"items": items, "lengths": lengths})
        return np.asarray(answer)

    for histories in ([[1], [2, 3, 4], [5, 6]], [[4, 3, 2, 1]]):
        asked = Histories.of_lists(histories)
        items, lengths = padded(fitted, asked)
        np.testing.assert_allclose(scores(items.numpy(), lengths.numpy()), fitted.score(asked), atol=1e-5)
    np.testing.assert_allclose(
        scores(*untruncated(fitted)), fitted.score(Histories.of_lists(HISTORIES)), atol=1e-5
    )
