"""Fill the run store and the registry again from what DVC holds: in a clone that has pulled, after a store was lost, or
where another one is named."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from filelock import FileLock

from tasks.comparison.left import Left, kept_models
from tasks.comparison.registry import FILLED_TAG, find_registered, has_files, holder_of
from tasks.engine import environment, run_store

FAMILIES = ("rating", "sequence", "playlist")


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
    known = run_store.find_run(left.runs[name]) is not None or _is_filled(left.runs[name])
    with_champion = _has_champion(name, left.tags.get("dataset", ""))
    if known and with_champion:
        return False
    # Who only asks whether anything is missing need not wait for torch.
    from flows.filling import fill

    fill(name, left, folders, known, with_champion)
    return True


def _has_champion(family: str, dataset: str) -> bool:
    """Whether the registry has one; files of a store that others use may be out of our reach."""
    if find_registered(run_store.registered_name(family)) is None:
        return False
    holder = holder_of(family, dataset)
    return holder is not None and (not run_store.is_own_store() or has_files(holder))


def _is_filled(run_id: str) -> bool:
    filled = f"tags.`{FILLED_TAG}` = '{run_id}' and attributes.status = 'FINISHED'"
    return bool(run_store.client().search_runs([run_store.experiment_id()], filled, max_results=1))


def _folders(family: str) -> Sequence[Path]:
    return sorted(file.parent.parent for file in kept_models(family).glob("*/card/card.json"))
