"""What models recommend behind a few titles: a table that people can judge by eye."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from attrec.sequences.model import SequenceModel
from attrec.serving.titles import TitleIndex
from tasks.engine.artifacts import Artifact
from tasks.families.sequences.data import load_sequence_items
from tasks.track_sequence_models import FittedSequenceModel

LISTED = 10


def title_example(
    fitted: Sequence[FittedSequenceModel], titles: Sequence[str], fit: Artifact
) -> pd.DataFrame:
    """model, rank, title, score: the best items of each model, as its first seed has them, behind these titles.

    Raises:
        DataError: there is no such title.
    """
    items = load_sequence_items(fit)
    found = TitleIndex(items)
    history = [found.find(title).item_id for title in titles]
    names = items.set_index("item_id")["title"]
    tables = []
    for model in fitted:
        best = SequenceModel.load(model.models[0].path).recommend(history, LISTED)
        shown = best.assign(model=model.name, rank=range(1, len(best) + 1), title=best["item_id"].map(names))
        tables.append(shown[["model", "rank", "title", "score"]])
    return pd.concat(tables, ignore_index=True)
