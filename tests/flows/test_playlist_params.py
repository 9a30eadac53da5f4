"""What params.yaml may say of playlist models."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from flows.playlist_params import PlaylistSection

GOOD = {
    "ars-small": {"kind": "ars", "changes": {"pairs": 3, "training": {"epochs": 2}}},
    "kmeans": {"kind": "kmeans", "changes": {"n_clusters": [4, 8]}},
    "random": {"kind": "random"},
}


def section(models: dict, **options: object) -> PlaylistSection:
    return PlaylistSection.model_validate({"models": models, **options})


def test_changes_replace_fields_of_the_recipe_alone():
    models = section(GOOD).models
    config = models["ars-small"].config()
    assert (config.pairs, config.training.epochs, config.training.learning_rate) == (3, 2, 1e-2)
    assert models["kmeans"].config().n_clusters == (4, 8)


def test_what_is_logged_has_every_field():
    resolved = section(GOOD).models["ars-small"].resolved()
    assert (resolved["recipe"], resolved["pairs"], resolved["attention"]) == ("quick", 3, True)


def test_the_split_and_what_is_liked_are_a_matter_of_params():
    given = section(GOOD, split={"fold": 4, "seed": 11}, likes={"min_rating": 4.5})
    assert (given.split.fold, given.split.seed, given.likes.min_rating) == (4, 11, 4.5)


@pytest.mark.parametrize(
    ("models", "fault"),
    [
        ({"mine": {"kind": "ars"}}, "the name mine must begin with ars-"),
        ({"ars": {"kind": "ars"}}, "the name ars must begin with ars-"),
        ({"ars-": {"kind": "ars"}}, "must say more of the model behind ars-"),
        ({"popular": {"kind": "popularity"}}, "must begin with what the model is: popularity"),
        ({"ars-a": {"kind": "ars", "recipe": "huge"}}, "should be 'quick', 'small', 'full' or 'paper'"),
        ({"ars-a": {"kind": "ars", "changes": {"similarity": "cosine"}}}, "similarity"),
        ({"ars-a": {"kind": "ars", "changes": {"pears": 2}}}, "did you mean 'pairs'"),
        ({"kmeans": {"kind": "kmeans", "changes": {"n_clusters": []}}}, "n_clusters"),
        (
            {"dbscan": {"kind": "dbscan", "changes": {"n_clusters": [3]}}},
            "there is no parameter 'n_clusters'",
        ),
        (
            {"itemknn": {"kind": "itemknn", "changes": {"neighbors": [5]}}},
            "no parameter 'neighbors'; did you mean 'neighbours'",
        ),
        ({"popularity": {"kind": "popularity", "changes": {}}}, "Extra inputs"),
        ({"som": {"kind": "som"}}, "som"),
        ({}, "at least 1"),
    ],
)
def test_faults_are_named(models: dict, fault: str):
    with pytest.raises(ValidationError, match=fault):
        section(models)


@pytest.mark.parametrize(
    ("options", "fault"),
    [
        ({"split": {"fold": 5}}, "fold must be below n_folds"),
        ({"split": {"given_share": 1.0}}, "given_share"),
        ({"cleaning": {"final": "raw"}}, "final"),
        ({"likes": {"rating": 4}}, "Extra inputs"),
    ],
)
def test_faults_of_the_other_keys_are_named(options: dict, fault: str):
    with pytest.raises(ValidationError, match=fault):
        section(GOOD, **options)
