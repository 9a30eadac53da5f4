"""The state of a checkout is private to its user, whatever the umask; what is published follows it."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from tasks.engine import environment
from tasks.engine.artifacts import publish, writing
from tasks.engine.imports import SOURCE_ROOT


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def start(root: Path, umask: int) -> subprocess.CompletedProcess[str]:
    """A process of ours, as a user with this umask starts it in a checkout."""
    words = [sys.executable, "-c", "from tasks.engine import environment"]
    variables = {**os.environ, "ATTREC_ROOT": str(root)}
    return subprocess.run(
        words, cwd=SOURCE_ROOT, env=variables, umask=umask, capture_output=True, text=True, check=True
    )


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o077])
def test_state_is_made_private(tmp_path: Path, umask: int) -> None:
    done = start(tmp_path, umask)
    assert mode(tmp_path / ".attrec") == 0o700
    assert done.stderr == ""


@pytest.mark.parametrize("before", [0o777, 0o755, 0o710, 0o704])
def test_state_that_others_can_enter_is_closed_to_them(tmp_path: Path, before: int) -> None:
    state = tmp_path / ".attrec"
    state.mkdir()
    state.chmod(before)
    start(tmp_path, 0o000)
    assert mode(state) == 0o700


def test_state_elsewhere_is_private_there(tmp_path: Path) -> None:
    elsewhere, root = tmp_path / "elsewhere", tmp_path / "root"
    elsewhere.mkdir()
    root.mkdir()
    elsewhere.chmod(0o777)
    (root / ".attrec").symlink_to(elsewhere)
    start(root, 0o000)
    assert mode(elsewhere) == 0o700
    assert (root / ".attrec").is_symlink()


def test_a_stricter_folder_is_left(tmp_path: Path) -> None:
    state = tmp_path / ".attrec"
    state.mkdir(mode=0o500)
    start(tmp_path, 0o022)
    assert mode(state) == 0o500
    state.chmod(0o700)


def test_that_it_cannot_be_made_private_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """As where it is somebody else's: what the system says then is given here."""
    tmp_path.chmod(0o755)

    def refused(*_: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(Path, "chmod", refused)
    environment.make_private(tmp_path)
    [sentence] = capsys.readouterr().err.splitlines()
    assert f"Others may read {tmp_path}" in sentence
    assert "Operation not permitted" in sentence


@pytest.mark.parametrize("umask", [0o000, 0o027, 0o077])
def test_what_is_published_has_the_rights_of_the_umask(tmp_path: Path, umask: int) -> None:
    before = os.umask(umask)
    try:
        with writing("test-rights") as draft:
            (draft.folder / "model").mkdir()
            (draft.folder / "model" / "weights").write_text(f"{umask}")
        publish(draft.artifact.path, tmp_path / "models" / "mine")
    finally:
        os.umask(before)
    for place in ("models", "models/mine", "models/mine/model"):
        assert mode(tmp_path / place) == 0o777 & ~umask, place
    assert mode(tmp_path / "models" / "mine" / "model" / "weights") == 0o666 & ~umask
    assert mode(environment.STATE) & 0o077 == 0


@pytest.mark.parametrize(
    "profiles", ["", "# none\n", 'active = "a"\n', '[profiles.a]\nPREFECT_API_URL = "http://h/api"\n']
)
def test_profiles_of_prefect_are_taken(tmp_path: Path, profiles: str) -> None:
    home = tmp_path / "prefect"
    home.mkdir()
    (home / "kept.toml").write_text(profiles)
    (home / "profiles.toml").symlink_to("kept.toml")
    environment._check_profiles(home / "profiles.toml")


def test_garbage_is_looked_for_again_after_the_imports() -> None:
    asked = (
        "import gc, time; usual = gc.get_threshold(); from tasks.engine import environment; high = gc.get_threshold();"
        " time.sleep(environment.IMPORT_SECONDS + 1); print(high[0] > usual[0], gc.get_threshold() == usual)"
    )
    said = subprocess.run(
        [sys.executable, "-c", asked], cwd=SOURCE_ROOT, capture_output=True, text=True, check=True
    )
    assert said.stdout.split() == ["True", "True"]
