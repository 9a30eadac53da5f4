"""What a fitted playlist model answers: the ranks of held-out songs, in the whole catalogue."""

from __future__ import annotations

from typing import Literal

import numpy as np
import pandas as pd

from attrec.datasets.histories import Histories
from attrec.datasets.tables import read_parquet, write_parquet
from attrec.playlists.model import PlaylistModel
from attrec.playlists.ranking import encode, rank_playlists
from tasks.engine.artifacts import Artifact, writing
from tasks.engine.caching import cached_task
from tasks.engine.training_data import Part
from tasks.families.playlists.data import PreparedPlaylists, load_test_playlists

RanksFile = Literal["ranks", "known_ranks"]
LISTED = 50


@cached_task("rank-playlists", task_run_name="rank {part}")
def rank_held_out(
    model: Artifact, kind: type[PlaylistModel], playlists: PreparedPlaylists, part: Part
) -> Artifact:
    """Rank the held-out songs of the part; those of the test are read here and nowhere else.

    Returns:
        Folder with `ranks.parquet` (user_id, item_id, rank: a row a held-out song, playlist by playlist),
        `known_ranks.parquet` (likewise, of the songs that training playlists have, among these alone) and
        `lists.parquet` (user_id, given: how many songs, recommended: the 50 best ids).
    """
    fitted = kind.load(model.path)
    asked = playlists.training.validation() if part == "validation" else load_test_playlists(playlists)
    given, held_out = encode(asked, fitted.items)
    known = fitted.shares > 0
    ranked = rank_playlists(fitted, given, held_out, LISTED, known)
    assert ranked.ranks_among is not None
    ids = fitted.items.to_numpy()
    names = pd.Index(asked.held_out["user_id"].unique())
    lists = pd.DataFrame(
        {
            "user_id": names,
            "given": asked.given["user_id"].value_counts().reindex(names).to_numpy(),
            "recommended": [ids[codes[codes >= 0]].tolist() for codes in ranked.lists],
        }
    )
    place = names.get_indexer(pd.Index(asked.held_out["user_id"]))
    in_order = asked.held_out.iloc[np.argsort(place, kind="stable")][["user_id", "item_id"]]
    of_known = (held_out.items >= 0) & known[held_out.items]
    with writing("playlist-ranks") as draft:
        write_parquet(in_order.assign(rank=ranked.ranks), draft.folder / "ranks.parquet")
        known_ranks = in_order[of_known].assign(rank=ranked.ranks_among[of_known])
        write_parquet(known_ranks, draft.folder / "known_ranks.parquet")
        write_parquet(lists, draft.folder / "lists.parquet")
    return draft.artifact


def read_held_out_ranks(artifact: Artifact, file: RanksFile = "ranks") -> tuple[np.ndarray, Histories]:
    """Ranks of the held-out songs, and which of them are of one playlist, as `attrec.metrics.playlist` takes them; the
    songs themselves are numbers that mean nothing."""
    frame = read_parquet(artifact.path / f"{file}.parquet")
    names = pd.Index(frame["user_id"].unique())
    counts = frame["user_id"].value_counts().reindex(names).to_numpy()
    start = np.concatenate([[0], np.cumsum(counts)])
    return frame["rank"].to_numpy(), Histories(start, np.arange(len(frame)), names)


def read_lists(artifact: Artifact) -> pd.DataFrame:
    """user_id, given, recommended."""
    return read_parquet(artifact.path / "lists.parquet")
