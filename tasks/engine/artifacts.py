"""Content-addressed artefacts: what a cached task hands on instead of frames and tensors."""

from __future__ import annotations

import errno
import glob
import hashlib
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from uuid import uuid4

from pydantic import BaseModel

from attrec.files import flush, flush_folder, remove
from tasks.engine import environment
from tasks.engine.faults import disk_faults
from tasks.engine.processes import PROCESS_TAG, is_alive, process_tag

COPY, REPLACED = "copy", "replaced"
"""In a draft beside its target: what is to come there, and what has stood there."""


class Artifact(BaseModel, frozen=True):
    """A folder written by a task, named by the hash of its contents."""

    kind: str
    sha256: str

    @property
    def path(self) -> Path:
        """Folder that holds the files."""
        return environment.ARTIFACTS / self.kind / self.sha256

    def is_intact(self) -> bool:
        """Whether the files are there and have the contents they were written with."""
        try:
            return self.path.is_dir() and hash_folder(self.path) == self.sha256
        except OSError:
            return False


class ArtifactDraft:
    """A folder being written; `artifact` is known once the `writing` block has ended."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._artifact: Artifact | None = None

    @property
    def artifact(self) -> Artifact:
        """The finished artefact."""
        if self._artifact is None:
            raise RuntimeError("an artefact is complete only after its `writing` block")
        return self._artifact

    def seal(self, kind: str) -> None:
        """Move the folder to its content address; a twin that is intact stays as it is."""
        artifact = Artifact(kind=kind, sha256=hash_folder(self.folder))
        if not artifact.is_intact():
            remove(artifact.path)
            artifact.path.parent.mkdir(parents=True, exist_ok=True)
            flush(self.folder)
            try:
                self.folder.replace(artifact.path)
            except OSError as error:
                # Another task may have moved the same contents there in between.
                if error.errno not in (errno.ENOTEMPTY, errno.EEXIST) or not artifact.is_intact():
                    raise
            flush_folder(artifact.path.parent)
        self._artifact = artifact


@contextmanager
def writing(kind: str) -> Iterator[ArtifactDraft]:
    """Write files into `draft.folder`; they become an artefact whole or not at all.

    Raises:
        ServiceError: the disk is full, or does not let us write.
    """
    with disk_faults(environment.ARTIFACTS):
        folder = _draft_folder(environment.STAGING)
        try:
            draft = ArtifactDraft(folder)
            yield draft
            draft.seal(kind)
        finally:
            shutil.rmtree(folder, ignore_errors=True)


def adopt(folder: Path, kind: str) -> Artifact:
    """Make an artefact of a folder that a DVC stage has left."""
    with writing(kind) as draft:
        shutil.copytree(folder, draft.folder, dirs_exist_ok=True)
    return draft.artifact


def _draft_folder(parent: Path, name: str = "") -> Path:
    """A folder of this process, on the disk where what is in it is to be renamed into place."""
    parent.mkdir(parents=True, exist_ok=True)
    # mkdtemp would make it for one user alone; what is published from here is for whom the umask lets in.
    folder = parent / f"{name}{process_tag().removeprefix(PROCESS_TAG)}-{uuid4().hex}"
    folder.mkdir()
    return folder


def sweep_staging() -> None:
    """Remove what killed processes were writing, and whatever else does not belong there."""
    for draft in environment.STAGING.glob("*"):
        if not _is_being_written(draft.name):
            with suppress(OSError):  # another process may sweep it too
                remove(draft)


def _is_being_written(draft: str) -> bool:
    return is_alive(f"{PROCESS_TAG}{draft.rpartition('-')[0]}")


def hash_folder(folder: Path) -> str:
    """sha256 over the relative names and contents of all files in a folder."""
    digest = hashlib.sha256()
    for file in sorted(path for path in folder.rglob("*") if path.is_file()):
        digest.update(file.relative_to(folder).as_posix().encode() + b"\0")
        with file.open("rb") as stream:
            digest.update(hashlib.file_digest(stream, "sha256").digest())
    return digest.hexdigest()


def publish(source: Path, target: Path) -> None:
    """Copy a file or folder to `target`, replacing what is there, whole or not at all.

    Raises:
        ServiceError: the disk is full, or does not let us write.
    """
    publish_all({"": source}, target)


def publish_all(sources: Mapping[str, Path], target: Path) -> None:
    """Copy folders to their names under `target`, replacing all that is there, whole or not at all.

    Raises:
        ServiceError: the disk is full, or does not let us write.
    """
    # Beside the target: data and state may lie on different disks.
    name = f".{target.name}."
    with disk_faults(target):
        for left in target.parent.glob(f"{glob.escape(name)}*@*-*"):
            if not _is_being_written(left.name.removeprefix(name)):
                _discard(left, target)
        draft = _draft_folder(target.parent, name)
        try:
            copy = draft / COPY
            for part, source in sources.items():
                if source.is_dir():
                    shutil.copytree(source, copy / part)
                else:
                    shutil.copy2(source, copy)
            flush(copy)
            if copy.is_dir() and target.exists():
                target.replace(draft / REPLACED)
            copy.replace(target)
            flush_folder(target.parent)
        finally:
            _discard(draft, target)


def _discard(draft: Path, target: Path) -> None:
    """Remove a draft; what it had taken from the target's place goes back, if nothing has come there since."""
    copy, replaced = draft / COPY, draft / REPLACED
    with suppress(OSError):  # another process may sweep it too
        # When the copy has gone to its place, what it replaced may be half removed.
        if copy.exists() and os.path.lexists(replaced) and not os.path.lexists(target):
            replaced.replace(target)
        remove(draft)
