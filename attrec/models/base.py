"""What every model has: a configuration, a seed, and parameters that it gives when it is saved and takes when loaded.

A saved model is a folder: `model.json` names its class and has what is no array, `parameters.safetensors` has the
arrays, `known.*` what its family keeps of the training data, and folders of their own the parts it is made of.
"""

from __future__ import annotations

import importlib
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, Self, TypeVar

import numpy as np
from pydantic import BaseModel, ConfigDict

from attrec.errors import DataError, NotFitted, ParamsError
from attrec.files import StrPath
from attrec.models.storage import read_arrays, read_json, write_arrays, write_json
from attrec.parameters import replaced

if TYPE_CHECKING:
    from attrec.models.training import Losses

PACKAGE = __name__.split(".")[0]

M = TypeVar("M", bound="Model")


class Config(BaseModel):
    """A configuration: it cannot be changed, and an unknown field is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    @classmethod
    def saved(cls, fields: dict[str, Any]) -> Self:
        """The configuration of a saved model, of which a fit has checked what only a fit needs."""
        return cls.model_validate(fields)


class Component(Protocol):
    """Something fitted that a model is made of, saved in a folder of its own."""

    def save(self, directory: Path) -> None: ...


@dataclass(frozen=True)
class Parameters:
    """What a fitted model, or what its family keeps for it, consists of."""

    arrays: Mapping[str, np.ndarray] = field(default_factory=dict)
    values: Mapping[str, Any] = field(default_factory=dict)
    """Whatever JSON holds."""
    parts: Mapping[str, Component] = field(default_factory=dict)
    """By the folder, relative to the model's, that each is saved in."""


@dataclass(frozen=True)
class Saved:
    """`Parameters` as they were saved; parts are read from their folders, by whoever knows what they are."""

    arrays: Mapping[str, np.ndarray]
    values: Mapping[str, Any]
    folder: Path


class Model(ABC):
    """A model of any family; the family says what it is fitted on and what it answers."""

    config_class: ClassVar[type[Config]] = Config
    remembers: ClassVar[str]
    """The attribute in which the family keeps the ids that a model knows; one without it is not fitted."""
    served_by: ClassVar[str]
    """Module of the family that answers requests to its models (see `attrec.serving.served`)."""
    seeded: ClassVar[bool] = True
    """Whether a seed changes the model; where not, one seed says all."""
    chooses: ClassVar[bool] = True
    """Whether anything is chosen on validation; where not, a final fit needs no selection before it."""
    round_name: ClassVar[str] = "epoch"
    """What one of `rounds` is called."""
    row_name: ClassVar[str | None] = None
    """What the rows of a training step are called where their number a second is shown; None shows steps."""
    validation_name: ClassVar[str] = "validation"
    """What is measured on validation while it trains."""

    config: Any

    def __init__(self, config: Config | None = None, seed: int = 0, **fields: Any) -> None:
        """
        Args:
            config: Of the class `config_class`; its defaults without one.
            seed: Of all that is drawn: one seed gives one model.
            fields: Fields of the configuration to replace, as in `SASRec(training={"epochs": 5})`.

        Raises:
            ParamsError: the configuration is another model's, or a field is unknown or does not fit.
        """
        named = type(self).__name__
        if not isinstance(config, self.config_class | None):
            raise ParamsError(f"{named} takes a {self.config_class.__name__}, not a {type(config).__name__}.")
        self.config = self.config_class() if config is None else config
        if fields:
            try:
                self.config = replaced(self.config, fields)
            except ValueError as error:
                raise ParamsError(f"{named}: {error}") from error
        self.seed = seed

    # Not told to type checkers, which would take any attribute then.
    if not TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any:
            """What is not there: of a model that is not fitted, a sentence says so."""
            if self.remembers not in vars(self) and not name.startswith("__"):
                raise NotFitted(
                    f"This {type(self).__name__} is not fitted: call `fit` first, or `load` a saved one."
                )
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")

    @abstractmethod
    def parameters(self) -> Parameters:
        """What was fitted."""

    @abstractmethod
    def take(self, saved: Saved) -> None:
        """Take back what `parameters` gave; config, seed and what the family keeps are there."""

    @abstractmethod
    def known(self) -> Parameters:
        """What the family keeps of the training data: ids, and what is out of the question. It has no parts."""

    @abstractmethod
    def take_known(self, saved: Saved) -> None:
        """Take back what `known` gave."""

    @property
    def rounds(self) -> int | None:
        """Epochs or iterations of a fit, at most, for a bar and a checkpoint; None of what is fitted in one go."""
        return None

    @property
    def losses(self) -> dict[str, Losses]:
        """Losses by epoch of what was trained, by name of the part; of a single training the name is empty."""
        return {}

    @property
    def drawn_losses(self) -> dict[str, Losses]:
        """Those of `losses` that a report draws, by what it calls them: of equal parts the first will do."""
        return self.losses

    @property
    def trained(self) -> int | None:
        """How many numbers were fitted; None of a model that keeps something else: neighbours, trees, many draws."""
        return None

    @property
    def stored(self) -> int | None:
        """How many numbers it keeps to predict, of one that has no `trained`; None: as many as it saves."""
        return None

    def chosen_config(self) -> Any:
        """The configuration of a fit on training and validation rows together: what validation chose is fixed in it."""
        return self.config

    @classmethod
    def read_parts(cls, folders: Mapping[str, Path]) -> dict[str, Any]:
        """Further arguments of `fit`, made of what was fitted before it.

        Args:
            folders: By name, where the parts were saved.
        """
        return {}

    def save(self, directory: StrPath) -> None:
        """Write the fitted model into the folder `directory`, which is made where there is none.

        Raises:
            NotFitted: there is nothing to save.
        """
        directory = Path(directory)
        own, known = self.parameters(), self.known()
        for name, part in own.parts.items():
            part.save(directory / name)
        write_json(directory / "known.json", dict(known.values))
        write_arrays(directory / KNOWN_ARRAYS, known.arrays)
        write_arrays(directory / "parameters.safetensors", own.arrays)
        content = {
            "class": f"{type(self).__module__}.{type(self).__qualname__}",
            "config": self.config.model_dump(mode="json"),
            "seed": self.seed,
            "values": dict(own.values),
        }
        # Last, so that a folder with it is whole.
        write_json(directory / MODEL_FILE, content)

    @classmethod
    def load(cls, directory: StrPath) -> Self:
        """Read what `save` wrote, whatever class under this one it was.

        Raises:
            DataError: the folder holds no such model, a file of it is unreadable, or the code has changed since.
        """
        directory = Path(directory)
        if not (directory / MODEL_FILE).is_file():
            raise DataError(f"{directory} holds no saved {cls._what()}: fit and save one first.")
        content = read_json(directory / MODEL_FILE)
        try:
            kind = _saved_class(content["class"])
            if not issubclass(kind, cls):
                raise DataError(f"{directory} holds a {kind.__name__}, which is no {cls._what()}.")
            model = kind(kind.config_class.saved(content["config"]), content["seed"])
            known = read_json(directory / "known.json")
            model.take_known(Saved(read_arrays(directory / KNOWN_ARRAYS), known, directory))
            arrays = read_arrays(directory / "parameters.safetensors")
            model.take(Saved(arrays, content["values"], directory))
        except DataError:
            raise
        except (AttributeError, KeyError, RuntimeError, TypeError, ValueError) as error:
            # torch has the same class for weights that do not fit the network and for memory that is short.
            if isinstance(error, RuntimeError) and "in loading state_dict" not in str(error):
                raise
            raise DataError(
                f"{directory} holds a model of another version of attrec; fit it again."
            ) from error
        return model

    @classmethod
    def class_of(cls, directory: StrPath) -> type[Model]:
        """Which class a saved model is of.

        Raises:
            DataError: the folder holds none, or one of another version.
        """
        try:
            return _saved_class(read_json(Path(directory) / MODEL_FILE)["class"])
        except DataError:
            raise
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise DataError(
                f"{directory} holds a model of another version of attrec; fit it again."
            ) from error

    @classmethod
    def _what(cls) -> str:
        """What a class is called in messages: `rating model`, or its own name."""
        doc = "".join(f" {letter.lower()}" if letter.isupper() else letter for letter in cls.__name__).strip()
        return doc if doc.endswith(" model") else cls.__name__


MODEL_FILE = "model.json"
KNOWN_ARRAYS = "known.safetensors"


def _saved_class(name: str) -> type[Model]:
    """The class that a saved model names; one outside this package is not looked for: a file must run no code."""
    module, _, qualified = name.rpartition(".")
    if module.split(".")[0] != PACKAGE:
        raise ValueError(f"{name} is no class of {PACKAGE}")
    try:
        kind = getattr(importlib.import_module(module), qualified)
    except ModuleNotFoundError as error:
        # That a library is not installed is no fault of the file.
        if error.name is None or error.name.split(".")[0] != PACKAGE:
            raise
        raise ValueError(f"{name} is not there") from error
    if not (isinstance(kind, type) and issubclass(kind, Model)):
        raise TypeError(f"{name} is no model")
    return kind
