"""What a package exports lazily is what type checkers and the closure of imports are told."""

from __future__ import annotations

import ast
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

import attrec

ROOT = Path(attrec.__file__).parent


def told_to_type_checkers(file: Path) -> dict[str, str]:
    blocks = [node for node in ast.parse(file.read_text()).body if isinstance(node, ast.If)]
    imports = [node for block in blocks for node in ast.walk(block) if isinstance(node, ast.ImportFrom)]
    # Without `as` a name of a typed package is private to checkers.
    return {str(alias.asname): node.module for node in imports for alias in node.names}


def test_every_name_is_found_where_type_checkers_find_it() -> None:
    for file in ROOT.rglob("__init__.py"):
        package = import_module(".".join(file.parent.relative_to(ROOT.parent).parts))
        told = told_to_type_checkers(file)
        assert sorted(told) == sorted(getattr(package, "__all__", []))
        for name, module in told.items():
            assert getattr(package, name) is getattr(import_module(module), name)


def test_a_package_loads_no_module_before_it_is_asked_for_a_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    room = tmp_path / "room"
    room.mkdir()
    (room / "__init__.py").write_text(
        "from typing import TYPE_CHECKING\n"
        "from attrec.exports import lazily\n"
        "if TYPE_CHECKING:\n    from room.one import A\n    from room.two import B\n"
        "__getattr__, __dir__, __all__ = lazily(__name__)\n"
    )
    (room / "one.py").write_text("class A: pass\n")
    (room / "two.py").write_text("class B: pass\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    package = import_module("room")
    assert package.__all__ == ["A", "B"]
    assert {"A", "B"} <= set(dir(package))
    assert "room.one" not in sys.modules
    assert package.A.__module__ == "room.one"
    assert "room.two" not in sys.modules
    with pytest.raises(AttributeError, match="no attribute 'C'"):
        _ = package.C


def test_the_families_are_imported_without_what_takes_seconds() -> None:
    heavy = {"torch", "pandas", "numpy", "scipy", "pydantic"}
    asked = f"import sys, attrec.ratings, attrec.sequences, attrec.playlists; print(*({heavy} & sys.modules.keys()))"
    shown = subprocess.run([sys.executable, "-c", asked], cwd=ROOT.parent, capture_output=True, text=True)
    assert (shown.returncode, shown.stdout) == (0, "\n"), shown.stderr
