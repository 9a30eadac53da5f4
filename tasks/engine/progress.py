"""Where a training resumes from, how it shows what it does, and what it took before it was killed."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NoReturn

from tqdm import tqdm

from attrec.errors import AttrecError
from attrec.files import remove
from attrec.models.distributed import share
from attrec.models.training import Progress, StepProgress
from tasks.engine import environment
from tasks.engine.caching import library_versions, loaded_source_hash
from tasks.engine.logs import ThrottledNotes
from tasks.engine.state import read_state, write_state
from tasks.engine.timings import Stopwatch, Timing, count_earlier


class Stopped(AttrecError):
    """A training was ended by whoever follows it, before its end: nothing of it is kept."""


@contextmanager
def resumable_training(
    label: str,
    epochs: int,
    module: str,
    *identity: object,
    unit: str | None = None,
    validation: str = "validation",
    round_name: str = "epoch",
) -> Iterator[tuple[Path, StepProgress]]:
    """A checkpoint, which goes when the block has ended well or was `Stopped`, and a bar over epochs and within them.

    What a killed training took up to its checkpoint counts to the time of the task that resumes it. The progress must
    be told of an epoch after its checkpoint is written.

    Args:
        label: Shown beside the bar.
        module: Where the task is: a checkpoint of other code or other libraries is never continued.
        identity: What else tells one training from others.
        unit: What the rows of a step are called where their number a second is shown; None shows steps.
        validation: What the validation loss is called.
        round_name: What the bar counts.
    """
    checkpoint = _checkpoint(module, *identity)
    taken = checkpoint.with_suffix(".json")
    earlier, watch = (read_state(taken, Timing) if checkpoint.exists() else None) or Timing(), Stopwatch()
    count_earlier(earlier)
    written = _when_written(checkpoint)
    hidden = None if share().is_first else True
    with tqdm(total=epochs, desc=label, unit=round_name, leave=False, disable=hidden) as bar:

        def keep_time() -> None:
            nonlocal written
            if _when_written(checkpoint) != written:
                written = _when_written(checkpoint)
                until_now = watch.read()
                until_now.add(earlier)
                write_state(taken, until_now)

        shown = _Bar(bar, ThrottledNotes(label), unit, validation, round_name, keep_time)
        stopped: Stopped | None = None
        try:
            yield checkpoint, shown
        except Stopped as reason:
            stopped = reason
        shown.close()
    if share().is_first:
        remove(checkpoint)
        remove(taken)
    if stopped is not None:
        raise stopped


@contextmanager
def sampling_bar(label: str, iterations: int) -> Iterator[Progress]:
    """To be told, after each iteration, how many are done."""
    with tqdm(total=iterations, desc=label, unit="iteration", leave=False, disable=None) as bar:
        notes = ThrottledNotes(label)

        def show(epoch: int, train_loss: float | None, validation_loss: float | None) -> None:
            bar.update(epoch - bar.n)
            notes.note(f"iteration {epoch} of {iterations}")

        yield show
        notes.close()


def _when_written(file: Path) -> int | None:
    return file.stat().st_mtime_ns if file.exists() else None


def _checkpoint(module: str, *identity: object) -> Path:
    code = f"{loaded_source_hash(module)}{library_versions()}"
    name = hashlib.sha256(f"{code}{identity}".encode()).hexdigest()
    file = environment.CHECKPOINTS / f"{name}.safetensors"
    file.parent.mkdir(parents=True, exist_ok=True)
    if file.exists() and not file.is_file():
        remove(file)
    return file


class _Bar:
    """Over the epochs, with their losses; within an epoch with its steps and how fast they go."""

    def __init__(
        self,
        bar: tqdm[NoReturn],
        notes: ThrottledNotes,
        unit: str | None,
        validation: str,
        round_name: str,
        after_epoch: Callable[[], None],
    ) -> None:
        self._bar, self._unit, self._validation, self._after_epoch = bar, unit, validation, after_epoch
        self._round_name, self._notes = round_name, notes
        self._losses = ""
        self._steps, self._steps_before = 0, 0
        self._rows, self._began, self._drawn = 0.0, 0.0, 0.0

    def step(self, rows: float) -> None:
        """One more step of the epoch under way, from so many rows."""
        if self._bar.disable:
            return
        now = time.monotonic()
        if self._steps == 0:  # what came before the end of the first step was not the epoch's alone
            self._began, self._rows = now, -(rows if self._unit else 1)
        self._steps += 1
        self._rows += rows if self._unit else 1
        if now - self._drawn >= self._bar.mininterval:
            of = f" of {self._steps_before}" if self._steps_before else ""
            speed = (
                f", {self._rows / (now - self._began):,.0f} {self._unit or 'steps'}/s" if self._rows else ""
            )
            self._bar.set_postfix_str(f"step {self._steps}{of}{speed}{self._losses}", refresh=False)
            self._bar.refresh()
            self._drawn = now

    def __call__(self, epoch: int, train_loss: float | None, validation_loss: float | None) -> None:
        losses = {"train": train_loss, self._validation: validation_loss}
        measured = [f", {name}={loss:.4f}" for name, loss in losses.items() if loss is not None]
        self._losses = "".join(measured)
        self._steps, self._steps_before = 0, self._steps
        self._bar.set_postfix_str(self._losses.removeprefix(", "), refresh=False)
        self._bar.update(epoch - self._bar.n)
        self._notes.note(f"{self._round_name} {epoch} of {self._bar.total}{self._losses}")
        self._after_epoch()

    def close(self) -> None:
        """Nothing comes after what was shown last."""
        self._notes.close()
