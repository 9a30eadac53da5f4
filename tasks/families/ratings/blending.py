"""Blend models: weights from validation predictions, applied to the predictions of the final fits."""

from __future__ import annotations

import json
from collections.abc import Sequence

import numpy as np

from attrec.datasets.tables import write_parquet
from attrec.ratings.blend import Blend, BlendConfig, BlendWeights, fit_weights
from attrec.ratings.model import RatingModel
from tasks.comparison.family import Fitted
from tasks.data.prepared import PAIR, RatingTraining
from tasks.engine.artifacts import Artifact, writing
from tasks.engine.caching import cached_task
from tasks.families.ratings.answers import read_predictions


@cached_task("fit-blend")
def fit_blend(config: BlendConfig, data: RatingTraining, validation: dict[str, Artifact]) -> Artifact:
    """Learn the weights of a blend.

    Args:
        validation: The members' predictions of the validation rows, which none of them was fitted on.

    Returns:
        Folder with `weights.json` and `predictions.parquet`: of the validation rows, each user's with weights learned
        on other users.
    """
    truth = data.validation()
    predictions = {name: read_predictions(artifact) for name, artifact in validation.items()}
    for frame in predictions.values():
        assert frame[PAIR].equals(truth[PAIR])
    columns = {name: frame["prediction"].to_numpy("float64") for name, frame in predictions.items()}
    trained = data.load("select").ratings["rating"]
    rating_range = float(trained.min()), float(trained.max())
    weights, held_out = fit_weights(
        columns, truth["rating"].to_numpy("float64"), truth["user_id"].to_numpy(), rating_range, config
    )
    with writing("blend") as draft:
        (draft.folder / "weights.json").write_text(json.dumps(weights.to_json(), indent=2) + "\n")
        write_parquet(truth[PAIR].assign(prediction=held_out), draft.folder / "predictions.parquet")
    return draft.artifact


@cached_task("combine")
def combine(blend: Artifact, members: dict[str, Artifact]) -> Artifact:
    """The blend's predictions of the pairs that its members' final fits predicted.

    Returns:
        Folder with `predictions.parquet`: user_id, item_id, prediction.
    """
    weights = read_weights(blend)
    frames = {name: read_predictions(artifact) for name, artifact in members.items()}
    pairs = frames[weights.members[0]][PAIR]
    assert all(frame[PAIR].equals(pairs) for frame in frames.values())
    combined = weights.combine(
        {name: frame["prediction"].to_numpy("float64") for name, frame in frames.items()}
    )
    with writing("predictions") as draft:
        write_parquet(
            pairs.assign(prediction=combined.astype(np.float64)), draft.folder / "predictions.parquet"
        )
    return draft.artifact


@cached_task("assemble-blend")
def assemble_blend(blend: Artifact, members: dict[str, Fitted], position: int) -> Artifact:
    """The blend as one model, its members inside.

    Args:
        members: With the code of their classes, so that an edit of a member's makes the blend anew.
        position: Which of the seeds; of a member with fewer, the last.

    Returns:
        Folder of the saved model.
    """
    models = {
        name: RatingModel.load(of_seed(member.models, position).path) for name, member in members.items()
    }
    with writing("model") as draft:
        Blend.of(models, read_weights(blend)).adopt_catalogue().save(draft.folder)
    return draft.artifact


def of_seed(artifacts: Sequence[Artifact], position: int) -> Artifact:
    """That of a seed; a member that no seed changes has one for all."""
    return artifacts[min(position, len(artifacts) - 1)]


def read_weights(blend: Artifact) -> BlendWeights:
    """What `fit_blend` learned."""
    return BlendWeights.from_json(json.loads((blend.path / "weights.json").read_text()))
