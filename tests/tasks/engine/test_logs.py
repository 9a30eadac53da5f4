"""What a run says of itself stands in a line, on the terminal and in the log that Prefect's pages show."""

from __future__ import annotations

import logging

import pytest

from tasks.engine import logs
from tasks.engine.logs import ThrottledNotes, tell

BAD = "\N{REPLACEMENT CHARACTER}"


def test_nothing_of_a_title_controls_a_log(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(logs, "_logger", lambda: logging.getLogger("run"))
    with caplog.at_level(logging.INFO, "run"):
        tell("[/red] \x1b[31m %s\nError: all is lost")
        notes = ThrottledNotes("a\rb")
        notes.note("c\u202e")
        notes.close()
    line = f"[/red] {BAD}[31m %s{BAD}Error: all is lost"
    assert capsys.readouterr().out == f"{line}\n"
    assert caplog.messages == [line, f"a{BAD}b: c{BAD}"]
