"""What params.yaml may say of rating models, and that each keeps the contract."""

from __future__ import annotations

import re
from importlib import import_module
from pathlib import Path
from typing import get_args

import numpy as np
import pytest
from pydantic import TypeAdapter, ValidationError

from attrec.errors import DataError
from attrec.models.specs import Spec
from attrec.ratings.pairs.recipes import EmbeddingName, HeadName
from attrec.ratings.specs import RATING_MODELS, Matrix, RatingSpec, check_models, check_ratings, has_classes
from attrec.ratings.surprise.baselines import Algorithm
from tests.attrec.ratings.contract import RatingContract

HERE = Path(__file__).parent
PAIRS = [
    {"kind": "pair-network", "embedding": embedding, "head": head}
    for embedding in get_args(EmbeddingName)
    for head in get_args(HeadName)
    if (embedding, head) != ("rsattae", "xgboost")
]
SURPRISE = [{"kind": "surprise", "algorithm": algorithm} for algorithm in get_args(Algorithm)]
RECIPES = [{"kind": row.kind, "recipe": recipe} for row in RATING_MODELS for recipe in row.recipes]
PLAIN = [{"kind": row.kind} for row in RATING_MODELS if row.kind not in ("pair-network", "surprise", "blend")]
BLEND = {"kind": "blend", "members": ["a", "b"]}
EVERY = [*PAIRS, *SURPRISE, *RECIPES, *PLAIN, BLEND]


def spec(said: object) -> Spec:
    return TypeAdapter(RatingSpec).validate_python(said)


def contracts(kind: type[RatingContract] = RatingContract) -> list[type[RatingContract]]:
    return [one for own in kind.__subclasses__() for one in (own, *contracts(own))]


def test_every_model_has_a_contract() -> None:
    for file in HERE.rglob("test_*.py"):
        import_module(".".join(file.relative_to(HERE.parents[2]).with_suffix("").parts))
    tested = {contract.model for contract in contracts()}
    assert {spec(said).model for said in EVERY} <= tested
    assert {row.model for row in RATING_MODELS} <= tested


@pytest.mark.parametrize("said", EVERY, ids=str)
def test_every_spec_makes_a_model_and_says_what_it_is(said: dict[str, object]) -> None:
    made = spec(said)
    model = made.model(made.config(), seed=1)
    assert type(model.config) is made.model.config_class
    assert made.sentence.endswith(".")
    assert made.resolved().keys() >= {*said, *type(made.config()).model_fields} - {"changes"}
    assert isinstance(made.config().uses_time, bool)


def test_the_first_recipe_serves_where_none_is_named() -> None:
    assert (
        spec({"kind": "rsattae+xgboost"}).config()
        == spec({"kind": "rsattae+xgboost", "recipe": "quick"}).config()
    )
    assert spec({"kind": "bayesian-fm"}).config() == spec({"kind": "bayesian-fm", "recipe": "small"}).config()


def test_recipes_that_see_moments_say_so() -> None:
    timed = {said["recipe"] for said in RECIPES if spec(said).config().uses_time}
    assert timed == {"stacked+time", "small+time"}
    assert spec({"kind": "bayesian-fm", "changes": {"time": True}}).config().uses_time


@pytest.mark.parametrize(
    ("said", "fault"),
    [
        ({"kind": "glocal-l"}, "does not match any of the expected tags"),
        ({"kind": "global-mean", "changes": {}}, "Extra inputs"),
        ({"kind": "glocal-k", "changes": {"rounds": 3}}, "no parameter 'rounds'"),
        ({"kind": "user-item-bias", "changes": {"user_regularizations": []}}, "at least 1 item"),
        (
            {"kind": "surprise", "algorithm": "SVD", "options": {"factors": 3}},
            "SVD has no option 'factors'; its",
        ),
        ({"kind": "rsattae+xgboost", "recipe": "fast"}, "'quick', 'full'"),
    ],
)
def test_what_no_model_has_is_refused(said: dict[str, object], fault: str) -> None:
    with pytest.raises(ValidationError, match=fault):
        spec(said)


def test_class_probabilities_are_of_mlp2_and_ordered_probit() -> None:
    given = [said for said in [*PAIRS, *PLAIN, BLEND] if has_classes(spec(said))]
    assert {said.get("head", said["kind"]) for said in given} == {"mlp2", "bayesian-fm", "bayesian-mf"}
    assert not has_classes(spec({"kind": "bayesian-mf", "changes": {"ordered": False}}))


def test_a_scale_that_a_model_cannot_learn_is_told_with_its_key() -> None:
    jokes = np.arange(-10, 10, 0.01)
    machine = spec({"kind": "bayesian-fm", "recipe": "large"})
    stacked = spec({"kind": "rsattae+xgboost", "recipe": "stacked"})
    for name, model in {"bayesian-fm": machine, "stacked+xgboost": stacked}.items():
        told = {"user-item-bias": spec({"kind": "user-item-bias"}), name: model}
        check_ratings(told, np.arange(0.5, 5.5, 0.5))
        with pytest.raises(
            DataError, match=f"^rating.models.{re.escape(name)}: ordered probit needs 2 to 20 .* 2,000; set"
        ):
            check_ratings(told, jokes)
    check_ratings({"bayesian-fm": spec({"kind": "bayesian-fm", "changes": {"ordered": False}})}, jokes)


def test_names_are_checked_for_any_mapping_of_specs() -> None:
    models = Matrix(embeddings=["simple", "rsattae"], heads=["inner", "xgboost"]).models()
    check_models({**models, "b": spec({"kind": "blend", "members": list(models)})})
    with pytest.raises(ValueError, match="would be taken for simple"):
        check_models({"simple+inner-wide": spec({"kind": "residual-neighbours"})})
    with pytest.raises(ValueError, match="no single model"):
        check_models({"a": spec(BLEND), "b": spec(BLEND)})
