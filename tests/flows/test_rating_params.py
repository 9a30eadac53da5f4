"""What params.yaml may say of models."""

from __future__ import annotations

from typing import get_args

import pytest
import yaml
from pydantic import ValidationError

from attrec.errors import ParamsError
from attrec.ratings.pairs.recipes import EmbeddingName, embedded_xgboost_recipe, pair_recipe
from attrec.ratings.pairs.xgboost import EmbeddedXGBoostConfig
from attrec.ratings.specs import Matrix, PairNetworkSpec
from flows.prepare_params import PrepareParams
from flows.rating_params import RatingParams, RatingSection
from flows.sequence_params import SequenceParams
from tasks.engine.params import load_params

BIAS = {"kind": "user-item-bias"}
PAIR = {"kind": "pair-network", "embedding": "simple", "head": "inner"}
TIMED = {"kind": "bayesian-fm", "recipe": "small+time"}


@pytest.mark.parametrize(
    ("models", "said"),
    [
        ({"b": {"kind": "blend", "members": ["a", "c"]}, "a": BIAS}, "blends 'c', which is no single model"),
        ({"b": {"kind": "blend", "members": ["a", "b"]}, "a": BIAS}, "blends 'b', which is no single model"),
        ({"fm": TIMED}, "fm uses timestamps: its name must end in"),
        (
            {"a": BIAS, "fm+time": TIMED, "b": {"kind": "blend", "members": ["a", "fm+time"]}},
            "b uses timestamps",
        ),
        ({"a+time": BIAS}, "does not use timestamps"),
        ({"n": {"kind": "pair-network", "embedding": "simple", "head": "mlp3"}}, "mlp2"),
        (
            {"n": {"kind": "pair-network", "embedding": "simple", "head": "mlp2", "changes": {"size": 3}}},
            "size",
        ),
        (
            {
                "n": {
                    "kind": "pair-network",
                    "embedding": "simple",
                    "head": "mlp2",
                    "changes": {"head": "mlp1"},
                }
            },
            "head",
        ),
        ({"n": {"kind": "pair-network", "embedding": "rsattae", "head": "xgboost"}}, "a kind of its own"),
        (
            {
                "n": {
                    "kind": "pair-network",
                    "embedding": "simple",
                    "head": "xgboost",
                    "changes": {"network": {"embedding": "attentive"}},
                }
            },
            "embedding is set beside `changes`",
        ),
        (
            {
                "n": {
                    "kind": "pair-network",
                    "embedding": "simple",
                    "head": "xgboost",
                    "changes": {"dimension": 3},
                }
            },
            "dimension",
        ),
        (
            {
                "n": {
                    "kind": "pair-network",
                    "embedding": "simple",
                    "head": "xgboost",
                    "changes": {"folds": 1},
                }
            },
            "folds",
        ),
        ({"b": {"kind": "blend", "members": ["a", "a"]}, "a": BIAS}, "names a member twice"),
        ({"attentive+mlp2": BIAS}, "would be taken for attentive"),
        ({"attentive+mlp2-wide": PAIR}, "would be taken for attentive"),
        ({"SVD": {"kind": "surprise", "algorithm": "NMF"}}, "would be taken for SVD"),
        ({"rsattae+xgboost-wide": BIAS}, "would be taken for rsattae"),
        ({"glocal-k": BIAS}, "would be taken for glocal-k"),
        ({"bayesian-fm-small": BIAS}, "would be taken for bayesian-fm"),
        ({"SVD-imputed": BIAS}, "would be taken for SVD-imputed"),
        ({"mine": PAIR}, "must begin with the embedding and the head: simple"),
        ({"": BIAS}, "letters, digits"),
        ({"a/b": BIAS}, "letters, digits"),
        ({"a" * 101: BIAS}, "100 letters at most"),
        ({"a": {**BIAS, "name": "a" * 101}}, "100 letters at most"),
        ({}, "there is no model"),
        ({"s": {"kind": "surprise", "algorithm": "SVD", "options": {"factors": 3}}}, "factors"),
    ],
)
def test_impossible_models_are_refused(models: dict[str, object], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        RatingSection.model_validate({"models": models})


@pytest.mark.parametrize(
    ("section", "said"),
    [
        ({"models": {"a": BIAS}, "seeds": [0, 0]}, "a seed is there twice"),
        ({"models": {"a": BIAS}, "seeds": []}, "at least 1"),
        ({"models": {"a": BIAS}, "matrix": {"embeddings": ["simple"]}}, "embeddings without heads"),
        (
            {"models": {"a": BIAS}, "matrix": {"embeddings": [], "heads": ["inner"]}},
            "heads without embeddings",
        ),
    ],
)
def test_impossible_sections_are_refused(section: dict[str, object], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        RatingSection.model_validate(section)


def test_a_matrix_needs_no_named_models() -> None:
    section = RatingSection.model_validate({"matrix": {"embeddings": ["simple"], "heads": ["inner"]}})
    assert list(section.all_models()) == ["simple+inner"]


def test_changes_replace_only_what_they_name() -> None:
    spec = PairNetworkSpec(embedding="attentive", head="inner", changes={"training": {"epochs": 7}})
    plain = pair_recipe("attentive", "inner")
    assert spec.config() == plain.model_copy(
        update={"training": plain.training.model_copy(update={"epochs": 7})}
    )


def test_changes_reach_the_networks_and_the_trees() -> None:
    changes = {"network": {"training": {"epochs": 7}}, "boosting": {"max_depth": 3}}
    config = PairNetworkSpec(embedding="simple", head="xgboost", changes=changes).config()
    assert isinstance(config, EmbeddedXGBoostConfig)
    plain = pair_recipe("simple", "inner")
    training = plain.training.model_copy(update={"epochs": 7})
    assert config.network == plain.model_copy(update={"training": training})
    recipe = embedded_xgboost_recipe("simple")
    assert config.boosting == recipe.boosting.model_copy(update={"max_depth": 3})
    assert config.folds == recipe.folds


def test_every_embedding_goes_with_every_head() -> None:
    matrix = Matrix(embeddings=list(get_args(EmbeddingName)), heads=["inner", "mlp1", "mlp2", "xgboost"])
    models = matrix.models()
    assert len(models) == 16
    kinds = {name: spec.kind for name, spec in models.items() if name.endswith("xgboost")}
    assert kinds == {
        "simple+xgboost": "pair-network",
        "autoencoder+xgboost": "pair-network",
        "rsattae+xgboost": "rsattae+xgboost",
        "attentive+xgboost": "pair-network",
    }


def test_a_name_stands_for_one_model() -> None:
    matrix = {"embeddings": ["simple"], "heads": ["inner"]}
    with pytest.raises(ValidationError, match=r"both in rating\.matrix and in rating\.models"):
        RatingSection.model_validate({"matrix": matrix, "models": {"simple+inner": BIAS}})


def test_a_matrix_is_every_embedding_with_every_head() -> None:
    matrix = {"embeddings": ["simple", "attentive"], "heads": ["inner", "mlp2"]}
    section = RatingSection.model_validate({"matrix": matrix, "models": {"a": BIAS}})
    assert list(section.all_models()) == [
        "simple+inner", "simple+mlp2", "attentive+inner", "attentive+mlp2", "a",
    ]  # fmt: skip
    blended = {"b": {"kind": "blend", "members": ["a", "simple+mlp2"]}, "a": BIAS}
    assert RatingSection.model_validate({"matrix": matrix, "models": blended}).all_models()["b"]


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ("seed: true", "params.yaml: seed: input should be a number (it is true)"),
        ("seed: 2147483648", "params.yaml: seed: input should be less than or equal to 1000000000"),
        ("runner: {workers: yes}", "params.yaml: runner.workers: input should be a number (it is true)"),
        ("prepare: {simulated: {seed: true}}", "simulated.seed: input should be a number (it is true)"),
        (
            f"rating: {{seeds: {list(range(1001))}, models: {{m: {{kind: global-mean}}}}}}",
            "at most 1000 items",
        ),
        (
            "rating: {models: {m: {kind: bayesian-mf, changes: {rank: true}}}}",
            "rating.models.m: changes: rank: input should be a number (it is true)",
        ),
        (
            "rating: {models: {m: {kind: glocal-k, changes: {network: {weight_penalty: .inf}}}}}",
            "weight_penalty: input should be a finite number",
        ),
        (
            "sequence: {actions: {min_rating: .nan}, models: {popularity: {kind: popularity}}}",
            "finite number (it is nan)",
        ),
        (
            f"rating: {{models: {{{'x' * 300}: {{kind: global-mean}}}}}}",
            f"params.yaml: rating.models.{'x' * 57}...: a model's name has 100 letters at most (it is 'xxx",
        ),
        ("seed: 1000.0", "params.yaml: seed: input should be a whole number (it is 1000.0)"),
        ("runner: {workers: '2'}", "params.yaml: runner.workers: input should be a number (it is '2')"),
        (
            "rating: {seeds: [0, '1'], models: {m: {kind: global-mean}}}",
            "rating.seeds.1: input should be a number (it is '1')",
        ),
        ("prepare: {split: {test_fraction: '0.2'}}", "test_fraction: input should be a number (it is '0.2')"),
        (
            "rating: {models: {m: {kind: bayesian-mf, changes: {rank: 8.0}}}}",
            "rating.models.m: changes: rank: input should be a whole number (it is 8.0)",
        ),
        (
            "sequence: {exclude_seen: 'yes', models: {popularity: {kind: popularity}}}",
            "sequence.exclude_seen: input should be true or false (it is 'yes')",
        ),
        (
            "sequence: {exclude_seen: 1, models: {popularity: {kind: popularity}}}",
            "sequence.exclude_seen: input should be true or false (it is 1)",
        ),
        (
            "prepare: {validation: {timestamp_min: 5, timestamp_max: 4}}",
            "timestamp_min must not be above timestamp_max",
        ),
        (
            "dataset: {name: shop, path: r.csv, items_path: i.csv, items_item_column: file}",
            "dataset: the item_id cannot stand in a column that is called 'file'",
        ),
        (
            "dataset: {name: shop, path: r.csv, rating_column: line}",
            "dataset: the rating cannot stand in a column that is called 'line'",
        ),
    ],
)
def test_numbers_that_are_none_and_names_that_are_taken(tmp_path, said, words):
    file = tmp_path / "params.yaml"
    fields = {"dataset": "simulated", "rating": {"models": {"b": BIAS}}, **yaml.safe_load(said)}
    file.write_text(yaml.safe_dump(fields))
    with pytest.raises(ParamsError) as refused:
        load_params(RatingParams, file)
        load_params(PrepareParams, file)
        load_params(SequenceParams, file)
    assert words in str(refused.value)
