"""What playlist models are made of, what their training took, and which clusterings were chosen."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from attrec.playlists.model import PlaylistModel
from tasks.engine.timings import total
from tasks.families.playlists.shown import clusterings
from tasks.track_playlist_models import FittedPlaylistModel


def playlist_model_facts(fitted: Sequence[Sequence[FittedPlaylistModel]]) -> pd.DataFrame:
    """model, parameters (missing of what is not trained by gradients), best_epoch, cpu_seconds and seconds of a fit:
    means over folds and seeds; times are missing where a fit was computed before they were kept.

    Args:
        fitted: By fold, all models in one order.
    """
    rows = []
    for by_fold in zip(*fitted, strict=True):
        artifacts = [artifact for one in by_fold for artifact in one.models]
        timings = [timing for artifact in artifacts if (timing := total([artifact])) is not None]
        complete = len(timings) == len(artifacts)
        row: dict[str, object] = {
            "model": by_fold[0].name,
            "parameters": None,
            "best_epoch": None,
            "cpu_seconds": sum(t.cpu_seconds for t in timings) / len(timings) if complete else None,
            "seconds": sum(t.seconds for t in timings) / len(timings) if complete else None,
        }
        models = [PlaylistModel.load(artifact.path) for artifact in artifacts]
        if sizes := [model.trained for model in models if model.trained is not None]:
            row["parameters"] = round(sum(sizes) / len(sizes))
        if losses := [of_part for model in models for of_part in model.losses.values()]:
            row["best_epoch"] = sum(course.best_epoch for course in losses) / len(losses)
        rows.append(row)
    return pd.DataFrame(rows)


def chosen_clusterings(fitted: Sequence[Sequence[FittedPlaylistModel]]) -> pd.DataFrame:
    """fold (from 0), and the columns of `clusterings` but `chosen`: what was chosen with the first seed."""
    tables = [
        clusterings({one.name: PlaylistModel.load(one.models[0].path) for one in models}).assign(fold=fold)
        for fold, models in enumerate(fitted)
    ]
    tried = pd.concat(tables, ignore_index=True)
    chosen = tried[tried["chosen"].astype(bool)].drop(columns="chosen").reset_index(drop=True)
    return chosen[["fold", *(name for name in chosen if name != "fold")]]
