"""A bar over the iterations of a sampler."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from tqdm import tqdm


@contextmanager
def sampling_bar(label: str) -> Iterator[Callable[[int, int], None]]:
    """To be told, after each iteration, how many are done and how many there are."""
    with tqdm(desc=label, unit="iteration", leave=False, disable=None) as bar:

        def show(done: int, total: int) -> None:
            bar.total = total
            bar.update(done - bar.n)

        yield show
