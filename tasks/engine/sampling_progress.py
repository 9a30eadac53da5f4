"""A bar over the iterations of a sampler."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from tqdm import tqdm

from attrec.models.training import Progress


@contextmanager
def sampling_bar(label: str, iterations: int) -> Iterator[Progress]:
    """To be told, after each iteration, how many are done."""
    with tqdm(total=iterations, desc=label, unit="iteration", leave=False, disable=None) as bar:

        def show(epoch: int, train_loss: float | None, validation_loss: float | None) -> None:
            bar.update(epoch - bar.n)

        yield show
