"""What a family of models has to say for itself, so that one mechanism fits, scores, tracks and reports all of them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Generic, TypeVar

import pandas as pd
from prefect.futures import PrefectFuture
from pydantic import BaseModel

from attrec.metrics.intervals import PairedTest
from attrec.models.base import Model
from attrec.models.specs import Spec
from attrec.serving.served import Served
from tasks.comparison.examples import Example
from tasks.comparison.plan import Plan, in_one_task
from tasks.engine.artifacts import Artifact
from tasks.engine.training_data import Part, Prepared, TrainingData

if TYPE_CHECKING:
    from matplotlib.figure import Figure


P = TypeVar("P", bound=Prepared)
T = TypeVar("T", bound=TrainingData)


class Fitted(BaseModel):
    """One model of a comparison, with all its seeds; the first seed's is the one that is logged and registered."""

    name: str
    sentence: str = ""
    """What it is."""
    code: str = ""
    """Hash of what its class reaches: whoever is handed this and reads the models hangs on it."""
    config: dict[str, Any]
    tried: int = 1
    """Configurations that were fitted to find this one, itself among them; of a blend, its members' too."""
    seeds: list[int]
    models: list[Artifact] = []
    """By seed; what answers the test, and is served."""
    selected: list[Artifact] = []
    """By seed, what was fitted to choose on validation; where no final fit follows, these are the models."""
    validation: list[Artifact] = []
    """By seed, what it says on validation."""
    test: list[Artifact] = []
    autoencoders: dict[str, Artifact] = {}
    """Those that the first seed's selection began with, by name."""
    drawn: dict[str, str] = {}
    """Of the autoencoders whose losses a report draws, what it calls them."""
    fits: list[list[Artifact]] = []
    """By seed, all that had to be fitted for it: selection, parts and final fit; of a blend, its members'."""
    members: list[str] = []
    """Of a blend."""


@dataclass(frozen=True)
class Contest:
    """On what two models of a family are compared."""

    metric: str
    lower_is_better: bool
    test: Callable[[pd.DataFrame, int], PairedTest]
    """Of challenger minus holder, whose columns end in _held; and a seed."""
    rows: tuple[str, ...] = ("user_id", "item_id")
    """What names a row of what a model said."""
    lasting: bool = False
    """Whether what was said of a row holds when the data have grown: a prediction does, a rank in a catalogue does
    not."""


Key = tuple[str, int]
"""Name and seed of a model."""


class Family(ABC, Generic[P, T]):
    """Rating prediction, next items, songs for playlists.

    What answers and scores gets the prepared data whole; all else gets what fits may see, and no answer of the test.
    """

    name: ClassVar[str]
    """Of the DVC stage, the section of `params.yaml` and the folder of reports."""
    served: ClassVar[type[Served]]
    """How its models answer."""
    contest: ClassVar[Contest]
    refits: ClassVar[bool]
    """Whether models that were chosen are fitted again, on training and validation rows."""
    source: ClassVar[str]
    """The out of the stage `prepare` that it reads."""

    @abstractmethod
    def facts(self, data: P) -> dict[str, Any]:
        """What is told of the data: `dataset`, `split` with `name`, `hash` and counts, and more."""

    @abstractmethod
    def training_rows(self, facts: Mapping[str, Any]) -> int:
        """Rows of the data that fits see."""

    def split_hash(self, facts: Mapping[str, Any], training: T) -> str:
        """What tells contests apart: two models that were compared under one of these saw the same questions."""
        return str(facts["split"]["hash"])

    def plan(self, kind: type[Model]) -> Plan:
        """How a model of this class is fitted."""
        return in_one_task

    def blend(
        self, name: str, spec: Spec, members: Mapping[str, Fitted], training: T, assemble: bool
    ) -> Fitted:
        """Blend fitted models; where there is nothing to blend, nobody asks for it.

        Args:
            assemble: Whether a model is made of it that answers alone.
        """
        raise NotImplementedError(f"models of the family {self.name} are not blended")

    @abstractmethod
    def answer(
        self,
        key: Key,
        model: Artifact | PrefectFuture[Artifact],
        kind: type[Model],
        data: P,
        part: Part,
    ) -> PrefectFuture[Artifact]:
        """Submit a task that lets a fitted model of class `kind` answer what a part asks."""

    @abstractmethod
    def evaluate(
        self, data: P, part: Part, answers: Mapping[str, list[Artifact]], champion: str | None = None
    ) -> Artifact:
        """Score answers, of each model one a seed; the targets of the test are read here and nowhere else.

        Args:
            champion: The model to break figures down of; None for the best on this part.

        Returns:
            Folder with `scores.csv` (model, metric, value, ci_low, ci_high, n, seeds), `metrics.json`, and more tables.
        """

    @abstractmethod
    def best(self, scores: pd.DataFrame) -> str:
        """The model that a table of scores is in favour of."""

    @abstractmethod
    def on_validation(self, fitted: Fitted, training: T) -> pd.DataFrame:
        """What the first seed said on validation, in the columns of `contest`."""

    @abstractmethod
    def seen(self, training: T) -> pd.DataFrame:
        """The rows, named as those of `contest`, that the models which answer the test were fitted on."""

    @abstractmethod
    def items(self, training: T) -> pd.DataFrame:
        """item_id, and title, artist and genres where known; `actions` where requests name titles."""

    def user_ids(self, training: T) -> pd.Series | None:
        """Some ids of users, where requests name them."""
        return None

    def losses(self, fitted: Fitted) -> dict[str, pd.DataFrame]:
        """Losses by epoch of what the first seed trained, by name of the part; of the model itself, ""."""
        model = Model.load((fitted.selected or fitted.models)[0].path)
        return {name: losses.frame() for name, losses in model.losses.items()}

    def plots(self, model: Any) -> dict[str, Figure]:
        """Kept in the model's run, by name of the file."""
        return {}

    @abstractmethod
    def described(self, facts: Mapping[str, Any]) -> dict[str, Any]:
        """Which of the facts stand in the summary of a comparison."""

    def curves(self, fitted: Sequence[Fitted]) -> list[tuple[str, pd.DataFrame]]:
        """Losses by epoch that are drawn, with a label each."""
        return [
            (f"{one.name}, {part}" if part else one.name, losses.frame())
            for one in fitted
            for part, losses in Model.load(one.models[0].path).drawn_losses.items()
        ]

    @abstractmethod
    def examples(self, training: T, best: Fitted) -> list[Example]:
        """What the first seed of a model recommends to a few people of the validation part."""

    @abstractmethod
    def write_shown(self, folder: Path, training: T, fitted: Sequence[Fitted], champion: str) -> None:
        """Write what a report shows of this family alone into the folder of a comparison."""
