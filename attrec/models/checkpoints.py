"""Checkpoints of trainings, as safetensors: written whole, and taken up only if they are what was written."""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from attrec.files import whole

_FINGERPRINT, _CHECKSUM = "fingerprint", "sha256"
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Checkpoint:
    """What a training needs to go on."""

    tensors: Mapping[str, Tensor]
    notes: Mapping[str, str]
    """All that is no tensor."""

    def part(self, prefix: str) -> dict[str, Tensor]:
        """The tensors whose name begins so, by what follows."""
        return {
            name.removeprefix(prefix): tensor
            for name, tensor in self.tensors.items()
            if name.startswith(prefix)
        }

    def checksum(self) -> str:
        """sha256 over all of it; it takes a second for one to two gigabytes."""
        digest = hashlib.sha256(json.dumps(dict(self.notes), sort_keys=True).encode())
        for name, tensor in sorted(self.tensors.items()):
            digest.update(f"{name} {tensor.dtype} {list(tensor.shape)}".encode())
            digest.update(tensor.cpu().reshape(-1).view(torch.uint8).numpy().data)
        return digest.hexdigest()


def write_checkpoint(path: Path, fingerprint: str, checkpoint: Checkpoint) -> None:
    """Write a checkpoint in place of an earlier one.

    Args:
        fingerprint: Of the training: of its data, configuration and seed.
    """
    metadata = {**checkpoint.notes, _FINGERPRINT: fingerprint, _CHECKSUM: checkpoint.checksum()}
    with whole(path) as temporary:
        save_file(
            {name: tensor.contiguous() for name, tensor in checkpoint.tensors.items()}, temporary, metadata
        )


def read_checkpoint(path: Path, fingerprint: str) -> Checkpoint | None:
    """The checkpoint of a training.

    Returns:
        None if there is none, or it is of another training; and if it is not what was written, which is logged.
    """
    try:
        with safe_open(path, framework="pt") as file:
            notes = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except FileNotFoundError:
        return None
    except (SafetensorError, OSError) as error:
        _log.warning("The checkpoint %s cannot be read (%s): the training begins anew.", path, error)
        return None
    of, written = notes.pop(_FINGERPRINT, ""), notes.pop(_CHECKSUM, "")
    checkpoint = Checkpoint(tensors, notes)
    if checkpoint.checksum() != written:
        _log.warning("The checkpoint %s is damaged: the training begins anew.", path)
        return None
    return checkpoint if of == fingerprint else None
