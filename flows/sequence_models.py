"""What params.yaml says of a sequence model, and the cached task that fits it."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal, Self

from prefect.futures import PrefectFuture
from pydantic import Field, model_validator

from attrec.parameters import changed
from attrec.sequences.bert4rec import BERT4RecConfig
from attrec.sequences.recipes import BERT4REC_RECIPES, SASREC_RECIPES
from attrec.sequences.sasrec import SASRecConfig
from flows.fitting import RankingSpec
from tasks.engine.artifacts import Artifact
from tasks.fit_sequence_baseline import SequenceBaselineKind, fit_sequence_baseline
from tasks.fit_sequence_network import fit_sequence_network


class SequenceSpec(RankingSpec):
    """What params.yaml says of a model."""

    def submit(self, name: str, seed: int, fit: Artifact, exclude_seen: bool) -> PrefectFuture[Artifact]:
        """Submit the fit; every choice is made on validation, which is ranked as the test is."""
        raise NotImplementedError


class BaselineSpec(SequenceSpec):
    """Popularity, item neighbours or a first-order Markov chain."""

    seeded: ClassVar[bool] = False

    kind: SequenceBaselineKind

    def submit(self, name: str, seed: int, fit: Artifact, exclude_seen: bool) -> PrefectFuture[Artifact]:
        return fit_sequence_baseline.submit(self.kind, fit, exclude_seen)


class NetworkSpec(SequenceSpec):
    """A transformer: a named recipe, and what departs from it."""

    recipe: Literal["quick", "small", "paper", "field", "full"] = "quick"
    changes: dict[str, Any] = Field({}, description="fields of its config that replace the recipe's")

    @model_validator(mode="after")
    def _changes_fit(self) -> Self:
        self.config()
        return self

    def config(self) -> SASRecConfig | BERT4RecConfig:
        """The recipe with the changes."""
        raise NotImplementedError

    def resolved(self) -> dict[str, Any]:
        return {**self.model_dump(mode="json"), **self.config().model_dump(mode="json")}

    def submit(self, name: str, seed: int, fit: Artifact, exclude_seen: bool) -> PrefectFuture[Artifact]:
        return fit_sequence_network.submit(name, self.config(), seed, fit, exclude_seen)


class SASRecSpec(NetworkSpec):
    """SASRec."""

    kind: Literal["sasrec"]

    def config(self) -> SASRecConfig:
        config: SASRecConfig = changed(SASREC_RECIPES[self.recipe], self.changes)
        return config


class BERT4RecSpec(NetworkSpec):
    """BERT4Rec."""

    kind: Literal["bert4rec"]

    def config(self) -> BERT4RecConfig:
        config: BERT4RecConfig = changed(BERT4REC_RECIPES[self.recipe], self.changes)
        return config


SequenceModelSpec = Annotated[BaselineSpec | SASRecSpec | BERT4RecSpec, Field(discriminator="kind")]
