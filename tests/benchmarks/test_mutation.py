"""The table of mutants."""

from __future__ import annotations

import json
from pathlib import Path

from benchmarks.mutation import table


def test_by_hand(tmp_path: Path) -> None:
    ends = {"a.x_f__mutmut_1": 1, "a.x_f__mutmut_2": 0, "a.x_f__mutmut_3": 33, "a.x_f__mutmut_4": None}
    timed_out = {"b.x_g__mutmut_1": -24}
    for name, codes in {"a.py": ends, "b.py": timed_out, "c.py": {"c.x_h__mutmut_1": None}}.items():
        (tmp_path / "attrec").mkdir(exist_ok=True)
        (tmp_path / "attrec" / f"{name}.meta").write_text(json.dumps({"exit_code_by_key": codes}))
    rows = table(tmp_path).splitlines()[2:]
    assert rows == ["| `attrec/a.py` | 3 | 1 | 2 | 33.3% |", "| `attrec/b.py` | 1 | 1 | 0 | 100.0% |"]
    assert table(tmp_path, ("a.x_f__mutmut_[12]",)).splitlines()[2:] == [
        "| `attrec/a.py` | 2 | 1 | 1 | 50.0% |"
    ]
