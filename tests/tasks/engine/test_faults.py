"""What is said of an address has no secret of it."""

from __future__ import annotations

import pytest

from tasks.engine.faults import without_secrets


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("at postgresql://me:hunter2@h/db.", "at postgresql://h/db."),
        ("postgresql://me:hun/ter2@h/db", "postgresql://h/db"),
        ("https://hunter2@h/x and http://h/@x", "https://h/x and http://h/@x"),
        ("mssql://h/db?PWD=hunter2&sslmode=x", "mssql://h/db?PWD=&sslmode=x"),
        ("mssql:///?odbc_connect=DRIVER%3Dx%3BPWD%3Dhunter2", "mssql:///?odbc_connect="),
        ("http://127.0.0.1:4200/api", "http://127.0.0.1:4200/api"),
    ],
)
def test_secrets_are_left_out(text: str, said: str) -> None:
    assert without_secrets(text) == said
