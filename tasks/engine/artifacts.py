"""Content-addressed artefacts: what a cached task hands on instead of frames and tensors."""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

from pydantic import BaseModel

from attrec.errors import ServiceError
from tasks.engine import environment
from tasks.engine.processes import is_alive, process_tag


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
        return self.path.is_dir() and hash_folder(self.path) == self.sha256


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
            shutil.rmtree(artifact.path, ignore_errors=True)
            artifact.path.parent.mkdir(parents=True, exist_ok=True)
            try:
                self.folder.replace(artifact.path)
            except OSError as error:
                # Another task may have moved the same contents there in between.
                if error.errno not in (errno.ENOTEMPTY, errno.EEXIST) or not artifact.is_intact():
                    raise
        self._artifact = artifact


@contextmanager
def writing(kind: str) -> Iterator[ArtifactDraft]:
    """Write files into `draft.folder`; they become an artefact whole or not at all.

    Raises:
        ServiceError: the disk is full.
    """
    folder = _staging_folder()
    draft = ArtifactDraft(folder)
    try:
        yield draft
        draft.seal(kind)
    except OSError as error:
        if _is_full_disk(error):
            raise ServiceError(
                f"The disk is full while writing {kind} under {environment.ARTIFACTS}: free some space and run again."
            ) from error
        raise
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def adopt(folder: Path, kind: str) -> Artifact:
    """Make an artefact of a folder that a DVC stage has left."""
    with writing(kind) as draft:
        shutil.copytree(folder, draft.folder, dirs_exist_ok=True)
    return draft.artifact


def _is_full_disk(error: OSError) -> bool:
    # copytree gathers the faults of all files into one error that has no number, only their texts.
    return error.errno in (errno.ENOSPC, errno.EDQUOT) or os.strerror(errno.ENOSPC) in str(error)


def _staging_folder() -> Path:
    """A folder of this process on the project's own disk, so that what is in it can be renamed into place."""
    environment.STAGING.mkdir(parents=True, exist_ok=True)
    # mkdtemp would make it for one user alone; what is published from here is for whom the umask lets in.
    folder = environment.STAGING / f"{process_tag()}-{uuid4().hex}"
    folder.mkdir()
    return folder


def sweep_staging() -> None:
    """Remove what killed processes were writing."""
    for folder in environment.STAGING.glob("*"):
        if not is_alive(folder.name.rpartition("-")[0]):
            shutil.rmtree(folder, ignore_errors=True)


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
        ServiceError: the disk is full.
    """
    publish_all({"": source}, target)


def publish_all(sources: Mapping[str, Path], target: Path) -> None:
    """Copy folders to their names under `target`, replacing all that is there, whole or not at all.

    Raises:
        ServiceError: the disk is full.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    staging = _staging_folder()
    try:
        copy = staging / target.name
        for name, source in sources.items():
            if source.is_dir():
                shutil.copytree(source, copy / name)
            else:
                shutil.copy2(source, copy)
        if copy.is_dir() and target.exists():
            target.replace(staging / "replaced")
        copy.replace(target)
    except OSError as error:
        if _is_full_disk(error):
            raise ServiceError(
                f"The disk is full: {target} could not be written; free some space and run again."
            ) from error
        raise
    finally:
        shutil.rmtree(staging, ignore_errors=True)
