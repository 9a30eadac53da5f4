"""Fill the run store and the registry again from what DVC holds: in a clone that has pulled, after a store was lost, or
where another one is named."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from filelock import FileLock
from mlflow import artifacts
from tqdm import tqdm

from tasks.comparison.card import Card, challenges
from tasks.comparison.champion import (
    Challenger,
    ensure_registered,
    find_registered,
    has_files,
    holder_of,
    register,
)
from tasks.comparison.family import Family
from tasks.comparison.left import Left, kept_models, log_report
from tasks.comparison.runs import comparison_run, log_comparison
from tasks.comparison.track import Tracked, log_kept_model
from tasks.engine import environment, run_store, tracking

FAMILIES = ("rating", "sequence", "playlist")
FILLED_TAG = "filled.from"


def refill(families: Iterable[str] = FAMILIES) -> list[str]:
    """Track and register what stages have left here, where the store does not know of it.

    A champion that the registry has stays: a clone may be older than it.

    Returns:
        The families that were filled.

    Raises:
        ServiceError: the store cannot be read or written.
        DataError: what was left is of another version of attrec.
    """
    with run_store.one_sentence_faults(), FileLock(environment.STATE / "refill.lock"):
        return [name for name in families if _fill(name)]


def _fill(name: str) -> bool:
    """Whether anything was missing."""
    left, folders = Left.read(name), _folders(name)
    if left is None or not left.runs or not folders:
        return False
    dataset = Card.read(folders[0]).dataset
    known = run_store.find_run(left.runs[name]) is not None or _is_filled(left.runs[name])
    with_champion = _has_champion(name, dataset.name)
    if known and with_champion:
        return False
    best = next(folder for folder in folders if challenges(folder))
    tracked = _logged(left.runs[best.name]) if known else None
    if tracked is None:
        tracked = _log(name, left, dataset, folders)[best.name]
    if not with_champion:
        ensure_registered(name)
        challenger = Challenger(best, tracked, _family(name).contest)
        register(challenger, None, "is registered again, from what DVC holds.")
    return True


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


def _has_champion(family: str, dataset: str) -> bool:
    """Whether the registry has one; files of a store that others use may be out of our reach."""
    if find_registered(run_store.registered_name(family)) is None:
        return False
    holder = holder_of(family, dataset)
    return holder is not None and (not run_store.is_own_store() or has_files(holder))


def _logged(run_id: str) -> Tracked | None:
    """The model that a run has logged, if both are there still."""
    run = run_store.find_run(run_id)
    outputs = run.outputs.model_outputs if run and run.outputs and run_store.is_active(run) else []
    if not outputs:
        return None
    found = Tracked(run_id=run_id, model_id=outputs[0].model_id)
    return found if artifacts.list_artifacts(artifact_uri=found.uri) else None


def _is_filled(run_id: str) -> bool:
    filled = f"tags.`{FILLED_TAG}` = '{run_id}' and attributes.status = 'FINISHED'"
    return bool(run_store.client().search_runs([run_store.experiment_id()], filled, max_results=1))


def _folders(family: str) -> Sequence[Path]:
    return sorted(file.parent.parent for file in kept_models(family).glob("*/card/card.json"))


def _family(name: str) -> Family:
    """Imported here: who only asks whether anything is missing need not wait for torch."""
    from tasks.families.playlists.family import PLAYLISTS
    from tasks.families.ratings.family import RATINGS
    from tasks.families.sequences.family import SEQUENCES

    return next(family for family in (RATINGS, SEQUENCES, PLAYLISTS) if family.name == name)
