"""The wheel installed beside no repository: one package, the library at work, and commands that are a project's."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

import attrec
from tests.conftest import PROJECT
from tests.test_readme import in_python

pytestmark = pytest.mark.slow

OTHERS = "others.pth"
"""Says where the packages are that the project depends on."""


def copied(folder: Path, *names: str) -> Path:
    """These files and folders of the project in a folder of their own, as they stand."""
    folder.mkdir(parents=True)
    for name in names:
        if (PROJECT / name).is_dir():
            ignored = shutil.ignore_patterns("__pycache__")
            shutil.copytree(PROJECT / name, folder / name, ignore=ignored)
        else:
            shutil.copy(PROJECT / name, folder / name)
    return folder


@dataclass(frozen=True)
class Installed:
    """An environment with the wheel, and what the project depends on."""

    folder: Path
    packages: Path
    """What the wheel has installed is here alone."""

    def run(
        self, *words: str, cwd: Path, code: int = 0, **variables: str
    ) -> subprocess.CompletedProcess[str]:
        """Run a program of this environment."""
        surroundings = {name: value for name, value in os.environ.items() if name != "ATTREC_ROOT"}
        done = subprocess.run(
            [self.folder / "bin" / words[0], *words[1:]],
            cwd=cwd,
            env=surroundings | variables,
            capture_output=True,
            text=True,
        )
        assert done.returncode == code, done.stderr
        return done

    def files(self) -> dict[Path, int]:
        """When each file that is installed was last written."""
        files = (file for file in self.packages.rglob("*") if file.suffix != ".pyc" and file.is_file())
        return {file: file.stat().st_mtime_ns for file in files if file.name != OTHERS}


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installed]:
    """Built from a copy, for a build leaves files; all that is done with it leaves what it has installed alone."""
    folder = tmp_path_factory.mktemp("wheel")
    source = copied(folder / "source", "attrec", "pyproject.toml", "README.md", "LICENSE")
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet"]
    built = ["wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", str(folder), str(source)]
    subprocess.run([*pip, *built], check=True)
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder / "venv")], check=True)
    [wheel] = folder.glob("*.whl")
    target = ["--python", str(folder / "venv"), "install", "--no-deps", "--no-index", str(wheel)]
    subprocess.run([*pip, *target], check=True)
    [packages] = (folder / "venv" / "lib").glob("*/site-packages")
    environment = Installed(folder / "venv", packages)
    before = environment.files()
    # A path file of a folder that a path file names is not read: the editable install of this project is not there.
    (packages / OTHERS).write_text(f"{sysconfig.get_path('purelib')}\n")
    yield environment
    assert environment.files() == before


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """A project of another version."""
    folder = copied(tmp_path / "clone", "attrec", "cli", "flows", "tasks", "dvc.yaml", "params.yaml")
    (folder / "attrec" / "version.py").write_text('__version__ = "9.9"\n')
    return folder


def test_it_installs_one_package_and_nothing_else(installed: Installed, tmp_path: Path) -> None:
    of_wheel = {path.name for path in installed.packages.iterdir()} - {OTHERS}
    assert of_wheel == {"attrec", f"attrec-{attrec.__version__}.dist-info"}
    assert (installed.packages / "attrec" / "py.typed").is_file()
    asked = "import attrec, attrec.sequences; print(attrec.__version__, attrec.__file__)"
    shown = installed.run("python", "-c", asked, cwd=tmp_path).stdout.split()
    assert shown == [attrec.__version__, str(installed.packages / "attrec" / "__init__.py")]


def test_the_lines_of_the_readme_run_anywhere(installed: Installed, tmp_path: Path) -> None:
    code, files = in_python(PROJECT)
    for name, table in files.items():
        table.to_csv(tmp_path / name, index=False)
    asked = f"{code}\nprint(__import__('attrec').__file__)"
    shown = installed.run("python", "-c", asked, cwd=tmp_path).stdout
    assert shown == f"{installed.packages / 'attrec' / '__init__.py'}\n"
    assert {path.name for path in tmp_path.iterdir()} == {"model", *files}


def test_outside_of_a_project_it_says_what_to_do(installed: Installed, tmp_path: Path) -> None:
    assert installed.run("attrec", "--version", cwd=tmp_path).stdout == f"attrec {attrec.__version__}\n"
    assert "ATTREC_PROJECT=" in installed.run("attrec", "--help", cwd=tmp_path).stdout
    refused = installed.run("attrec", "runs", cwd=tmp_path, code=2)
    assert "change into one, or name it in ATTREC_PROJECT" in refused.stderr
    assert refused.stderr.count("\n") == 1
    elsewhere = installed.run("attrec", "runs", cwd=tmp_path, code=2, ATTREC_PROJECT=str(tmp_path))
    assert "which is no clone of attrec's repository" in elsewhere.stderr
    assert not list(tmp_path.iterdir())


def test_a_command_is_run_by_the_code_of_the_project(installed: Installed, clone: Path) -> None:
    inside = installed.run("attrec", "--version", cwd=clone / "attrec")
    assert (inside.stdout, inside.stderr) == ("attrec 9.9\n", "")
    outside = clone.parent
    named = installed.run("attrec", "--version", cwd=outside, ATTREC_PROJECT="clone")
    assert (named.stdout, named.stderr) == ("attrec 9.9\n", f"Project: {clone}\n")
    assert "ml-100k" in installed.run("attrec", "datasets", cwd=clone).stdout
    assert "Usage: attrec datasets" in installed.run("attrec", "datasets", "--help", cwd=clone).stdout
    assert "No such command 'fly'" in installed.run("attrec", "fly", cwd=clone, code=2).stderr


def test_a_command_is_run_by_the_environment_of_the_project(installed: Installed, clone: Path) -> None:
    python = clone / ".venv" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.write_text('#!/bin/sh\necho "its own:" "$@"\n')
    python.chmod(0o755)
    said = installed.run("attrec", "runs", "--model", "ars", cwd=clone).stdout
    assert said.startswith("its own: -P -c ")
    assert said.endswith(f"{clone} runs --model ars\n")
