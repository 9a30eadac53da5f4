"""Which fields of a configuration are searched, and where: ranges stand in the fields' own metadata.

    dropout: Annotated[float, Range(0.0, 0.5)] = Field(default=0.2, ge=0, lt=1)
    training: Annotated[TrainingConfig, {"weight_decay": Range(1e-6, 1e-3, log=True)}] = TrainingConfig()

The second says it of a field inside, in place of what stands there; None, that it is not searched. Of a field that
holds candidates one value is tried at a time.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from types import NoneType
from typing import Any

from pydantic import BaseModel, ConfigDict, StrictBool, StrictFloat, StrictInt, TypeAdapter, ValidationError

DIGITS = 4
"""Of a real number that is tried: what is written down is what was fitted."""


@dataclass(frozen=True)
class Range:
    """All whole numbers between two, both of them tried; or all real ones, if one of the two is."""

    __pydantic_config__ = ConfigDict(extra="forbid", allow_inf_nan=False)

    low: StrictInt | StrictFloat
    high: StrictInt | StrictFloat
    log: StrictBool = False
    """Whether factors count rather than differences."""

    def __post_init__(self) -> None:
        if self.low >= self.high:
            raise ValueError(f"low ({self.low:g}) must be below high ({self.high:g})")
        if self.log and self.low <= 0:
            raise ValueError(f"a logarithmic range begins above 0, and low is {self.low:g}")

    @property
    def whole(self) -> bool:
        """Whether it has whole numbers alone."""
        return isinstance(self.low, int) and isinstance(self.high, int)

    @property
    def examples(self) -> tuple[Any, ...]:
        """Both ends, and of real numbers one between them that is not whole."""
        return (
            self.low,
            self.high,
            *(() if self.whole else (rounded(self.low + (self.high - self.low) / 3.01),)),
        )

    def holds(self, value: Any) -> bool:
        """Whether it has this value."""
        number = isinstance(value, int if self.whole else int | float) and not isinstance(value, bool)
        return number and self.low <= value <= self.high


@dataclass(frozen=True)
class Choice:
    """One of these."""

    values: tuple[Any, ...]

    def __post_init__(self) -> None:
        if len(self.values) < 2 or len(set(map(repr, self.values))) < len(self.values):
            raise ValueError("a list names two values or more, each once")
        if not all(isinstance(value, bool | int | float | str | NoneType) for value in self.values):
            raise ValueError("a list names plain values: numbers, words, true or false")

    @property
    def examples(self) -> tuple[Any, ...]:
        """All of them."""
        return self.values

    def holds(self, value: Any) -> bool:
        """Whether it has this value."""
        return value in self.values


Tunable = Range | Choice
Space = dict[str, Tunable]
"""By the dotted path of a field."""


def tunable(config: BaseModel) -> Space:
    """What is searched around a configuration, the parts that it has included."""
    found: dict[str, Tunable | None] = {}
    for name, field in type(config).model_fields.items():
        value = getattr(config, name)
        if isinstance(value, BaseModel):
            found |= {f"{name}.{path}": own for path, own in tunable(value).items()}
        for said in field.metadata:
            if isinstance(said, Range | Choice):
                found[name] = said
            elif isinstance(said, Mapping):
                found |= {f"{name}.{path}": own for path, own in said.items()}
    return {path: own for path, own in found.items() if own is not None}


def read_tunable(said: Any) -> Tunable:
    """A list of values, or a mapping {low: …, high: …, log: true}, as `params.yaml` has it.

    Raises:
        ValueError: it is neither, or contradicts itself.
    """
    if isinstance(said, list):
        return Choice(tuple(said))
    if not isinstance(said, dict):
        raise ValueError(f"say [values], or {{low: …, high: …, log: true}} (it is {said!r})")
    try:
        return TypeAdapter(Range).validate_python(said)
    except ValidationError as error:
        # A misspelt key is also missing under its right name.
        fault = min(error.errors(include_url=False), key=lambda fault: fault["type"] == "missing")
        place = ".".join(str(step) for step in fault["loc"] if step not in ("int", "float"))
        message = fault["msg"].removeprefix("Value error, ")
        raise ValueError(f"{place}: {message}" if place else message) from error


def described(space: Space) -> dict[str, Any]:
    """As `params.yaml` would say it."""
    return {
        path: list(own.values)
        if isinstance(own, Choice)
        else {k: v for k, v in asdict(own).items() if v is not False}
        for path, own in space.items()
    }


def value_at(config: BaseModel, path: str) -> Any:
    """What a configuration has there; None where it has nothing."""
    value: Any = config
    for step in path.split("."):
        value = value.get(step) if isinstance(value, dict) else getattr(value, step, None)
    return value


def as_changes(config: BaseModel, values: Mapping[str, Any]) -> dict[str, Any]:
    """Values by dotted path, nested as `changes` has them; the only candidate where a field holds candidates."""
    nested: dict[str, Any] = {}
    for path, value in values.items():
        *steps, last = path.split(".")
        place = nested
        for step in steps:
            place = place.setdefault(step, {})
        place[last] = [value] if isinstance(value_at(config, path), tuple) else value
    return nested


def merged(changes: Mapping[str, Any], more: Mapping[str, Any]) -> dict[str, Any]:
    """Changes with more of them, which win."""
    both = dict(changes)
    for name, value in more.items():
        own = both.get(name)
        both[name] = merged(own, value) if isinstance(own, Mapping) and isinstance(value, Mapping) else value
    return both


def rounded(value: float) -> float:
    """With the digits that are written down."""
    return float(f"{value:.{DIGITS}g}")
