"""What params.yaml may say of sequence models."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from attrec.prepare.sequence_splits import SequenceConfig
from flows.sequence_params import SequenceSection

GOOD = {"sasrec-small": {"kind": "sasrec", "changes": {"network": {"dimension": 8}}}}


def section(models: dict, **options: object) -> SequenceSection:
    return SequenceSection.model_validate({"models": models, **options})


def test_changes_replace_fields_of_the_recipe_alone():
    config = section(GOOD).models["sasrec-small"].config()
    assert (config.network.dimension, config.network.length) == (8, 50)


def test_liked_films_are_a_preset_away():
    assert section(GOOD, actions="liked").actions == SequenceConfig(min_rating=4.0)
    with pytest.raises(ValidationError, match="no preset loved, only all, liked"):
        section(GOOD, actions="loved")


@pytest.mark.parametrize(
    ("models", "fault"),
    [
        ({"mine": {"kind": "sasrec"}}, "the name mine must begin with what the model is: sasrec"),
        ({"sasrec": {"kind": "sasrec", "changes": {"loss": {"kind": "hinge"}}}}, "loss.kind"),
        ({"sasrec": {"kind": "sasrec", "changes": {"network": {"heads": 5}}}}, "must divide dimension"),
        (
            {"bert4rec": {"kind": "bert4rec", "changes": {"loss": {"kind": "bce"}}}},
            "there is no parameter 'loss'",
        ),
        ({"popularity": {"kind": "popularity", "recipe": "quick"}}, "Extra inputs"),
        ({"sasrec": {"kind": "sasrec", "recipe": "huge"}}, "should be 'quick', 'small'"),
        ({"item-knn": {"kind": "item-knn", "changes": {"decay": [2.0]}}}, "decay"),
        ({"gru": {"kind": "gru4rec"}}, "gru4rec"),
        ({}, "at least 1"),
    ],
)
def test_faults_are_named(models: dict, fault: str):
    with pytest.raises(ValidationError, match=fault):
        section(models)
