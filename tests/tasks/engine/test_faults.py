"""What is said of an address has no secret of it; what a disk refuses is a sentence."""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from xgboost.core import XGBoostError

from attrec.errors import DataError, ParamsError, ServiceError
from tasks.engine.faults import disk_fault, disk_faults, memory_faults, mendable, without_secrets

ROOT = Path(__file__).resolve().parents[3]
# Root may read and write whatever the rights are, but for these two.
AS_OTHERS = ["setpriv", "--bounding-set=-dac_override,-dac_read_search"] if os.getuid() == 0 else []


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("at postgresql://me:hunter2@h/db.", "at postgresql://h/db."),
        ("postgresql://me:hun/ter2@h/db", "postgresql://h/db"),
        ("https://hunter2@h/x and http://h/@x", "https://h/x and http://h/@x"),
        ("mssql://h/db?PWD=hunter2&sslmode=x", "mssql://h/db?PWD=&sslmode=x"),
        ("mssql:///?odbc_connect=DRIVER%3Dx%3BPWD%3Dhunter2", "mssql:///?odbc_connect="),
        ("http://127.0.0.1:4200/api", "http://127.0.0.1:4200/api"),
    ],
)
def test_secrets_are_left_out(text: str, said: str) -> None:
    assert without_secrets(text) == said


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (OSError(errno.ENOSPC, "No space left on device"), "The disk is full: free some space and run again."),
        (OSError(errno.EDQUOT, "x", "a.csv"), "The disk is full at a.csv: free some space and run again."),
        (PermissionError(errno.EACCES, "x", "a.csv"), "a.csv cannot be used (Permission denied): see that you may"),
        (OSError(errno.EROFS, "x", "from", None, "to"), "to cannot be used (Read-only file system): see that you"),
        (NotADirectoryError(errno.ENOTDIR, "x", "a/b"), "a/b cannot be used (Not a directory): see what stands there"),
        (OSError(errno.ENAMETOOLONG, "x", "a" * 5000), f"{'a' * 300}... cannot be used (File name too long): give a"),
        (shutil.Error([("a", "b", "[Errno 28] No space left on device: 'b'")]), "The disk is full: free some space"),
        (RuntimeError("I/O error: Read-only file system (os error 30)"), "A file cannot be used (Read-only file"),
    ],
)  # fmt: skip
def test_what_a_disk_refuses_is_a_sentence(error: Exception, said: str) -> None:
    assert str(mendable(error)).startswith(said)


@pytest.mark.parametrize(
    "error", [ValueError("a defect"), FileNotFoundError(errno.ENOENT, "x", "a"), KeyError(28)]
)
def test_a_defect_is_none(error: Exception) -> None:
    assert disk_fault(error) is None


def test_the_place_is_named_where_the_error_names_none() -> None:
    with pytest.raises(ServiceError, match="The disk is full at /there:"), disk_faults("/there"):
        raise OSError(errno.ENOSPC, "No space left on device")
    with pytest.raises(DataError, match="of the input"), disk_faults("/there"):
        raise DataError("of the input")
    with pytest.raises(OSError, match="No such file"), disk_faults("/there"):
        raise FileNotFoundError(errno.ENOENT, "No such file")


def raise_(error: Exception) -> None:
    raise error


@pytest.mark.parametrize(
    "take",
    [
        lambda: torch.empty(2**57),
        lambda: np.empty(2**57),
        lambda: raise_(MemoryError()),
        lambda: raise_(torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 9 GiB.")),
        lambda: raise_(XGBoostError("[12:00] hist.cc:1: std::bad_alloc")),
        lambda: raise_(OSError(errno.ENOMEM, os.strerror(errno.ENOMEM))),
    ],
)
def test_memory_that_cannot_be_had_is_a_sentence(take) -> None:
    said = "svd: fit: there is not enough memory: make the model smaller"
    with pytest.raises(ParamsError, match=said), memory_faults("svd: fit"):
        take()


@pytest.mark.parametrize(
    "error", [RuntimeError("a defect"), DataError("out of memory"), KeyError("bad_alloc")]
)
def test_other_errors_are_not_of_memory(error: Exception) -> None:
    with pytest.raises(type(error)) as raised, memory_faults("svd: fit"):
        raise error
    assert raised.value is error


def in_place_of_profiles(harm: Callable[[Path], object]) -> Callable[[Path], object]:
    def spoiled(state: Path) -> None:
        file = state / "prefect" / "profiles.toml"
        file.parent.mkdir(parents=True)
        harm(file)

    return spoiled


NO_PROFILES: dict[str, Callable[[Path], object]] = {
    "profiles of bytes": lambda file: file.write_bytes(b"\xff"),
    "deep profiles": lambda file: file.write_text(f"active = {'[' * 9_999}"),
    "active is a number": lambda file: file.write_text("active = 1"),
    "profiles are a number": lambda file: file.write_text("profiles = 3"),
    "profiles are a list": lambda file: file.write_text("[[profiles]]\nname = 'a'"),
    "a profile is a number": lambda file: file.write_text("[profiles]\na = 3"),
    "folder of profiles": Path.mkdir,
    "profiles that link to nowhere": lambda file: file.symlink_to("nowhere"),
    "pipe of profiles": os.mkfifo,
}


@pytest.mark.skipif(
    bool(AS_OTHERS) and not shutil.which("setpriv"), reason="root cannot do without its rights"
)
@pytest.mark.parametrize(
    ("harm", "said"),
    [
        (lambda state: state.touch(), "/.attrec cannot be made (File exists)."),
        (lambda state: state.symlink_to("nowhere"), "/.attrec cannot be made (File exists)."),
        (lambda state: state.mkdir(mode=0o500), "/.attrec cannot be written (Permission denied)."),
        (lambda state: state.mkdir(mode=0), "/.attrec cannot be written (Permission denied)."),
        (lambda state: state.parent.chmod(0o500), "/.attrec cannot be made (Permission denied)."),
        *(
            (in_place_of_profiles(harm), "/profiles.toml is no file of Prefect's profiles: move it away.")
            for harm in NO_PROFILES.values()
        ),
    ],
    ids=["file", "link to nowhere", "read only", "closed", "in a closed folder", *NO_PROFILES],
)  # fmt: skip
def test_a_state_that_cannot_be_used_is_a_sentence(tmp_path: Path, harm, said: str) -> None:
    root = tmp_path / "project"
    root.mkdir()
    harm(root / ".attrec")
    surroundings = {name: value for name, value in os.environ.items() if not name.startswith("PREFECT_")}
    done = subprocess.run(
        [*AS_OTHERS, sys.executable, "-c", "import tasks.engine.environment"],
        cwd=ROOT,
        env={**surroundings, "ATTREC_ROOT": str(root)},
        capture_output=True,
        text=True,
        timeout=120,
    )
    root.chmod(0o700)
    assert done.returncode == 2, done.stderr
    assert done.stderr.startswith("Error: ")
    assert done.stderr.endswith(f"{said}\n")
    assert done.stderr.count("\n") == 1
