"""The small tables that a comparison of sequence models leaves for DVC's metrics and plots and for the report."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from attrec.sequences.model import SequenceModel
from tasks.engine.artifacts import Artifact, writing
from tasks.engine.caching import cached_task
from tasks.families.sequences.data import SequenceData, load_sequence_data, load_sequence_items
from tasks.track import loss_curves, write_comparison
from tasks.track_sequence_models import FittedSequenceModel

# Actions of the history whose attention is shown: enough to see something, few enough to read.
SHORTEST, LONGEST = 6, 12
ATTENTION = ["model", "block", "head", "query", "key", "query_title", "key_title", "weight"]


@cached_task("sequence-outputs")
def write_sequence_outputs(
    facts: dict[str, Any],
    fitted: list[FittedSequenceModel],
    evaluations: dict[str, Artifact],
    champion: str,
    fit: Artifact,
) -> Artifact:
    """Gather them.

    Returns:
        Folder with `metrics.json`, `validation/` and `test/` (see `evaluate_sequences`), `loss_curves.csv`,
        `attention.csv` (see `example_attention`) and `summary.json` (dataset, split, seeds, champion on validation).
    """
    described = {name: facts[name] for name in ("dataset", "split", "sequences")}
    with writing("sequence-outputs") as draft:
        curves = loss_curves((one.name, losses) for one in fitted for losses in one.histories().values())
        write_comparison(draft.folder, described, fitted, evaluations, champion, curves)
        attention = example_attention(load_sequence_data(fit), load_sequence_items(fit), fitted, champion)
        attention.to_csv(draft.folder / "attention.csv", index=False, float_format="%.6f")
    return draft.artifact


def example_attention(
    data: SequenceData, items: pd.DataFrame, fitted: Sequence[FittedSequenceModel], champion: str
) -> pd.DataFrame:
    """What the last block attended to in the training history of one user of the validation part.

    The model is the champion, or the first transformer where the champion is none. The history is the first one of 6
    to 12 actions or, where there is none, the 12 newest actions of the first longer one.

    Returns:
        model, block (counted from 1), head, query, key (positions from 0, the oldest action first), query_title,
        key_title, weight; empty without a transformer or such a history.
    """
    history = _example_history(data)
    for one in sorted(fitted, key=lambda model: model.name != champion):
        model = SequenceModel.load(one.models[0].path)
        if not history or not model.attends:
            continue
        weights = model.attention(model.items.get_indexer(pd.Index(history)).tolist())
        heads, n, _ = weights[-1].shape
        titles = np.array(model.attended(_titles(history, items)), dtype=object)
        head, query, key = (place.ravel() for place in np.indices((heads, n, n)))
        columns = [
            one.name, len(weights), head + 1, query, key, titles[query], titles[key], weights[-1].ravel(),
        ]  # fmt: skip
        return pd.DataFrame(dict(zip(ATTENTION, columns, strict=True)))
    return pd.DataFrame(columns=ATTENTION)


def _example_history(data: SequenceData) -> list[int | str]:
    """Item ids, the oldest first."""
    users = data.validation["user_id"]
    lengths = users.map(data.actions["user_id"].value_counts())
    fitting, longer = users[lengths.between(SHORTEST, LONGEST)], users[lengths > LONGEST]
    for user in [*fitting[:1], *longer[:1]]:
        return data.actions.loc[data.actions["user_id"] == user, "item_id"].tolist()[-LONGEST:]
    return []


def _titles(history: Sequence[int | str], items: pd.DataFrame) -> list[str]:
    """Titles of items, and their ids where there is none."""
    known = items.set_index("item_id")["title"].dropna() if "title" in items else pd.Series(dtype=object)
    return [str(known.get(item, item)) for item in history]
