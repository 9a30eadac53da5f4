"""Gibbs sampling of factorisation machines, by the library myFM.

Freudenthaler, Schmidt-Thieme & Rendle, "Bayesian Factorization Machines" (2011). Ordered probit: Albert & Chib,
"Sequential Ordinal Modeling with Applications to Survival Data" (2001).
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import sparse

from attrec.ratings.bayesian.relation_blocks import Block

INITIAL_DEVIATION = 0.1


@dataclass(frozen=True)
class FMSample:
    """One sample of the posterior.

    A column that no training rating has would be a draw from its prior; here it has the mean of its prior.
    """

    intercept: float
    weights: list[np.ndarray]
    """w of each block [columns]."""
    factors: list[np.ndarray]
    """V of each block [columns, rank]."""
    cutpoints: np.ndarray
    """[classes - 1] ascending; empty for a Gaussian."""


def gibbs(
    blocks: Sequence[Block],
    targets: np.ndarray,
    classes: int | None,
    rank: int,
    iterations: int,
    seed: int,
    visit: Callable[[int, FMSample], None],
) -> None:
    """Draw one chain and show every iteration, from 0, to `visit`.

    Args:
        targets: [ratings] values of a Gaussian; class codes, 0 … classes - 1, for ordered probit.
        classes: None for a Gaussian.
    """
    with warnings.catch_warnings():  # myFM asks a deprecated module for its own version
        warnings.simplefilter("ignore")
        from myfm import RelationBlock
        from myfm._myfm import ConfigBuilder, TaskType, create_train_fm

    widths = [width for block in blocks for width in block.groups]
    group = np.repeat(np.arange(len(widths)), widths)
    # A group without columns would leave a hole in the numbering.
    group = np.unique(group, return_inverse=True)[1]
    unseen = ~np.concatenate([block.seen for block in blocks])
    bounds = np.cumsum([block.rows.shape[1] for block in blocks])[:-1]

    config = ConfigBuilder()
    config.set_mu_0(0.0)  # as in myFM's estimators; the builder's own default is 1
    config.set_group_index(group.tolist())
    config.set_n_iter(iterations)
    config.set_n_kept_samples(0)
    config.set_task_type(TaskType.REGRESSION if classes is None else TaskType.ORDERED)
    if classes is not None:
        config.set_cutpoint_groups([(classes, list(range(len(targets))))])

    def each_iteration(iteration: int, machine: Any, hyper: Any, _: Any) -> bool:
        weights, factors = np.array(machine.w), np.array(machine.V)
        weights[unseen] = np.asarray(hyper.mu_w)[group[unseen]]
        factors[unseen] = np.asarray(hyper.mu_V)[group[unseen]]
        sample = FMSample(
            machine.w0,
            np.split(weights, bounds),
            np.split(factors, bounds),
            np.array(machine.cutpoints[0] if classes is not None else []),
        )
        visit(iteration, sample)
        return False

    # The binding rather than myFM's estimators: they draw a progress bar of their own and keep every sample whole.
    create_train_fm(
        rank,
        INITIAL_DEVIATION,
        sparse.csr_matrix((len(targets), 0)),
        [RelationBlock(block.codes.tolist(), block.rows) for block in blocks],
        targets.astype("float64"),
        seed,
        config.build(),
        each_iteration,
    )
