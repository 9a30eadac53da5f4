"""Public names of a package that are imported from their modules when they are first asked for."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any


def lazily(package: str, modules: Mapping[str, str]) -> Callable[[str], Any]:
    """A `__getattr__` for a package (PEP 562): who imports one of its modules does not load them all.

    Type checkers, and `tasks.engine.imports`, read the same names where the package imports them under TYPE_CHECKING.

    Args:
        modules: By public name, the module of the package that defines it, without the package's own name.
    """

    def attribute(name: str) -> Any:
        if name not in modules:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        value = getattr(import_module(f"{package}.{modules[name]}"), name)
        setattr(sys.modules[package], name, value)
        return value

    return attribute
