"""The registered model: who is champion, and when a challenger takes over."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
from mlflow import artifacts, pyfunc
from mlflow.exceptions import MlflowException
from pyarrow import ArrowInvalid

from attrec.errors import DataError, ServiceError
from attrec.metrics.intervals import PairedTest, paired_mean_test
from tasks.comparison.family import Contest
from tasks.engine.tracking import client

CHAMPION = "champion"
_MISMATCHES = (AttributeError, DataError, ImportError, KeyError, TypeError, ValueError)
"""What a model raises that other code has saved. Short memory and a failing disk say nothing of a model."""


def better_values(both: pd.DataFrame, seed: int) -> PairedTest:
    """The test of a contest on one value a row, of which more is better."""
    return paired_mean_test(both["value"], both["value_held"], seed=seed)


@dataclass(frozen=True)
class Challenger:
    """A logged model with what it said on validation, as `contest` has it."""

    model: str
    run_id: str
    model_uri: str
    dataset: str
    split_hash: str
    validation: pd.DataFrame
    contest: Contest


def why_unreadable(model_uri: str) -> str | None:
    """Why this version of the code cannot load the model; None if it can.

    Raises:
        Exception: it cannot be loaded now, which is no fault of the model: the store is locked, memory is short.
    """
    folder = artifacts.download_artifacts(artifact_uri=model_uri)
    try:
        pyfunc.load_model(folder)
    except Exception as error:
        # MLflow raises its own where the code that it has kept beside the model does not run any more.
        fault = error.__cause__ if isinstance(error, MlflowException) else error
        if not isinstance(fault, _MISMATCHES):
            raise
        return str(error)
    return None


def challenge(
    registered_name: str,
    challenger: Challenger,
    seed: int,
    unreadable: Callable[[str], str | None] = why_unreadable,
) -> str:
    """Register the challenger, and move the alias when it is better on validation by a paired test.

    The champion of a dataset holds its place against a challenger on the same split unless the challenger is better
    and the two-sided paired bootstrap over users gives p < 0.05. On another split the two have not seen the
    same ratings, so no test is possible and the newer one takes over; the version's tags say which rule applied. Nor
    does a champion stay whose files are gone or that the code cannot load any more.

    Args:
        unreadable: Why the model at a URI cannot be loaded; None if it can.

    Returns:
        One sentence that says what happened.

    Raises:
        ServiceError: the champion cannot be read now; it stays, and nothing is registered.
    """
    store = client()
    _ensure_registered(registered_name)
    own_alias = f"{CHAMPION}-{challenger.dataset}"
    try:
        won, reason = _decide(registered_name, own_alias, challenger, seed, unreadable)
    except (ArrowInvalid, MlflowException, OSError, MemoryError, RuntimeError) as error:
        raise ServiceError(
            f"The champion of {registered_name} cannot be read ({' '.join(str(error).split())}): mend that and run"
            f" again, or remove its alias {own_alias}."
        ) from error
    version = store.create_model_version(
        registered_name,
        challenger.model_uri,
        challenger.run_id,
        tags={
            "model": challenger.model,
            "dataset": challenger.dataset,
            "split": challenger.split_hash,
            "decision": reason,
        },
    )
    if won:
        store.set_registered_model_alias(registered_name, own_alias, version.version)
    holder = store.get_model_version_by_alias(registered_name, own_alias)
    # `champion` answers for the data the pipeline was last run on.
    store.set_registered_model_alias(registered_name, CHAMPION, holder.version)
    return f"{registered_name}: version {version.version} ({challenger.model}) {reason}"


def follow_dataset(dataset: str) -> None:
    """Let `champion` of every registered model answer for this dataset, where it has one.

    A stage whose results DVC had in its cache did not challenge anybody, so that the alias is where the last one that
    ran has left it.
    """
    store = client()
    for model in store.search_registered_models():
        version = model.aliases.get(f"{CHAMPION}-{dataset}")
        if version is not None and model.aliases.get(CHAMPION) != version:
            store.set_registered_model_alias(model.name, CHAMPION, version)


def _decide(
    name: str, alias: str, challenger: Challenger, seed: int, unreadable: Callable[[str], str | None]
) -> tuple[bool, str]:
    store = client()
    if alias not in store.get_registered_model(name).aliases:
        return True, f"is the first champion for {challenger.dataset}."
    holder = store.get_model_version_by_alias(name, alias)
    uri = f"models:/{name}/{holder.version}"
    if holder.tags.get("split") != challenger.split_hash:
        return (
            True,
            f"replaces version {holder.version}, which was fitted on another split: no paired test is possible.",
        )
    if not store.list_artifacts(str(holder.run_id)) or not artifacts.list_artifacts(artifact_uri=uri):
        return True, f"replaces version {holder.version}, whose files are gone."
    with tempfile.TemporaryDirectory() as folder:
        file = store.download_artifacts(str(holder.run_id), challenger.contest.file, folder)
        held = pd.read_parquet(Path(file))
    both = challenger.validation.merge(
        held, on=list(challenger.contest.rows), suffixes=("", "_held"), validate="one_to_one"
    )
    if len(both) != len(challenger.validation):
        raise ServiceError(
            f"What the champion of {name} said covers other validation rows; remove its alias {alias}."
        )
    contest = challenger.contest
    test = contest.test(both, seed)
    difference = f"{contest.metric} difference {test.difference:+.4f}, p = {test.p_value:.3f}"
    figures = f"{difference} against version {holder.version}"
    better = test.difference < 0 if contest.lower_is_better else test.difference > 0
    if better and test.significant:
        return True, f"is better on validation and becomes champion ({figures})."
    fault = unreadable(uri)
    if fault is not None:
        return True, f"replaces version {holder.version}, which cannot be loaded: {fault}"
    return False, f"is not better on validation and the champion stays ({figures})."


def _ensure_registered(name: str) -> None:
    try:
        client().get_registered_model(name)
    except MlflowException:
        client().create_registered_model(name)
