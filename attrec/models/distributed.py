"""One training on several processes, as `torchrun` starts them: each takes its share of every batch.

Outside such a group every function here leaves things as they are.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import NamedTuple

import numpy as np
import torch
import torch.distributed as group
from torch import Tensor, nn

from attrec.datasets.histories import Histories


class Share(NamedTuple):
    """Which part of the work is this process's."""

    rank: int
    processes: int

    @property
    def is_first(self) -> bool:
        """Whether this process is the one that writes and shows."""
        return self.rank == 0


def share() -> Share:
    """This process among those of the training."""
    if not (group.is_available() and group.is_initialized()):
        return Share(0, 1)
    return Share(group.get_rank(), group.get_world_size())


@contextmanager
def process_group() -> Iterator[Share]:
    """Join the processes that `torchrun` started, if it did: NCCL where each has a GPU of its own, else Gloo.

    Where there are fewer GPUs than processes, several share one.
    """
    if "WORLD_SIZE" not in os.environ:
        yield share()
        return
    gpus = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if gpus:
        torch.cuda.set_device(int(os.environ["LOCAL_RANK"]) % gpus)
    # NCCL refuses two processes on one GPU.
    group.init_process_group("nccl" if gpus >= int(os.environ["LOCAL_WORLD_SIZE"]) else "gloo")
    try:
        yield share()
    finally:
        group.destroy_process_group()


def default_device() -> torch.device:
    """The GPU of this process, or the CPU where there is none."""
    return (
        torch.device("cuda", torch.cuda.current_device())
        if torch.cuda.is_available()
        else torch.device("cpu")
    )


def agree(generator: torch.Generator) -> None:
    """Give all processes the first one's state, so that what they draw next is the same."""
    if share().processes == 1:
        return
    state = _on_device(generator.get_state())
    group.broadcast(state, 0)
    generator.set_state(state.cpu())


def of_first(value: float) -> float:
    """The first process's value, so that what all decide by it is the same."""
    if share().processes == 1:
        return value
    told = _on_device(torch.tensor(value, dtype=torch.float64))
    group.broadcast(told, 0)
    return told.item()


def diverge(generator: torch.Generator) -> None:
    """Let each process draw noise of its own from here on."""
    rank, processes = share()
    if processes > 1:
        seed = int(torch.randint(2**62, (), generator=generator))
        generator.manual_seed(seed + rank)


def shuffled(histories: Histories, size: int, generator: torch.Generator) -> Iterator[Histories]:
    """Groups of `size` random histories, each group in ascending length.

    Of several processes that train together each gets its share of every group, and noise of its own; a last group
    that has not one history for each is left out.
    """
    order = torch.randperm(len(histories), generator=generator).numpy()
    rank, processes = share()
    diverge(generator)
    for first in range(0, len(order), size):
        group = order[first : first + size]
        if len(group) >= processes:
            ascending = group[np.argsort(histories.counts[group], kind="stable")]
            yield histories.take(ascending[rank::processes])


def average_gradients(
    parameters: Iterable[nn.Parameter], loss: Tensor, weight: float
) -> tuple[Tensor, float]:
    """Replace the gradients of a process's mean loss by those of the mean over all processes' rows.

    Args:
        loss: Of this process, a scalar.
        weight: Rows this process's loss is the mean of.

    Returns:
        The mean loss over all rows, and how many these are.
    """
    if share().processes == 1:
        return loss.detach(), weight
    total = _on_device(torch.tensor(float(weight)))
    group.all_reduce(total)
    part = weight / total.item()
    mean = loss.detach() * part
    group.all_reduce(mean)
    for parameter in parameters:
        if parameter.grad is not None:
            parameter.grad.mul_(part)
            group.all_reduce(parameter.grad)
    return mean, total.item()


def _on_device(tensor: Tensor) -> Tensor:
    """Where the backend can send it from: NCCL sends from GPUs alone."""
    return tensor.to(default_device()) if group.get_backend() == "nccl" else tensor
