"""The registered model: who is champion, and when a challenger takes over."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
from mlflow import artifacts, pyfunc
from mlflow.entities.model_registry import ModelVersion
from mlflow.exceptions import MlflowException
from pyarrow import ArrowInvalid

from attrec.errors import DataError, ServiceError
from attrec.metrics.intervals import FEWEST_USERS, PairedTest, paired_mean_test
from attrec.shown import as_markdown
from tasks.comparison.card import FOLDER, Card, read_answers, same_ids, unseen
from tasks.comparison.family import Contest
from tasks.comparison.registry import CHAMPION, ensure_registered, has_files, holder_of, own_alias, saved_in
from tasks.comparison.track import Tracked
from tasks.engine import environment
from tasks.engine.artifacts import Artifact, hash_folder, writing
from tasks.engine.run_store import client, one_sentence_faults, registered_name

_MISMATCHES = (AttributeError, DataError, ImportError, KeyError, TypeError, ValueError)
"""What a model raises that other code has saved. Short memory and a failing disk say nothing of a model."""

Ask = Callable[[Artifact], pd.DataFrame]
"""Lets a saved model answer the validation rows of a comparison; gives them in the columns of the contest."""


def better_values(both: pd.DataFrame, seed: int) -> PairedTest:
    """The test of a contest on one value a row, of which more is better."""
    return paired_mean_test(both["value"], both["value_held"], seed=seed)


@dataclass(frozen=True)
class Challenger:
    """A model that a stage has left, and where it is logged."""

    folder: Path
    """As `keep_model` has written it."""
    tracked: Tracked
    contest: Contest

    @property
    def card(self) -> Card:
        """What is told of it."""
        return Card.read(self.folder)


def why_unreadable(folder: Path) -> str | None:
    """Why this version of the code cannot load the served model in a folder; None if it can.

    Raises:
        Exception: it cannot be loaded now, which is no fault of the model: memory is short.
    """
    try:
        pyfunc.load_model(str(folder))
    except Exception as error:
        # MLflow raises its own where the code that it has kept beside the model does not run any more.
        fault = error.__cause__ if isinstance(error, MlflowException) else error
        if not isinstance(fault, _MISMATCHES):
            raise
        return str(error)
    return None


def challenge(challenger: Challenger, seed: int, ask: Ask) -> str:
    """Register the challenger, and move the alias when it is better on validation by a paired test.

    The champion of a dataset holds its place unless the challenger is better and the two-sided paired bootstrap over
    users gives p < 0.05. Where the split is another, since the data have grown or are drawn anew, the champion is asked
    again, and what its fit has seen of the rows does not count. It stays where too few users are left to tell. It goes
    where its files are gone or the code cannot load it any more. The version's tags say what happened.

    Args:
        ask: Lets the champion answer the challenger's validation rows.

    Returns:
        One sentence that says what happened.

    Raises:
        ServiceError: the champion cannot be read now; it stays, and nothing is registered. Or the registered model is
            of somebody else.
    """
    card = challenger.card
    with one_sentence_faults():
        ensure_registered(card.family)
        holder = holder_of(card.family, card.dataset.name)
        try:
            won, reason = _decide(holder, challenger, seed, ask)
        except (ArrowInvalid, MlflowException, OSError, MemoryError, RuntimeError) as error:
            raise ServiceError(
                f"The champion of {registered_name(card.family)} cannot be read ({' '.join(str(error).split())}): mend"
                f" that and run again, or remove its alias {own_alias(card.dataset.name)}."
            ) from error
        now = holder_of(card.family, card.dataset.name)
        if (now and now.version) != (holder and holder.version):
            # Another machine has entered a champion meanwhile.
            return challenge(challenger, seed, ask)
        return register(challenger, holder if not won else None, reason)


def register(challenger: Challenger, holder: ModelVersion | None, reason: str) -> str:
    """Enter a version, unless one has the same contents, and let `champion` answer for its data.

    Args:
        holder: The champion that stays; None if the challenger takes its place.
        reason: Of that, in a sentence without a subject.

    Returns:
        One sentence that says what happened.
    """
    card, store = challenger.card, client()
    name, content = registered_name(card.family), hash_folder(challenger.folder)
    same = store.search_model_versions(f"name = '{name}' and tags.content = '{content}'")
    version = next(filter(has_files, same), None) or store.create_model_version(
        name,
        challenger.tracked.uri,
        challenger.tracked.run_id,
        model_id=challenger.tracked.model_id,
        description=as_markdown(f"{card.model}: {card.sentence} Fitted on {card.dataset.name}; it {reason}"),
        tags={
            "model": card.model,
            "dataset": card.dataset.name,
            "dataset.digest": card.dataset.digest,
            "split": card.split_hash,
            "content": content,
            "decision": reason,
        },
    )
    alias, champion = own_alias(card.dataset.name), (holder or version).version
    if holder is None:
        store.set_registered_model_alias(name, alias, champion)
    # `champion` answers for the data of the checkout, which an experiment in a temporary folder leaves as they are.
    if environment.ROOT == environment.CHECKOUT:
        store.set_registered_model_alias(name, CHAMPION, champion)
    return f"{name}: version {version.version} ({card.model}) {reason}"


def _decide(holder: ModelVersion | None, challenger: Challenger, seed: int, ask: Ask) -> tuple[bool, str]:
    card, contest = challenger.card, challenger.contest
    if holder is None:
        return True, f"is the first champion for {card.dataset.name}."
    if not has_files(holder):
        return True, f"replaces version {holder.version}, whose files are gone."
    if holder.tags.get("content") == hash_folder(challenger.folder):
        return False, "is what was fitted again, and stays champion."
    with tempfile.TemporaryDirectory() as scratch:
        source = f"models:/{holder.name}/{holder.version}"
        served = Path(artifacts.download_artifacts(artifact_uri=source, dst_path=scratch))
        try:
            rows, held = _both_answers(holder, saved_in(served), challenger, ask)
        except _NoContest as reason:
            return True, f"replaces version {holder.version}, {reason}."
        both = rows.merge(held, on=list(contest.rows), suffixes=("", "_held"), validate="one_to_one")
        if len(both) != len(rows):
            raise ServiceError(
                f"What the champion of {holder.name} said covers other validation rows; remove its alias"
                f" {own_alias(card.dataset.name)}."
            )
        fault = why_unreadable(served)
    if fault is not None:
        return True, f"replaces version {holder.version}, which cannot be loaded: {fault}"
    users = both["user_id"].nunique()
    if users < FEWEST_USERS:
        few = f"{users} users" if users != 1 else "1 user"
        return False, f"finds the champion in its place: what can be compared is of {few}, too few to tell."
    test = contest.test(both, seed)
    figures = f"{contest.metric} difference {test.difference:+.4f}, p = {test.p_value:.3f}"
    figures += f" against version {holder.version}"
    if holder.tags["split"] != card.split_hash:
        figures += f", on {len(rows):,} validation rows that its fit had not seen when it answered"
    better = test.difference < 0 if contest.lower_is_better else test.difference > 0
    if better and test.significant:
        return True, f"is better on validation and becomes champion ({figures})."
    return False, f"is not better on validation and the champion stays ({figures})."


class _NoContest(Exception):
    """Why a champion cannot be held against a challenger."""


def _both_answers(
    holder: ModelVersion, kept: Path, challenger: Challenger, ask: Ask
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """What challenger and champion say of the rows that they are compared on, none of them seen by either's fit.

    On another split the champion is asked again. A row that its last fit has seen, since it was among the validation
    rows then, counts with what it said of it before that fit, if that holds still.
    """
    contest = challenger.contest
    own, names = read_answers(challenger.folder), contest.rows
    if not (kept / FOLDER).is_dir():
        raise _NoContest("which is of another version of attrec")
    said = read_answers(kept)
    if holder.tags.get("split") == challenger.card.split_hash:
        return own, said
    if not same_ids(kept, challenger.folder):
        raise _NoContest("which was fitted on ids of another type")
    new = unseen(own, names, kept).to_numpy()
    known = pd.MultiIndex.from_frame(own[list(names)]).isin(pd.MultiIndex.from_frame(said[list(names)]))
    known &= contest.lasting
    with writing("champion") as draft:
        shutil.copytree(kept, draft.folder, dirs_exist_ok=True, ignore=shutil.ignore_patterns(FOLDER))
    try:
        asked = ask(draft.artifact)
    except _MISMATCHES as error:
        raise _NoContest(f"which cannot answer any more ({' '.join(str(error).split())})") from error
    again = own.loc[new, list(names)].merge(asked, on=list(names), validate="one_to_one")
    before = own.loc[known & ~new, list(names)].merge(said, on=list(names), validate="one_to_one")
    return own[new | known], pd.concat([again, before], ignore_index=True)
