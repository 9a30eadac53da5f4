"""What a run has kept is damaged: the next one makes it anew, to the same bits, or says in a sentence what is so."""

from __future__ import annotations

import random
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.flows.faults.conftest import again, forget, in_one_sentence

pytestmark = pytest.mark.slow

KEPT = {
    "artifact": ".attrec/artifacts/*/*/**/*",
    "record of a result": ".attrec/results/*",
    "timing": ".attrec/timings/**/*",
    "record of a flow run": ".attrec/running/*",
    "owners of a server": ".attrec/prefect/*.owners",
    "record of a server": ".attrec/prefect/server.json",
    "memo of Prefect": ".attrec/prefect/memo_store.toml",
}
OUTS = {"out of a stage": "data/*/**/*", "kept model": "models/**/*", "report": "reports/*/**/*"}
STORES = (".attrec/mlflow.db", ".attrec/prefect/prefect.db")


def flip(file: Path, draws: random.Random) -> None:
    content = bytearray(file.read_bytes())
    if content:
        content[draws.randrange(len(content))] ^= 1 << draws.randrange(8)
    file.write_bytes(content)


def fold(file: Path, draws: random.Random) -> None:
    file.unlink()
    file.mkdir()


def dangle(file: Path, draws: random.Random) -> None:
    file.unlink()
    file.symlink_to("nowhere")


DAMAGES: dict[str, Callable[[Path, random.Random], object]] = {
    "deleted": lambda file, draws: file.unlink(),
    "emptied": lambda file, draws: file.write_bytes(b""),
    "cut": lambda file, draws: file.write_bytes(
        file.read_bytes()[: draws.randrange(1 + file.stat().st_size)]
    ),
    "one bit flipped": flip,
    "null": lambda file, draws: file.write_text("null"),
    "[]": lambda file, draws: file.write_text("[]"),
    "noise": lambda file, draws: file.write_bytes(draws.randbytes(64)),
    "a folder": fold,
    "a link to nowhere": dangle,
}


def damaged(folder: Path, kinds: dict[str, str], draws: random.Random) -> dict[str, str]:
    """Damage one file of each kind that is there; what was done, by kind."""
    done = {}
    for kind, pattern in kinds.items():
        there = sorted(path for path in folder.glob(pattern) if path.is_file() and path.name != ".gitignore")
        if there:
            file, damage = draws.choice(there), draws.choice(list(DAMAGES))
            DAMAGES[damage](file, draws)
            done[kind] = f"{file.relative_to(folder)}: {damage}"
    return done


@pytest.mark.battery
@pytest.mark.timeout(0)
def test_damaged_state_is_made_anew(rounds, draws, harmed, note, see_the_same):
    for _ in range(rounds):
        checkout = harmed()
        strays = [checkout.folder / ".attrec" / "staging" / name for name in ("stray", "stray-folder/in it")]
        for stray in strays:
            stray.parent.mkdir(exist_ok=True)
            stray.write_text("nobody's")
        done = damaged(checkout.folder, KEPT, draws)
        checkout.run("dvc", "repro", "--force")
        see_the_same(checkout)
        for kind, drawn in done.items():
            note(f"state: {kind}", drawn, "the same bits")


@pytest.mark.battery
@pytest.mark.timeout(0)
def test_damaged_outs_are_found_and_made_anew(rounds, draws, harmed, note, see_the_same):
    """By DVC, which asks for no more than what is damaged."""
    for _ in range(rounds):
        checkout = harmed()
        done = damaged(checkout.folder, OUTS, draws)
        assert len(done) == len(OUTS)
        checkout.run("dvc", "repro")
        see_the_same(checkout)
        for kind, drawn in done.items():
            note(f"state: {kind}", drawn, "the same bits")


@pytest.mark.battery
@pytest.mark.timeout(0)
def test_a_damaged_checkpoint_of_a_killed_training_is_none(
    rounds, draws, harmed, note, see_the_same, eventually
):
    kind, pattern = "checkpoint of a killed training", ".attrec/checkpoints/*.safetensors"
    for _ in range(rounds):
        checkout = harmed()
        forget(checkout)
        process = checkout.start(*again("sequence"))
        while not list(checkout.folder.glob(pattern)):
            assert process.poll() is None, "the training ended before it could be killed"
        checkout.kill_all()
        process.wait()
        eventually(checkout.is_quiet, 60, "all processes of the killed run gone")
        done = damaged(checkout.folder, {kind: pattern}, draws)
        assert done, "the training ended before it could be killed"
        checkout.run(*again("sequence"))
        checkout.run("dvc", "repro")
        see_the_same(checkout)
        note(f"state: {kind}", done[kind], "the same bits")


@pytest.mark.battery
@pytest.mark.timeout(0)
def test_a_damaged_store_is_told_or_does_no_harm(rounds, draws, harmed, note, see_the_same):
    for number in range(rounds):
        checkout = harmed()
        store, damage = STORES[number % 2], draws.choice(list(DAMAGES))
        file = checkout.folder / store
        for beside in ("-wal", "-shm"):
            file.with_name(file.name + beside).unlink(missing_ok=True)
        DAMAGES[damage](file, draws)
        stage = draws.choice(("prepare", "rating"))
        process = checkout.start(*again(stage))
        code = process.wait(timeout=600)
        printed = checkout.log.read_text(errors="replace")
        if code == 0:
            checkout.run("dvc", "repro", "--force")
            see_the_same(checkout)
            ended = "the same bits"
        else:
            assert in_one_sentence(printed), (store, damage, printed[-3000:])
            shutil.rmtree(file) if file.is_dir() else file.unlink(missing_ok=True)
            checkout.run("dvc", "repro", "--force")
            see_the_same(checkout)
            ended = "one sentence, and the same bits once it was deleted"
        note("state: a database", f"{store}: {damage}", ended)
