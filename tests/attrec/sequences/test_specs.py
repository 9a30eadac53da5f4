"""The table of the family: each row has a contract test, and `params.yaml` is told what is wrong with a row's spec."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError

from attrec.sequences.specs import SEQUENCE_MODELS, SequenceSpec, check_sequence_names
from tests.attrec.sequences.contract import SequenceContract

PARAMS: TypeAdapter[Any] = TypeAdapter(SequenceSpec)


def test_each_row_has_a_contract_test() -> None:
    modules = [
        import_module(f"tests.attrec.sequences.{file.stem}")
        for file in Path(__file__).parent.glob("test_*.py")
    ]
    found = [value for module in modules for value in vars(module).values() if isinstance(value, type)]
    kept = {
        kind.kind for kind in found if issubclass(kind, SequenceContract) and kind is not SequenceContract
    }
    assert kept == set(SEQUENCE_MODELS.rows)


def test_changes_replace_fields_of_the_recipe_alone() -> None:
    spec = PARAMS.validate_python({"kind": "sasrec", "changes": {"network": {"dimension": 8}}})
    config = spec.config()
    assert (config.network.dimension, config.network.length) == (8, 50)
    assert spec.resolved()["recipe"] == "quick"


@pytest.mark.parametrize(
    ("params", "fault"),
    [
        ({"kind": "sasrec", "changes": {"loss": {"kind": "hinge"}}}, "loss.kind"),
        ({"kind": "sasrec", "changes": {"network": {"heads": 5}}}, "must divide dimension"),
        ({"kind": "bert4rec", "changes": {"loss": {"kind": "bce"}}}, "there is no parameter 'loss'"),
        ({"kind": "sasrec", "recipe": "huge"}, "'quick', 'small', 'paper', 'field' or 'full'"),
        ({"kind": "popularity", "recipe": "quick"}, "Extra inputs"),
        ({"kind": "popularity", "changes": {}}, "Extra inputs"),
        ({"kind": "gru4rec"}, "gru4rec"),
    ],
)
def test_faults_are_named(params: dict[str, Any], fault: str) -> None:
    with pytest.raises(ValidationError, match=fault):
        PARAMS.validate_python(params)


def test_names_say_what_models_are() -> None:
    with pytest.raises(ValueError, match="the name mine must begin with what the model is: sasrec"):
        check_sequence_names({"mine": SEQUENCE_MODELS.spec("sasrec")})
    check_sequence_names({"sasrec-mine": SEQUENCE_MODELS.spec("sasrec")})
