"""Read `params.yaml`: each flow declares the section it needs as a pydantic model, unknown keys are errors."""

from __future__ import annotations

import difflib
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ValidationError

from attrec.errors import ParamsError
from tasks import environment

PARAMS_FILE = "params.yaml"
SECTIONS = ("dataset", "seed", "runner", "prepare", "rating", "sequence", "playlist", "paper")

M = TypeVar("M", bound=BaseModel)


def load_params(model: type[M], file: Path | None = None) -> M:
    """Validate the top-level keys of `params.yaml` that `model` declares.

    Raises:
        ParamsError: the file is missing or not YAML, a key is unknown, a value has the wrong type or is out of range.
    """
    file = file or environment.ROOT / PARAMS_FILE
    values = _read(file)
    unknown = next((key for key in values if key not in SECTIONS), None)
    if unknown is not None:
        raise ParamsError(
            f"{file.name}: there is no parameter {unknown!r}{_suggestion(str(unknown), SECTIONS)}."
        )
    try:
        return model.model_validate({key: values[key] for key in model.model_fields if key in values})
    except ValidationError as error:
        raise ParamsError(f"{file.name}: {explain(error, model)}") from error


def explain(error: ValidationError, model: type[BaseModel]) -> str:
    """Say the first fault of a validation in one sentence."""
    # A misspelt key is also missing under its right name; the misspelling is what a person can see.
    fault = min(error.errors(include_url=False), key=lambda fault: fault["type"] != "extra_forbidden")
    place = ".".join(str(part) for part in fault["loc"])
    if fault["type"] == "extra_forbidden":
        return f"there is no parameter {place!r}{_suggestion(place.rsplit('.')[-1], _field_names(model))}."
    message = fault["msg"].removeprefix("Value error, ")
    return f"{place}: {message[:1].lower()}{message[1:]} (it is {shortened(fault['input'])})."


def changed(config: BaseModel, changes: dict[str, Any]) -> Any:
    """The configuration with some fields replaced, validated; of a nested configuration only the fields named.

    Raises:
        ValueError: a field is unknown or does not fit.
    """
    try:
        return type(config).model_validate(_merged(config.model_dump(), changes))
    except ValidationError as error:
        raise ValueError(f"changes: {explain(error, type(config)).rstrip('.')}") from error


def _merged(fields: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    merged = {**fields, **changes}
    for name, value in changes.items():
        if isinstance(value, dict) and isinstance(fields.get(name), dict):
            merged[name] = _merged(fields[name], value)
    return merged


def _read(file: Path) -> dict[str, Any]:
    try:
        values = yaml.safe_load(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ParamsError(f"{file} is missing: run from the project, where {PARAMS_FILE} stands.") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ParamsError(f"{file.name} is not valid YAML: {' '.join(str(error).split())}.") from error
    if not isinstance(values, dict):
        raise ParamsError(f"{file.name} must hold `key: value` pairs.")
    return values


def _field_names(model: type[BaseModel]) -> set[str]:
    """Names of all fields of a model and of the models inside it."""
    names: set[str] = set()
    schema = model.model_json_schema()
    for part in (schema, *schema.get("$defs", {}).values()):
        names.update(part.get("properties", {}))
    return names


def _suggestion(word: str, known: Any) -> str:
    near = difflib.get_close_matches(word, sorted(known), n=1)
    return f"; did you mean {near[0]!r}?" if near else f"; known are {', '.join(sorted(known))}"


def shortened(value: Any) -> str:
    """A value as Python writes it, cut to what a sentence bears."""
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."
