"""Model files, written whole or not at all: tensors as safetensors, everything else as JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from attrec.errors import DataError
from attrec.files import whole, write_text


def write_json(path: Path, content: Any) -> None:
    write_text(path, json.dumps(content, indent=1, sort_keys=True) + "\n")


def read_json(path: Path) -> Any:
    """Raises: DataError if the file is missing or is not JSON."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError) as error:
        raise DataError(f"{path} is not a readable model file; fit and save the model again.") from error


def write_arrays(path: Path, arrays: Mapping[str, np.ndarray]) -> None:
    with whole(path) as temporary:
        save_file({name: np.ascontiguousarray(array) for name, array in arrays.items()}, temporary)


def read_arrays(path: Path) -> dict[str, np.ndarray]:
    """Raises: DataError if the file is missing or is not safetensors."""
    try:
        return load_file(path)
    except (FileNotFoundError, SafetensorError) as error:
        raise DataError(f"{path} is not a readable model file; fit and save the model again.") from error
