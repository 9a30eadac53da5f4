"""Which playlists are trained on, and of which others some songs are given and the rest asked for.

Playlists are held out whole: the recommender gets a playlist it has never seen, as it will from a person. Of each such
playlist a share of the songs, drawn at random, is given, and the rest has to be found in the whole catalogue. All that
is learned, the scaling of song features among it, is learned from training playlists; every choice is made on the
validation playlists.

A split depends on the set of (playlist, song) pairs and on the seeds alone: never on the order of rows. Test playlists
are the fold `fold` of `n_folds`, so that the folds of one seed test every playlist that is long enough exactly once;
they do not depend on how validation is drawn.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np
import pandas as pd
from pydantic import BaseModel, ConfigDict, Field, model_validator

from attrec.errors import NoPlaylists
from attrec.parameters import Seed
from attrec.prepare.rating_splits import id_bytes

PAIR = ["user_id", "item_id"]
_FOLD_STREAM, _VALIDATION_STREAM, _SONG_STREAM = 1, 2, 3


class PlaylistSplitConfig(BaseModel):
    """Which playlists are held out, and what of them is given."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    min_length: int = Field(default=4, ge=2)
    """Playlists with fewer different songs are never asked about; they are trained on."""
    given_share: float = Field(default=0.5, gt=0, lt=1)
    """Share of the songs of an evaluated playlist that is given, rounded down; one at least, as of the rest."""
    n_folds: int = Field(default=5, ge=2, le=1000)
    fold: int = Field(default=0, ge=0)
    """Which fold is tested on, from 0."""
    validation_fraction: float = Field(default=0.2, gt=0, lt=1)
    """Share of the long enough playlists outside the test fold that is validated on."""
    seed: Seed = 0

    @model_validator(mode="after")
    def _check(self) -> PlaylistSplitConfig:
        if self.fold >= self.n_folds:
            raise ValueError(f"fold must be below n_folds ({self.n_folds}); folds are counted from 0")
        return self


@dataclass(frozen=True)
class EvaluatedPlaylists:
    """Both with user_id (the playlist) and item_id (the song), sorted; every playlist is in both."""

    given: pd.DataFrame
    held_out: pd.DataFrame


@dataclass(frozen=True)
class PlaylistSplit:
    """The parts; no playlist is in more than one of them."""

    train: pd.DataFrame
    """user_id, item_id of whole playlists, no pair twice, sorted."""
    validation: EvaluatedPlaylists
    test: EvaluatedPlaylists
    summary: dict[str, int]
    """Counts; an unknown song is one that no training playlist has."""
    split_hash: str
    """SHA-256 of the parts."""


def split_playlists(rows: pd.DataFrame, config: PlaylistSplitConfig | None = None) -> PlaylistSplit:
    """Split clean rows (user_id: the playlist, item_id: the song); a song counts once in a playlist.

    Raises:
        NoPlaylists: too few playlists are long enough for every part to have one.

    >>> import pandas as pd
    >>> from attrec.prepare import split_playlists
    >>> rows = pd.DataFrame([(p, s) for p in range(10) for s in range(p, p + 6)], columns=["user_id", "item_id"])
    >>> split = split_playlists(rows)
    >>> split.train["user_id"].nunique(), split.validation.given.shape, split.validation.held_out.shape
    (6, (6, 2), (6, 2))
    """
    config = config or PlaylistSplitConfig()
    pairs = rows[PAIR].drop_duplicates().sort_values(PAIR, ignore_index=True)
    playlist, playlists = pd.factorize(pairs["user_id"])
    long_enough = np.flatnonzero(np.bincount(playlist, minlength=len(playlists)) >= config.min_length)
    order = _generator(config.seed, _FOLD_STREAM).permutation(long_enough)
    tested = order[config.fold :: config.n_folds]
    others = np.sort(order[~np.isin(order, tested)])
    n_validated = max(1, round(config.validation_fraction * len(others)))
    validated = _generator(config.seed, _VALIDATION_STREAM).permutation(others)[:n_validated]
    if len(tested) == 0 or len(others) - n_validated < 1:
        raise NoPlaylists(
            f"Only {len(long_enough)} of {len(playlists)} playlists have {config.min_length} different songs, too few"
            f" for {config.n_folds} folds; lower min_length or n_folds, or add playlists."
        )
    given = _given(playlist, config)
    in_test, in_validation = np.isin(playlist, tested), np.isin(playlist, validated)
    train = _part(pairs, ~in_test & ~in_validation)
    validation = EvaluatedPlaylists(_part(pairs, in_validation & given), _part(pairs, in_validation & ~given))
    test = EvaluatedPlaylists(_part(pairs, in_test & given), _part(pairs, in_test & ~given))
    summary = {
        "rows": len(rows),
        "repeated_rows": len(rows) - len(pairs),
        "playlists": len(playlists),
        "playlists_too_short_to_evaluate": len(playlists) - len(long_enough),
        "songs": int(pairs["item_id"].nunique()),
        "train_playlists": int(train["user_id"].nunique()),
        "train_songs": int(train["item_id"].nunique()),
    }
    digest = hashlib.sha256()
    for frame in (train, validation.given, validation.held_out, test.given, test.held_out):
        digest.update(len(frame).to_bytes(8, "little"))
        for column in PAIR:
            digest.update(id_bytes(frame[column]))
    for name, part in (("validation", validation), ("test", test)):
        summary[f"{name}_playlists"] = int(part.given["user_id"].nunique())
        for side, frame in (("given", part.given), ("held_out", part.held_out)):
            summary[f"{name}_songs_{side}"] = len(frame)
            summary[f"{name}_songs_{side}_unknown"] = int((~frame["item_id"].isin(train["item_id"])).sum())
    return PlaylistSplit(train, validation, test, summary, digest.hexdigest())


def _generator(seed: int, stream: int) -> np.random.Generator:
    return np.random.default_rng([seed, stream])


def _given(playlist: np.ndarray, config: PlaylistSplitConfig) -> np.ndarray:
    """Which of the sorted pairs would be given, were their playlist evaluated: the same whatever the fold."""
    counts = np.bincount(playlist)
    lottery = _generator(config.seed, _SONG_STREAM).random(len(playlist))
    order = np.lexsort((lottery, playlist))
    place = np.empty(len(playlist), dtype=np.int64)
    place[order] = np.arange(len(playlist)) - np.repeat(np.cumsum(counts) - counts, counts)
    n_given = np.clip((config.given_share * counts).astype(np.int64), 1, np.maximum(counts - 1, 1))
    given: np.ndarray = place < n_given[playlist]
    return given


def _part(pairs: pd.DataFrame, mask: np.ndarray) -> pd.DataFrame:
    return pairs[mask].reset_index(drop=True)
