"""The own run store is asked of a model once, and again after anything was written there."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from cli.ask import ratings as serve
from flows import lookup, recall
from tasks.engine import environment
from tasks.engine.run_store import client, registered_name

ASKED_ALONE = """
import atexit, sys
atexit.register(lambda: print("mlflow is imported:", "mlflow" in sys.modules))
from cli.app import main
main()
"""


def test_the_store_is_asked_once_until_something_is_written_there(attrec, registered, monkeypatch):
    name, store = registered_name("rating"), client()
    first, second = (
        store.create_model_version(name, lookup.find_model("rating", model).uri).version
        for model in ("user-item-bias", "attentive+inner")
    )
    store.set_registered_model_alias(name, "mine", first)
    asked = ("recommend", "--user", str(registered["user_id"].iloc[0]), "--model", "mine")
    before = attrec(*asked)
    assert "Model: user-item-bias, trained on simulated." in before.out

    def asks(*_):
        raise AssertionError("the store is asked again")

    with monkeypatch.context() as patch:
        patch.setattr(lookup, "load_saved", asks)
        assert attrec(*asked) == before
        with patch.context() as elsewhere, pytest.raises(AssertionError, match="asked again"):
            elsewhere.setenv("MLFLOW_REGISTRY_URI", "sqlite:///another.db")
            attrec(*asked)
    there = subprocess.run(
        [sys.executable, "-c", ASKED_ALONE, *asked],
        cwd=Path(serve.__file__).parents[2],
        capture_output=True,
        text=True,
    )
    assert "Model: user-item-bias" in there.stdout, there.stderr
    assert "mlflow is imported: False" in there.stdout
    backup = environment.MLFLOW_DATABASE.read_bytes()
    store.set_registered_model_alias(name, "mine", second)
    assert "Model: attentive+inner, trained on simulated." in attrec(*asked).out
    # What SQLite counts in the file of writes is the same again after a backup and one write.
    environment.MLFLOW_DATABASE.write_bytes(backup)
    store.set_registered_model_alias(name, "mine", first)
    assert "Model: user-item-bias, trained on simulated." in attrec(*asked).out


def test_a_store_that_cannot_be_read_is_left_to_say_so(tmp_path, monkeypatch):
    (tmp_path / "mlflow.db").mkdir()
    monkeypatch.setattr(environment, "MLFLOW_DATABASE", tmp_path / "mlflow.db")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path / 'mlflow.db'}")
    assert recall._store_now() == ""
