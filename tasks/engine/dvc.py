"""How this project starts DVC: its stages run this interpreter, and nobody needs to have told Git their name."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from tasks.engine import environment


def surroundings() -> dict[str, str]:
    """The environment for DVC and the stages that it starts."""
    found = dict(os.environ)
    # dvc.yaml says `python`, and a queue's worker is started as `dvc`.
    found["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), found.get("PATH", os.defpath)])
    # DVC keeps an experiment as a commit; Git lets these variables win over what is configured.
    for field, value in (("name", "attrec"), ("email", "attrec@localhost")):
        if not _configured(f"user.{field}"):
            for role in ("AUTHOR", "COMMITTER"):
                found.setdefault(f"GIT_{role}_{field.upper()}", value)
    return found


def run_dvc(*words: str) -> int:
    """Run `dvc WORDS` in this checkout, and return its exit code."""
    return subprocess.run(command(*words), cwd=environment.ROOT, env=surroundings()).returncode


def command(*words: str) -> list[str]:
    """`dvc WORDS`, of this interpreter."""
    return [sys.executable, "-m", "dvc", *words]


def _configured(key: str) -> bool:
    try:
        return (
            subprocess.run(["git", "config", key], cwd=environment.ROOT, capture_output=True).returncode == 0
        )
    except OSError:
        return False
