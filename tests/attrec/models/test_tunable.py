"""Search spaces: those that models ship fit their configurations, and those of users are read or refused."""

from __future__ import annotations

from typing import Annotated

import pytest

from attrec.models.base import Config
from attrec.models.specs import Spec, Table
from attrec.models.tunable import Choice, Range, described, read_tunable, tunable, value_at
from attrec.playlists.specs import PLAYLIST_MODELS
from attrec.ratings.specs import RATING_MODELS
from attrec.sequences.specs import SEQUENCE_MODELS

NOTHING_TO_TUNE = {
    *("global-mean", "residual-neighbours", "NormalPredictor", "SlopeOne"),
    *("popularity", "random", "mean-vector"),
}
"""Without parameters, or with such as a fit finds by itself."""
NAMED = [
    (name, spec)
    for table in (RATING_MODELS, SEQUENCE_MODELS, PLAYLIST_MODELS)
    for name, spec in table.named().items()
]


class Inside(Config):
    rate: Annotated[float, Range(0.1, 1.0, log=True)] = 0.5
    depth: Annotated[int, Range(1, 3)] = 1


class Outside(Config):
    width: Annotated[int, Choice((8, 16))] = 8
    shares: Annotated[tuple[float, ...], Range(0.0, 1.0)] = (0.2, 0.4)
    inside: Annotated[Inside, {"rate": Range(0.2, 0.4), "depth": None}] = Inside()
    other: Inside = Inside()


def test_ranges_stand_in_the_fields_and_whoever_has_a_part_may_say_otherwise() -> None:
    assert described(tunable(Outside())) == {
        "width": [8, 16],
        "shares": {"low": 0.0, "high": 1.0},
        "inside.rate": {"low": 0.2, "high": 0.4},
        "other.rate": {"low": 0.1, "high": 1.0, "log": True},
        "other.depth": {"low": 1, "high": 3},
    }


@pytest.mark.parametrize(
    ("name", "spec"), NAMED, ids=[f"{spec.model.__name__} {name}" for name, spec in NAMED]
)
def test_all_that_a_shipped_space_offers_fits_the_recipe(name: str, spec: Spec) -> None:
    assert bool(spec.space) == (name not in NOTHING_TO_TUNE)
    for path, where in spec.space.items():
        for value in where.examples:
            own = value_at(spec.with_values({path: value}).config(), path)
            assert own in (value, (value,)), path


@pytest.mark.parametrize("table", [RATING_MODELS, SEQUENCE_MODELS, PLAYLIST_MODELS])
def test_the_number_tried_is_no_part_of_what_a_model_is(table: Table) -> None:
    kind = next(row.kind for row in table if row.recipes)
    found, plain = table.spec(kind, tried=30), table.spec(kind)
    assert found.resolved() == plain.resolved()
    assert "tried" not in plain.model_dump()


@pytest.mark.parametrize(
    ("said", "fault"),
    [
        ({"low": 3, "high": 1}, "low (3) must be below high (1)"),
        ({"low": 0, "high": 1, "log": True}, "a logarithmic range begins above 0, and low is 0"),
        ({"low": 1, "hgih": 2}, "hgih: Unexpected keyword argument"),
        ({"low": "a", "high": 2}, "low: Input should be a valid"),
        ({"low": "1", "high": 2}, "low: Input should be a valid"),
        ({"low": 1, "high": 2, "log": "yes"}, "log: Input should be a valid boolean"),
        ([8], "a list names two values or more, each once"),
        ([8, 8], "a list names two values or more, each once"),
        ([[1], [2]], "a list names plain values"),
        (5, "say [values], or {low: …, high: …, log: true} (it is 5)"),
    ],
)
def test_a_range_that_contradicts_itself(said: object, fault: str) -> None:
    with pytest.raises(ValueError) as refused:
        read_tunable(said)
    assert fault in str(refused.value)


def test_a_candidate_alone_replaces_the_candidates() -> None:
    spec = SEQUENCE_MODELS.spec("item-knn").with_values({"neighbours": 40, "decay": 0.5})
    assert (spec.config().neighbours, spec.config().decay, spec.config().shrinkage) == (
        (40,),
        (0.5,),
        (0.0, 20.0),
    )
