"""Where the project keeps its state, and the environment that Prefect, MLflow and numeric libraries read on import.

Import this module before any of them: `flows` and `tasks` do so in their package files.
"""

from __future__ import annotations

import atexit
import ctypes
import errno
import gc
import os
import stat
import sys
import threading
import tomllib
from pathlib import Path
from typing import NoReturn

CODE = Path(__file__).resolve().parents[2]


def experimenting(code: Path) -> Path | None:
    """The checkout in which DVC runs this copy of the code as an experiment of its own; None where it does not."""
    folders = (folder for folder in code.parents if folder.parts[-3:] == (".dvc", "tmp", "exps"))
    return next((folder.parents[2] for folder in folders), None)


# An experiment of `dvc exp run --temp` or `--queue` is rebuilt in a folder of DVC's that is gone afterwards: what is to
# stay, and what Git and DVC do not carry there, is that of the checkout.
_EXPERIMENTING = experimenting(CODE)
ROOT = CODE if _EXPERIMENTING else Path(os.environ.get("ATTREC_ROOT", CODE))
CHECKOUT = _EXPERIMENTING or ROOT
STATE = CHECKOUT / ".attrec"
INCOMING = ROOT / "data" / "incoming"
ARTIFACTS = STATE / "artifacts"
RESULTS = STATE / "results"
TIMINGS = STATE / "timings"
STAGING = STATE / "staging"
CHECKPOINTS = STATE / "checkpoints"
DOWNLOADS = STATE / "downloads"
# No out of a stage: DVC removes the outs of one that fails.
REFUSED_ROWS = CHECKOUT / "reports" / "quarantine.csv"
# DVC reports every failed stage alike; a stage leaves this file when the input was at fault.
BAD_INPUT = STATE / "bad-input"
MLFLOW_DATABASE = STATE / "mlflow.db"
MLFLOW_ARTIFACTS = STATE / "mlartifacts"
DEBUG_VARIABLE = "ATTREC_DEBUG"
# Read before the slow imports: by a later one it shows whether the parent has died meanwhile.
PARENT_AT_START = os.getppid()
# Of glibc's malloc.h: M_ARENA_MAX, since arenas of threads hold small blocks alone; M_MMAP_THRESHOLD, below which
# blocks are kept; M_TRIM_THRESHOLD, how much may be kept.
MALLOC_OPTIONS = {-8: 1, -3: 2**28, -1: 2**29}
# More objects than Prefect, MLflow and torch make on import, and more seconds than that takes.
IMPORTED_OBJECTS = 1_000_000
IMPORT_SECONDS = 10.0
_USUAL_THRESHOLDS = gc.get_threshold()


def configure() -> None:
    """Set the defaults of this project; a value that the caller has set already wins."""
    try:
        for folder in dict.fromkeys((STATE, ROOT / STATE.name)):
            make_private(folder)
    except OSError as error:
        _refuse(f"{folder} cannot be made ({error.strerror})")
    if not os.access(STATE, os.R_OK | os.W_OK | os.X_OK):
        _refuse(f"{STATE} cannot be written ({os.strerror(errno.EACCES)})")
    defaults = {
        # Of each experiment its own: the server of one that ends would be missed by those beside it.
        "PREFECT_HOME": str(ROOT / ".attrec" / "prefect"),
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        # The logs of runs, which Prefect's pages show, say more than the terminal.
        "PREFECT_LOGGING_LEVEL": "INFO",
        "PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL": "WARNING",
        # What the library and the tasks warn of belongs into the logs of runs too; outside of one it is no fault.
        "PREFECT_LOGGING_EXTRA_LOGGERS": "attrec,tasks",
        "PREFECT_LOGGING_TO_API_WHEN_MISSING_FLOW": "ignore",
        # It would list each event that a server which has gone away does not take.
        "PREFECT_LOGGING_INTERNAL_LEVEL": "CRITICAL",
        "MLFLOW_TRACKING_URI": f"sqlite:///{MLFLOW_DATABASE}",
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
        "MLFLOW_LOGGING_LEVEL": "WARNING",
        "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
        # Half a minute of patience with a server that has gone away, in place of four.
        "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "4",
        "DO_NOT_TRACK": "true",
        "GIT_PYTHON_REFRESH": "quiet",
    }
    for name, value in defaults.items():
        os.environ.setdefault(name, value)
    # Two trainings side by side on one thread each beat one on two; figures must not hang on what the caller set.
    os.environ.update(dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1"))
    # A run id from outside would make every logged model part of that run.
    os.environ.pop("MLFLOW_RUN_ID", None)
    _check_profiles(Path(os.environ["PREFECT_HOME"]) / "profiles.toml")
    keep_freed_memory()
    import_without_garbage_collection()


def make_private(folder: Path) -> None:
    """Make a folder that its user alone can enter, whatever the umask; one that others can enter is closed to them.

    What is below it needs no care, and keeps the rights of the umask: some of it is published.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    if stat.S_IMODE(folder.stat().st_mode) & 0o077:
        try:
            folder.chmod(0o700)
        except OSError as error:
            print(
                f"Others may read {folder}, the state of all runs, and that cannot be changed"
                f" ({error.strerror or error}): let it be a folder of yours.",
                file=sys.stderr,
            )


def _check_profiles(file: Path) -> None:
    """See that Prefect can read its profiles, which it does on import."""
    if os.path.lexists(file) and not _holds_profiles(file):
        _refuse(f"{file} is no file of Prefect's profiles: move it away")


def _holds_profiles(file: Path) -> bool:
    try:
        # Who opens a pipe waits for one that writes into it.
        if not file.is_file():
            return False
        content = tomllib.loads(file.read_text(encoding="utf-8"))
    except (OSError, RecursionError, ValueError):
        return False
    named, profiles = content.get("active", ""), content.get("profiles", {})
    return (
        isinstance(named, str)
        and isinstance(profiles, dict)
        and all(isinstance(profile, dict) for profile in profiles.values())
    )


def _refuse(fault: str) -> NoReturn:
    # On import nothing is there yet that would turn an error into a sentence.
    print(f"Error: {fault}.", file=sys.stderr)
    sys.exit(2)


def keep_freed_memory() -> None:
    """Let glibc keep the memory of tensors that are freed, for the next ones.

    By itself it hands large ones back to the kernel each time, and new pages for the next step's took 40 % of the
    CPU seconds of attentive models on a million ratings.
    """
    if sys.platform == "linux" and hasattr(libc := ctypes.CDLL(None), "mallopt"):
        for option, value in MALLOC_OPTIONS.items():
            libc.mallopt(option, value)


def import_without_garbage_collection() -> None:
    """Look for no garbage for some seconds, while modules are imported, which all stay, nor among them at the end.

    Both together took a third of the time of most commands.
    """
    gc.set_threshold(IMPORTED_OBJECTS)
    atexit.register(gc.freeze)
    again = threading.Timer(IMPORT_SECONDS, collect_garbage_again)
    again.daemon = True
    again.start()


def collect_garbage_again() -> None:
    """Look for garbage as usual; a process that begins its work before those seconds are over calls this."""
    gc.set_threshold(*_USUAL_THRESHOLDS)


configure()
