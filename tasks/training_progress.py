"""Where a training resumes from, how it shows what it does, and what it took before it was killed."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tqdm import tqdm

from attrec.distributed import share
from attrec.training import Progress
from tasks import environment
from tasks.caching import library_versions, loaded_source_hash
from tasks.timings import Stopwatch, Timing, count_earlier


@contextmanager
def resumable_training(
    label: str, epochs: int, module: str, *identity: object
) -> Iterator[tuple[Path, Progress]]:
    """A checkpoint, which goes when the block has ended well, and a bar over the epochs.

    What a killed training took up to its checkpoint counts to the time of the task that resumes it. The progress must
    be told of an epoch after its checkpoint is written.

    Args:
        label: Shown beside the bar.
        module: Where the task is: a checkpoint of other code or other libraries is never continued.
        identity: What else tells one training from others.
    """
    checkpoint = _checkpoint(module, *identity)
    taken = checkpoint.with_suffix(".json")
    earlier, watch = _read(taken) if checkpoint.exists() else Timing(), Stopwatch()
    count_earlier(earlier)
    written = _when_written(checkpoint)
    with _bar(label, epochs) as show:

        def progress(epoch: int, train_loss: float, validation_loss: float | None) -> None:
            nonlocal written
            show(epoch, train_loss, validation_loss)
            if _when_written(checkpoint) != written:
                written = _when_written(checkpoint)
                until_now = watch.read()
                until_now.add(earlier)
                until_now.write(taken)

        yield checkpoint, progress
    if share().is_first:
        checkpoint.unlink(missing_ok=True)
        taken.unlink(missing_ok=True)


def _read(taken: Path) -> Timing:
    return Timing.model_validate_json(taken.read_text()) if taken.exists() else Timing()


def _when_written(file: Path) -> int | None:
    return file.stat().st_mtime_ns if file.exists() else None


def _checkpoint(module: str, *identity: object) -> Path:
    code = f"{loaded_source_hash(module)}{library_versions()}"
    name = hashlib.sha256(f"{code}{identity}".encode()).hexdigest()
    file = environment.CHECKPOINTS / f"{name}.safetensors"
    file.parent.mkdir(parents=True, exist_ok=True)
    return file


@contextmanager
def _bar(label: str, epochs: int) -> Iterator[Progress]:
    """Over the epochs, with the losses."""
    with tqdm(total=epochs, desc=label, unit="epoch", leave=False, disable=None) as bar:

        def show(epoch: int, train_loss: float, validation_loss: float | None) -> None:
            losses = {"train": f"{train_loss:.4f}"}
            if validation_loss is not None:
                losses["validation"] = f"{validation_loss:.4f}"
            bar.set_postfix(losses, refresh=False)
            bar.update(epoch - bar.n)

        yield show
