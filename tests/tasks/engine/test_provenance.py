"""What DVC says of the data, while it may be writing that."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import pytest

from tasks.engine import environment
from tasks.engine.provenance import stage_outs

LOCK = """\
schema: '2.0'
stages:
  prepare:
    cmd: prepare
    outs:
    - path: data
      md5: a0123
"""


@pytest.mark.parametrize("begun", ["", "schema: '2.0'\n", LOCK[:40], LOCK[: LOCK.index("md5")]])
def test_a_lock_that_is_being_written_is_read_when_it_is_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, begun: str
) -> None:
    monkeypatch.setattr(environment, "ROOT", tmp_path)
    (tmp_path / "dvc.lock").write_text(begun)

    def write() -> None:
        time.sleep(0.3)
        (tmp_path / "dvc.lock").write_text(LOCK)

    writing = threading.Thread(target=write)
    writing.start()
    assert stage_outs("prepare") == {"data": "a0123"}
    writing.join()


def test_without_a_lock_or_the_stage_nothing_is_known(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(environment, "ROOT", tmp_path)
    assert stage_outs("prepare") == {}
    (tmp_path / "dvc.lock").write_text(LOCK)
    assert stage_outs("rating") == {}
