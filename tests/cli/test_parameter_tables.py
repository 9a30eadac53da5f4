"""Tables of parameters say what the classes say: type, bounds, default, meaning, and what a recipe changes."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Annotated, Any, Literal, Self

import pytest
from pydantic import BaseModel, Field, create_model, model_validator

from cli.parameter_tables import (
    HEAD,
    described,
    differences,
    models,
    parts_of,
    recipes,
    sections,
    shown,
    table,
)


class Inner(BaseModel):
    """Inside."""

    rate: float = Field(default=0.5, gt=0, lt=1)
    """A share | of all, or None."""
    steps: int = Field(10, ge=1, description="how many")


class Base(BaseModel):
    width: int = 8
    """Of a layer,
    and of ``all``."""


class Config(Base):
    """What is told to a model."""

    kind: Literal["a", "b"] = "a"
    names: tuple[str, ...] = Field(default=("x", "y"), min_length=1)
    ranks: tuple[Annotated[int, Field(ge=1)], ...] = (1, 2)
    shares: tuple[float, float] = (0.2, 0.8)
    file: Path | None = None
    inner: Inner = Inner(steps=20)
    maybe: Inner | None = None
    needed: bool


def rows(text: str) -> list[str]:
    return [line for line in text.splitlines() if line.startswith("| `")]


def test_a_section_has_its_fields_and_those_inside_it():
    text = sections(Config, "top")
    assert text.startswith(HEAD)
    assert rows(text)[:9] == [
        "| `width` | whole number | `8` | Of a layer, and of `all`. |",
        "| `kind` | `a`, `b` | `a` |  |",
        "| `names` | list of text, 1 at least | `[x, y]` |  |",
        "| `ranks` | list of whole number ≥ 1 | `[1, 2]` |  |",
        "| `shares` | 2 × number | `[0.2, 0.8]` |  |",
        "| `file` | path or `null` | `null` |  |",
        "| `inner` | [`top.inner`](#topinner) | `steps: 20` |  |",
        "| `maybe` | [`top.maybe`](#topmaybe) or `null` | `null` |  |",
        "| `needed` | `true` or `false` | required |  |",
    ]
    assert "\n### `top.inner`\n\nInside.\n\n| key |" in text
    assert "| `rate` | number > 0, < 1 | `0.5` | A share \\| of all, or `null`. |" in text
    assert "| `steps` | whole number ≥ 1 | `10` | how many |" in text


def test_what_a_field_means_is_found_in_the_class_that_has_it():
    class Narrower(Base):
        width: int = 4

    assert described(Narrower, "width") == "Of a layer,\nand of ``all``."
    made: Any = create_model("Made", __base__=Base)
    assert described(made, "width") == "Of a layer,\nand of ``all``."


def test_differences_are_those_that_yaml_would_name():
    config = Config(needed=True, inner=Inner(rate=0.25, steps=20), maybe=Inner())
    usual = Config(needed=True)
    assert differences(config, usual) == {"inner.rate": "0.25", "maybe": "{}"}
    assert shown([Inner(steps=3), Inner()]) == "[{steps: 3}, {}]"
    assert shown(Config(needed=True))[:10] == "{width: 8,"


@pytest.mark.parametrize(
    ("value", "text"),
    [(None, "null"), (True, "true"), (1e-4, "0.0001"), (3.0, "3"), ((1, "a"), "[1, a]"), ({"a": None}, "{a: null}")],
)  # fmt: skip
def test_values_are_written_as_yaml_has_them(value, text):
    assert shown(value) == text


def test_each_model_with_its_recipes_and_each_part_once():
    class Training(BaseModel):
        """How it is trained."""

        epochs: int = 3

    class One(BaseModel):
        size: int = 1
        training: Training = Training()

    class Two(BaseModel):
        training: Training = Training(epochs=9)

    class Spec(BaseModel):
        kind: str = "one"
        recipe: str = "small"
        changes: dict[str, Any] = {}

    class Own(BaseModel):
        kind: str = "own"
        members: list[str] = Field(description="names of others")

    def row(kind: str, config: type[BaseModel], **recipes: BaseModel) -> Any:
        model = SimpleNamespace(config_class=config)
        return SimpleNamespace(kind=kind, model=model, sentence=f"It is {kind}.", recipes=recipes, told={})

    rows_of = [
        row("one", One, small=One(), large=One(size=5, training=Training(epochs=7))),
        row("two", Two),
        row("own", BaseModel),
        row("none", BaseModel),
    ]
    kinds = {"one": Spec, "two": Spec, "own": Own, "none": create_model("Bare", kind=(str, "none"))}
    text = models(rows_of, kinds)
    assert [line for line in text.splitlines() if line.startswith("#")] == [
        "### `one`", "### `two`", "### `own`", "### `none`", "### Training",
    ]  # fmt: skip
    assert "| `small` (where none is named) | the defaults |" in text
    assert "| `large` | `size: 5`, `training.epochs: 7` |" in text
    assert "| `training` | [Training](#training) | `epochs: 9` |  |" in text
    assert "| `members` | list of text | required | names of others |" in text
    assert text.count("| `epochs` | whole number | `3` |  |") == 1
    assert "### `none`\n\nIt is none.\n\nNothing to set." in text


def test_a_recipe_has_the_sentence_that_is_told_of_it():
    text = recipes({"one": Inner(steps=3), "two": Inner()}, {"one": "Quick."})
    assert text.splitlines() == [
        "| recipe | what | sets |",
        "|---|---|---|",
        "| `one` (where none is named) | Quick. | `steps: 3` |",
        "| `two` |  | the defaults |",
    ]


def test_a_spec_that_chooses_by_fields_of_its_own_has_what_each_choice_begins_with():
    class Trees(BaseModel):
        depth: int = 2

    class Spec(BaseModel):
        kind: Literal["pair"] = "pair"
        side: Literal["a", "b"]
        head: Literal["net", "trees"]
        changes: dict[str, Any] = {}

        @model_validator(mode="after")
        def _allowed(self) -> Self:
            if (self.side, self.head) == ("b", "trees"):
                raise ValueError("no such pair")
            return self

        def config(self) -> BaseModel:
            return Trees(depth=5) if self.head == "trees" else Inner(steps=1 if self.side == "a" else 10)

    model = SimpleNamespace(config_class=Inner)
    row: Any = SimpleNamespace(kind="pair", model=model, sentence="Pairs.", recipes={}, told={})
    text = models([row], {"pair": Spec})
    assert text.index("`changes` (`Inner`):") < text.index("`changes` (`Trees`):")
    assert text.splitlines()[-5:] == [
        "| side, head | sets |",
        "|---|---|",
        "| `a`, `net` | `steps: 1` |",
        "| `a`, `trees` | `depth: 5` |",
        "| `b`, `net` | the defaults |",
    ]


def test_a_list_of_configurations_leads_to_their_class():
    class Listing(BaseModel):
        parts: tuple[Inner, ...] = (Inner(steps=2),)

    [line] = rows(table(Listing, lambda name, inside: name))
    assert line == "| `parts` | list of [Inner](#inner) | `[{steps: 2}]` |  |"
    assert list(parts_of(Listing)) == [Inner]
