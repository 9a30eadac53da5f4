"""What the flow `paper` reads from params.yaml."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict

from flows.prepare_params import PrepareSection
from tasks.engine.params import RunnerConfig


class PaperSection(BaseModel):
    """Section `paper` of params.yaml."""

    model_config = ConfigDict(extra="forbid")

    dimensions: list[int] = [8, 16, 32, 64, 128, 256]


class PaperParams(BaseModel):
    """What the flow reads from params.yaml."""

    model_config = ConfigDict(extra="forbid")

    dataset: str
    seed: int = 0
    runner: RunnerConfig = RunnerConfig()
    prepare: PrepareSection = PrepareSection()
    paper: PaperSection = PaperSection()
