"""What every flow that compares models reads from params.yaml; as all parameters, without what fits and tracks."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict

from attrec.parameters import Seed
from tasks.engine.params import RunnerConfig


class ComparisonParams(BaseModel):
    """What every flow that compares models reads from params.yaml, beside the section of its family."""

    model_config = ConfigDict(extra="forbid")

    dataset: str
    seed: Seed = 0
    runner: RunnerConfig = RunnerConfig()
