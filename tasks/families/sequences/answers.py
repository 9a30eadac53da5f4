"""What a fitted sequence model answers: the rank of what each user did next, in the whole catalogue."""

from __future__ import annotations

import numpy as np
import pandas as pd

from attrec.datasets.histories import Histories
from attrec.datasets.tables import read_parquet, write_parquet
from attrec.metrics.ranking import draw_negatives
from attrec.sequences.model import SequenceModel
from attrec.sequences.ranking import rank_users
from tasks.engine.artifacts import Artifact, writing
from tasks.engine.caching import cached_task
from tasks.engine.training_data import Part
from tasks.families.sequences.data import PreparedSequences, load_test_histories, load_test_targets

LISTED = 20


@cached_task("rank", task_run_name="rank {part}")
def rank(model: Artifact, kind: type[SequenceModel], sequences: PreparedSequences, part: Part) -> Artifact:
    """Rank what each user of the part did next; test targets are read here and nowhere else.

    Returns:
        Folder with `ranks.parquet`: user_id, item_id (the target), rank, recommended (the 20 best item ids) and, where
        everybody has left 100 items alone, sampled_rank (among 100 negatives, the same for every model).
    """
    fitted = kind.load(model.path)
    if part == "validation":
        before, targets = sequences.training.actions(), sequences.training.validation()
    else:
        before, targets = load_test_histories(sequences), load_test_targets(sequences)
    histories = Histories.of(before, pd.Index(targets["user_id"]), fitted.items)
    wanted = fitted.items.get_indexer(pd.Index(targets["item_id"]))
    negatives = draw_negatives(histories, wanted, len(fitted.items))
    ranked = rank_users(fitted, histories, wanted, sequences.training.exclude_seen, LISTED, negatives)
    ids = fitted.items.to_numpy()
    lists = [ids[codes[codes >= 0]].tolist() for codes in ranked.lists]
    frame = targets[["user_id", "item_id"]].assign(
        rank=ranked.ranks, recommended=pd.Series(lists, index=targets.index)
    )
    if (negatives >= 0).all():
        frame["sampled_rank"] = ranked.sampled
    with writing("ranks") as draft:
        write_parquet(frame, draft.folder / "ranks.parquet")
    return draft.artifact


def read_ranks(artifact: Artifact) -> pd.DataFrame:
    """user_id, item_id, rank, recommended and perhaps sampled_rank."""
    return read_parquet(artifact.path / "ranks.parquet")


def rank_matrix(ranks: list[pd.DataFrame], column: str = "rank") -> np.ndarray:
    """[seeds, users], the users in one order for all models of a run."""
    return np.stack([frame[column].to_numpy() for frame in ranks])
