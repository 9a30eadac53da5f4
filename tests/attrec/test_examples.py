"""The examples of docstrings are run, and every model has one."""

from __future__ import annotations

import doctest
from importlib import import_module
from pathlib import Path

import pytest

import attrec
from attrec.models.base import Model
from attrec.playlists.specs import PLAYLIST_MODELS
from attrec.ratings.specs import RATING_MODELS
from attrec.sequences.specs import SEQUENCE_MODELS

ROOT = Path(attrec.__file__).parent


def examples() -> list[doctest.DocTest]:
    """Of every module in whose source there is one."""
    files = [file for file in sorted(ROOT.rglob("*.py")) if ">>> " in file.read_text(encoding="utf-8")]
    modules = [".".join(file.relative_to(ROOT.parent).with_suffix("").parts) for file in files]
    finder = doctest.DocTestFinder(exclude_empty=True)
    return [test for name in modules for test in finder.find(import_module(name)) if test.examples]


@pytest.mark.parametrize("example", examples(), ids=lambda example: example.name.removeprefix("attrec."))
def test_an_example_does_what_it_says(example: doctest.DocTest) -> None:
    said: list[str] = []
    doctest.DocTestRunner(optionflags=doctest.NORMALIZE_WHITESPACE).run(example, out=said.append)
    assert not said, "".join(said)


TABLES = (RATING_MODELS, SEQUENCE_MODELS, PLAYLIST_MODELS)


@pytest.mark.parametrize("model", [row.model for table in TABLES for row in table.rows.values()])
def test_every_model_has_an_example(model: type[Model]) -> None:
    assert doctest.DocTestParser().get_examples(vars(model)["__doc__"])
