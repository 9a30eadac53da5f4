"""Answers in bulk: recommendations for everybody, predictions for a table of pairs, into one file.

What `attrec export` runs, and the flow `export`, which a worker serves beside `rebuild`.
"""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import pandas as pd
from prefect import flow
from prefect.client.schemas.objects import State
from prefect.states import Completed, Failed
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from attrec.datasets.given import open_given, read_given
from attrec.datasets.tables import Tables
from attrec.errors import AttrecError, DataError, ParamsError
from attrec.parameters import explain
from attrec.serving.asked import Asked, as_ids
from attrec.serving.ratings import ServedRatings
from attrec.serving.served import Served, read_served
from attrec.shown import some_is_formula
from flows.lookup import load_saved, names_of
from flows.prepare_params import PrepareParams
from tasks.bulk.answers import (
    FEWEST_AT_ONCE,
    PAIRS_AT_ONCE,
    USERS_AT_ONCE,
    Counted,
    predictions,
    recommendations,
)
from tasks.comparison.card import FOLDER, Card
from tasks.comparison.registry import CHAMPION
from tasks.engine import environment
from tasks.engine.caching import loaded_source_hash
from tasks.engine.flow_runs import noted
from tasks.engine.logs import tell
from tasks.engine.params import load_params
from tasks.engine.parts import check_destination
from tasks.engine.provenance import stage_outs
from tasks.engine.server import prefect_api

SOURCE = "data/interim"


class ExportParams(BaseModel):
    """What is exported, and where to."""

    model_config = ConfigDict(extra="forbid")

    family: Literal["rating", "sequence", "playlist"] = Field(description="of the model")
    destination: Path = Field(description="a .parquet or .csv")
    model: str = Field(CHAMPION, description="as of `attrec recommend`; or a folder, given as a path")
    what: Literal["recommendations", "predictions"] = "recommendations"
    k: int = Field(20, ge=1, description="how many items each")
    exclude_seen: bool | None = Field(None, description="left out: as the model does by itself")
    user: list[str] = Field([], description="ids of users of the data; left out, everybody")
    users: Path | None = Field(None, description="a table with the column user_id of them")
    histories: Path | None = Field(None, description="a table of what people outside the data have done")
    pairs: Path | None = Field(None, description="for predictions, a table of user_id,item_id")

    def check(self) -> None:
        """Find the faults that show without a model.

        Raises:
            DataError: the destination cannot be written, or what is asked does not go together.
        """
        check_destination(self.destination)
        given = [self.pairs, self.users, self.histories]
        if any(file is not None and file.exists() and _is_same(file, self.destination) for file in given):
            raise DataError(f"{self.destination} is what is asked: write the answers into another file.")
        if self.what == "predictions" and (self.pairs is None or self.family != "rating"):
            raise DataError("Predictions are of a rating model, for pairs: give a table of user_id,item_id.")
        if self.histories is not None and (self.users is not None or self.user):
            raise DataError("Histories are of people outside the data: leave out the users.")


@dataclass(frozen=True)
class Source:
    """The model that answers."""

    name: str
    folder: Path
    served: Served

    @property
    def card(self) -> Card | None:
        """None of a model that no stage has left."""
        return Card.read(self.folder) if (self.folder / FOLDER).is_dir() else None

    @property
    def about(self) -> str:
        """What it is and what it was trained on."""
        card = self.card
        return self.name if card is None else f"{card.model}, trained on {card.dataset.name}"

    def plan(self, params: ExportParams) -> dict[str, Any]:
        """All that the answers hang on but for what is asked."""
        digest = hashlib.sha256()
        for file in sorted(self.folder.rglob("*")):
            if file.is_file() and FOLDER not in file.relative_to(self.folder).parts:
                digest.update(f"{file.relative_to(self.folder)}".encode())
                with file.open("rb") as stream:
                    digest.update(hashlib.file_digest(stream, "sha256").digest())
        return {
            "model": digest.hexdigest(),
            "code": loaded_source_hash(type(self.served.model).__module__),
            "sizes": [FEWEST_AT_ONCE, USERS_AT_ONCE, PAIRS_AT_ONCE],
            **params.model_dump(mode="json", include={"family", "what", "k", "exclude_seen"}),
        }


def find_source(params: ExportParams) -> Source:
    """Load the model.

    Raises:
        DataError: it is a model of another family, or its folder holds none.
        ServiceError, ParamsError: see `flows.lookup.load_model`.
    """
    if os.sep in params.model:
        folder = Path(params.model)
        if not folder.is_dir():
            raise DataError(
                f"There is no folder {folder}: give one that holds a model, such as models/rating/NAME."
            )
        served = read_served(folder)
    else:
        folder, served = load_saved(params.family, params.model)
    if served.family != params.family:
        names = ", ".join(names_of(params.family))
        others = f"; there are {names}" if names else ""
        raise DataError(
            f"The model {params.model!r} is no {params.family} model: choose another with --model{others}."
        )
    return Source(params.model, folder, served)


def run_export(params: ExportParams) -> list[str]:
    """Write the file.

    Returns:
        What there is to say of it, in sentences.

    Raises:
        AttrecError: it cannot be done, or not as asked.
    """
    params.check()
    return _predictions(params) if params.what == "predictions" else _recommendations(params)


def _recommendations(params: ExportParams) -> list[str]:
    told = None
    if params.histories is not None:
        # Loading takes seconds: a fault of the file is told before.
        told = read_given(params.histories, _told(params.family), ("timestamp",))
    source = find_source(params)
    said: list[str] = []
    if params.exclude_seen is False and params.family == "playlist":
        raise DataError("What a playlist has already is never recommended to it: leave out --keep-seen.")
    if told is not None:
        asked = Asked.of_rows(_understood(source.served, told, str(params.histories), said))
    else:
        asked = _of_data(params, source, said)
    bulk = recommendations(source.served, asked, params.k, params.exclude_seen)
    bulk.write(params.destination, {**source.plan(params), "asked": asked.digest()})
    said += _of_formulas(params, asked.ids, source.served.known_items)
    whom, most = f"{len(asked):,} {bulk.unit}s", min(params.k, len(source.served.known_items))
    return [f"{params.destination}: the {most:,} best for each of {whom}, of {source.about}.", *said]


def _told(family: str) -> tuple[str, ...]:
    return ServedRatings.told if family == "rating" else Served.told


def _understood(served: Served, told: pd.DataFrame, place: str, said: list[str]) -> pd.DataFrame:
    rows = served.understand(told, place)
    alike = pd.Series(told["user_id"].unique()).astype(str).str.strip().duplicated().sum()
    if alike:
        said.append(
            f"{alike:,} users differ from another one by blanks alone; each has an answer of its own."
        )
    if len(rows) < len(told):
        said.append(
            f"{len(told) - len(rows):,} of {len(told):,} rows name an item that the model does not know."
        )
        lost = told["user_id"].nunique() - rows["user_id"].nunique()
        if lost:
            said.append(f"{lost:,} users have nothing else and are left out.")
    return rows


def _of_data(params: ExportParams, source: Source, said: list[str]) -> Asked:
    """All users of the data, or those that are named.

    Raises:
        DataError: the data are not there or are others, or somebody is not in them.
    """
    served = source.served
    if isinstance(served, ServedRatings):
        asked = Asked(served.model.catalogue.users.rename("user_id"))
    else:
        asked = Asked.of_rows(_understood(served, _everybody(source, said), SOURCE, said))
    if params.users is None and not params.user:
        return asked
    named = pd.Series(params.user, params.user, name="user_id", dtype=str)
    wanted = as_ids(named, asked.ids, "--user")
    if params.users is not None:
        told = read_given(params.users, ("user_id",))["user_id"]
        wanted = wanted.append(as_ids(told, asked.ids, f"{params.users}, line"))
    wanted = wanted.unique()
    unknown = wanted[~wanted.isin(asked.ids)]
    if len(unknown):
        more = f" and {len(unknown) - 3:,} more" if len(unknown) > 3 else ""
        raise DataError(
            f"{', '.join(map(str, unknown[:3]))}{more} are no users of this model: its users are like"
            f" {', '.join(map(str, asked.ids[:3]))}; give what others have done with --histories."
        )
    return asked.only(wanted)


def _everybody(source: Source, said: list[str]) -> pd.DataFrame:
    """What everybody has done in the data of this checkout, to this day.

    Raises:
        DataError: they are not there, or the model is of other data.
    """
    folder, here = environment.ROOT / SOURCE, load_params(PrepareParams).dataset
    if not folder.is_dir():
        raise DataError(
            f"There are no users: {SOURCE} is not there; run `dvc pull` or `dvc repro prepare`, or give --histories."
        )
    card = source.card
    if card is not None and card.dataset.name != here:
        raise DataError(
            f"The model {source.name!r} was trained on {card.dataset.name}, and the data here are {here}: name another"
            " model, or give --histories."
        )
    if card is not None and card.dataset.digest != stage_outs("prepare").get(SOURCE):
        said.append("The data have changed since it was trained; the users are those of now.")
    tables = Tables.load(folder)
    if source.served.family == "playlist":
        from flows.playlist_params import PlaylistParams
        from tasks.families.playlists.data import playlist_rows

        rows = playlist_rows(tables, load_params(PlaylistParams).playlist.likes)
    else:
        from attrec.prepare.sequence_splits import ordered_actions
        from flows.sequence_params import SequenceParams

        rows, _ = ordered_actions(tables.ratings, load_params(SequenceParams).sequence.actions.min_rating)
    return rows[["user_id", "item_id"]]


def _predictions(params: ExportParams) -> list[str]:
    pairs = params.pairs
    assert pairs is not None
    # Opened before the model is loaded, which takes seconds: a fault of the file is told before.
    with open_given(pairs, ("user_id", "item_id"), ("timestamp",)) as given:
        source, counted = find_source(params), Counted()
        assert isinstance(source.served, ServedRatings)
        with pairs.open("rb") as stream:
            plan = {**source.plan(params), "asked": hashlib.file_digest(stream, "sha256").hexdigest()}
        predictions(source.served, given).write(params.destination, plan, counted.count)
    said = [f"{params.destination}: {counted.pairs:,} predictions of {source.about}."]
    if counted.unknown:
        said.append(
            f"{counted.unknown:,} are for a user or an item that the model does not know: see the column unknown."
        )
    catalogue = source.served.model.catalogue
    return said + _of_formulas(params, catalogue.users, catalogue.items)


def _of_formulas(params: ExportParams, *ids: pd.Index) -> list[str]:
    """A sentence where a spreadsheet would calculate an id; whatever else is text, it is kept from that."""
    if params.destination.suffix != ".csv" or not any(map(some_is_formula, ids)):
        return []
    return [
        "Some ids look like formulas: import their columns into a spreadsheet as text, or write .parquet."
    ]


def _inside(file: str) -> Path:
    """A path of the checkout.

    Raises:
        ParamsError: it is of another folder. Whoever may start a flow is not whoever may write anywhere.
    """
    path = (environment.ROOT / file).resolve()
    if not path.is_relative_to(environment.ROOT.resolve()):
        raise ParamsError(f"{file} is outside the checkout: give a path in it, such as answers/{path.name}.")
    return path


def _is_same(one: Path, other: Path) -> bool:
    return other.exists() and one.samefile(other)


@flow(name="export", flow_run_name="export {what} {family} {model}")
def export(
    family: str,
    destination: str,
    model: str = CHAMPION,
    what: str = "recommendations",
    k: int = 20,
    users: str | None = None,
    histories: str | None = None,
    pairs: str | None = None,
    exclude_seen: bool | None = None,
) -> State[None]:
    """Write answers in bulk; paths are seen from the checkout, and stay in it.

    Args:
        family: rating, sequence or playlist.
        destination: A .parquet or .csv; its folder is made.
        model: champion, another alias, a version, or the name of a model.
        what: recommendations, or predictions for `pairs`.
        k: How many items each.
        users: A table with the column user_id; left out, everybody.
        histories: A table of what people outside the data have done.
        pairs: A table of user_id,item_id.
        exclude_seen: Left out, as the model does by itself.

    Returns:
        State whose message says what was written.
    """
    with prefect_api(), noted():
        try:
            files = {"destination": destination, "users": users, "histories": histories, "pairs": pairs}
            paths = {name: _inside(file) for name, file in files.items() if file is not None}
            named = str(_inside(model)) if os.sep in model else model
            asked = {"family": family, "model": named, "what": what, "k": k, "exclude_seen": exclude_seen}
            try:
                params = ExportParams.model_validate({**asked, **paths})
            except ValidationError as error:
                raise ParamsError(explain(error, ExportParams)) from error
            params.destination.parent.mkdir(parents=True, exist_ok=True)
            said = run_export(params)
        except AttrecError as error:
            return Failed(message=str(error))
        for sentence in said:
            tell(sentence)
        return Completed(message=" ".join(said))
