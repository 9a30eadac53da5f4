"""Which project modules a module can reach by its imports, read from the source without running it."""

from __future__ import annotations

import ast
import hashlib
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import TypeGuard

from pydantic import BaseModel

from attrec import exports
from tasks.engine import environment
from tasks.engine.state import read_state, write_state

PACKAGES = ("attrec", "tasks", "flows", "cli")
SOURCE_ROOT = Path(__file__).resolve().parents[2]


def module_file(module: str) -> Path | None:
    """Source file of a project module or package, None if there is no such module."""
    stem = SOURCE_ROOT.joinpath(*module.split("."))
    for candidate in (stem.with_suffix(".py"), stem / "__init__.py"):
        if candidate.is_file():
            return candidate
    return None


class _Facts(BaseModel):
    """What a source file says, whatever the files beside it."""

    imports: list[tuple[str, list[str]]]
    """Modules, and the names taken from each; what is imported for type checkers alone does not count."""
    relative: bool
    exports: dict[str, str]
    """By name, the modules of what a package exports without importing it (see `attrec.exports`)."""
    tree: str
    """sha256 of the syntax tree without what is for type checkers alone."""


class _Known(BaseModel):
    """Facts by the sha256 of a file, as an earlier process has read them: reading all takes two seconds."""

    files: dict[str, _Facts] = {}


@cache
def _record() -> Path:
    """Of another version of Python, or of this reading, the facts are others."""
    readers = b"".join(Path(file).read_bytes() for file in (__file__, exports.__file__))
    version = hashlib.sha256(readers + sys.version.encode()).hexdigest()[:16]
    return environment.STATE / "sources" / f"{version}.json"


@cache
def _known() -> _Known:
    return read_state(_record(), _Known) or _Known()


def _facts(file: Path) -> _Facts:
    return _read(file, file.stat().st_mtime_ns)


@cache
def _read(file: Path, modified_ns: int) -> _Facts:
    source = file.read_bytes()
    digest = hashlib.sha256(source).hexdigest()
    known = _known().files
    if digest not in known:
        known[digest] = _facts_of(exports.parsed(source, str(file)))
    return known[digest]


def _facts_of(tree: ast.Module) -> _Facts:
    imports: list[tuple[str, list[str]]] = []
    relative = False
    for node in _executed(tree):
        if isinstance(node, ast.Import):
            imports += [(alias.name, []) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            relative |= node.level > 0
            imports.append((node.module or "", [alias.name for alias in node.names]))
    seen = hashlib.sha256(ast.dump(_run(tree)).encode()).hexdigest()
    return _Facts(imports=imports, relative=relative, exports=exports.exported(tree), tree=seen)


def imported_modules(module: str) -> set[str]:
    """Project modules that the source of `module` names in its imports, wherever in the file they stand.

    What is imported for type checkers alone does not count, but says where the names are that a package exports.
    """
    file = module_file(module)
    if file is None:
        return set()
    facts, names = _facts(file), set[str]()
    if facts.relative:
        raise ImportError(f"{file}: relative imports hide what a module depends on; write the full name")
    for origin, taken in facts.imports:
        exported = _exported(origin)
        names.update([origin, *(f"{origin}.{name}" for name in taken)])
        names.update(exported[name] for name in taken if name in exported)
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
    file = module_file(package)
    return _facts(file).exports if file is not None and file.name == "__init__.py" else {}


def _keep() -> None:
    """For later processes, with what others have read meanwhile."""
    known = _known().files
    there = read_state(_record(), _Known) or _Known()
    if known.keys() - there.files.keys():
        write_state(_record(), _Known(files=there.files | known))


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
        digest.update(f"{name}\0{_facts(file).tree}\0".encode())
    _keep()
    return digest.hexdigest()
