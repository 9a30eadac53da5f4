"""Killed at a random moment in any stage, and run again: the same bits."""

from __future__ import annotations

import time
from itertools import islice

import pytest

from tests.flows.faults.conftest import STAGES, again, forget

pytestmark = pytest.mark.slow


@pytest.mark.battery
@pytest.mark.timeout(0)
def test_a_stage_that_is_killed_and_run_again_leaves_the_same(
    rounds, draws, harmed, note, see_the_same, eventually
):
    order = draws.sample(STAGES, len(STAGES))
    for stage in islice((stage for _ in range(rounds) for stage in order), rounds):
        checkout = harmed()
        forget(checkout)
        begun = checkout.log.stat().st_size if checkout.log.exists() else 0
        process = checkout.start(*again(stage))

        def runs(checkout=checkout, process=process, begun=begun) -> bool:
            said = checkout.log.read_bytes()[begun:] if checkout.log.exists() else b""
            return b"Running stage" in said or process.poll() is not None

        eventually(runs, 300, f"{stage} runs")
        seconds = draws.uniform(0, 20)
        time.sleep(seconds)
        midway = process.poll() is None
        checkout.kill_all()
        process.wait()
        eventually(checkout.is_quiet, 60, "all processes of the killed run gone")
        checkout.run(*again(stage))
        checkout.run("dvc", "repro")
        see_the_same(checkout)
        drawn = f"{stage} after {seconds:.1f} s"
        note("SIGKILL to every process", drawn if midway else f"{drawn}, which had ended", "the same bits")


@pytest.mark.battery
def test_two_runs_at_once_leave_what_one_leaves(harmed, note, see_the_same):
    """`dvc` itself lets one run at a time change a checkout; flows that are started by hand may meet."""
    checkout = harmed()
    forget(checkout)
    stages = [f"flows.{name}" for name in ("rating", "rating", "sequence")]
    together = [checkout.start(stage) for stage in stages]
    assert [process.wait(timeout=600) for process in together] == [0, 0, 0], checkout.log.read_text()[-4000:]
    checkout.run("dvc", "repro", "--force")
    see_the_same(checkout)
    note("two runs at once", ", ".join(stages), "the same bits")
