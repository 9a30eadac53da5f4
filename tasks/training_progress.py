"""Where a training resumes from, and how it shows what it does."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tqdm import tqdm

from attrec.training import Progress
from tasks import environment
from tasks.caching import library_versions, loaded_source_hash


def training_checkpoint(module: str, *identity: object) -> Path:
    """The checkpoint of one training; that of other code or other libraries must not be continued."""
    code = f"{loaded_source_hash(module)}{library_versions()}"
    name = hashlib.sha256(f"{code}{identity}".encode()).hexdigest()
    file = environment.CHECKPOINTS / f"{name}.safetensors"
    file.parent.mkdir(parents=True, exist_ok=True)
    return file


@contextmanager
def training_progress(label: str, epochs: int) -> Iterator[Progress]:
    """A bar over epochs with the losses."""
    with tqdm(total=epochs, desc=label, unit="epoch", leave=False, disable=None) as bar:

        def show(epoch: int, train_loss: float, validation_loss: float | None) -> None:
            losses = {"train": f"{train_loss:.4f}"}
            if validation_loss is not None:
                losses["validation"] = f"{validation_loss:.4f}"
            bar.set_postfix(losses, refresh=False)
            bar.update(epoch - bar.n)

        yield show
