"""What a published comparison is, whatever the family: data and models, how much of it is measured, and its tables."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Literal, Self

import pandas as pd
from pydantic import BaseModel, ConfigDict, Field

from attrec.errors import ParamsError
from flows.prepare_params import PrepareSection
from tasks.comparison.family import Family, Fitted
from tasks.engine.artifacts import Artifact
from tasks.engine.training_data import Part, Prepared

Only = Literal["models", "ablation"]


class Comparison(BaseModel, ABC):
    """Models, and the splits of some data that they are compared on; a family says how these are scored together."""

    model_config = ConfigDict(extra="forbid")

    family: ClassVar[Family[Any, Any]]
    parts: ClassVar[tuple[Part, ...]] = ("test",)
    """What fitted models answer."""
    files: ClassVar[Mapping[str, str]]
    """Tables of the evaluation that are kept beside the scores, where there are any, by the names of their files."""

    about: str = Field("", exclude=True)
    """What the table is of, for those who choose one."""
    datasets: list[str] = Field(min_length=1)
    prepare: PrepareSection = Field(PrepareSection(), exclude=True)
    """How the data are prepared, but for the split."""
    seeds: list[int] = Field([0], min_length=1)
    models: dict[str, Any]
    """By name, what each is; a family knows which there are."""
    ablation: dict[str, Any] = Field({})
    """Steps that are compared on validation alone, with the first seed: what each choice contributed."""
    remarks: list[str] = Field([], exclude=True)
    """What whoever reads the figures should know of them, on every page."""

    @property
    @abstractmethod
    def together(self) -> str:
        """What the splits together are called."""

    @abstractmethod
    def prepared(self, dataset: str) -> list[Any]:
        """The data, split in every way that the models are measured on."""

    @abstractmethod
    def some_splits(self, number: int) -> dict[str, Any]:
        """What changes where the first splits alone are measured.

        Raises:
            ParamsError: there are fewer.
        """

    @abstractmethod
    def evaluate(
        self, dataset: str, splits: Sequence[Any], fitted: Sequence[Sequence[Fitted]]
    ) -> dict[Part, Artifact]:
        """Score the models over all splits, the test parts last.

        Args:
            fitted: By split, all models in one order.
        """

    @abstractmethod
    def compare_steps(self, dataset: str, splits: Sequence[Any]) -> pd.DataFrame:
        """The steps (see `ablation_table`)."""

    @abstractmethod
    def further_tables(
        self, splits: Sequence[Any], fitted: Sequence[Sequence[Fitted]]
    ) -> dict[str, pd.DataFrame]:
        """Of what the models are made and what their training took, and more that the family tells."""

    @abstractmethod
    def write_page(
        self,
        file: Path,
        dataset: str,
        splits: Sequence[Any],
        fitted: Sequence[Sequence[Fitted]],
        evaluations: Mapping[Part, Artifact],
        tables: Mapping[str, pd.DataFrame],
        runs: Mapping[str, str],
        settings: Mapping[str, Any],
    ) -> None:
        """The page of one data set.

        Args:
            tables: What is written to results/<table>/, by the names of the files; with `ablation` where it is known.
            runs: Run id of each model, and of the flow.
            settings: Parameters of the flow and of the comparison.
        """

    def seeds_of(self, number: int) -> list[int]:
        """Seeds of a split, which is counted from 0."""
        return self.seeds

    def fewer_seeds(self, number: int) -> dict[str, Any]:
        """What changes where so many seeds are measured, counted from 0."""
        return {"seeds": list(range(number))}

    def names(self, splits: Sequence[Prepared]) -> list[str]:
        """What each of these is called."""
        return [str(self.family.facts(split)["split"]["name"]) for split in splits]

    def hashes(self, splits: Sequence[Prepared]) -> dict[str, str]:
        """Hash of each split, by name."""
        facts = [self.family.facts(split)["split"]["hash"] for split in splits]
        return dict(zip(self.names(splits), facts, strict=True))

    def cut(self, splits: int | None, seeds: int | None) -> tuple[Self, str]:
        """The first splits and so many seeds, without the ablation; and what is added to the name of the table:
        nothing where all is asked for.

        Raises:
            ParamsError: there are fewer splits.
        """
        changes: dict[str, Any] = {}
        suffix = ""
        if splits is not None and (fewer := self.some_splits(splits)):
            suffix += f"-first-{splits}-splits"
            changes |= fewer
        if seeds is not None and seeds != len(self.seeds):
            suffix += f"-{seeds}-seeds"
            changes |= self.fewer_seeds(seeds)
        return self.model_copy(update={**changes, "ablation": {}} if changes else {}), suffix

    def described(self, what: Only) -> dict[str, Any]:
        """The data and the models or steps, each with every field of its configuration: a recipe may change."""
        about = self.model_dump(mode="json", exclude={"models", "ablation"})
        specs = self.models if what == "models" else self.ablation
        return {**about, what: {name: spec.resolved() for name, spec in specs.items()}}


def checked_number(asked: int, there_are: int, option: str = "--splits", of: str = "splits") -> bool:
    """Whether fewer are asked for than there are.

    Raises:
        ParamsError: more are.
    """
    if asked > there_are:
        raise ParamsError(f"{option} is {asked}, but there are {there_are} {of}.")
    return asked < there_are
