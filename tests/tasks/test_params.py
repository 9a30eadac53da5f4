"""params.yaml: each fault gives one sentence that names the key."""

from __future__ import annotations

import pytest
from pydantic import BaseModel, ConfigDict, Field

from attrec.errors import ParamsError
from tasks.params import load_params


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
    assert message.endswith(".")


def test_missing_file(tmp_path):
    with pytest.raises(ParamsError, match="missing"):
        load_params(Demo, tmp_path / "params.yaml")
