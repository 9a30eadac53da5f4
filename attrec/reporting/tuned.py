"""What a search for a better configuration has found, as `study.json` and `trials.csv` tell it."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Self

import pandas as pd
from pydantic import BaseModel, ConfigDict, ValidationError

from attrec.errors import DataError

STUDY, TRIALS = "study.json", "trials.csv"


class Found(BaseModel):
    """What is told of a study."""

    model_config = ConfigDict(frozen=True)

    family: str
    model: str
    dataset: str
    split: str
    metric: str
    lower_is_better: bool
    budget: str
    trials: int
    """That count to the budget: complete and pruned ones."""
    pruned: int
    tried: int
    """Different configurations, those before this study among them."""
    cpu_seconds: float
    best_trial: int
    best: float
    start: float | None
    """The figure of the configuration that it began from; None if its fit failed."""
    values: dict[str, Any]
    """What the best one changes of it, by the path of a field; nothing if the first is the best."""
    importance: dict[str, float]
    """How much of what tells good configurations from others is each field's (PED-ANOVA); nothing of few trials."""
    space: dict[str, Any]
    study: str
    """Its name in the database."""
    run_id: str
    """Of the study, in the run store."""
    git_commit: str
    git_dirty: bool

    @property
    def gain(self) -> float | None:
        """By how much the best is better than the start, whichever way the metric goes; None where that is unknown."""
        if self.start is None:
            return None
        return self.start - self.best if self.lower_is_better else self.best - self.start

    @classmethod
    def read(cls, folder: Path) -> Self:
        """What was left in a folder.

        Raises:
            DataError: it is of another version of attrec.
        """
        try:
            return cls.model_validate_json((folder / STUDY).read_text())
        except ValidationError as error:
            raise DataError(
                f"{folder} is of another version of attrec: run `attrec tune` again, or remove it."
            ) from error


def read_trials(folder: Path) -> pd.DataFrame:
    """trial, state, value, cpu_seconds, epochs, start, same_as, reason, and a column a field: of all that ended."""
    return pd.read_csv(folder / TRIALS, dtype={"reason": str}, keep_default_na=True)
