"""What a pair network is asked, some at a time: the ratings of a training step, the pairs of a prediction."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from attrec.ratings.catalogue import EncodedRatings
from attrec.ratings.pairs.embeddings import Targets
from attrec.ratings.pairs.rated_items import RatedItems

MAX_CELLS = 1_000_000


def batches_of_users(
    rated: RatedItems, size: int, context: int | None, generator: torch.Generator
) -> Iterator[tuple[Targets, Tensor]]:
    """An epoch of targets and their ratings [n] for an attentive embedding: some users with all they have rated.

    Args:
        size: Ratings of a batch, about.
        context: Ratings drawn anew as each user's context; None is all.
    """
    # Groups of equally busy users waste little on padding; the noise mixes them anew each epoch.
    noise = 20 * torch.rand(len(rated.counts), generator=generator).numpy()
    groups = list(rated.batches(size, noise))
    for number in torch.randperm(len(groups), generator=generator).tolist():
        users = groups[number]
        own = rated.padded(users)
        seen = own if context is None else own.sampled(context, generator)
        yield Targets(torch.from_numpy(users), own.items, own.real, seen), own.ratings[own.real]


def batches_of_pairs(
    ratings: EncodedRatings, size: int, generator: torch.Generator
) -> Iterator[tuple[Targets, Tensor]]:
    """An epoch of targets and their ratings [n] for look-up tables: ratings at random."""
    order = torch.randperm(len(ratings), generator=generator).numpy()
    for rows in np.array_split(order, max(1, len(order) // size)):
        yield _pairwise(ratings.users[rows], ratings.items[rows]), torch.from_numpy(ratings.values[rows])


def questions(
    asked: RatedItems, contexts: RatedItems | None, n_known: int
) -> Iterator[tuple[np.ndarray, Targets]]:
    """Targets of a prediction, and which rows of the table of `asked` they are.

    Args:
        asked: The pairs, as if they were rated.
        contexts: What the same users have rated; None for look-up tables, which do not read it.
        n_known: Users of the catalogue; codes from there on are those of new ones, who have no row in a table.
    """
    seen = np.zeros(len(asked.counts), dtype=int) if contexts is None else contexts.counts
    for group in _groups(asked.counts, seen):
        targets = asked.padded(group)
        context = asked.padded(group[:0]) if contexts is None else contexts.padded(group)
        positions, real = asked.positions(group)
        named = np.where(group < n_known, group, -1)
        rows = asked.rows[positions[real]]
        yield rows, Targets(torch.from_numpy(named), targets.items, targets.real, context)


def _groups(asked: np.ndarray, context: np.ndarray) -> Iterator[np.ndarray]:
    """Users asked about, alone or in groups whose padded attention [b, t, c] has `MAX_CELLS` entries at most."""
    users = np.flatnonzero(asked)
    users = users[np.lexsort((asked[users], context[users]))]
    first = widest = longest = 0
    for position, (targets, rated) in enumerate(zip(asked[users], context[users], strict=True)):
        widest, longest = max(widest, targets), max(longest, rated)
        if (position + 1 - first) * widest * (longest + 1) > MAX_CELLS and position > first:
            yield users[first:position]
            first, widest, longest = position, targets, rated
    yield users[first:]


def _pairwise(users: np.ndarray, items: np.ndarray) -> Targets:
    """Each pair on its own, without context."""
    n = len(users)
    nothing = RatedItems(
        np.zeros(2, dtype=int), np.zeros(1, dtype=int), np.zeros(1, dtype="float32"), np.zeros(1)
    )
    return Targets(
        torch.from_numpy(users.astype("int64")),
        torch.from_numpy(items.astype("int64")).unsqueeze(1),
        torch.ones(n, 1, dtype=torch.bool),
        nothing.padded(np.zeros(0, dtype=int)),
    )
