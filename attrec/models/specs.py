"""The one place where a model is entered: a row of its family's table says its kind, class, recipes and what it is.

What `params.yaml` may say of a model follows from its row: a recipe, where there are several, and `changes`, the fields
of its configuration that depart from it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, ClassVar, Literal, Self, TypeVar, Union

from pydantic import BaseModel, ConfigDict, Field, ValidationError, create_model, model_validator

from attrec.models.base import Config, Model
from attrec.models.tunable import Space, as_changes, merged, tunable
from attrec.parameters import ModelName, changed, explain


class Spec(BaseModel):
    """What `params.yaml` says of a model."""

    model_config = ConfigDict(extra="forbid")

    row: ClassVar[Row]
    """The row of the table that it is made of."""

    kind: str
    name: ModelName | None = Field(
        None,
        description="what tables and folders call the model; left out: its key",
        exclude_if=lambda name: name is None,
    )
    tried: int = Field(
        1,
        ge=1,
        description="configurations that were fitted to find this one, itself among them; `attrec tune` counts them",
        exclude_if=lambda tried: tried == 1,
    )

    @model_validator(mode="after")
    def _changes_fit(self) -> Self:
        self.config()
        return self

    @property
    def model(self) -> type[Model]:
        """Class of the model."""
        return self.row.model

    @property
    def named_after(self) -> str:
        """What readers know the model by: a name that begins so is taken for it."""
        return self.row.known_as or self.kind

    @property
    def sentence(self) -> str:
        """What the model is, for a report."""
        return self.row.told.get(getattr(self, "recipe", ""), self.row.sentence)

    @property
    def blended(self) -> list[str]:
        """Names of the models that it is made of, which stand beside it; none of a model that stands alone."""
        return []

    def config(self) -> Any:
        """The recipe, or the defaults, with the changes.

        Raises:
            ValueError: a change names no field, or does not fit.
        """
        recipe = self.row.recipes.get(getattr(self, "recipe", ""))
        return changed(recipe or self.row.model.config_class(), getattr(self, "changes", {}))

    @property
    def space(self) -> Space:
        """What `attrec tune` searches around it, by the path of a field."""
        return tunable(self.config())

    def with_values(self, values: Mapping[str, Any]) -> Self:
        """The same with other values of some fields, by their paths.

        Raises:
            ValueError: a path leads to no field, or its value does not fit.
        """
        if not values:
            return self
        more = merged(getattr(self, "changes", {}), as_changes(self.config(), values))
        return self.validated(changes=more)

    def validated(self, **fields: Any) -> Self:
        """The same with other fields.

        Raises:
            ValueError: one does not fit.
        """
        try:
            return self.model_validate({**self.model_dump(), **fields})
        except ValidationError as error:
            raise ValueError(explain(error, type(self)).removeprefix(": ").rstrip(".")) from error

    def resolved(self) -> dict[str, Any]:
        """Everything that was set or defaulted of what the model is, for the log."""
        said = self.model_dump(mode="json", exclude={"name", "changes", "tried"})
        return {**said, **self.config().model_dump(mode="json")}


S = TypeVar("S", bound=Spec)


def by_name(models: Mapping[str, S]) -> dict[str, S]:
    """The models of a section of `params.yaml` by what tables call them.

    Raises:
        ValueError: two are called the same.
    """
    keys: dict[str, str] = {}
    for key, spec in models.items():
        name = spec.name or key
        if name in keys:
            raise ValueError(f"{keys[name]} and {key} are both called {name}: give one another name")
        keys[name] = key
    return {name: models[key] for name, key in keys.items()}


@dataclass(frozen=True)
class Row:
    """A model in the table of its family."""

    kind: str
    """What `params.yaml` calls it."""
    model: type[Model]
    sentence: str
    """What it is, in the words of a report."""
    recipes: Mapping[str, Config] = field(default_factory=dict)
    """Named configurations; the first one serves where none is named."""
    told: Mapping[str, str] = field(default_factory=dict)
    """By recipe, a sentence of its own."""
    known_as: str = ""
    """What readers know it by, if that is not its kind."""
    spec: type[Spec] | None = None
    """What `params.yaml` says of it, where that is more than a recipe and changes; its `kind` has a literal type."""
    variants: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """Of such a model, what readers call its variants, and the fields of each."""

    def spec_class(self) -> type[Spec]:
        """What `params.yaml` may say of the model."""
        if self.spec is not None:
            self.spec.row = self
            return self.spec
        fields: dict[str, Any] = {"kind": (Literal[self.kind], self.kind)}
        if self.recipes:
            first = next(iter(self.recipes))
            fields["recipe"] = (Literal[tuple(self.recipes)], first)
        config = self.model.config_class
        if config.model_fields:
            about = (
                f"fields of {config.__name__} that replace the {'recipe' if self.recipes else 'default'}'s"
            )
            fields["changes"] = (dict[str, Any], Field({}, description=about))
        made: type[Spec] = create_model(
            f"{self.model.__name__}Spec", __base__=Spec, __doc__=self.sentence, **fields
        )
        made.row = self
        return made


class Table:
    """The models of a family, by kind."""

    def __init__(self, *rows: Row) -> None:
        self.rows = {row.kind: row for row in rows}
        self.spec_classes = {row.kind: row.spec_class() for row in rows}

    def __iter__(self) -> Iterator[Row]:
        return iter(self.rows.values())

    def spec(self, kind: str, **fields: Any) -> Any:
        """What `params.yaml` would say so: the kind, and fields of its spec."""
        return self.spec_classes[kind].model_validate({"kind": kind, **fields})

    def named(self) -> dict[str, Any]:
        """Specs by what one may call them without saying more: a kind, a kind and its recipe, a variant."""
        specs: dict[str, Any] = {}
        for row in self:
            if row.variants:
                specs |= {name: self.spec(row.kind, **fields) for name, fields in row.variants.items()}
            elif row.spec is None:
                specs |= {row.kind: self.spec(row.kind)}
                specs |= {
                    f"{row.kind}-{recipe}": self.spec(row.kind, recipe=recipe) for recipe in row.recipes
                }
        return specs

    def union(self) -> Any:
        """The type of any spec of this table, told apart by `kind`."""
        return Annotated[Union[tuple(self.spec_classes.values())], Field(discriminator="kind")]  # noqa: UP007
