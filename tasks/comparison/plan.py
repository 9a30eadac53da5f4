"""How a model is fitted: most in one task, some in several steps that share what is cached.

A plan hands in cached tasks and returns at once; whoever compares models gathers them, so that all run side by side.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Protocol

from prefect.futures import PrefectFuture

from attrec.models.specs import Spec
from tasks.comparison.fit import fit
from tasks.engine.artifacts import Artifact
from tasks.engine.training_data import Phase, TrainingData

Futures = dict[str, PrefectFuture[Artifact]]


@dataclass
class Submitted:
    """Tasks under way for one model, seed and phase."""

    model: PrefectFuture[Artifact]
    autoencoders: Futures = field(default_factory=dict)
    """By the name of their job."""
    drawn: dict[str, str] = field(default_factory=dict)
    """Of the autoencoders whose losses a report draws, what it calls them."""
    heads: list[PrefectFuture[Artifact]] = field(default_factory=list)
    networks: list[PrefectFuture[Artifact]] = field(default_factory=list)
    """By fold."""
    machines: Futures = field(default_factory=dict)

    def futures(self) -> list[PrefectFuture[Artifact]]:
        """All of them."""
        return [
            *self.autoencoders.values(),
            *self.machines.values(),
            *self.networks,
            *self.heads,
            self.model,
        ]


class Plan(Protocol):
    """Submits the fit of one phase; that of `final` needs what was `selected`, if the model chooses anything."""

    def __call__(
        self,
        name: str,
        spec: Any,
        seed: int,
        data: Any,
        phase: Phase = "select",
        selected: Submitted | None = None,
    ) -> Submitted: ...


def in_one_task(
    name: str,
    spec: Spec,
    seed: int,
    data: TrainingData,
    phase: Phase = "select",
    selected: Submitted | None = None,
) -> Submitted:
    """Fit the model as a whole."""
    chosen = None if selected is None else selected.model
    return Submitted(fit.submit(name, spec.model, spec.config(), seed, data, phase, chosen))
