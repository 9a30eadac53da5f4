"""A rating model that answers: what somebody would rate an item."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
import pandas as pd

from attrec.errors import DataError
from attrec.ratings.model import RatingModel
from attrec.serving.asked import Asked, as_id
from attrec.serving.requests import Asking, Records, as_text, check_length, is_nothing, none_answered
from attrec.serving.served import DEFAULT_K, Column, Served

_LATEST = 2**36
"""Seconds, beyond every timestamp."""


class ServedRatings(Served):
    """Rates pairs of raw ids.

    Input columns: user_id, item_id, and optionally rating. A row with a rating is something that a user, who may be
    new, has rated already, between two steps of the scale too, as in the data; a row without one is a question, asked
    for the moment `timestamp` (seconds UTC) where the column is given, which models `+time` read. Output: user_id,
    item_id, prediction of each question; `error`: why it has no answer, in place of one.
    """

    family: ClassVar = "rating"
    model_class = RatingModel
    inputs: ClassVar = (
        Column("user_id", "as sent", required=False),
        Column("item_id", "as sent", required=False),
        Column("rating", "as sent", required=False),
        Column("timestamp", "as sent", required=False),
    )
    outputs: ClassVar = (
        Column("user_id", "user_id", required=False),
        Column("item_id", "item_id", required=False),
        Column("prediction", "real", required=False),
        Column("error", "text", required=False),
    )
    told = ("user_id", "item_id", "rating")
    lists = False

    model: RatingModel

    def example(self) -> pd.DataFrame:
        """A question about somebody who is in the data."""
        catalogue = self.model.catalogue
        return pd.DataFrame(
            {"user_id": catalogue.users[:1].to_numpy(), "item_id": catalogue.items[:1].to_numpy()}
        )

    @property
    def explains(self) -> bool:
        return self.model.attends

    @property
    def known_items(self) -> pd.Index:
        return self.model.catalogue.items

    def understand(self, told: pd.DataFrame, place: str) -> pd.DataFrame:
        low, high = self.model.rating_range
        bad = ~told["rating"].between(low, high).to_numpy()
        if bad.any():
            row = told[bad].iloc[0]
            raise DataError(
                f"{place}, line {row.name}: {row['rating']:g} is no rating: give a number in {low:g} to {high:g}."
            )
        return super().understand(told.astype({"rating": "float32"}), place)

    def recommend_all(self, asked: Asked, k: int, exclude_seen: bool | None) -> pd.DataFrame:
        if asked.rows is None:
            return self.model.recommend(asked.ids, k, exclude_seen is not False)
        # Whoever tells what they have rated is somebody new, though a user of the data may have the same id.
        strangers = self._strangers(len(asked))
        codes = asked.ids.get_indexer(pd.Index(asked.rows["user_id"]))
        rows = asked.rows.assign(user_id=strangers[codes])
        best = self.model.recommend(strangers, k, exclude_seen is not False, rows)
        return best.assign(user_id=asked.ids[strangers.get_indexer(pd.Index(best["user_id"]))])

    def _strangers(self, number: int) -> pd.Index:
        """So many ids that no user of the data has."""
        users = self.model.catalogue.users
        if pd.api.types.is_integer_dtype(users):
            return pd.Index(int(users.min()) - 1 - np.arange(number))
        longest = "x" * (1 + int(users.astype(str).str.len().max()))
        return pd.Index([f"{longest}{code}" for code in range(number)])

    def predict(self, questions: pd.DataFrame, history: pd.DataFrame | None = None) -> np.ndarray:
        """Predictions of questions whose ids are in the types of the model, for their `timestamp` where one has it.

        Raises:
            DataError: some have a moment and others none, and the model reads it.
        """
        timed = "timestamp" in questions and questions["timestamp"].notna().any()
        columns = ["user_id", "item_id", *(["timestamp"] if timed else [])]
        return self.model.predict(questions[columns], history)

    @property
    def known_users(self) -> pd.Index:
        return self.model.catalogue.users

    def answer(self, rows: pd.DataFrame, k: int = DEFAULT_K) -> pd.DataFrame:
        """With the index that the questions have."""
        asked = rows["rating"].map(is_nothing) if "rating" in rows else np.ones(len(rows), dtype=bool)
        return super().answer(rows, k).set_axis(rows.index[asked])

    def answer_all(self, requests: Sequence[Asking]) -> list[Records | DataError]:
        """Predict every row without a rating.

        Among questions that can be answered one that cannot has `error`, a sentence, in place of a prediction; so has
        every question of a user of whose ratings one is at fault.

        A request cannot be answered if there are too many rows, no question, or none that can be answered; if a rating
        at fault has no user; or if some questions have a moment and others none, and the model reads it.
        """
        read: list[_Questions | DataError] = []
        for asking in requests:
            try:
                read.append(self._questions(asking.rows))
            except DataError as error:
                read.append(error)
        answers: list[Records | DataError] = [each if isinstance(each, DataError) else [] for each in read]
        for places in _together(read):
            asked = [each for place in places if isinstance(each := read[place], _Questions)]
            for place, answer in zip(places, self._predicted(asked), strict=True):
                answers[place] = answer
        return answers

    def _questions(self, rows: Records) -> _Questions:
        """What a request asks.

        Raises:
            DataError: it cannot be answered.
        """
        check_length(rows)
        if absent := [name for name in ("user_id", "item_id") if not any(name in row for row in rows)]:
            raise DataError(
                f"There is no column {' and none '.join(absent)}: give user_id and item_id in every row."
            )
        told: dict[tuple[Any, Any], float] = {}
        spoiled: dict[Any, str] = {}
        asked: list[_Said] = []
        for number, row in enumerate(rows, start=1):
            said = self._read(row, number)
            if said.rating is None:
                asked.append(said)
            elif said.error is None and said.pair not in told:
                told[said.pair] = said.rating
            elif said.user is None:
                raise DataError(str(said.error))
            else:
                twice = f"Row {number}: {said.user} rates the item {said.item} twice: keep one row."
                spoiled.setdefault(said.user, said.error or twice)
        if not asked:
            raise DataError(
                "There is no question: give a row with user_id and item_id, and without a rating."
            )
        asked = [replace(said, error=said.error or spoiled.get(said.user)) for said in asked]
        if all(said.error is not None for said in asked):
            raise none_answered([str(said.error) for said in asked], "questions")
        return _Questions(asked, told)

    def _predicted(self, requests: Sequence[_Questions]) -> Sequence[Records | DataError]:
        """Answers to requests that one pass can answer."""
        catalogue = self.model.catalogue
        good = [said for request in requests for said in request.asked if said.error is None]
        values = [(said.user, said.item, said.moment) for said in good]
        types = {"user_id": catalogue.users.dtype, "item_id": catalogue.items.dtype, "timestamp": "float64"}
        questions = pd.DataFrame(values, columns=list(types), dtype=object).astype(types)
        told = {pair: rating for request in requests for pair, rating in request.told.items()}
        history = None
        if told:
            history = pd.DataFrame(list(told), columns=["user_id", "item_id"])
            history["rating"] = np.array(list(told.values()), dtype="float32")
        try:
            predictions = iter(self.predict(questions, history).tolist())
        except DataError as error:
            return [error] * len(requests)
        return [
            [
                {
                    "user_id": said.user,
                    "item_id": said.item,
                    "prediction": next(predictions) if said.error is None else None,
                    "error": said.error,
                }
                for said in request.asked
            ]
            for request in requests
        ]

    def _read(self, row: Mapping[Any, Any], number: int) -> _Said:
        catalogue, (low, high) = self.model.catalogue, self.model.rating_range
        ids: dict[str, int | str | None] = {"user": None, "item": None}
        faults = []
        for what, known in (("user", catalogue.users), ("item", catalogue.items)):
            try:
                ids[what] = as_id(row.get(f"{what}_id"), known, what)
            except DataError as error:
                faults.append(str(error))
        rating, moment = _number(row.get("rating")), _number(row.get("timestamp"))
        if rating is not None and not low <= rating <= high:
            faults.append(
                f"{as_text(row['rating'])[:30]} is no rating: give a number in {low:g} to {high:g}."
            )
        if rating is None and moment is not None and not abs(moment) < _LATEST:
            faults.append(f"{as_text(row['timestamp'])[:30]} is no timestamp: give seconds since 1970 UTC.")
        fault = f"Row {number}: {' '.join(faults)}" if faults else None
        return _Said(ids["user"], ids["item"], rating, moment, fault)


@dataclass(frozen=True)
class _Said:
    """What a row says, in the types of the model; None where it says nothing, or what cannot be."""

    user: int | str | None
    item: int | str | None
    rating: float | None
    """NaN of what is no number."""
    moment: float | None
    error: str | None

    @property
    def pair(self) -> tuple[int | str | None, int | str | None]:
        """Who rated what."""
        return self.user, self.item


@dataclass(frozen=True)
class _Questions:
    """What a request asks, and the ratings that it tells by user and item."""

    asked: list[_Said]
    told: dict[tuple[Any, Any], float]


def _together(requests: Sequence[_Questions | DataError]) -> list[list[int]]:
    """Places of requests that one pass can answer: what one tells of a user is no other's, and where some questions
    have a moment and others none the model may refuse them."""
    passes: dict[Any, list[int]] = {}
    for place, request in enumerate(requests):
        if isinstance(request, DataError):
            continue
        timed = {said.moment is not None for said in request.asked if said.error is None}
        alone = bool(request.told) or len(timed) > 1
        passes.setdefault(place if alone else str(timed), []).append(place)
    return list(passes.values())


def _number(value: Any) -> float | None:
    """None where there is nothing, NaN where something is no number."""
    if is_nothing(value):
        return None
    try:
        return math.nan if isinstance(value, bool) else float(value)
    except (TypeError, ValueError, OverflowError):
        return math.nan


SERVED = ServedRatings
