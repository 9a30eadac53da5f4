"""params.yaml: each fault gives one sentence that names the key."""

from __future__ import annotations

import os
from typing import Annotated, Literal

import pytest
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from attrec.errors import ParamsError
from attrec.parameters import explain
from tasks.engine import environment
from tasks.engine.params import exchange_own_data, load_params


class Head(BaseModel):
    model_config = ConfigDict(extra="forbid")
    max_depth: int = Field(3, ge=1)


class Demo(BaseModel):
    model_config = ConfigDict(extra="forbid")
    seed: int = 0
    rating: dict[str, Head] = {}


def load(tmp_path, text):
    file = tmp_path / "params.yaml"
    file.write_text(text)
    return load_params(Demo, file)


def test_reads_declared_sections_and_leaves_the_others(tmp_path):
    params = load(tmp_path, "seed: 3\nprepare: {anything: 1}\nrating: {a: {max_depth: 5}}\n")
    assert params.seed == 3
    assert params.rating["a"].max_depth == 5


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("sead: 3\n", ["'sead'", "did you mean 'seed'"]),
        ("rating: {a: {max_dept: 5}}\n", ["rating.a.max_dept", "did you mean 'max_depth'"]),
        ("seed: many\n", ["seed", "integer", "'many'"]),
        ("rating: {a: {max_depth: 0}}\n", ["rating.a.max_depth", "greater than or equal to 1"]),
        ("seed: [1\n", ["not valid YAML"]),
        ("seed: 1\nseed: 2\n", ["not valid YAML", "duplicate key", "seed"]),
        ("seed: 2020-13-45\n", ["not valid YAML"]),
        ("seed: !!int abc\n", ["not valid YAML"]),
        ("rating: &a {x: *a}\n", ["params.yaml"]),
        (f"seed: {'[' * 3000}{']' * 3000}\n", ["params.yaml"]),
        ("- seed\n", ["key: value"]),
        ("", ["key: value"]),
    ],
)
def test_fault_is_one_sentence(tmp_path, text, words):
    with pytest.raises(ParamsError) as caught:
        load(tmp_path, text)
    message = str(caught.value)
    assert all(word in message for word in words), message
    assert "\n" not in message
    assert message.endswith((".", "?"))
    assert not message.endswith("?.")


class Training(BaseModel):
    model_config = ConfigDict(extra="forbid")
    epochs: int = 3


class Trees(BaseModel):
    model_config = ConfigDict(extra="forbid")
    kind: Literal["trees"]
    depth: int = 3
    sizes: tuple[int, ...] = ()


class Network(BaseModel):
    model_config = ConfigDict(extra="forbid")
    kind: Literal["network", "deep-network"]
    training: Training = Training()


class Models(BaseModel):
    model_config = ConfigDict(extra="forbid")
    models: dict[str, Annotated[Trees | Network, Field(discriminator="kind")]] = {}
    size: Training = Training()


@pytest.mark.parametrize(
    ("spec", "suggested"),
    [
        ({"kind": "trees", "dept": 3}, "did you mean 'depth'?"),
        ({"kind": "network", "epochs": 3}, "did you mean size: {epochs: …}?"),
        ({"kind": "trees", "size.epochs": 3}, "write size: {epochs: …}"),
        ({"kind": "deep-network", "wings": 3}, "known are kind, training"),
        ({"kind": "treees"}, "there is no kind 'treees'; did you mean 'trees'?"),
        ({"depth": 3}, "models.one: say what it is, as in {kind: …}"),
        (None, "models.one: input should be a mapping, as in {name: value} (it is None)"),
        ({"kind": "network", "training": {"epoch": 3}}, "did you mean 'epochs'?"),
    ],
)
def test_a_field_is_suggested_that_is_there(spec, suggested):
    with pytest.raises(ValidationError) as caught:
        Models.model_validate({"models": {"one": spec}})
    assert suggested in explain(caught.value, Models)


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"models": {"trees": {"kind": "trees", "depth": "deep"}}}, "models.trees.depth: input should be a"),
        ({"models": {"trees": {"kind": "trees", "dept": 3}}}, "no parameter 'models.trees.dept';"),
        (
            {"models": {"one": {"kind": "network", "training": {"epochs": "x"}}}},
            "models.one.training.epochs: ",
        ),
        (
            {"models": {"one": {"kind": "trees", "sizes": 3}}},
            "models.one.sizes: input should be a list (it is 3)",
        ),
    ],
)
def test_the_kind_is_no_step_of_the_place(values, said):
    with pytest.raises(ValidationError) as caught:
        Models.model_validate(values)
    assert said in explain(caught.value, Models)


def test_what_is_no_file(tmp_path):
    file = tmp_path / "params.yaml"
    file.mkdir()
    with pytest.raises(ParamsError, match="is no file: put the parameters in its place"):
        load_params(Demo, file)
    file.rmdir()
    os.mkfifo(file)
    with pytest.raises(ParamsError, match="is no file"):
        load_params(Demo, file)
    file.unlink()
    file.symlink_to(file)
    with pytest.raises(ParamsError, match=r"params\.yaml"):
        load_params(Demo, file)


def test_missing_file(tmp_path):
    with pytest.raises(ParamsError, match="missing"):
        load_params(Demo, tmp_path / "params.yaml")


class WithData(BaseModel):
    model_config = ConfigDict(extra="forbid")
    dataset: str
    prepare: dict[str, dict[str, int | str] | None] = {}


OWN = """\
# what is rebuilt
dataset:   # ours
  name: shop
  path: shop.csv   # of March
seed: 0
prepare:
  csv: null
"""


def test_ones_own_data_are_known_by_their_name(tmp_path):
    file = tmp_path / "params.yaml"
    file.write_text(OWN)
    params = load_params(WithData, file)
    assert params.dataset == "shop"
    assert params.prepare["csv"] == {"name": "shop", "path": "shop.csv"}
    file.write_text("dataset: {path: shop.csv}\n")
    with pytest.raises(ParamsError, match="give your data a name"):
        load_params(WithData, file)
    file.write_text("dataset: {name: shop, path: [1]}\n")
    with pytest.raises(ParamsError, match=r"params.yaml: dataset\.path"):
        load_params(WithData, file)


def test_another_dataset_takes_the_place_of_ones_own_and_gives_it_back(tmp_path, monkeypatch):
    monkeypatch.setattr(environment, "ROOT", tmp_path)
    file = tmp_path / "params.yaml"
    file.write_text(OWN)
    assert exchange_own_data("ml-100k")
    text = file.read_text()
    assert "dataset: ml-100k" in text
    assert all(word in text for word in ("# what is rebuilt", "# of March", "seed: 0"))
    assert load_params(WithData).prepare["csv"] == {"name": "shop", "path": "shop.csv"}
    assert not exchange_own_data("shop"), "a name is put in place of a name"
    file.write_text(OWN.replace("csv: null", "csv: {name: books, path: books.csv}"))
    with pytest.raises(ParamsError, match="no third"):
        exchange_own_data("ml-100k")
    assert exchange_own_data("books")
    exchanged = load_params(WithData)
    assert (exchanged.dataset, exchanged.prepare["csv"]["name"]) == ("books", "books")
    assert exchange_own_data("shop")
    assert load_params(WithData).dataset == "shop"
