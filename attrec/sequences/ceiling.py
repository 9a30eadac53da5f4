"""The best ranks that could be expected of who knows the simulated world, of which the probabilities are known."""

from __future__ import annotations

import numpy as np
import pandas as pd

from attrec.metrics.ranking import METRICS


def sequence_ceiling(truth: pd.DataFrame, targets: pd.DataFrame) -> dict[str, np.ndarray] | None:
    """The values, one a user in the order of `targets`, of who ranks by the probabilities by which they were drawn.

    Args:
        truth: user_id, item_id and rank, null where none is known, as a simulator gives it.
        targets: user_id, item_id: what each user did next.

    Returns:
        None where some target has no rank: it is not what the user did last of all, or is none of those ranked.
    """
    if "rank" not in truth:
        return None
    known = truth.loc[truth["rank"].notna(), ["user_id", "item_id", "rank"]]
    ranks = targets[["user_id", "item_id"]].merge(
        known, on=["user_id", "item_id"], how="left", validate="one_to_one"
    )["rank"]
    if ranks.isna().any():
        return None
    places = ranks.to_numpy(dtype=np.int64)
    return {metric: of_ranks(places) for metric, of_ranks in METRICS.items()}
