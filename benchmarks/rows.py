"""Measurements that outlive a kill: each is kept the moment it is taken, and taken in a process of its own."""

from __future__ import annotations

import json
import multiprocessing
import os
import platform
import resource
import subprocess
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import torch

from attrec.models.storage import write_json
from tasks.engine.environment import MALLOC_OPTIONS, keep_freed_memory

Row = dict[str, Any]
THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMEXPR_NUM_THREADS")
_MALLOC_NAMES = {-8: "MALLOC_ARENA_MAX", -3: "MALLOC_MMAP_THRESHOLD_", -1: "MALLOC_TRIM_THRESHOLD_"}
SURROUNDINGS = {
    **dict.fromkeys(THREADS, "1"),
    "CUDA_VISIBLE_DEVICES": "",
    **{_MALLOC_NAMES[option]: str(value) for option, value in MALLOC_OPTIONS.items()},
}
"""Of every measured process, a rival's too: one thread, no GPU, memory that is freed is kept for the next tensors."""


class Rows:
    """A JSON file of measurements by name, with the commit they were taken at; one taken under other conditions, or of
    other code where that is given, stays in it and is taken again."""

    def __init__(self, path: Path, conditions: Row) -> None:
        self.path = path
        self.conditions = {**conditions, "machine": machine(), "torch": torch.__version__}
        self._kept: list[Row] = json.loads(path.read_text(encoding="utf-8")) if path.exists() else []

    def find(self, name: str, code: str | None = None) -> Row | None:
        """The measurement, None where there is none of this code under these conditions."""
        row = self._row(name, code)
        return None if row is None else dict(row["measured"])

    def commit_of(self, name: str, code: str | None = None) -> str:
        """Of a measurement that there is."""
        row = self._row(name, code)
        assert row is not None, name
        return str(row["commit"])

    def _row(self, name: str, code: str | None) -> Row | None:
        for row in self._kept:
            if row["name"] == name and row["conditions"] == self.conditions and row.get("code") == code:
                return row
        return None

    def measure(self, name: str, work: Callable[..., Row], *given: Any, code: str | None = None) -> Row:
        """What is kept, or else what `work(*given)` measures now; that is in the file when this returns.

        Args:
            code: Identifies what is measured, where it is ours and may change (`tasks.engine.imports.source_hash`).
        """
        found = self.find(name, code)
        if found is None:
            # Through JSON, so that a row that was just measured and one that was read are the same.
            found = dict(json.loads(json.dumps(work(*given))))
            about = {"name": name, "conditions": self.conditions, "code": code, "commit": commit()}
            self._kept.append({**about, "measured": found})
            write_json(self.path, self._kept)
        return found


def in_own_process(work: Callable[..., Row], *given: Any) -> Row:
    """What `work(*given)` returns and `peak_mb`, the peak memory in MiB of the process that ran it.

    Raises:
        BrokenProcessPool: the process was killed.
    """
    os.environ.update(SURROUNDINGS)
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        return pool.submit(_measured, work, *given).result()


def _measured(work: Callable[..., Row], *given: Any) -> Row:
    keep_freed_memory()
    torch.set_num_threads(1)
    return {**work(*given), "peak_mb": peak_mb()}


def peak_mb() -> float:
    """Of this process so far, in MiB."""
    status = Path("/proc/self/status")
    if status.exists():  # getrusage would count the memory of the process that started this one
        return float(status.read_text().partition("VmHWM:")[2].split()[0]) / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def commit() -> str:
    """Of the project, with "-dirty" where its code differs from it; "none" outside of git."""
    root = Path(__file__).resolve().parents[1]
    named = subprocess.run(
        ["git", "describe", "--always"], cwd=root, capture_output=True, text=True, check=False
    ).stdout.strip()
    # What a benchmark itself writes makes no other code.
    written = [f":(exclude)benchmarks/*.{kind}" for kind in ("json", "md", "csv", "svg")]
    same = subprocess.run(["git", "diff", "--quiet", "HEAD", "--", ".", *written], cwd=root, check=False)
    return (named if same.returncode == 0 else f"{named}-dirty") if named else "none"


def machine() -> str:
    """The processor's name, where the system tells it."""
    lines = (Path("/proc/cpuinfo").read_text() if Path("/proc/cpuinfo").exists() else "").splitlines()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()
