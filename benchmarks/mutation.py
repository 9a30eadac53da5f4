"""What `mutmut run` has found so far, as the table of `mutation.md`: of each file how many mutants no test caught.

Names of mutants or globs after the command leave the others out of the table, so that a sample can be told.
"""

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import Mapping
from fnmatch import fnmatchcase
from pathlib import Path

FOUND = Path("mutants")
STATES: Mapping[int | None, str] = {
    None: "unchecked",
    0: "survived",
    1: "caught",
    3: "caught",
    33: "untested",
}
"""Exit codes of pytest, as mutmut keeps them; whatever else ended a mutant has caught it too."""


def counts(exit_codes: Mapping[str, int | None], wanted: tuple[str, ...]) -> Counter[str]:
    """How many mutants of a file came to which end."""
    chosen = {name for name in exit_codes if not wanted or any(fnmatchcase(name, glob) for glob in wanted)}
    return Counter(STATES.get(exit_codes[name], "caught") for name in chosen)


def table(found: Path, wanted: tuple[str, ...] = ()) -> str:
    """Markdown; files of which no mutant was run are left out."""
    lines = ["| file | mutants run | caught | survived | share caught |", "|---|---:|---:|---:|---:|"]
    for path in sorted(found.rglob("*.py.meta")):
        ends = counts(json.loads(path.read_text())["exit_code_by_key"], wanted)
        lived, caught = ends["survived"] + ends["untested"], ends["caught"]
        if run := lived + caught:
            name = path.relative_to(found).as_posix().removesuffix(".meta")
            lines.append(f"| `{name}` | {run} | {caught} | {lived} | {caught / run:.1%} |")
    return "\n".join(lines)


if __name__ == "__main__":
    print(table(FOUND, tuple(sys.argv[1:])))
