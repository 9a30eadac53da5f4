"""What was found, put into params.yaml."""

from __future__ import annotations

from collections.abc import Mapping, MutableMapping
from typing import Any

from attrec.models.specs import Spec
from attrec.reporting.tuned import Found
from tasks.engine.params import edited_params


def write_best(found: Found, start: Spec) -> str:
    """Put the best configuration of a model, and how many were tried, into its section; comments stay.

    Returns:
        One sentence that says so.
    """
    best = start.with_values(found.values).model_copy(update={"tried": found.tried})
    said = best.model_dump(mode="json", exclude_defaults=True, include={*type(best).model_fields} - {"name"})
    with edited_params() as values:
        section = values[found.family]
        models = section.setdefault("models", {})
        key = next((key for key, own in models.items() if own.get("name", key) == found.model), None)
        if key is None:
            models[found.model] = {"kind": best.kind, **said}
        else:
            _merge(models[key], said)
    return f"params.yaml: {found.family}.models.{key or found.model} has the best of {found.tried} configurations."


def _merge(own: MutableMapping[str, Any], said: Mapping[str, Any]) -> None:
    """Into what stands there, in place, so that comments and order stay."""
    for name, value in said.items():
        if isinstance(value, Mapping) and isinstance(own.get(name), MutableMapping):
            _merge(own[name], value)
        else:
            own[name] = value
