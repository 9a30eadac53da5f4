"""The searches whose gains are kept under results/tuning/."""

from __future__ import annotations

from attrec.playlists.specs import PLAYLIST_MODELS
from attrec.prepare.rating_splits import SplitConfig
from attrec.ratings.specs import RATING_MODELS
from attrec.sequences.specs import SEQUENCE_MODELS
from flows.playlist_params import PlaylistSection
from flows.prepare_params import PrepareSection
from flows.rating_params import RatingSection
from flows.sequence_params import SequenceSection
from flows.tune import TuneParams
from tasks.tuning.study import Budget

SEEDS = [0, 1, 2]
"""The first is that of the search; recipe and winner answer the test with each."""
_RATING, _SEQUENCE, _PLAYLIST = (table.named() for table in (RATING_MODELS, SEQUENCE_MODELS, PLAYLIST_MODELS))


def _on_u1(model: str) -> TuneParams:
    return TuneParams(
        dataset="ml-100k",
        prepare=PrepareSection(split=SplitConfig(name="u1")),
        family="rating",
        rating=RatingSection(models={model: _RATING[model]}, seeds=SEEDS),
        models=[model],
        budget=Budget(cpu_minutes=15),
    )


SEARCHES = (
    _on_u1("bayesian-mf"),
    _on_u1("attentive+mlp1"),
    TuneParams(
        dataset="ml-1m-sequences",
        family="sequence",
        sequence=SequenceSection(models={"sasrec-quick": _SEQUENCE["sasrec-quick"]}, seeds=SEEDS),
        models=["sasrec-quick"],
        budget=Budget(cpu_minutes=40),
    ),
    TuneParams(
        dataset="spotify-playlists",
        family="playlist",
        playlist=PlaylistSection(models={"ars-full": _PLAYLIST["ars-full"]}, seeds=SEEDS),
        models=["ars-full"],
        budget=Budget(cpu_minutes=15),
    ),
)
"""Each begins at a recipe as it is shipped; a model by itself, for the budget is of each."""
