"""Which project modules a module can reach by its imports, read from the source without running it."""

from __future__ import annotations

import ast
import hashlib
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import TypeGuard

from attrec.exports import exported, parsed

PACKAGES = ("attrec", "tasks", "flows", "cli")
SOURCE_ROOT = Path(__file__).resolve().parents[2]


def module_file(module: str) -> Path | None:
    """Source file of a project module or package, None if there is no such module."""
    stem = SOURCE_ROOT.joinpath(*module.split("."))
    for candidate in (stem.with_suffix(".py"), stem / "__init__.py"):
        if candidate.is_file():
            return candidate
    return None


@cache
def _parsed(file: Path, modified_ns: int) -> ast.Module:
    return parsed(file)


def _tree(file: Path) -> ast.Module:
    return _parsed(file, file.stat().st_mtime_ns)


def imported_modules(module: str) -> set[str]:
    """Project modules that the source of `module` names in its imports, wherever in the file they stand.

    What is imported for type checkers alone does not count, but says where the names are that a package exports.
    """
    file = module_file(module)
    if file is None:
        return set()
    names: set[str] = set()
    for node in _executed(_tree(file)):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            exported = _exported(node.module)
            names.add(node.module)
            names.update(f"{node.module}.{alias.name}" for alias in node.names)
            names.update(exported[alias.name] for alias in node.names if alias.name in exported)
        elif isinstance(node, ast.ImportFrom) and node.level:
            raise ImportError(f"{file}: relative imports hide what a module depends on; write the full name")
    packages = {name.rsplit(".", depth)[0] for name in names for depth in range(name.count(".") + 1)}
    return {name for name in packages if name.split(".")[0] in PACKAGES and module_file(name)}


def _executed(node: ast.AST) -> Iterator[ast.AST]:
    """`node` and all nodes below it, but for what stands under `if TYPE_CHECKING:`."""
    yield node
    for child in ast.iter_child_nodes(node):
        for part in child.orelse if _is_for_type_checkers(child) else [child]:
            yield from _executed(part)


def _is_for_type_checkers(node: ast.AST) -> TypeGuard[ast.If]:
    return isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"


def _run(tree: ast.Module) -> ast.Module:
    """A module without what stands, at its top, under `if TYPE_CHECKING:`: no run of it can tell."""
    body = [part for node in tree.body for part in (node.orelse if _is_for_type_checkers(node) else [node])]
    return ast.Module(body, tree.type_ignores)


def _exported(package: str) -> dict[str, str]:
    """By name, the modules of what a package exports without importing it (see `attrec.exports`)."""
    file = module_file(package)
    if file is None or file.name != "__init__.py":
        return {}
    return exported(_tree(file))


def import_closure(module: str) -> frozenset[str]:
    """`module`, its packages, and every project module they reach."""
    reached: set[str] = set()
    parents = [module.rsplit(".", depth)[0] for depth in range(module.count(".") + 1)]
    waiting = [name for name in parents if module_file(name)]
    while waiting:
        name = waiting.pop()
        if name not in reached:
            reached.add(name)
            waiting.extend(imported_modules(name) - reached)
    return frozenset(reached)


def source_hash(module: str) -> str:
    """sha256 of the syntax trees of everything `module` reaches: comments, layout and what is for type checkers alone
    do not count."""
    digest = hashlib.sha256()
    for name in sorted(import_closure(module)):
        file = module_file(name)
        assert file is not None
        digest.update(name.encode() + b"\0" + ast.dump(_run(_tree(file))).encode() + b"\0")
    return digest.hexdigest()
