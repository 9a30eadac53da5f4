"""Folders are kept on the disk before they have their name, on whatever disk that is, and drafts are swept."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from attrec.files import remove
from tasks.engine import environment
from tasks.engine.artifacts import COPY, REPLACED, publish, publish_all, sweep_staging, writing
from tasks.engine.imports import SOURCE_ROOT
from tasks.engine.processes import PROCESS_TAG, is_alive, process_tag

GONE = f"{2**22 + 1}@0.0"
OTHER_DISK = Path("/dev/shm")


@pytest.fixture
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("STAGING", "ARTIFACTS"):
        monkeypatch.setattr(environment, name, tmp_path / ".attrec" / name.lower())
    return tmp_path / ".attrec"


def test_the_disk_keeps_all_files_before_they_have_their_name(state, tmp_path, monkeypatch) -> None:
    course: list[tuple[str, str]] = []
    fsync, replace = os.fsync, Path.replace
    monkeypatch.setattr(
        os,
        "fsync",
        lambda number: (
            course.append(("kept", str(Path(f"/proc/self/fd/{number}").readlink()))),
            fsync(number),
        ),
    )
    monkeypatch.setattr(
        Path, "replace", lambda path, to: (course.append(("named", str(to))), replace(path, to))[1]
    )
    with writing("trial") as draft:
        (draft.folder / "inner").mkdir()
        for name in ("a.txt", "inner/b.txt"):
            (draft.folder / name).write_text(name)
    target = tmp_path / "data" / "raw"
    drafted = {str(draft.folder), *(str(draft.folder / name) for name in ("a.txt", "inner", "inner/b.txt"))}
    named = course.index(("named", str(draft.artifact.path)))
    assert {path for done, path in course[:named] if done == "kept"} == drafted
    assert course[named + 1 :] == [("kept", str(draft.artifact.path.parent))]
    course.clear()
    publish(draft.artifact.path, target)
    named = course.index(("named", str(target)))
    assert {Path(path).name for done, path in course[:named] if done == "kept"} == {
        "copy",
        "a.txt",
        "inner",
        "b.txt",
    }
    assert course[named + 1 :] == [("kept", str(target.parent))]


@pytest.mark.skipif(not OTHER_DISK.is_dir(), reason="there is no other file system here")
def test_state_and_data_lie_on_different_disks(state, tmp_path) -> None:
    target = OTHER_DISK / f"attrec-test-{os.getpid()}" / "raw"
    assert tmp_path.stat().st_dev != OTHER_DISK.stat().st_dev
    try:
        for text in ("old", "new"):
            with writing("trial") as draft:
                (draft.folder / "a.txt").write_text(text)
            publish_all({"one": draft.artifact.path, "two": draft.artifact.path}, target)
            assert {file.parent.name for file in target.glob("*/a.txt")} == {"one", "two"}
            assert (target / "one" / "a.txt").read_text() == text
            publish(draft.artifact.path / "a.txt", target.with_name("a.txt"))
            assert target.with_name("a.txt").read_text() == text
            assert {path.name for path in target.parent.iterdir()} == {"raw", "a.txt"}
    finally:
        remove(target.parent)


def test_what_a_killed_process_was_publishing_goes_with_the_next(state, tmp_path) -> None:
    source = tmp_path / "source"
    source.write_text("new")
    alive = process_tag().removeprefix(PROCESS_TAG)
    for name in (f".raw.{GONE}-x1", f".raw.{alive}-x2", f".rawer.{GONE}-x3", ".raw.mine"):
        (tmp_path / "data" / name).mkdir(parents=True)
    publish(source, tmp_path / "data" / "raw")
    left = {path.name for path in (tmp_path / "data").iterdir()}
    assert left == {"raw", f".raw.{alive}-x2", f".rawer.{GONE}-x3", ".raw.mine"}


KILLED = """
import os, sys
from pathlib import Path
from tasks.engine.artifacts import publish
moved, left = 0, int(sys.argv[3])
replace, unlink = Path.replace, os.unlink

def moving(path, to):
    global moved
    if moved == left:
        os._exit(9)
    moved += 1
    return replace(path, to)

def removing(*place, **options):
    unlink(*place, **options)
    os._exit(9)

Path.replace, os.unlink = moving, removing
publish(Path(sys.argv[1]), Path(sys.argv[2]))
"""


@pytest.fixture
def folders(tmp_path: Path) -> tuple[Path, Path]:
    """A new folder, and the place of an old one."""
    new, target = tmp_path / "new", tmp_path / "data" / "raw"
    for folder in (new, target):
        folder.mkdir(parents=True)
        for name in ("a.txt", "b.txt"):
            (folder / name).write_text(folder.name)
    return new, target


def contents(folder: Path) -> set[tuple[str, str]]:
    return {(file.name, file.read_text()) for file in folder.iterdir()}


def killed_while_publishing(folders: tuple[Path, Path], after: int) -> None:
    words = [sys.executable, "-c", KILLED, *map(str, folders), str(after)]
    surroundings = {**os.environ, "ATTREC_ROOT": str(environment.ROOT)}
    assert subprocess.run(words, cwd=SOURCE_ROOT, env=surroundings, timeout=120).returncode == 9


@pytest.mark.parametrize("after", [0, 1])
def test_what_a_killed_process_has_taken_from_its_place_comes_back(folders, after) -> None:
    new, target = folders
    before = contents(target)
    killed_while_publishing(folders, after)
    assert target.exists() == (after == 0)
    with pytest.raises(FileNotFoundError):
        publish(new / "nothing", target)
    assert contents(target) == before
    assert list(target.parent.iterdir()) == [target]


def test_what_was_replaced_and_is_half_removed_does_not_come_back(folders) -> None:
    new, target = folders
    killed_while_publishing(folders, 2)
    assert contents(target) == contents(new)
    assert len(list(target.parent.iterdir())) == 2
    remove(target)
    with pytest.raises(FileNotFoundError):
        publish(new / "nothing", target)
    assert not list(target.parent.iterdir())


@pytest.mark.parametrize("error", [KeyboardInterrupt, OSError])
def test_who_is_stopped_before_the_new_comes_leaves_the_old(folders, monkeypatch, error) -> None:
    new, target = folders
    before, replace = contents(target), Path.replace

    def stopped(path: Path, to: Path) -> Path:
        if path.name == COPY:
            raise error
        return replace(path, to)

    monkeypatch.setattr(Path, "replace", stopped)
    with pytest.raises(error):
        publish(new, target)
    assert contents(target) == before
    assert list(target.parent.iterdir()) == [target]


def test_a_folder_of_any_name_is_replaced(folders) -> None:
    new, target = folders
    for name in (COPY, REPLACED):
        for _ in range(2):
            publish(new, target.with_name(name))
        assert contents(target.with_name(name)) == contents(new)


def test_whatever_stands_in_staging_is_swept_but_for_drafts_of_the_living(state) -> None:
    environment.STAGING.mkdir(parents=True)
    alive = f"{process_tag().removeprefix(PROCESS_TAG)}-abc"
    for name in (
        alive,
        f"{GONE}-abc",
        "stray",
        "1@-",
        "@-",
        "process:1@2-3",
        "99999999999@1-",
        "1@1.2.3-x",
        "é",
    ):
        (environment.STAGING / name).mkdir()
    (environment.STAGING / "file").write_text("")
    (environment.STAGING / ".hidden").write_text("")
    (environment.STAGING / "link").symlink_to("nowhere")
    sweep_staging()
    assert [path.name for path in environment.STAGING.iterdir()] == [alive]
    sweep_staging()


def test_no_tag_names_no_process() -> None:
    assert is_alive(process_tag())
    assert not any(
        map(is_alive, ("", PROCESS_TAG, "process:1", "process:-1@0.0", f"process:{2**70}@1.0", "x@y"))
    )
