"""How parameters are checked: one sentence for a fault, a suggestion for a misspelling, changes to a configuration."""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from types import NoneType
from typing import Annotated, Any, get_args

from pydantic import AfterValidator, BaseModel, Field, ValidationError

MODEL_NAME = re.compile("[A-Za-z0-9][A-Za-z0-9+._-]*")
"""What a model may be called."""
LONGEST_NAME = 100
"""Letters: names of files hold a model's, and more beside it."""


def _different(seeds: list[int]) -> list[int]:
    if len(set(seeds)) < len(seeds):
        raise ValueError("a seed is there twice, which would count one figure as two")
    return seeds


def _plain(name: str) -> str:
    if not MODEL_NAME.fullmatch(name):
        raise ValueError(
            "a model's name has letters, digits and + . _ - alone, and begins with a letter or digit"
        )
    if len(name) > LONGEST_NAME:
        raise ValueError(f"a model's name has {LONGEST_NAME} letters at most")
    return name


Seed = Annotated[int, Field(ge=0, le=10**9)]
"""Sums of some stay below 2^31, where libraries end."""
Seeds = Annotated[list[Seed], Field(min_length=1, max_length=1000), AfterValidator(_different)]
"""Each model is fitted once with each."""
Width = Annotated[int, Field(ge=1, le=2**16)]
"""Of layers and factors, and how far back is looked: above it nothing fits into memory."""
Rounds = Annotated[int, Field(ge=1, le=10**6)]
"""Epochs or iterations: above it nobody waits."""
BatchSize = Annotated[int, Field(ge=1, le=2**31 - 1)]
"""Rows of a training step, as many as libraries can count."""
ModelName = Annotated[str, AfterValidator(_plain)]
"""What tables and folders call a model."""


def explain(error: ValidationError, model: type[BaseModel]) -> str:
    """Say the first fault of a validation in one sentence."""
    # A misspelt key is also missing under its right name; the misspelling is what a person can see.
    fault = min(error.errors(include_url=False), key=lambda fault: fault["type"] != "extra_forbidden")
    place = ".".join(map(_cut, _typed(fault["loc"], model)))
    if fault["type"] == "extra_forbidden":
        return ended(f"there is no parameter {place!r}{_suggested_field(model, fault['loc'])}")
    if fault["type"] == "union_tag_not_found":
        return f"{place}: say what it is, as in {{kind: …}}."
    if fault["type"] == "union_tag_invalid":
        context = fault["ctx"]
        known = context["expected_tags"].replace("'", "").split(", ")
        return ended(f"{place}: there is no kind {context['tag']!r}{suggestion(str(context['tag']), known)}")
    # YAML has lists and mappings alone.
    message = fault["msg"].removeprefix("Value error, ").replace("valid tuple", "list")
    message = message.replace(
        "valid dictionary or object to extract fields from", "mapping, as in {name: value}"
    )
    # Of a whole section a sentence says what is wrong, and not all that it holds.
    given = "" if isinstance(fault["input"], dict) else f" (it is {shortened(fault['input'])})"
    return ended(f"{f'{place}: ' if place else ''}{message[:1].lower()}{message[1:]}{given}")


def ended(sentence: str) -> str:
    return sentence if sentence.endswith("?") else f"{sentence}."


def replaced(config: BaseModel, fields: dict[str, Any]) -> Any:
    """The configuration with some fields replaced, validated; of a nested configuration only the fields named.

    Raises:
        ValueError: a field is unknown or does not fit.
    """
    try:
        return type(config).model_validate(_merged(config, fields))
    except ValidationError as error:
        raise ValueError(explain(error, type(config))) from error


def changed(config: BaseModel, changes: dict[str, Any]) -> Any:
    """As `replaced`, of the `changes` of `params.yaml`.

    A null keeps what stands there, unless the field may be null: a key can be there for others to set, and say nothing.

    Raises:
        ValueError: a field is unknown or does not fit.
    """
    try:
        made = replaced(config, changes)
        check_types(changes, made)
        return made
    except ValueError as error:
        raise ValueError(f"changes: {str(error).rstrip('.')}") from error


def check_types(said: Any, made: Any, place: str = "") -> None:
    """See that no number is infinite or none, and nothing was taken for a number, or for true or false, that is none.

    Args:
        made: What was made of what was said.

    Raises:
        ValueError: one is, or was; the place is named.
    """
    if isinstance(said, float) and not math.isfinite(said):
        raise ValueError(f"{place}: input should be a finite number (it is {said})")
    if isinstance(said, str | int | float) and (wanted := _taken_for(said, made)):
        value = str(said).lower() if isinstance(said, bool) else shortened(said)
        raise ValueError(f"{place}: input should be {wanted} (it is {value})")
    if isinstance(said, Mapping):
        for key, value in said.items():
            own = made.get(key) if isinstance(made, Mapping) else getattr(made, str(key), None)
            check_types(value, own, f"{place}.{key}" if place else str(key))
    elif isinstance(said, list) and isinstance(made, Sequence):
        for number, (value, own) in enumerate(zip(said, made, strict=False)):
            check_types(value, own, f"{place}.{number}")


def _taken_for(said: str | float, made: Any) -> str | None:
    """What a text or number was taken for that it is not; None where it was taken for what it is."""
    is_bool = isinstance(said, bool)
    if isinstance(made, bool):
        return None if is_bool else "true or false"
    if isinstance(made, int | float) and (is_bool or isinstance(said, str)):
        return "a number"
    return "a whole number" if isinstance(made, int) and isinstance(said, float) else None


def _merged(config: BaseModel, changes: dict[str, Any]) -> dict[str, Any]:
    merged = config.model_dump()
    # YAML has names that are no text.
    for name, value in ((str(key), value) for key, value in changes.items()):
        own, field = getattr(config, name, None), type(config).model_fields.get(name)
        if isinstance(value, dict) and isinstance(own, BaseModel):
            merged[name] = _merged(own, value)
        elif isinstance(value, dict) and isinstance(own, dict):
            merged[name] = {**own, **value}
        elif value is not None or field is None or NoneType in get_args(field.annotation):
            merged[name] = value
    return merged


def _suggested_field(model: type[BaseModel], place: Sequence[str | int]) -> str:
    """What a misspelt or misplaced field may be: one beside it, or one of that name elsewhere in the model."""
    schema = model.model_json_schema()
    beside, word = _fields_at(schema, place[:-1]), str(place[-1])
    paths = sorted(_paths(schema, schema), reverse=True)
    if "." in word and word in paths:
        return f"; write {_nested(word)}"
    elsewhere = {path.rpartition(".")[2]: path for path in paths}
    if not difflib.get_close_matches(word, beside, n=1):
        for name in difflib.get_close_matches(word, elsewhere, n=1):
            return f"; did you mean {_nested(elsewhere[name])}?"
    return suggestion(word, beside)


def _nested(path: str) -> str:
    """How a dotted name is typed: `training: {epochs: …}`."""
    first, *rest = path.split(".")
    return f"{first!r}" if not rest else f"{first}: {{{_nested_inside(rest)}}}"


def _nested_inside(names: Sequence[str]) -> str:
    first, *rest = names
    return f"{first}: {{{_nested_inside(rest)}}}" if rest else f"{first}: …"


def _typed(place: Sequence[str | int], model: type[BaseModel]) -> Iterator[str]:
    """The steps of a place that a person typed.

    The kind of a union, which pydantic counts as one, is none, nor is its word for a key that is at fault itself.
    """
    schema = model.model_json_schema()
    parts = [schema]
    for step in place[:-1] if place[-1:] == ("[key]",) else place:
        following = _at(parts, step, schema)
        if not following or following != [part for part in _all_of(parts, schema) if step in _kinds(part)]:
            yield str(step)
        parts = following


def _fields_at(schema: dict[str, Any], place: Sequence[str | int]) -> list[str]:
    """Names of the fields at a place of a model, through dictionaries, lists and the kinds of a union."""
    parts = [schema]
    for step in place:
        parts = _at(parts, step, schema)
    return sorted({name for part in _all_of(parts, schema) for name in part.get("properties", {})})


def _at(parts: list[dict[str, Any]], step: str | int, schema: dict[str, Any]) -> list[dict[str, Any]]:
    """The parts of a JSON schema that one step leads to."""
    following = []
    for part in _all_of(parts, schema):
        if step in part.get("properties", {}):
            following.append(part["properties"][step])
        elif isinstance(part.get("additionalProperties"), dict):
            following.append(part["additionalProperties"])
        elif "items" in part and isinstance(step, int):
            following.append(part["items"])
        elif step in _kinds(part):
            following.append(part)
    return following


def _all_of(parts: list[dict[str, Any]], schema: dict[str, Any]) -> list[dict[str, Any]]:
    return [alternative for one in parts for alternative in _alternatives(one, schema)]


def _kinds(part: dict[str, Any]) -> list[str]:
    """Kinds of a union that a part of a JSON schema stands for: pydantic counts them as a step."""
    kind = part.get("properties", {}).get("kind", {})
    return [*kind.get("enum", []), *([kind["const"]] if "const" in kind else [])]


def _alternatives(part: dict[str, Any], schema: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """What a part of a JSON schema refers to or may be."""
    if "$ref" in part:
        yield from _alternatives(schema["$defs"][part["$ref"].rpartition("/")[2]], schema)
    for name in ("anyOf", "oneOf", "allOf"):
        for one in part.get(name, []):
            yield from _alternatives(one, schema)
    if "properties" in part or "additionalProperties" in part or "items" in part:
        yield part


def _paths(part: dict[str, Any], schema: dict[str, Any], prefix: str = "") -> Iterator[str]:
    """Dotted names of all fields that can be reached by fields alone."""
    for one in _alternatives(part, schema):
        for name, field in one.get("properties", {}).items():
            yield f"{prefix}{name}"
            yield from _paths(field, schema, f"{prefix}{name}.")


def suggestion(word: str, known: Sequence[str]) -> str:
    near = difflib.get_close_matches(word, sorted(known), n=1)
    return f"; did you mean {near[0]!r}?" if near else f"; known are {', '.join(sorted(known))}"


def shortened(value: Any) -> str:
    """A value as Python writes it, cut to what a sentence bears."""
    try:
        text = repr(value)
    except RecursionError:
        return "nested too deep"
    return _cut(text)


def _cut(text: str) -> str:
    return text if len(text) <= 60 else text[:57] + "..."
