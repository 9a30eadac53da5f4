"""The table of the family: each row has a contract test, and `params.yaml` is told what is wrong with a row's spec."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError

from attrec.playlists.specs import PLAYLIST_MODELS, PlaylistSpec, check_playlist_names
from tests.attrec.playlists.contract import PlaylistContract

PARAMS: TypeAdapter[Any] = TypeAdapter(PlaylistSpec)


def test_each_row_has_a_contract_test() -> None:
    modules = [
        import_module(f"tests.attrec.playlists.{file.stem}")
        for file in Path(__file__).parent.glob("test_*.py")
    ]
    found = [value for module in modules for value in vars(module).values() if isinstance(value, type)]
    kept = {
        kind.kind for kind in found if issubclass(kind, PlaylistContract) and kind is not PlaylistContract
    }
    assert kept == set(PLAYLIST_MODELS.rows)


def test_changes_replace_fields_of_the_recipe_alone() -> None:
    spec = PARAMS.validate_python({"kind": "ars", "changes": {"pairs": 3, "training": {"epochs": 2}}})
    config = spec.config()
    assert (config.pairs, config.training.epochs, config.training.learning_rate) == (3, 2, 1e-2)
    assert (spec.resolved()["recipe"], spec.resolved()["attention"]) == ("quick", True)
    assert PARAMS.validate_python({"kind": "ars", "recipe": "paper"}).sentence != spec.sentence


@pytest.mark.parametrize(
    ("params", "fault"),
    [
        ({"kind": "ars", "recipe": "huge"}, "'quick', 'small', 'full' or 'paper'"),
        ({"kind": "ars", "changes": {"similarity": "cosine"}}, "similarity"),
        ({"kind": "ars", "changes": {"pears": 2}}, "did you mean 'pairs'"),
        ({"kind": "kmeans", "changes": {"n_clusters": []}}, "n_clusters"),
        ({"kind": "dbscan", "changes": {"n_clusters": [3]}}, "there is no parameter 'n_clusters'"),
        ({"kind": "mean-vector", "changes": {}}, "Extra inputs"),
        ({"kind": "som"}, "som"),
    ],
)
def test_faults_are_named(params: dict[str, Any], fault: str) -> None:
    with pytest.raises(ValidationError, match=fault):
        PARAMS.validate_python(params)


def test_names_say_what_models_are() -> None:
    ars = PLAYLIST_MODELS.spec("ars")
    for name, fault in (("mine", "begin with ars-"), ("ars", "begin with ars-"), ("ars-", "must say more")):
        with pytest.raises(ValueError, match=fault):
            check_playlist_names({name: ars})
    with pytest.raises(ValueError, match="must begin with what the model is: popularity"):
        check_playlist_names({"popular": PLAYLIST_MODELS.spec("popularity")})
    check_playlist_names({"ars-mine": ars, "popularity": PLAYLIST_MODELS.spec("popularity")})
