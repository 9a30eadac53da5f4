"""Public names of a package that are imported from their modules when they are first asked for."""

from __future__ import annotations

import ast
import inspect
import sys
from collections.abc import Callable
from importlib import import_module
from threading import Lock
from typing import Any

# Two threads that parse at once upset the parser's count of its depth (SystemError, CPython 3.11).
_parser = Lock()


def parsed(source: str | bytes, name: str) -> ast.Module:
    """The syntax tree of what stands in a file of that name."""
    with _parser:
        return ast.parse(source, filename=name)


def exported(source: ast.Module) -> dict[str, str]:
    """By public name, the module that defines it: what a package imports under TYPE_CHECKING."""
    blocks = [
        node
        for node in source.body
        if isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"
    ]
    imports = [node for block in blocks for node in ast.walk(block) if isinstance(node, ast.ImportFrom)]
    return {alias.name: str(node.module) for node in imports for alias in node.names}


def lazily(package: str) -> tuple[Callable[[str], Any], Callable[[], list[str]], list[str]]:
    """`__getattr__`, `__dir__` (PEP 562) and `__all__` of a package: who imports one of its modules loads no other.

    The names are those that the package imports under TYPE_CHECKING, where type checkers and `tasks.engine.imports`
    read them too.
    """
    # Asked of the loader: beside a served model the library stands in an archive.
    source = inspect.getsource(sys.modules[package])
    modules = exported(parsed(source, package))

    def attribute(name: str) -> Any:
        if name not in modules:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        value = getattr(import_module(modules[name]), name)
        setattr(sys.modules[package], name, value)
        return value

    return attribute, lambda: sorted({*vars(sys.modules[package]), *modules}), sorted(modules)
