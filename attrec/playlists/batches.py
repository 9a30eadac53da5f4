"""What ARS is asked in training: of each playlist a part is given, the rest to be told from the catalogue."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from attrec.datasets.histories import Histories
from attrec.models.distributed import shuffled


@dataclass(frozen=True)
class Batch:
    """b playlists, the same ones in all three and in the same order."""

    playlists: np.ndarray
    """[b] their codes."""
    given: Histories
    hidden: Histories


def playlist_batches(
    playlists: Histories,
    size: int,
    given_share: tuple[float, float],
    max_given: int,
    generator: torch.Generator,
) -> Iterator[Batch]:
    """One epoch over all playlists of two songs or more, `size` at a time, a random part of each given.

    The share that is given is drawn evenly between the two ends of `given_share`; one song at least is given, as is one
    hidden, and no more than `max_given` are given.
    """
    codes = pd.RangeIndex(len(playlists))
    several = Histories(playlists.start, playlists.items, codes).take(np.flatnonzero(playlists.counts > 1))
    low, high = given_share
    for group in shuffled(several, size, generator):
        assert group.ids is not None
        shares = low + (high - low) * torch.rand(len(group), generator=generator).numpy()
        wanted = np.minimum(np.rint(shares * group.counts), max_given)
        given = np.clip(wanted, 1, group.counts - 1).astype(np.int64)
        lottery = torch.rand(len(group.items), generator=generator).numpy()
        order = np.lexsort((lottery, group.users))
        place = np.empty(len(order), dtype=np.int64)
        place[order] = np.arange(len(order)) - group.start[:-1][group.users]
        is_given = place < given[group.users]
        parts = (given, group.items[is_given]), (group.counts - given, group.items[~is_given])
        shown, hidden = (Histories(np.concatenate([[0], np.cumsum(n)]), items) for n, items in parts)
        yield Batch(group.ids.to_numpy(copy=True), shown, hidden)


def candidates(batch: Batch, songs: int, most: int, generator: torch.Generator) -> tuple[np.ndarray, Tensor]:
    """Songs [m], ascending, and the logarithm [b, m] of how many songs each stands for: of none, if it was given.

    All songs of a catalogue of at most `most`; else those of the batch and `most` random ones, of which each stands
    for its share of the catalogue. A song that only other playlists of the batch brought in then stands for none.
    """
    if songs <= most:
        chosen, share = np.arange(songs), torch.zeros(songs)
    else:
        drawn = np.unique(torch.randint(songs, (most,), generator=generator).numpy())
        chosen = np.union1d(drawn, np.concatenate([batch.given.items, batch.hidden.items]))
        share = torch.full((len(chosen),), -math.inf)
        share[torch.from_numpy(np.searchsorted(chosen, drawn))] = math.log(songs / len(drawn))
    log_weights = share.repeat(len(batch.given), 1)
    for part, value in ((batch.hidden, 0.0), (batch.given, -math.inf)):
        log_weights[part.users, np.searchsorted(chosen, part.items)] = value
    return chosen, log_weights
