"""Named configurations of ARS."""

from __future__ import annotations

from attrec.models.ars import ARSConfig
from attrec.training import TrainingConfig

ARS_RECIPES: dict[str, ARSConfig] = {
    "quick": ARSConfig(
        dimension=32,
        pairs=1,
        hidden=32,
        company=32,
        training=TrainingConfig(epochs=15, learning_rate=1e-2, patience=5),
    ),
    "small": ARSConfig(),
    "full": ARSConfig(),
}
"""`quick`: seconds; `small`: the default of the pipeline; `full`: what is measured. Chosen on validation playlists."""
