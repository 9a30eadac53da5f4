"""The house: what may import what is in pyproject.toml, for import-linter; here, what DVC's stages hang on."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from tasks.engine import imports
from tasks.engine.imports import PACKAGES, SOURCE_ROOT, import_closure, module_file

FORBIDDEN_IN_LIBRARY = {"prefect", "prefect_dask", "mlflow", "dvc", "great_expectations"}
TEXT_SUFFIXES = (".html", ".css")
MOST_IN_A_ROOM = 30


def stages() -> dict[str, dict]:
    return yaml.safe_load((SOURCE_ROOT / "dvc.yaml").read_text())["stages"]


def reached_files(command: str) -> set[Path]:
    """Every project file that `python -m MODULE` can read: its import closure and the templates beside it."""
    words = command.split()
    files = {module_file(module) for module in import_closure(words[words.index("-m") + 1])}
    texts = {
        text
        for file in files
        if file.name != "__init__.py"
        for text in file.parent.iterdir()
        if text.suffix in TEXT_SUFFIXES
    }
    return {file.relative_to(SOURCE_ROOT) for file in files | texts}


@pytest.mark.parametrize("name", list(stages()))
def test_the_rooms_that_a_stage_names_hold_all_its_code_and_none_is_idle(name):
    stage = stages()[name]
    rooms = [Path(dep) for dep in stage["deps"] if dep.split("/")[0] in PACKAGES]
    reached = reached_files(stage["cmd"])
    lacking = sorted(str(file) for file in reached if not any(file.is_relative_to(room) for room in rooms))
    idle = sorted(str(room) for room in rooms if not any(file.is_relative_to(room) for file in reached))
    assert (lacking, idle) == ([], []), (
        f"dvc.yaml, {name}: no room holds {lacking}; nothing is used of {idle}"
    )


@pytest.mark.parametrize("family", ["ratings", "sequences", "playlists"])
def test_a_model_that_is_added_to_its_room_is_seen_by_dvc(family):
    stage = stages()[{"ratings": "rating", "sequences": "sequence", "playlists": "playlist"}[family]]
    assert f"attrec/{family}" in stage["deps"]


def test_stages_of_one_family_do_not_hang_on_the_models_of_another():
    for name, own in (("rating", "ratings"), ("sequence", "sequences"), ("playlist", "playlists")):
        reached = {str(file.parent) for file in reached_files(stages()[name]["cmd"])}
        others = {"ratings", "sequences", "playlists"} - {own}
        assert not {f"attrec/{other}" for other in others} & reached, name


def test_the_report_needs_no_model():
    reached = reached_files(stages()["report"]["cmd"])
    assert not [file for file in reached if file.parts[:2] in {("attrec", "models"), ("attrec", "ratings")}]
    assert {Path("attrec/reporting/report.html"), Path("attrec/reporting/report.css")} <= reached


def library_files() -> list[Path]:
    return sorted((SOURCE_ROOT / "attrec").rglob("*.py"))


@pytest.mark.parametrize("file", library_files(), ids=lambda file: str(file.relative_to(SOURCE_ROOT)))
def test_library_knows_no_orchestration(file):
    tree = ast.parse(file.read_text())
    imported = {
        alias.name.split(".")[0]
        for node in ast.walk(tree)
        if isinstance(node, ast.Import)
        for alias in node.names
    }
    imported |= {
        node.module.split(".")[0]
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and node.module
    }
    assert not imported & FORBIDDEN_IN_LIBRARY


def test_arrows_run_one_way_and_in_no_circle():
    """As pyproject.toml draws them: layers, families side by side, no two files that import each other."""
    linter = Path(sys.executable).with_name("lint-imports")
    done = subprocess.run([linter, "--no-cache"], cwd=SOURCE_ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-3000:]


def test_no_two_files_import_each_other_in_a_loop_also_not_inside_functions():
    modules = {
        ".".join(file.relative_to(SOURCE_ROOT).with_suffix("").parts).removesuffix(".__init__")
        for package in PACKAGES
        for file in (SOURCE_ROOT / package).rglob("*.py")
    }
    # That a module needs the packages around it is Python's way, and no circle.
    arrows = {
        module: {
            other
            for other in imports.imported_modules(module) - {module}
            if not module.startswith(f"{other}.") and module_file(other).name != "__init__.py"
        }
        for module in modules
    }
    while leaves := {module for module, others in arrows.items() if not others & arrows.keys()}:
        arrows = {module: others for module, others in arrows.items() if module not in leaves}
    assert not arrows, f"these import each other in a loop: {sorted(arrows)}"


def test_no_room_is_a_corridor():
    for package in PACKAGES:
        for folder in (SOURCE_ROOT / package).rglob("*"):
            if folder.is_dir():
                assert len(list(folder.glob("*.py"))) <= MOST_IN_A_ROOM, folder


def test_closure_follows_imports_inside_functions(tmp_path, monkeypatch):
    (tmp_path / "attrec").mkdir()
    (tmp_path / "attrec" / "__init__.py").write_text("")
    (tmp_path / "attrec" / "a.py").write_text("def f():\n    from attrec import b\n    return b\n")
    (tmp_path / "attrec" / "b.py").write_text("from attrec.c import x\n")
    (tmp_path / "attrec" / "c.py").write_text("x = 1\n")
    (tmp_path / "attrec" / "d.py").write_text("x = 1\n")
    monkeypatch.setattr(imports, "SOURCE_ROOT", tmp_path)
    assert imports.import_closure("attrec.a") == {"attrec", "attrec.a", "attrec.b", "attrec.c"}
