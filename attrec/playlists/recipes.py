"""Named configurations of ARS."""

from __future__ import annotations

from attrec.models.training import TrainingConfig
from attrec.playlists.ars import SLOW_PAIRS, ARSConfig

ARS_RECIPES: dict[str, ARSConfig] = {
    "quick": ARSConfig(
        dimension=32,
        pairs=1,
        hidden=32,
        cooccurrence=32,
        feature_dropout=0.0,
        training=TrainingConfig(
            epochs=20, learning_rate=1e-2, rate_factors=SLOW_PAIRS, average_decay=0.95, patience=8
        ),
    ),
    "small": ARSConfig(
        dimension=32,
        pairs=1,
        hidden=32,
        cooccurrence=32,
        training=TrainingConfig(
            epochs=60, learning_rate=5e-3, rate_factors=SLOW_PAIRS, average_decay=0.98, patience=15
        ),
    ),
    "full": ARSConfig(),
    "paper": ARSConfig(cooccurrence=0, popularity=False),
}
"""`quick`: seconds on some hundred playlists; `small`: tens of seconds; `full`: twice the width and the pairs; `paper`:
as much of `full` as the paper describes, where songs are known by their content and recommended by distance alone."""
