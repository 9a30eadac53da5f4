"""A cache hit means same inputs, same reachable code and intact artefacts."""

from __future__ import annotations

import importlib
import os
import shutil
import sys
import threading
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy
import pytest
from prefect import Task, flow
from prefect.transactions import IsolationLevel
from pydantic import BaseModel

from attrec.errors import ParamsError
from tasks.data.split import part_tables, split_ratings
from tasks.engine import caching, environment, imports
from tasks.engine.artifacts import Artifact, hash_folder, writing
from tasks.engine.caching import loaded_source_hash
from tasks.engine.locks import ProcessLocks
from tasks.engine.timings import total

TASK_MODULE = """
from pathlib import Path
from tasks.engine.artifacts import Artifact, writing
from tasks.engine.caching import cached_task
from attrec.trial_arithmetic import double

@cached_task("trial")
def trial(number: int, log: str) -> Artifact:
    with Path(log).open("a") as stream:
        stream.write("ran\\n")
    with writing("trial") as draft:
        (draft.folder / "number.txt").write_text(str(double(number)))
    return draft.artifact
"""


@pytest.fixture
def trial(tmp_path, monkeypatch, prefect_server):
    """A cached task in a project of its own whose helper module can be edited."""
    for package in ("attrec", "tasks"):
        (tmp_path / package).mkdir()
        (tmp_path / package / "__init__.py").write_text("")
    helper = tmp_path / "attrec" / "trial_arithmetic.py"
    helper.write_text("def double(n):\n    return 2 * n\n")
    (tmp_path / "tasks" / "trial_task.py").write_text(TASK_MODULE)
    monkeypatch.setattr(imports, "SOURCE_ROOT", tmp_path)
    loaded_source_hash.cache_clear()
    import attrec
    import tasks

    monkeypatch.setattr(attrec, "__path__", [*attrec.__path__, str(tmp_path / "attrec")])
    monkeypatch.setattr(tasks, "__path__", [*tasks.__path__, str(tmp_path / "tasks")])
    module = importlib.import_module("tasks.trial_task")
    yield module.trial, helper, tmp_path / "log"
    for name in ("tasks.trial_task", "attrec.trial_arithmetic"):
        sys.modules.pop(name, None)


def times_run(log: Path) -> int:
    return log.read_text().count("ran") if log.exists() else 0


def test_same_inputs_hit_the_cache(trial):
    run, _, log = trial
    first = run(3, str(log))
    assert run(3, str(log)) == first
    assert times_run(log) == 1
    assert (first.path / "number.txt").read_text() == "6"


def test_what_was_computed_has_a_time(trial):
    run, _, log = trial
    timing = total([run(12, str(log))])
    assert timing is not None
    assert timing.seconds > 0
    assert timing.cpu_seconds > 0


def test_a_model_that_finds_no_memory_is_named(trial, monkeypatch):
    run, _, log = trial

    def double(number: int) -> int:
        raise RuntimeError("DefaultCPUAllocator: can't allocate memory")

    monkeypatch.setattr("tasks.trial_task.double", double)
    with pytest.raises(ParamsError, match="sasrec seed 0: trial: there is not enough memory"):
        caching.of_model(run, "sasrec", 0)(3, str(log))


def test_other_inputs_miss(trial):
    run, _, log = trial
    run(3, str(log))
    run(4, str(log))
    assert times_run(log) == 2


def test_of_equal_tasks_at_once_one_computes(trial):
    run, _, log = trial

    @flow
    def four_at_once():
        return [future.result() for future in [run.submit(11, str(log)) for _ in range(4)]]

    assert len(set(four_at_once())) == 1
    assert times_run(log) == 1


def test_a_record_that_is_being_written_is_waited_for_and_not_dropped(trial):
    run, _, log = trial

    def key() -> str:
        return run.cache_policy.compute_key(SimpleNamespace(task=run), {"number": 13, "log": str(log)}, {})

    run(13, str(log))
    record, locks = environment.RESULTS / key(), ProcessLocks()
    whole = record.read_text()
    locks.acquire_lock(record.name, "writer")
    record.write_text(whole[:10])
    reader = threading.Thread(target=key)
    reader.start()
    reader.join(1)
    assert reader.is_alive()
    record.write_text(whole)
    locks.release_lock(record.name, "writer")
    reader.join(60)
    assert record.read_text() == whole


def test_edited_helper_reruns_but_a_comment_does_not(trial):
    run, helper, log = trial
    run(5, str(log))
    loaded_source_hash.cache_clear()
    helper.write_text("# a remark\ndef double(n):\n    return 2 * n\n")
    run(5, str(log))
    assert times_run(log) == 1
    loaded_source_hash.cache_clear()
    helper.write_text("def double(n):\n    return n + n\n")
    run(5, str(log))
    assert times_run(log) == 2


@pytest.mark.parametrize("harm", ["deleted", "changed", "extra file"])
def test_harmed_artifact_is_made_again(trial, harm):
    run, _, log = trial
    artifact = run(7, str(log))
    if harm == "deleted":
        shutil.rmtree(artifact.path)
    elif harm == "changed":
        (artifact.path / "number.txt").write_text("15")
    else:
        (artifact.path / "stray.txt").write_text("")
    assert run(7, str(log)) == artifact
    assert times_run(log) == 2
    assert artifact.is_intact()
    assert (artifact.path / "number.txt").read_text() == "14"


def stored(run, number: int, log: Path) -> Path:
    """The record of what a trial made."""
    key = run.cache_policy.compute_key(SimpleNamespace(task=run), {"number": number, "log": str(log)}, {})
    return environment.RESULTS / key


def flip(file: Path, place: int) -> None:
    content = bytearray(file.read_bytes())
    content[place] ^= 1
    file.write_bytes(content)


ODD = {
    "empty": b"",
    "null": b"null",
    "list": b"[]",
    "map": b"{}",
    "no result": b'{"metadata": {"storage_key": "a"}, "result": null}',
    "no checksum": b'{"metadata": {"storage_key": "a"}, "result": "{}"}',
    "deep": b"[" * 99_999,
    "bytes": bytes(range(256)),
}


@pytest.mark.parametrize("odd", [*ODD, "folder", "link to nowhere", "pipe"])
@pytest.mark.timeout(120)
def test_what_is_no_record_is_swept_and_told(trial, odd, caplog):
    run, _, log = trial
    run(21, str(log))
    record = stored(run, 21, log)
    record.unlink()
    if odd == "folder":
        (record / "inside").mkdir(parents=True)
    elif odd == "link to nowhere":
        record.symlink_to(record.with_name("nowhere"))
    elif odd == "pipe":
        os.mkfifo(record)
    else:
        record.write_bytes(ODD[odd])
    again = run(21, str(log))
    assert times_run(log) == 2
    assert (again.path / "number.txt").read_text() == "42"
    assert "What trial made before is gone or damaged, and is made anew." in caplog.text
    assert run(21, str(log)) == again
    assert times_run(log) == 2


def test_a_record_with_another_bit_is_no_record(trial):
    run, _, log = trial
    run(22, str(log))
    record = stored(run, 22, log)
    content = record.read_bytes()
    begin = content.index(b'"result":"') + len(b'"result":"')
    for place in range(begin, content.index(b'"}', begin)):
        flip(record, place)
        assert stored(run, 22, log) == record
        assert not record.exists(), place
        record.write_bytes(content)
    assert stored(run, 22, log).exists()


@pytest.mark.parametrize("harm", ["bit", "truncated", "link to nowhere", "file in its place"])
def test_an_artifact_of_other_contents_is_made_again(trial, harm):
    run, _, log = trial
    artifact = run(23, str(log))
    file = artifact.path / "number.txt"
    if harm == "bit":
        flip(file, 0)
    elif harm == "truncated":
        file.write_text("4")
    elif harm == "link to nowhere":
        file.unlink()
        file.symlink_to("nowhere")
    else:
        shutil.rmtree(artifact.path)
        artifact.path.write_text("46")
    assert run(23, str(log)) == artifact
    assert times_run(log) == 2
    assert file.read_text() == "46"
    assert artifact.is_intact()


class Field(BaseModel):
    name: str = "a"


@dataclass(frozen=True)
class Pair:
    left: int
    right: tuple[int, ...]


def key_of(task: Task[..., Any] = split_ratings, **inputs: Any) -> str:
    return str(task.cache_policy.compute_key(SimpleNamespace(task=task), inputs, {}))


def test_a_key_is_of_every_value_and_of_no_order(monkeypatch):
    monkeypatch.setattr("tasks.engine.caching.loaded_source_hash", lambda module: f"code of {module}")
    artifact = Artifact(kind="clean", sha256="0" * 64)
    usual = {
        "config": Field(),
        "pair": Pair(1, (2,)),
        "path": Path("a"),
        "kind": Field,
        "cleaned": artifact,
        "n": 1,
    }
    key = key_of(**usual)
    assert len(key) == 64
    assert key == key_of(**dict(reversed(usual.items())))
    others = [
        key_of(part_tables, **usual),
        key_of(**usual, more=None),
        *(
            key_of(**{**usual, **other})
            for other in (
                {"config": Field(name="b")},
                {"pair": Pair(1, (3,))},
                {"path": Path("b")},
                {"kind": Pair},
                {"cleaned": Artifact(kind="clean", sha256="1" * 64)},
                {"n": 2},
            )
        ),
    ]
    assert len({key, *others}) == 1 + len(others)


def test_the_form_of_what_a_key_is_made_of(monkeypatch):
    """Another form would make every result anew that an earlier version has cached."""
    monkeypatch.setattr("tasks.engine.caching.loaded_source_hash", lambda module: f"code of {module}")
    code = f"code of {__name__}"
    assert caching._jsonable(Field) == {"class": "Field", "code": code}
    assert caching._jsonable(Field()) == {"class": "Field", "code": code, "fields": {"name": "a"}}
    assert caching._jsonable(Pair(1, (2,))) == {
        "class": "Pair",
        "code": code,
        "fields": {"left": 1, "right": (2,)},
    }
    assert caching._jsonable(Path("a/b")) == "a/b"
    with pytest.raises(TypeError, match="takes plain values, configs and artefacts, not set"):
        caching._jsonable({1})


def test_what_is_for_the_eye_is_not_in_the_key():
    policy = caching.VerifiedInputs(shown=frozenset({"label"}))
    keys = {
        policy.compute_key(SimpleNamespace(task=split_ratings), {"label": label, "n": n}, {})
        for label in ("one", "other")
        for n in (1, 2)
    }
    assert len(keys) == 2


def test_artifacts_are_found_wherever_a_result_has_them():
    first, second = (Artifact(kind="k", sha256=digit * 64) for digit in "01")
    asdicts = [{"kind": "k", "sha256": digit * 64} for digit in "01"]
    assert caching._artifacts_in({"a": [asdicts[0], {"b": asdicts[1]}], "n": 3}) == [first, second]
    assert caching._artifacts_in(asdicts[0]) == [first]
    assert caching._artifacts_in("text") == []
    assert caching._artifacts_in({"kind": "k", "sha256": "0", "more": 1}) == []


def test_every_library_that_computes_is_in_the_key():
    caching.library_versions.cache_clear()
    versions = dict(text.split("==") for text in caching.library_versions())
    assert tuple(versions) == caching.LIBRARIES
    assert versions["numpy"] == numpy.__version__


def test_runs_say_of_which_model_they_are():
    assert split_ratings.task_run_name == "split"
    assert caching.of_model(split_ratings, "svd").task_run_name == "svd: split"
    assert caching.of_model(split_ratings, "svd", 0).task_run_name == "svd seed 0: split"
    nameless = split_ratings.with_options(task_run_name="")
    assert caching.of_model(nameless, "svd").task_run_name == "svd: split"


def test_results_of_a_cached_task_are_small_and_kept():
    made = caching.cached_task("made", shown=["label"], retries=3, task_run_name="made {label}")(times_run)
    assert (made.name, made.task_run_name, made.retries) == ("made", "made {label}", 3)
    assert (made.persist_result, made.cache_result_in_memory) == (True, False)
    assert (made.result_storage, made.result_serializer.type) == (environment.RESULTS, "checked-json")
    policy = made.cache_policy
    assert isinstance(policy, caching.VerifiedInputs)
    assert policy.shown == {"label"}
    assert policy.isolation_level is IsolationLevel.SERIALIZABLE
    assert isinstance(policy.lock_manager, ProcessLocks)
    assert made.fn.__name__ == "times_run"


def test_interrupted_writing_leaves_nothing():
    with pytest.raises(RuntimeError, match="stop"), writing("interrupted") as draft:
        (draft.folder / "half.txt").write_text("half")
        raise RuntimeError("stop")
    assert not draft.folder.exists()


def test_folder_hash_sees_names_and_contents(tmp_path):
    a, b = tmp_path / "a", tmp_path / "b"
    for folder, text in ((a, "1"), (b, "1")):
        folder.mkdir()
        (folder / "x").write_text(text)
    assert hash_folder(a) == hash_folder(b)
    (b / "x").rename(b / "y")
    assert hash_folder(a) != hash_folder(b)


def test_artifact_that_was_never_written_is_not_intact():
    assert not Artifact(kind="none", sha256="0" * 64).is_intact()


def test_other_library_versions_miss(trial, monkeypatch):
    run, _, log = trial
    run(9, str(log))
    monkeypatch.setattr("tasks.engine.caching.library_versions", lambda: ("torch==0.0.0",))
    run(9, str(log))
    assert times_run(log) == 2


CLASS_MODULE = """
class {name}:
    def answer(self):
        return {answer}
"""
CLASS_TASK_MODULE = """
from pathlib import Path
from tasks.engine.artifacts import Artifact, writing
from tasks.engine.caching import cached_task

@cached_task("trial-of-a-class", shown=["label"])
def ask(label: str, kind: type, log: str) -> Artifact:
    with Path(log).open("a") as stream:
        stream.write(f"{label} ran\\n")
    with writing("trial") as draft:
        (draft.folder / "answer.txt").write_text(str(kind().answer()))
    return draft.artifact
"""


def test_a_task_that_is_handed_a_class_runs_again_when_that_class_is_edited_and_only_then(
    tmp_path, monkeypatch, prefect_server
):
    (tmp_path / "attrec").mkdir()
    (tmp_path / "attrec" / "__init__.py").write_text("")
    (tmp_path / "tasks").mkdir()
    (tmp_path / "tasks" / "__init__.py").write_text("")
    files = {name: tmp_path / "attrec" / f"trial_{name.lower()}.py" for name in ("Edited", "Other")}
    for name, file in files.items():
        file.write_text(CLASS_MODULE.format(name=name, answer=1))
    (tmp_path / "tasks" / "trial_of_classes.py").write_text(CLASS_TASK_MODULE)
    monkeypatch.setattr(imports, "SOURCE_ROOT", tmp_path)
    import attrec
    import tasks

    monkeypatch.setattr(attrec, "__path__", [*attrec.__path__, str(tmp_path / "attrec")])
    monkeypatch.setattr(tasks, "__path__", [*tasks.__path__, str(tmp_path / "tasks")])
    log = tmp_path / "log"
    loaded_source_hash.cache_clear()
    ask = importlib.import_module("tasks.trial_of_classes").ask
    edited = importlib.import_module("attrec.trial_edited").Edited
    other = importlib.import_module("attrec.trial_other").Other
    try:
        for kind in (edited, other, edited):
            ask(kind.__name__, kind, str(log))
        assert log.read_text().split("\n")[:-1] == ["Edited ran", "Other ran"]
        # What a task is called for the eye makes no other result.
        ask("under another label", other, str(log))
        files["Edited"].write_text(CLASS_MODULE.format(name="Edited", answer=2))
        loaded_source_hash.cache_clear()
        for kind in (edited, other):
            ask(kind.__name__, kind, str(log))
        assert log.read_text().split("\n")[:-1] == ["Edited ran", "Other ran", "Edited ran"]
    finally:
        for name in ("tasks.trial_of_classes", "attrec.trial_edited", "attrec.trial_other"):
            sys.modules.pop(name, None)
        loaded_source_hash.cache_clear()
