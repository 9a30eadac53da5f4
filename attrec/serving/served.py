"""What a served model of any family is: a saved model with the items beside it, that answers rows with rows."""

from __future__ import annotations

import importlib
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal, Self

import pandas as pd

from attrec.errors import DataError
from attrec.models.base import Model
from attrec.serving.asked import Asked, as_ids
from attrec.serving.items import read_shown_items
from attrec.serving.requests import Asking, Records

DEFAULT_K = 10


@dataclass(frozen=True)
class Column:
    """A column of a request or of an answer."""

    name: str
    holds: Literal["user_id", "item_id", "text", "whole", "real", "as sent"]
    """Ids are of the type that they have in the data. What is taken as it was sent is made into nothing else before it
    is looked at: of the id 1.5 not 1."""
    required: bool = True


class Served(ABC):
    """Answers requests to one model; each family says with what."""

    family: ClassVar[str]
    """Of its models: what the stage that fits them is called, and `attrec-` before it the registered model."""
    model_class: ClassVar[type[Model]]
    """Of the models that it serves."""
    inputs: ClassVar[tuple[Column, ...]]
    outputs: ClassVar[tuple[Column, ...]]
    told: ClassVar[tuple[str, ...]] = ("user_id", "item_id")
    """The columns of a table of what people have done."""
    lists: ClassVar[bool]
    """Whether an answer is a list, of which a request says the length `k`."""

    model: Any
    items: pd.DataFrame
    """What is shown of each item (see `attrec.serving.items`)."""

    def __init__(self, model: Model, items: pd.DataFrame) -> None:
        self.model, self.items = model, items

    @classmethod
    def read(cls, folder: Path) -> Self:
        """A saved model and the items beside it.

        Raises:
            DataError: the folder holds no items, no saved model or one of another version.
        """
        return cls(cls.model_class.load(folder), read_shown_items(folder))

    @abstractmethod
    def answer_all(self, requests: Sequence[Asking]) -> list[Records | DataError]:
        """Answer many requests in one pass, each as if it had come alone; or say why it cannot be answered."""

    def answer(self, rows: pd.DataFrame, k: int = DEFAULT_K) -> pd.DataFrame:
        """Answer a request, in columns of nullable types.

        Raises:
            DataError: it cannot be answered.
        """
        [told] = self.answer_all([Asking(rows.to_dict("records"), k)])
        if isinstance(told, DataError):
            raise told
        return pd.DataFrame(
            {
                column.name: pd.Series([row[column.name] for row in told], dtype=self._nullable(column))
                for column in self.outputs
            }
        )

    def _nullable(self, column: Column) -> Any:
        ids = {"item_id": self.known_items, "user_id": self.known_users}.get(column.holds)
        if ids is not None and pd.api.types.is_integer_dtype(ids):
            return "Int64"
        return {"whole": "Int64", "real": "Float64"}.get(column.holds, "string")

    @property
    def known_items(self) -> pd.Index:
        """Ids of the items that it can answer with."""
        ids: pd.Index = self.model.items
        return ids

    @property
    def known_users(self) -> pd.Index | None:
        """Ids of the users that it can be asked about; None where it is told what it needs to know of them."""
        return None

    def understand(self, told: pd.DataFrame, place: str) -> pd.DataFrame:
        """A table of what people have done, in the types that the model has; what it does not know is left out.

        Its index has the line of each row in `place`.

        Raises:
            DataError: ids are of another type, nothing is known, or what is told cannot be.
        """
        rows = told.assign(item_id=as_ids(told["item_id"], self.known_items, f"{place}, line"))
        known = rows["item_id"].isin(self.known_items)
        if not known.any():
            like = ", ".join(map(str, self.known_items[:3]))
            raise DataError(f"{place}: the model knows no item of these: its items are like {like}.")
        return rows[known]

    @abstractmethod
    def recommend_all(self, asked: Asked, k: int, exclude_seen: bool | None) -> pd.DataFrame:
        """user_id, item_id, rank, score of the k best items for each of many.

        Args:
            exclude_seen: Whether what they have had is left out; None for what the model does by itself.

        Raises:
            DataError: somebody cannot be answered, or the model cannot do otherwise.
        """

    def example(self) -> pd.DataFrame:
        """A request that can be answered."""
        known = self.items["item_id"][self.items["item_id"].isin(self.known_items)]
        return pd.DataFrame({"item_id": known.head(2).to_numpy()})

    @property
    def explains(self) -> bool:
        """Whether it can say what an answer rests on."""
        return False

    def with_titles(self, frame: pd.DataFrame) -> pd.DataFrame:
        """Add title, artist and genres, where they are known, to a frame with item_id."""
        return frame.merge(self.items, on="item_id", how="left")


def read_served(folder: Path) -> Served:
    """Any saved model with the items beside it, as its family serves it.

    Imported by name, so that whoever serves models of one family does not hang on the code of the others.

    Raises:
        DataError: see `Served.read`.
    """
    served: type[Served] = importlib.import_module(Model.class_of(folder).served_by).SERVED
    return served.read(folder)
