"""Where a stage leaves its models and figures, and what it notes beside them."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from pydantic import BaseModel

from tasks.engine import environment, run_store, tracking
from tasks.engine.timings import Timing


class Size(BaseModel):
    """What a model is made of."""

    numbers: int
    counted: str
    """What they are (see `attrec.models.size`)."""
    megabytes: float
    """Of the files of the model with what serves it."""


class Left(BaseModel):
    """What a stage leaves that differs from run to run."""

    runs: dict[str, str] = {}
    """Run ids by model, and by the name of the family that of the comparison."""
    champion: str
    """What became of the challenger, in a sentence; or why there is none."""
    sizes: dict[str, Size] = {}
    """By model."""
    timings: dict[str, Timing | None] = {}
    """By model, of its fit."""
    tags: dict[str, str] = {}
    """Of all these runs: where their figures come from."""
    params: str = ""
    """What stood in params.yaml."""
    address: str = ""
    """Where the server that has the runs shows them, each below runs/; empty where no server has them."""

    @classmethod
    def read(cls, family: str) -> Left | None:
        """What the stage of a family left last; None if there is nothing."""
        file = _file(family)
        return cls.model_validate_json(file.read_text()) if file.is_file() else None

    def write(self, family: str) -> None:
        """Into reports/, apart from the figures."""
        _file(family).write_text(self.model_dump_json(indent=2) + "\n")


def kept_models(family: str) -> Path:
    """Where a stage leaves its models: a folder each, as `keep_model` writes it."""
    return environment.ROOT / "models" / family


def figures_folder(family: str) -> Path:
    """Where a stage leaves its small tables."""
    return environment.ROOT / "reports" / family


def log_report(run_ids: Iterable[str]) -> None:
    """Keep the report in the runs that it tells of, where the store has them."""
    page = environment.ROOT / "reports" / "index.html"
    with run_store.one_sentence_faults():
        for run_id in run_ids:
            if page.is_file() and run_store.is_active(run_store.find_run(run_id)):
                tracking.log_files(run_id, page, "report")


def _file(family: str) -> Path:
    return environment.ROOT / "reports" / f"{family}_runs.json"
