"""Fit all models of a comparison and let them rank, as cached tasks side by side."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar, TypeVar

from prefect.futures import PrefectFuture
from pydantic import BaseModel, ConfigDict

from tasks.engine.artifacts import Artifact
from tasks.engine.runner import gather
from tasks.families.ratings.data import Part
from tasks.track import Fitted

F = TypeVar("F", bound=Fitted)
S = TypeVar("S", bound="RankingSpec")


class RankingSpec(BaseModel):
    """What params.yaml says of a model that ranks."""

    model_config = ConfigDict(extra="forbid")

    seeded: ClassVar[bool] = True
    """Whether a seed changes the model; where not, one seed says all."""

    def resolved(self) -> dict[str, Any]:
        """Everything that was set or defaulted, for the log."""
        return self.model_dump(mode="json")


def fit_and_rank(
    kind: type[F],
    models: Mapping[str, S],
    seeds: Sequence[int],
    fit: Callable[[S, str, int], PrefectFuture[Artifact]],
    rank: Callable[[PrefectFuture[Artifact], Part], PrefectFuture[Artifact]],
    label: str,
    parts: Sequence[Part],
) -> list[F]:
    """The models with what they rank, in the order given.

    Args:
        kind: What is returned of each.
        fit: Submits the fit of a model with its name and a seed.
        rank: Submits the ranking of a part by a fitted model.
        label: Of the progress bar.
        parts: The next is ranked when everything is fitted and the one before it is ranked: the test comes last.
    """
    keys = [(name, seed) for name, spec in models.items() for seed in (seeds if spec.seeded else seeds[:1])]
    fitted = {(name, seed): fit(models[name], name, seed) for name, seed in keys}
    ranked: dict[Part, dict[tuple[str, int], PrefectFuture[Artifact]]] = {}
    for part in parts:
        ranked[part] = {key: rank(fitted[key], part) for key in keys}
        gather([*fitted.values(), *ranked[part].values()], f"{label}, {part}")

    def results(futures: Mapping[tuple[str, int], PrefectFuture[Artifact]], name: str) -> list[Artifact]:
        return [futures[key].result() for key in keys if key[0] == name]

    return [
        kind(
            name=name,
            config=spec.resolved(),
            seeds=[seed for of, seed in keys if of == name],
            models=results(fitted, name),
            **{part: results(ranked[part], name) for part in parts},
        )
        for name, spec in models.items()
    ]
