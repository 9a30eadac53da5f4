"""What `params.yaml` may say, as Markdown, from the classes that check it: no field is described by hand.

What a field means is its description, or the docstring that stands behind it in the source.
"""

from __future__ import annotations

import ast
import inspect
import itertools
import re
import textwrap
import types
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from functools import cache
from typing import TYPE_CHECKING, Annotated, Any, Literal, Union, get_args, get_origin

import annotated_types
from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo

from attrec.models.tunable import described as described_space

if TYPE_CHECKING:
    from attrec.models.specs import Row, Table

HEAD = "| key | type | default | what |\n|---|---|---|---|"

NAMES = {int: "whole number", float: "number", bool: "`true` or `false`", str: "text"}
"""What YAML's readers call a type."""

_UNSET = object()

BOUNDS = {"ge": "≥", "gt": ">", "le": "≤", "lt": "<"}


def sections(params: type[BaseModel], prefix: str = "", skip: Sequence[str] = ()) -> str:
    """The fields of a section of `params.yaml` and, under headings of their own, of what is inside it.

    Args:
        prefix: Where the section stands, as in `rating`; the headings are places like `rating.matrix`.
        skip: Fields that are described elsewhere.
    """
    blocks = [table(params, lambda name, _: _anchor(_dotted(prefix, name)), skip=skip)]
    for name, field in params.model_fields.items():
        inside = _inner(field.annotation)
        if inside is not None and name not in skip:
            place = _dotted(prefix, name)
            blocks += [f"### `{place}`", _sentence(inside), sections(inside, place)]
    return "\n\n".join(filter(None, blocks))


def models(rows: Iterable[Row], specs: Mapping[str, type[BaseModel]]) -> str:
    """Each model of a family: what it is, its fields and what its recipes change; then what they have in common.

    Args:
        specs: What `params.yaml` may say of each, by kind.
    """
    blocks: list[str] = []
    parts: dict[type[BaseModel], None] = {}
    for row in rows:
        blocks += [f"### `{row.kind}`", row.sentence]
        spec, config = specs[row.kind], row.model.config_class
        beside = table(spec, _link, skip=("kind", "name", "recipe", "changes", "tried"))
        blocks += [f"Beside `kind`:\n\n{beside}"] if beside else []
        chosen = {} if row.recipes or "changes" not in spec.model_fields else choices(spec)
        if "changes" in spec.model_fields:
            for kind in dict.fromkeys(map(type, chosen.values())) or [config]:
                fields = table(kind, _link, skip=choosers(spec))
                blocks += [f"`changes` (`{kind.__name__}`):", fields] if fields else []
                parts |= dict.fromkeys(parts_of(kind))
        if row.recipes:
            blocks += [recipes(row.recipes, row.told)]
        elif chosen:
            blocks += [recipes(chosen, head=", ".join(choosers(spec)))]
        if not beside and "changes" not in spec.model_fields:
            blocks += ["Nothing to set."]
    for part in parts:
        blocks += [f"### {part.__name__}", _sentence(part), table(part, _link)]
    return "\n\n".join(filter(None, blocks))


def choosers(spec: type[BaseModel]) -> list[str]:
    """The fields of a spec, beside its kind, that must be given and have names to choose from."""
    return [
        name
        for name, field in spec.model_fields.items()
        if field.is_required() and get_origin(field.annotation) is Literal
    ]


def choices(spec: type[BaseModel]) -> dict[str, BaseModel]:
    """Of a spec whose own fields choose the configuration: what each choice that is allowed begins with."""
    names = choosers(spec)
    found: dict[str, BaseModel] = {}
    for values in itertools.product(*(get_args(spec.model_fields[name].annotation) for name in names)):
        if values:
            with suppress(ValidationError):
                made: Any = spec.model_validate(dict(zip(names, values, strict=True)))
                found["`, `".join(values)] = made.config()
    return found


def recipes(known: Mapping[str, BaseModel], told: Mapping[str, str] | None = None, head: str = "") -> str:
    """What each recipe sets that is not the default; the first one serves where none is named.

    Args:
        told: By recipe, a sentence.
        head: Of the first column, where it has no recipes but choices that have to be made.
    """
    rows = []
    for place, (name, recipe) in enumerate(known.items()):
        default = " (where none is named)" if place == 0 and not head else ""
        changes = ", ".join(f"`{key}: {value}`" for key, value in differences(recipe, _usual(recipe)).items())
        rows.append([f"`{name}`{default}", (told or {}).get(name, ""), changes or "the defaults"])
    columns = [head or "recipe", "what", "sets"] if told else [head or "recipe", "sets"]
    lines = [columns, ["---"] * len(columns), *(row if told else row[::2] for row in rows)]
    return "\n".join(
        f"| {' | '.join(map(_cell, line))} |" if line[0] != "---" else "|---" * len(line) + "|"
        for line in lines
    )


def spaces(tables: Iterable[Table]) -> str:
    """What is searched of each model that has anything to tune, the recipes of a kind together."""
    lines: dict[str, list[str]] = {}
    for table in tables:
        known = table.named()
        for name, spec in known.items():
            # What a recipe has is what its kind has, but for parts that some recipes add.
            if spec.kind != name and known.get(spec.kind) and known[spec.kind].space == spec.space:
                continue
            searched = ", ".join(
                f"`{path}` {_span(own)}" for path, own in described_space(spec.space).items()
            )
            lines.setdefault(searched, []).append(f"`{name}`")
    lines.pop("", None)
    rows = (f"| {', '.join(names)} | {searched} |" for searched, names in lines.items())
    return "\n".join(["| model | searched |", "|---|---|", *rows])


def _span(where: Any) -> str:
    if isinstance(where, list):
        return ", ".join(map(shown, where))
    return f"{shown(where['low'])} … {shown(where['high'])}{' (log)' if where.get('log') else ''}"


def table(model: type[BaseModel], link: Any, skip: Sequence[str] = ()) -> str:
    """The fields of one class; nothing where it has none.

    Args:
        link: Given the name of a field and the class inside it, the place where that class is described.
    """
    lines = [
        f"| `{name}` | {_type(field, name, link)} | {_default(field)} | {_cell(described(model, name))} |"
        for name, field in model.model_fields.items()
        if name not in skip
    ]
    return "\n".join([HEAD, *lines]) if lines else ""


def parts_of(model: type[BaseModel]) -> Iterator[type[BaseModel]]:
    """The classes inside a configuration, each after the one that has it."""
    for field in model.model_fields.values():
        inside = _inner(field.annotation) or _of_list(field.annotation)
        if inside is not None:
            yield inside
            yield from parts_of(inside)


def described(model: type[BaseModel], name: str) -> str:
    """What a field means: its description, or the docstring behind it, in whichever class of the family has one."""
    description = model.model_fields[name].description
    if description:
        return description
    return next((text for kind in model.__mro__ if (text := _docstrings(kind).get(name))), "")


def differences(config: BaseModel, default: BaseModel | None, prefix: str = "") -> dict[str, str]:
    """Fields of a configuration that are not the default's, with dots in the names of those inside others; all of them
    where there is none."""
    found: dict[str, str] = {}
    for name in type(config).model_fields:
        own, usual = getattr(config, name), getattr(default, name, _UNSET)
        if isinstance(own, BaseModel) and isinstance(usual, BaseModel) and type(own) is type(usual):
            found |= differences(own, usual, f"{prefix}{name}.")
        elif own != usual:
            found[f"{prefix}{name}"] = shown(own)
    return found


def _usual(config: BaseModel) -> BaseModel | None:
    """The defaults of its class; None of a class that has to be told something."""
    if any(field.is_required() for field in type(config).model_fields.values()):
        return None
    return type(config)()


def shown(value: Any) -> str:
    """A value as YAML has it, on one line; of a configuration what is not its default."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, BaseModel):
        return (
            "{" + ", ".join(f"{key}: {text}" for key, text in differences(value, _usual(value)).items()) + "}"
        )
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{key}: {shown(part)}" for key, part in value.items()) + "}"
    if isinstance(value, list | tuple | set | frozenset):
        return "[" + ", ".join(map(shown, value)) + "]"
    return f"{value:g}" if isinstance(value, float) else str(value)


@cache
def _docstrings(model: type) -> dict[str, str]:
    """By field, the text that stands behind it in the source of the class."""
    if model.__module__ == "builtins" or not hasattr(model, "model_fields") or model is BaseModel:
        return {}
    try:
        tree = ast.parse(textwrap.dedent(inspect.getsource(model)))
    except (OSError, TypeError):  # made while the program runs: it has no source
        return {}
    assert isinstance(tree.body[0], ast.ClassDef)
    body = tree.body[0].body
    return {
        field.target.id: inspect.cleandoc(text.value.value)
        for field, text in itertools.pairwise(body)
        if isinstance(field, ast.AnnAssign)
        and isinstance(field.target, ast.Name)
        and isinstance(text, ast.Expr)
        and isinstance(text.value, ast.Constant)
        and isinstance(text.value.value, str)
    }


def _inner(annotation: Any) -> type[BaseModel] | None:
    """The one class of fields that a type stands for, perhaps beside null; None of a choice of several."""
    found = [kind for kind in _alternatives(annotation) if kind is not types.NoneType]
    if len(found) == 1 and isinstance(found[0], type) and issubclass(found[0], BaseModel):
        return found[0]
    return None


def _of_list(annotation: Any) -> type[BaseModel] | None:
    """The class of fields that a list has."""
    if get_origin(annotation) in (list, tuple):
        return next(filter(None, map(_inner, get_args(annotation))), None)
    return None


def _alternatives(annotation: Any) -> list[Any]:
    if get_origin(annotation) is Annotated:
        return _alternatives(get_args(annotation)[0])
    if get_origin(annotation) in (Union, types.UnionType):
        return [kind for part in get_args(annotation) for kind in _alternatives(part)]
    return [annotation]


def _type(field: FieldInfo, name: str, link: Any) -> str:
    """The type of a field, with its bounds, and where the fields inside it are described."""
    inside = _inner(field.annotation)
    if inside is not None:
        null = " or `null`" if types.NoneType in _alternatives(field.annotation) else ""
        return f"{link(name, inside)}{null}"
    listed = _of_list(field.annotation)
    if listed is not None:
        return f"list of {_link(name, listed)}"
    return _named(field.annotation, field.metadata)


def _named(annotation: Any, metadata: Sequence[Any] = ()) -> str:
    """A type in words, with its bounds."""
    if get_origin(annotation) is Annotated:
        inside, *more = get_args(annotation)
        return _named(inside, [*more, *metadata])
    kinds = _alternatives(annotation)
    if len(kinds) > 1:
        if all(isinstance(kind, type) and issubclass(kind, BaseModel) for kind in kinds):
            return "`{kind: …}`"
        return " or ".join(dict.fromkeys(_named(kind, metadata) for kind in kinds))
    origin, inside = get_origin(annotation), get_args(annotation)
    if annotation is types.NoneType:
        return "`null`"
    if origin is Literal:
        return ", ".join(f"`{shown(value)}`" for value in inside)
    if origin in (list, tuple, set, frozenset):
        several = [kind for kind in inside if kind is not Ellipsis]
        counted = origin is tuple and Ellipsis not in inside
        of = _named(several[0]) if several else "values"
        return f"{len(several)} × {of}" if counted else f"list of {of}{_length(metadata)}"
    if origin is dict:
        return "names and values" if inside[1] is Any else f"name: {_named(inside[1])}"
    named = NAMES.get(annotation, getattr(annotation, "__name__", str(annotation)).lower())
    return " ".join([named, *_bounds(metadata)]) if annotation in (int, float) else named


def _bounds(metadata: Sequence[Any]) -> list[str]:
    """≥ 1, < 2 of what pydantic keeps of a field."""
    flat = [
        one
        for item in metadata
        for one in (getattr(item, "metadata", None) or [item])
        if not isinstance(one, annotated_types.Interval)
    ]
    found = [
        f"{sign} {shown(getattr(item, name))}"
        for name, sign in BOUNDS.items()
        for item in flat
        if getattr(item, name, None) is not None
    ]
    return [", ".join(found)] if found else []


def _length(metadata: Sequence[Any]) -> str:
    least = [item.min_length for item in metadata if isinstance(item, annotated_types.MinLen)]
    return f", {least[0]} at least" if least and least[0] > 0 else ""


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "required"
    value = field.get_default(call_default_factory=True, validated_data={})
    if not isinstance(value, BaseModel):
        return f"`{_cell(shown(value))}`" if shown(value) else ""
    changed = differences(value, _usual(value))
    return ", ".join(f"`{key}: {text}`" for key, text in changed.items())


def _sentence(model: type[BaseModel]) -> str:
    return inspect.cleandoc(model.__doc__ or "").replace("``", "`")


def _cell(text: str) -> str:
    """Text that fits into a cell."""
    text = re.sub(r"(?<!`)\bNone\b", "`null`", text.replace("``", "`"))
    return " ".join(text.replace("|", "\\|").split())


def _dotted(prefix: str, name: str) -> str:
    return f"{prefix}.{name}" if prefix else name


def _anchor(place: str) -> str:
    return f"[`{place}`](#{place.replace('.', '')})"


def _link(_: str, inside: type[BaseModel]) -> str:
    return f"[{inside.__name__}](#{inside.__name__.lower()})"
