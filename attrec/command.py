"""The `attrec` command of an installed package: it runs the commands of a project, a clone of the repository.

The package is the library alone. Commands, flows and tasks are the project's, and so is all the code that they run.
"""

from __future__ import annotations

import importlib
import os
import sys
from pathlib import Path

import attrec

VARIABLE = "ATTREC_PROJECT"
HELP = f"""Usage: attrec [--version] [--help] COMMAND

The commands of attrec are those of a project, which is a clone of its repository; there, `attrec --help` lists them.
Here is none: change into one, or name one, as in

  {VARIABLE}=/where/it/is attrec runs

The library works anywhere, as in

  python -c "from attrec.sequences import SASRec; help(SASRec)"
"""
# As `main` does without a process of its own; the code of the project goes before an installed library.
_RUN = "import sys; sys.argv[0] = 'attrec'; sys.path.insert(0, sys.argv.pop(1)); from cli.app import main; main()"


def main() -> None:
    """Entry point. Outside of any project one sentence says what to do, with exit code 2."""
    project = find_project()
    if project is None:
        _without_project(sys.argv[1:])
        return
    here = Path.cwd()
    if project not in (here, *here.parents):
        print(f"Project: {project}", file=sys.stderr)
    python = _python_of(project)
    if python is None and _library() == project:
        sys.path.insert(0, str(project))
        importlib.import_module("cli.app").main()
        return
    sys.stdout.flush()
    words = [python or sys.executable, "-P", "-c", _RUN, str(project), *sys.argv[1:]]
    os.execv(words[0], words)


def find_project() -> Path | None:
    """The project that ATTREC_PROJECT names, that around the current folder, or that which the library is part of."""
    named = os.environ.get(VARIABLE)
    if named:
        folder = Path(named).expanduser().resolve()
        if not is_project(folder):
            sys.exit(_fault(f"{VARIABLE} names {named}, which is no clone of attrec's repository; name one."))
        return folder
    here = Path.cwd()
    return next((folder for folder in (here, *here.parents, _library()) if is_project(folder)), None)


def is_project(folder: Path) -> bool:
    """Whether a folder is a clone of the repository."""
    return all((folder / file).is_file() for file in ("dvc.yaml", "cli/app.py", "attrec/__init__.py"))


def _library() -> Path:
    """The folder that the library in use is in: a project, or one of installed packages."""
    return Path(__file__).resolve().parents[1]


def _python_of(project: Path) -> str | None:
    """The interpreter of the project's own environment; None where it has none, or this is it."""
    environment = project / ".venv"
    python = environment / "bin" / "python"
    return None if not python.exists() or Path(sys.prefix).resolve() == environment.resolve() else str(python)


def _without_project(words: list[str]) -> None:
    if words == ["--version"]:
        print(f"attrec {attrec.__version__}")
    elif words == ["--help"]:
        print(HELP, end="")
    else:
        sys.exit(
            _fault(
                "attrec's commands are those of a project, a clone of its repository, and this folder is in none: "
                f"change into one, or name it in {VARIABLE}."
            )
        )


def _fault(sentence: str) -> int:
    print(f"Error: {sentence}", file=sys.stderr)
    return 2
