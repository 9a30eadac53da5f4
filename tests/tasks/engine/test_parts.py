"""Tables written part by part: killed and taken up, the same bits; whole or not at all."""

from __future__ import annotations

import io
import os
import signal
import subprocess
import sys
import tempfile
import threading
from csv import reader as csv_reader
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyarrow import csv

from attrec.errors import DataError, ServiceError
from attrec.shown import as_cell
from tasks.engine.parts import check_destination, write_in_parts

BATCHES = 6
CELLS = st.text(st.sampled_from("'=+-@\t\r\n＝＋－＠a1,\""))
# Answers a batch of numbers with their squares; the words are the file, the batch to be killed in, and a file that
# counts what was answered.
PROGRAM = """
import os, signal, sys
from pathlib import Path
import pyarrow as pa
from tasks.engine.parts import write_in_parts
file, fatal, counted = Path(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3])
def answer(batch):
    if batch[0] // 100 == fatal:
        os.kill(os.getpid(), signal.SIGKILL)
    with counted.open("a") as stream:
        stream.write("x")
    return pa.table({"n": batch, "title": [f"film {n}, {n % 7}" for n in batch], "score": [n / 7 for n in batch]})
batches = (list(range(100 * number, 100 * number + 100)) for number in range(6))
write_in_parts(file, {"k": 3}, batches, answer, lambda batch, part: None, 1)
"""


def run(file: Path, fatal: int, counted: Path) -> int:
    words = [sys.executable, "-c", PROGRAM, str(file), str(fatal), str(counted)]
    return subprocess.run(words, cwd=Path(__file__).parents[3]).returncode


@pytest.mark.parametrize("ending", [".parquet", ".csv"])
def test_a_killed_run_is_taken_up_and_gives_the_same_bits(tmp_path: Path, ending: str) -> None:
    counted, file = tmp_path / "answered", tmp_path / f"killed{ending}"
    assert run(file, 4, counted) == -signal.SIGKILL
    assert not file.exists()
    assert counted.read_text() == "xxxx"
    assert run(file, -1, counted) == 0
    assert counted.read_text() == "x" * BATCHES
    assert run(whole := tmp_path / f"whole{ending}", -1, counted) == 0
    assert file.read_bytes() == whole.read_bytes()
    table = pq.read_table(file) if ending == ".parquet" else csv.read_csv(file)
    assert table["n"].to_pylist() == list(range(100 * BATCHES))
    assert table["title"][8].as_py() == "film 8, 1"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["answered", file.name, whole.name]


def squares(file: Path, plan: dict, answered: list[int], workers: int = 2, batches: int = 4) -> None:
    def answer(number: int) -> pa.Table:
        answered.append(number)
        if number in plan.get("broken", ()):
            raise DataError("This cannot be answered.")
        return pa.table({"square": [number * number]})

    write_in_parts(file, plan, iter(range(batches)), answer, lambda batch, part: None, workers)


def test_what_was_answered_for_another_plan_is_not_taken(tmp_path: Path) -> None:
    file, answered = tmp_path / "a.parquet", list[int]()
    with pytest.raises(DataError, match="cannot be answered"):
        squares(file, {"k": 1, "broken": [3]}, answered, workers=1)
    assert not file.exists()
    assert sorted(answered) == [0, 1, 2, 3]
    squares(file, {"k": 2}, answered)
    assert sorted(answered) == [0, 0, 1, 1, 2, 2, 3, 3]
    assert pq.read_table(file)["square"].to_pylist() == [0, 1, 4, 9]


def test_two_do_not_write_one_file(tmp_path: Path) -> None:
    file, inside, end = tmp_path / "a.csv", threading.Event(), threading.Event()

    def answer(number: int) -> pa.Table:
        inside.set()
        end.wait(30)
        return pa.table({"n": [number]})

    first = threading.Thread(
        target=write_in_parts, args=(file, {}, iter([1]), answer, lambda batch, part: None, 1)
    )
    first.start()
    assert inside.wait(30)
    with pytest.raises(ServiceError, match="is being written by another process"):
        squares(file, {}, [])
    end.set()
    first.join()
    assert file.read_text() == "n\n1\n"


def test_no_more_batches_are_read_than_are_being_answered(tmp_path: Path) -> None:
    read, most = [0], [0]
    done = [0]

    def batches():
        for number in range(20):
            read[0] += 1
            most[0] = max(most[0], read[0] - done[0])
            yield number

    def told(batch: int, part: Path) -> None:
        done[0] += 1

    write_in_parts(tmp_path / "a.csv", {}, batches(), lambda n: pa.table({"n": [n]}), told, 2)
    assert most[0] <= 4
    assert done[0] == 20


@given(st.lists(st.tuples(CELLS, CELLS | st.none()), min_size=1, max_size=5))
def test_csv_has_no_formula_and_is_read_back(rows: list[tuple[str, str | None]]) -> None:
    """What Python's reader reads: Arrow's cannot keep empty texts and missing ones apart."""
    ids, titles = zip(*rows, strict=True)
    given_table = pa.table(
        {"item_id": ids, "title": pa.array(titles, pa.string()), "score": [-0.5] * len(ids)}
    )
    with tempfile.TemporaryDirectory() as folder:
        for ending in (".csv", ".parquet"):
            file = Path(folder) / f"a{ending}"
            write_in_parts(file, {}, iter([0]), lambda _: given_table, lambda batch, part: None, 1)
        text = (Path(folder) / "a.csv").read_bytes().decode()
        assert pq.read_table(Path(folder) / "a.parquet").equals(given_table)
    _, *written = csv_reader(io.StringIO(text, newline=""))
    assert written == [[one, as_cell(title or ""), "-0.5"] for one, title in rows]


def test_places_that_cannot_be_written(tmp_path: Path) -> None:
    for file, words in {
        "a.txt": "ends in .parquet or .csv",
        "no/a.csv": "in a folder that exists",
    }.items():
        with pytest.raises(DataError, match=words):
            check_destination(tmp_path / file)
    (tmp_path / "a.csv").mkdir()
    with pytest.raises(DataError, match="give the path of a file"):
        check_destination(tmp_path / "a.csv")
    check_destination(tmp_path / "b.csv")
    if os.getuid():
        (tmp_path / "closed").mkdir(mode=0o500)
        with pytest.raises(ServiceError, match="cannot be written"):
            squares(tmp_path / "closed" / "a.csv", {}, [])


@pytest.mark.skipif(not Path("/proc/self").is_dir(), reason="needs a file system that takes no file")
def test_a_place_that_takes_no_file_is_one_sentence():
    with pytest.raises(ServiceError, match=r"^/proc/answers.csv cannot be written: "):
        write_in_parts(Path("/proc/answers.csv"), {}, iter([1]), pytest.fail, lambda batch, part: None, 1)
