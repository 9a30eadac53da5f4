"""Cleaning, features, scaling and splits, each fitted on training rows only."""

from typing import TYPE_CHECKING

from attrec.exports import lazily

if TYPE_CHECKING:
    from attrec.prepare.features import FeatureConfig as FeatureConfig, FeatureEncoder as FeatureEncoder
    from attrec.prepare.playlist_splits import (
        EvaluatedPlaylists as EvaluatedPlaylists,
        PlaylistSplit as PlaylistSplit,
        PlaylistSplitConfig as PlaylistSplitConfig,
        split_playlists as split_playlists,
    )
    from attrec.prepare.rating_splits import SplitConfig as SplitConfig, make_split as make_split
    from attrec.prepare.sequence_splits import (
        SequenceConfig as SequenceConfig,
        SequenceSplit as SequenceSplit,
        SequenceSplitConfig as SequenceSplitConfig,
        split_sequences as split_sequences,
    )
    from attrec.prepare.songs import (
        TableCleaner as TableCleaner,
        TableCleaningConfig as TableCleaningConfig,
        Vectors as Vectors,
    )

__getattr__, __dir__, __all__ = lazily(__name__)
