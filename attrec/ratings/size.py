"""How many numbers a fitted model is made of."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path
from typing import Literal

import numpy as np
from pydantic import BaseModel
from safetensors import safe_open

from attrec.ratings.baselines import GlobalMean, UserItemBias
from attrec.ratings.imputed_svd import ImputedSVD
from attrec.ratings.pairs.model import NeuralCF
from attrec.ratings.registry import load_rating_model
from attrec.ratings.surprise.baselines import Factors, NormalDraws, SurpriseBaseline

# The pairs it was fitted on, which every model keeps so as not to recommend them.
NOT_OF_THE_MODEL = "seen.safetensors"


class ModelSize(BaseModel, frozen=True):
    """A count, and of what."""

    numbers: int
    counted: Literal["trained", "stored"]
    """`trained`: parameters that were fitted. `stored`: what a model without such parameters, or that keeps many draws
    of them, has to keep to predict: nodes of trees and their look-up tables, similarities or the ratings of
    neighbours, samples of a posterior, a completed matrix."""


def model_size(directory: Path) -> ModelSize:
    """Size of a saved rating model.

    Raises:
        DataError: the folder holds none.
    """
    model = load_rating_model(directory)
    if isinstance(model, NeuralCF):
        return ModelSize(numbers=sum(p.numel() for p in model.network.parameters()), counted="trained")
    if isinstance(model, GlobalMean):
        return ModelSize(numbers=1, counted="trained")
    if isinstance(model, UserItemBias):
        return ModelSize(numbers=1 + model.biases.user.size + model.biases.item.size, counted="trained")
    if isinstance(model, ImputedSVD):
        arrays = (model.directions, model.profiles, model.item_means)
        return ModelSize(numbers=sum(array.size for array in arrays), counted="trained")
    if isinstance(model, SurpriseBaseline):
        if isinstance(model.fitted, NormalDraws):
            return ModelSize(numbers=2, counted="trained")
        parts = [getattr(model.fitted, field.name) for field in fields(model.fitted)]
        numbers = sum(part.size for part in parts if isinstance(part, np.ndarray))
        if isinstance(model.fitted, Factors):
            return ModelSize(numbers=1 + numbers, counted="trained")
        return ModelSize(numbers=numbers, counted="stored")
    return ModelSize(numbers=stored_numbers(directory), counted="stored")


def stored_numbers(directory: Path) -> int:
    """Numbers in the arrays of a saved model, and nodes of its trees: a threshold or a leaf's value each."""
    numbers = 0
    for file in sorted(directory.rglob("*.safetensors")):
        if file.name != NOT_OF_THE_MODEL:
            with safe_open(file, framework="numpy") as arrays:
                shapes = [arrays.get_slice(name).get_shape() for name in arrays.keys()]  # noqa: SIM118
            numbers += sum(int(np.prod(shape)) for shape in shapes)
    return numbers + sum(_nodes(file) for file in sorted(directory.rglob("*.ubj")))


def _nodes(file: Path) -> int:
    import xgboost

    booster = xgboost.Booster()
    booster.load_model(file)
    return sum(tree.count("\n") for tree in booster.get_dump())
