"""Strange surroundings: paths, rights, variables and clocks that a user may have."""

from __future__ import annotations

import os
import shutil
import time
from dataclasses import replace
from pathlib import Path

import pytest

from tests.flows.faults.conftest import in_one_sentence

pytestmark = pytest.mark.slow

STRANGE = 'a "folder" of $HOME, 100 % ünï 日本'


@pytest.fixture
def umask():
    before = os.umask(0o077)
    yield os.umask
    os.umask(before)


@pytest.mark.battery
def test_from_nothing_with_a_strange_path_a_strict_umask_and_no_home(
    template, tmp_path, umask, note, see_the_same
):
    checkout = replace(template.clone(tmp_path / STRANGE / "clone"), unset=("HOME", "USER", "LANG", "TERM"))
    try:
        checkout.run("dvc", "repro")
    finally:
        checkout.kill_all()
    see_the_same(checkout)
    note("surroundings", "blanks, quotes and unicode in the path; umask 077; no HOME", "the same bits")


def test_a_path_with_an_apostrophe_is_refused(template, tmp_path, note):
    checkout = template.clone(tmp_path / "it's" / "clone")
    try:
        printed = checkout.run("flows.prepare", code=2)
    finally:
        checkout.kill_all()
    assert "let no apostrophe be in its path" in printed
    assert in_one_sentence(printed), printed
    note("surroundings", "an apostrophe in the path", "one sentence")


@pytest.mark.battery
@pytest.mark.skipif(os.getuid() != 0 or not shutil.which("setpriv"), reason="only root gives files away")
@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("flows.rating",), 2, "cannot be"),
        (("cli.app", "runs"), 2, "cannot be"),
        # DVC's own, of its lock.
        (("dvc", "repro", "--force"), 255, "Permission denied"),
    ],
)
def test_a_checkout_of_another_user(harmed, note, see_the_same, words, code, said):
    checkout = harmed()
    for path in (checkout.folder, *checkout.folder.rglob("*")):
        os.chown(path, 65534, 65534, follow_symlinks=False)
    # Root keeps no right over the files of others.
    setpriv = ("setpriv", "--bounding-set=-dac_override,-dac_read_search,-fowner")
    printed = replace(checkout, through=setpriv).run(*words, code=code)
    assert said in printed
    assert "Traceback" not in printed
    see_the_same(checkout)
    note("surroundings", f"a checkout of another user: {' '.join(words)}", "one sentence")


@pytest.mark.battery
def test_a_clock_that_was_set_back(harmed, note, see_the_same):
    """All that is there is of tomorrow."""
    checkout = harmed()
    tomorrow = time.time() + 86400
    for path in checkout.folder.rglob("*"):
        os.utime(path, (tomorrow, tomorrow), follow_symlinks=False)
    checkout.run("dvc", "repro", "--force")
    see_the_same(checkout)
    note("surroundings", "clock set back by a day", "the same bits")


@pytest.mark.battery
@pytest.mark.skipif(not Path("/dev/shm").is_dir(), reason="needs a second file system")
def test_state_on_another_file_system(harmed, note, see_the_same):
    checkout = harmed()
    state = checkout.folder / ".attrec"
    elsewhere = f"/dev/shm/attrec-faults-{os.getpid()}"
    try:
        shutil.copytree(state, elsewhere, symlinks=True)
        shutil.rmtree(state)
        state.symlink_to(elsewhere)
        shutil.rmtree(state / "artifacts")
        shutil.rmtree(state / "results")
        checkout.run("dvc", "repro", "--force")
        see_the_same(checkout)
        checkout.kill_all()
    finally:
        shutil.rmtree(elsewhere, ignore_errors=True)
    note("surroundings", "state on another file system", "the same bits")
