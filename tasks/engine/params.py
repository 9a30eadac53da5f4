"""Read `params.yaml`: each flow declares the section it needs as a pydantic model, unknown keys are errors."""

from __future__ import annotations

from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ValidationError

from attrec.errors import ParamsError
from attrec.parameters import ended, explain, suggestion
from tasks.engine import environment

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
            ended(f"{file.name}: there is no parameter {unknown!r}{suggestion(str(unknown), SECTIONS)}")
        )
    try:
        return model.model_validate({key: values[key] for key in model.model_fields if key in values})
    except ValidationError as error:
        raise ParamsError(f"{file.name}: {explain(error, model)}") from error


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
