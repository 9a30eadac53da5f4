"""The handle on what a fit may see: all that a fitting task is given of the data."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, Literal

from pydantic import BaseModel

from tasks.engine.artifacts import Artifact

Phase = Literal["select", "final"]
"""`select`: fitted on the training rows, every choice is made on validation. `final`: fitted on training and validation
rows, nothing is left to choose."""
Part = Literal["validation", "test"]


class TrainingData(BaseModel, ABC, frozen=True):
    """A folder without anything of the test; each family says how it is read.

    This module is apart from the families' for the sake of cache keys: whoever fits reaches it and nothing else.
    """

    folder: Artifact

    @abstractmethod
    def arguments(self, phase: Phase) -> dict[str, Any]:
        """What the family's `fit` takes, by name."""


class Prepared(BaseModel, frozen=True):
    """The data of one split as artefacts: what a fit may see, and beside it, apart, what the test asks and answers."""

    training: TrainingData
