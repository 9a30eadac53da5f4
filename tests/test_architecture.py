"""Arrows run one way: flows and the command line use tasks, tasks use attrec, attrec knows none of them."""

from __future__ import annotations

import ast

import pytest
import yaml

from cli.stage_deps import code_deps, is_code
from tasks.engine.imports import PACKAGES, SOURCE_ROOT, module_file

ALLOWED = {
    "attrec": {"attrec"},
    "tasks": {"attrec", "tasks"},
    "flows": {"attrec", "tasks", "flows"},
    "cli": {"attrec", "tasks", "flows", "cli"},
}
FORBIDDEN_IN_LIBRARY = {"prefect", "prefect_dask", "mlflow", "dvc", "great_expectations"}


def modules(package: str) -> list[str]:
    files = sorted((SOURCE_ROOT / package).rglob("*.py"))
    return [
        ".".join(file.relative_to(SOURCE_ROOT).with_suffix("").parts).removesuffix(".__init__")
        for file in files
    ]


ALL_MODULES = [module for package in PACKAGES for module in modules(package)]


def imported_packages(module: str) -> set[str]:
    """Whatever a module imports, for type checkers alone too."""
    imported = set()
    for node in ast.walk(ast.parse(module_file(module).read_text())):
        if isinstance(node, ast.Import):
            imported |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            imported.add(node.module)
    return {name.split(".")[0] for name in imported}


@pytest.mark.parametrize("module", ALL_MODULES)
def test_imports_follow_the_arrows(module):
    assert imported_packages(module) & set(PACKAGES) <= ALLOWED[module.split(".")[0]]


@pytest.mark.parametrize("module", modules("attrec"))
def test_library_knows_no_orchestration(module):
    assert not imported_packages(module) & FORBIDDEN_IN_LIBRARY


def stages() -> dict[str, dict]:
    return yaml.safe_load((SOURCE_ROOT / "dvc.yaml").read_text())["stages"]


@pytest.mark.parametrize("name", list(stages()))
def test_stage_deps_are_its_import_closure(name):
    stage = stages()[name]
    listed, reached = {dep for dep in stage["deps"] if is_code(dep)}, set(code_deps(stage["cmd"]))
    missing, surplus = sorted(reached - listed), sorted(listed - reached)
    assert (missing, surplus) == ([], []), f"run `make deps`: {name} lacks {missing}, has too many {surplus}"


def test_report_depends_on_its_template():
    assert {"attrec/reporting/report.html", "attrec/reporting/report.css"} <= set(stages()["report"]["deps"])


def test_closure_follows_imports_inside_functions(tmp_path, monkeypatch):
    from tasks.engine import imports

    (tmp_path / "attrec").mkdir()
    (tmp_path / "attrec" / "__init__.py").write_text("")
    (tmp_path / "attrec" / "a.py").write_text("def f():\n    from attrec import b\n    return b\n")
    (tmp_path / "attrec" / "b.py").write_text("from attrec.c import x\n")
    (tmp_path / "attrec" / "c.py").write_text("x = 1\n")
    (tmp_path / "attrec" / "d.py").write_text("x = 1\n")
    monkeypatch.setattr(imports, "SOURCE_ROOT", tmp_path)
    assert imports.import_closure("attrec.a") == {"attrec", "attrec.a", "attrec.b", "attrec.c"}


def test_closure_follows_what_a_package_exports_and_not_what_type_checkers_read(tmp_path, monkeypatch):
    from tasks.engine import imports

    lines = ["from typing import TYPE_CHECKING", "if TYPE_CHECKING:"]
    checked = "\n".join([*lines, "    from attrec.room.b import B", "    from attrec.room.c import C"])
    (tmp_path / "attrec" / "room").mkdir(parents=True)
    (tmp_path / "attrec" / "__init__.py").write_text("")
    (tmp_path / "attrec" / "room" / "__init__.py").write_text(checked)
    (tmp_path / "attrec" / "a.py").write_text("from attrec.room import B\n")
    (tmp_path / "attrec" / "d.py").write_text(checked)
    for name in ("b", "c"):
        (tmp_path / "attrec" / "room" / f"{name}.py").write_text("")
    monkeypatch.setattr(imports, "SOURCE_ROOT", tmp_path)
    assert imports.import_closure("attrec.a") == {"attrec", "attrec.a", "attrec.room", "attrec.room.b"}
    assert imports.import_closure("attrec.d") == {"attrec", "attrec.d"}
