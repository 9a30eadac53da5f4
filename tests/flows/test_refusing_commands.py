"""The commands themselves refuse bad input: exit code 2 and one sentence, whichever way a stage is started."""

from __future__ import annotations

import pytest

pytestmark = pytest.mark.slow

SENTENCE = "Error: dataset is csv, but prepare.csv in params.yaml does not say which file: set its path."


@pytest.mark.parametrize(
    "words",
    [("flows.prepare",), ("cli.app", "reproduce", "--dataset", "csv"), ("flows.rebuild",)],
    ids=["stage", "reproduce", "rebuild"],
)
def test_bad_params(fresh, words):
    if words[-1] != "csv":
        params = fresh.folder / "params.yaml"
        params.write_text(params.read_text().replace("dataset: simulated", "dataset: csv"))
    printed = fresh.run(*words, code=2)
    assert printed.count(SENTENCE) == 1, printed
    assert "Traceback" not in printed, printed
    assert not (fresh.folder / "data" / "raw").exists()
    assert not (fresh.folder / "data" / "processed").exists()


def test_debug_shows_where_it_was_raised(fresh):
    (fresh.folder / "params.yaml").write_text("dataset: nowhere\n")
    printed = fresh.run("flows.prepare", "--debug", code=1)
    assert "Traceback" in printed
    assert "There is no dataset 'nowhere'" in printed
