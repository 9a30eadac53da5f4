"""What the specs of all families have in common: what tables call a model, and fields that replace its recipe's."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from attrec.models.specs import Table, by_name
from attrec.parameters import changed
from attrec.playlists.specs import PLAYLIST_MODELS
from attrec.ratings.pairs.recipes import pair_recipe
from attrec.ratings.specs import RATING_MODELS
from attrec.sequences.specs import SEQUENCE_MODELS
from flows.playlist_params import PlaylistSection
from flows.rating_params import RatingSection
from flows.sequence_params import SequenceSection

SECTIONS = {
    RatingSection: {"kind": "rsattae+xgboost"},
    SequenceSection: {"kind": "sasrec"},
    PlaylistSection: {"kind": "itemknn+mean-vector"},
}


@pytest.mark.parametrize("section", SECTIONS)
def test_tables_call_a_model_by_its_name_or_else_by_its_key(section: type) -> None:
    own = SECTIONS[section]
    name = f"{own['kind']}-b"
    made = section.model_validate({"models": {own["kind"]: own, "b": {**own, "name": name}}})
    assert list(made.all_models()) == [own["kind"], name]
    # What the command line hands over to the flow is the same again.
    assert section.model_validate_json(made.model_dump_json()) == made
    with pytest.raises(ValidationError, match=f"a and b are both called {name.replace('+', '.')}"):
        section.model_validate({"models": {"a": {**own, "name": name}, "b": {**own, "name": name}}})
    with pytest.raises(ValidationError, match="letters, digits"):
        section.model_validate({"models": {own["kind"]: {**own, "name": "../a"}}})


def test_members_of_a_blend_and_pairs_of_the_matrix_go_by_what_tables_call_them() -> None:
    bias = {"kind": "user-item-bias"}
    models = {"a": bias, "b": {**bias, "name": "a+b"}, "c": {"kind": "blend", "members": ["a", "a+b"]}}
    assert list(RatingSection.model_validate({"models": models}).all_models()) == ["a", "a+b", "c"]
    with pytest.raises(ValidationError, match="blends 'b', which is no single model"):
        RatingSection.model_validate({"models": {**models, "c": {"kind": "blend", "members": ["a", "b"]}}})
    pair = {"name": "simple+inner", "kind": "pair-network", "embedding": "simple", "head": "inner"}
    with pytest.raises(ValidationError, match=r"simple\+inner is both in rating.matrix and in rating.models"):
        RatingSection.model_validate(
            {"matrix": {"embeddings": ["simple"], "heads": ["inner"]}, "models": {"mine": pair}}
        )


@pytest.mark.parametrize("table", [RATING_MODELS, SEQUENCE_MODELS, PLAYLIST_MODELS])
def test_what_a_model_is_called_is_no_part_of_what_it_is(table: Table) -> None:
    kind = next(row.kind for row in table if row.recipes)
    named, plain = table.spec(kind, name="b"), table.spec(kind)
    assert named.config() == plain.config()
    assert named.resolved() == plain.resolved()
    assert by_name({"a": named}) == {"b": named}
    assert "name" not in plain.model_dump()


def test_a_null_keeps_what_the_recipe_says_but_in_a_field_that_may_be_null() -> None:
    recipe = pair_recipe("attentive", "inner").model_copy(update={"context": 7})
    changes = {"dimension": None, "training": {"epochs": None, "patience": 3}, "context": None}
    made = changed(recipe, changes)
    assert (made.dimension, made.training.epochs, made.training.patience) == (
        recipe.dimension,
        recipe.training.epochs,
        3,
    )
    assert made.context is None
    with pytest.raises(ValueError, match="did you mean 'dimension'"):
        changed(recipe, {"dimensoin": None})
    # A name that is no text, as YAML has them.
    with pytest.raises(ValueError, match=r"training\.None"):
        changed(recipe, {"training": {None: 3}})


@pytest.mark.parametrize(
    ("table", "kind", "changes"),
    [
        (SEQUENCE_MODELS, "sasrec", {"network": {"dimension": 10**6}}),
        (SEQUENCE_MODELS, "sasrec", {"network": {"length": 10**6}}),
        (SEQUENCE_MODELS, "bert4rec", {"batch": 10**12}),
        (SEQUENCE_MODELS, "bert4rec", {"training": {"epochs": 10**9}}),
        (RATING_MODELS, "bayesian-fm", {"rank": 10**9}),
        (RATING_MODELS, "rsattae+xgboost", {"head": {"max_depth": 10**6}}),
        (RATING_MODELS, "rsattae+xgboost", {"folds": 10**6}),
        (PLAYLIST_MODELS, "ars", {"hidden": 10**6}),
    ],
)
def test_a_size_that_nothing_could_hold_is_refused_before_a_fit(
    table: Table, kind: str, changes: dict[str, object]
) -> None:
    with pytest.raises(ValidationError, match="less than or equal to"):
        table.spec(kind, changes=changes)
