"""What a report shows of sequence models: what one recommends and attended to, and what they say behind titles."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from attrec.sequences.model import SequenceModel
from attrec.serving.titles import TitleIndex
from tasks.comparison.examples import LISTED as SHOWN
from tasks.comparison.examples import Example, few_people
from tasks.comparison.family import Fitted
from tasks.families.sequences.data import SequenceTraining

LISTED = 10
# Actions of the history whose attention is shown: enough to see something, few enough to read.
SHORTEST, LONGEST = 6, 12
ATTENTION = ["model", "block", "head", "query", "key", "query_title", "key_title", "weight"]


def example_attention(training: SequenceTraining, fitted: Sequence[Fitted], champion: str) -> pd.DataFrame:
    """What the last block attended to in the training history of one user of the validation part.

    The model is the champion, or the first transformer where the champion is none. The history is the first one of 6
    to 12 actions or, where there is none, the 12 newest actions of the first longer one.

    Returns:
        model, block (counted from 1), head, query, key (positions from 0, the oldest action first), query_title,
        key_title, weight; empty without a transformer or such a history.
    """
    history, items = _example_history(training), training.items()
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


def _example_history(training: SequenceTraining) -> list[int | str]:
    """Item ids, the oldest first."""
    users, actions = training.validation()["user_id"], training.actions()
    lengths = users.map(actions["user_id"].value_counts())
    fitting, longer = users[lengths.between(SHORTEST, LONGEST)], users[lengths > LONGEST]
    for user in [*fitting[:1], *longer[:1]]:
        return actions.loc[actions["user_id"] == user, "item_id"].tolist()[-LONGEST:]
    return []


def _titles(history: Sequence[int | str], items: pd.DataFrame) -> list[str]:
    """Titles of items, and their ids where there is none."""
    known = items.set_index("item_id")["title"].dropna() if "title" in items else pd.Series(dtype=object)
    return [str(known.get(item, item)) for item in history]


def examples(training: SequenceTraining, best: Fitted) -> list[Example]:
    """What it recommends to users who have done little, some and much, beside what they did last, the newest first."""
    model = SequenceModel.load(best.models[0].path)
    actions, targets = training.actions(), training.validation().set_index("user_id")["item_id"]
    counts = actions["user_id"].value_counts(sort=False)
    shown = []
    for user in few_people(counts[counts.index.isin(targets.index)]):
        history = actions.loc[actions["user_id"] == user, "item_id"].tolist()
        recommended = model.recommend(history, SHOWN)["item_id"].tolist()
        shown.append(Example(user, history[::-1], recommended, [targets[user]]))
    return shown


def title_example(
    fitted: Sequence[Fitted], titles: Sequence[str], training: SequenceTraining
) -> pd.DataFrame:
    """model, rank, title, score: the best items of each model, as its first seed has them, behind these titles.

    Raises:
        DataError: there is no such title.
    """
    items = training.items()
    found = TitleIndex(items)
    history = [found.find(title).item_id for title in titles]
    names = items.set_index("item_id")["title"]
    tables = []
    for model in fitted:
        best = SequenceModel.load(model.models[0].path).recommend(history, LISTED)
        shown = best.assign(model=model.name, title=best["item_id"].map(names))
        tables.append(shown[["model", "rank", "title", "score"]])
    return pd.concat(tables, ignore_index=True)
