"""Fill the run store and the registry again from what DVC holds: in a clone that has pulled, after a store was lost, or
where another one is named."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from filelock import FileLock
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
from tasks.comparison.track import log_kept_model
from tasks.engine import environment, tracking

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
    with tracking.one_sentence_faults(), FileLock(environment.STATE / "refill.lock"):
        return [name for name in families if _is_missing(name) and _fill(name)]


def _is_missing(family: str) -> bool:
    left, folders = Left.read(family), _folders(family)
    if left is None or not left.runs or not folders:
        return False
    if not tracking.is_tracked(left.runs[family]) and not _is_filled(left.runs[family]):
        return True
    if find_registered(tracking.registered_name(family)) is None:
        return True
    holder = holder_of(family, Card.read(folders[0]).dataset.name)
    return holder is None or not has_files(holder)


def _fill(name: str) -> bool:
    family, left, folders = _family(name), Left.read(name), _folders(name)
    assert left is not None
    ensure_registered(name)
    dataset = Card.read(folders[0]).dataset
    tags = {**left.tags, FILLED_TAG: left.runs[name]}
    with comparison_run(name, dataset, tags) as parent:
        for folder in tqdm(folders, desc=f"filling the run store, {name}", unit="model", leave=False):
            tracked = log_kept_model(family, folder, parent, tags, left.timings.get(folder.name))
            if challenges(folder):
                challenger = Challenger(folder, tracked, family.contest)
        log_comparison(parent, name, dataset.name, left.champion)
        log_report([parent])
        holder = holder_of(name, dataset.name)
        if holder is None or not has_files(holder):
            register(challenger, None, "is registered again, from what DVC holds.")
    return True


def _is_filled(run_id: str) -> bool:
    filled = f"tags.`{FILLED_TAG}` = '{run_id}' and attributes.status = 'FINISHED'"
    return bool(tracking.client().search_runs([tracking.experiment_id()], filled, max_results=1))


def _folders(family: str) -> Sequence[Path]:
    return sorted(file.parent.parent for file in kept_models(family).glob("*/card/card.json"))


def _family(name: str) -> Family:
    """Imported here: who only asks whether anything is missing need not wait for torch."""
    from tasks.families.playlists.family import PLAYLISTS
    from tasks.families.ratings.family import RATINGS
    from tasks.families.sequences.family import SEQUENCES

    return next(family for family in (RATINGS, SEQUENCES, PLAYLISTS) if family.name == name)
