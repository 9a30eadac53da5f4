"""Model files, written whole or not at all: tensors as safetensors, everything else as JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol, Self, TypeVar

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from attrec.errors import DataError
from attrec.files import whole, write_text


class _Saved(Protocol):
    @classmethod
    def load(cls, directory: Path) -> Self: ...


M = TypeVar("M", bound=_Saved)


def load_saved(directory: Path, kinds: Mapping[str, type[M]], what: str) -> M:
    """Load a saved model of any of these kinds, each told by the file that it alone writes.

    Args:
        what: The models are, for messages.

    Raises:
        DataError: the folder holds none, a file of it is unreadable, or the code has changed since it was saved.
    """
    for file, kind in kinds.items():
        if (directory / file).is_file():
            try:
                return kind.load(directory)
            except (AttributeError, KeyError, RuntimeError, TypeError, ValueError) as error:
                # torch has the same class for weights that do not fit the network and for memory that is short.
                if isinstance(error, RuntimeError) and "in loading state_dict" not in str(error):
                    raise
                raise DataError(
                    f"{directory} holds a {what} model of another version of attrec; fit it again."
                ) from error
    raise DataError(f"{directory} holds no saved {what} model: fit and save one first.")


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
