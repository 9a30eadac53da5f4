"""Track and register once more what a stage has left (see `flows.refill`, which says when)."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from mlflow import artifacts
from tqdm import tqdm

from attrec.shown import one_line
from tasks.comparison.card import Card, challenges
from tasks.comparison.champion import Challenger, register
from tasks.comparison.family import Family
from tasks.comparison.left import Left, log_report
from tasks.comparison.registry import FILLED_TAG, ensure_registered
from tasks.comparison.runs import comparison_run, log_comparison
from tasks.comparison.track import Tracked, log_kept_model
from tasks.engine import run_store, tracking
from tasks.families.playlists.family import PLAYLISTS
from tasks.families.ratings.family import RATINGS
from tasks.families.sequences.family import SEQUENCES


def fill(name: str, left: Left, folders: Sequence[Path], known: bool, with_champion: bool) -> None:
    """Give the store what it lacks of a comparison.

    Args:
        folders: Of its models, as `keep_model` has written them.
        known: Whether the store has its runs.
        with_champion: Whether the registry has a champion.
    """
    best = next(folder for folder in folders if challenges(folder))
    tracked = _logged(left.runs[best.name]) if known else None
    if tracked is None:
        tracked = _log(name, left, Card.read(best).dataset, folders)[best.name]
    if not with_champion:
        ensure_registered(name)
        challenger = Challenger(best, tracked, _family(name).contest)
        decision = register(challenger, None, "is registered again, from what DVC holds.")
        # Beside what was asked for: who deleted the champion may have wanted another one than the stage's best.
        print(f"There was no champion: {one_line(decision)}", file=sys.stderr)


def _log(
    name: str, left: Left, dataset: tracking.DatasetVersion, folders: Sequence[Path]
) -> dict[str, Tracked]:
    """The runs of a comparison and its models, as the stage has logged them; by model."""
    tags = {**left.tags, FILLED_TAG: left.runs[name]}
    family, models = _family(name), {}
    with comparison_run(name, dataset, tags, left.params) as parent:
        for folder in tqdm(folders, desc=f"filling the run store, {name}", unit="model", leave=False):
            timing = left.timings.get(folder.name)
            models[folder.name] = log_kept_model(family, folder, parent, tags, timing)
        log_comparison(parent, name, dataset.name, left.champion)
        log_report([parent])
    return models


def _logged(run_id: str) -> Tracked | None:
    """The model that a run has logged, if both are there still."""
    run = run_store.find_run(run_id)
    outputs = run.outputs.model_outputs if run and run.outputs and run_store.is_active(run) else []
    if not outputs:
        return None
    found = Tracked(run_id=run_id, model_id=outputs[0].model_id)
    return found if artifacts.list_artifacts(artifact_uri=found.uri) else None


def _family(name: str) -> Family:
    return next(family for family in (RATINGS, SEQUENCES, PLAYLISTS) if family.name == name)
