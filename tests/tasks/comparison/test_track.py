"""What stands beside a served model: the library in one file, that works where nothing of it is installed."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import attrec
from tasks.comparison.track import packed_library


def test_the_packed_library_is_imported_and_says_its_version(tmp_path: Path) -> None:
    packed = tmp_path / "library.zip"
    packed.write_bytes(packed_library())
    asked = "import attrec, attrec.sequences as own; print(attrec.__version__, attrec.__file__, 'SASRec' in dir(own))"
    shown = subprocess.run(
        [sys.executable, "-P", "-c", asked],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(packed)},
        capture_output=True,
        text=True,
    )
    assert shown.stdout.split() == [attrec.__version__, f"{packed}/attrec/__init__.py", "True"], shown.stderr
