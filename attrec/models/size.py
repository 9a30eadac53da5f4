"""How many numbers a fitted model is made of."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import numpy as np
from pydantic import BaseModel
from safetensors import safe_open

from attrec.models.base import KNOWN_ARRAYS, Model


class ModelSize(BaseModel, frozen=True):
    """A count, and of what."""

    numbers: int
    counted: Literal["trained", "stored"]
    """`trained`: parameters that were fitted. `stored`: what a model without such parameters, or that keeps many draws
    of them, has to keep to predict: nodes of trees and their look-up tables, similarities or the ratings of
    neighbours, samples of a posterior, a completed matrix."""


def model_size(directory: Path) -> ModelSize:
    """Size of a saved model.

    Raises:
        DataError: the folder holds none.
    """
    model = Model.load(directory)
    if model.trained is not None:
        return ModelSize(numbers=model.trained, counted="trained")
    numbers = stored_numbers(directory) if model.stored is None else model.stored
    return ModelSize(numbers=numbers, counted="stored")


def stored_numbers(directory: Path) -> int:
    """Numbers in the arrays of a saved model, and nodes of its trees: a threshold or a leaf's value each.

    What its family keeps of the training data, such as the pairs that are not to be recommended, is not of the model.
    """
    numbers = 0
    for file in sorted(directory.rglob("*.safetensors")):
        if file.name != KNOWN_ARRAYS:
            with safe_open(file, framework="numpy") as arrays:
                shapes = [arrays.get_slice(name).get_shape() for name in arrays.keys()]  # noqa: SIM118
            numbers += sum(int(np.prod(shape)) for shape in shapes)
    return numbers + sum(_nodes(file) for file in sorted(directory.rglob("*.ubj")))


def _nodes(file: Path) -> int:
    import xgboost

    booster = xgboost.Booster()
    booster.load_model(file)
    return sum(tree.count("\n") for tree in booster.get_dump())
