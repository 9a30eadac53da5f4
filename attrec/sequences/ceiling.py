"""The best ranks that could be expected of who knows the simulated world, of which the probabilities are known."""

from __future__ import annotations

import numpy as np
import pandas as pd

from attrec.metrics.ranking import METRICS


def sequence_ceiling(truth: pd.DataFrame, targets: pd.DataFrame) -> dict[str, np.ndarray] | None:
    """The values of who ranks by the probabilities by which targets were drawn: one a user, in the order of `targets`,
    of those users of whom a rank is known. In a large world they are a random sample, so that their mean has no bias.

    Args:
        truth: user_id, item_id and rank, null where none is known, as a simulator gives it.
        targets: user_id, item_id: what each user did next.

    Returns:
        None where there are no such users, or some target of theirs has no rank: it is not what they did last of all.
    """
    if "rank" not in truth:
        return None
    known = truth.loc[truth["rank"].notna(), ["user_id", "item_id", "rank"]]
    of_known = targets.loc[targets["user_id"].isin(known["user_id"]), ["user_id", "item_id"]]
    ranks = of_known.merge(known, on=["user_id", "item_id"], how="left", validate="one_to_one")["rank"]
    if ranks.empty or ranks.isna().any():
        return None
    places = ranks.to_numpy(dtype=np.int64)
    return {metric: of_ranks(places) for metric, of_ranks in METRICS.items()}
