"""The models of docs/another-model.md, pasted as they stand there, keep the contract of their family."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from types import ModuleType

import pytest

from attrec.models.specs import Row, Table
from attrec.playlists.specs import PLAYLIST_MODELS
from attrec.ratings.specs import RATING_MODELS
from attrec.sequences.specs import SEQUENCE_MODELS
from tests.conftest import PROJECT

PAGE = (PROJECT / "docs" / "another-model.md").read_text(encoding="utf-8")
TABLES = {"ratings": RATING_MODELS, "sequences": SEQUENCE_MODELS, "playlists": PLAYLIST_MODELS}


def pasted(file: str, patch: pytest.MonkeyPatch) -> ModuleType:
    """A file that the page has, which can be imported after this."""
    [code] = [code for name, code in blocks() if name == file]
    module = ModuleType(file.removesuffix(".py").replace("/", "."))
    patch.setitem(sys.modules, module.__name__, module)
    exec(compile(code, file, "exec"), vars(module))
    return module


def blocks() -> list[tuple[str, str]]:
    """Each file that the page names ahead of code, and the code."""
    return re.findall(r"`([\w/]+\.py)`[.:]\n\n```python\n(.*?)```", PAGE, flags=re.DOTALL)


# In other tests the page's models are not there, or are those of whoever has pasted them.
with pytest.MonkeyPatch.context() as collecting:
    MODULES = {
        family: pasted(next(name for name, _ in blocks() if name.startswith(f"attrec/{family}/")), collecting)
        for family in TABLES
    }
    for name, _ in blocks():
        if name.startswith("tests/"):
            names = vars(pasted(name, collecting))
            globals().update({key: value for key, value in names.items() if key.startswith("Test")})

ROWS = {
    family: eval(code, {"Row": Row, **vars(MODULES[family])})
    for family in TABLES
    for name, code in blocks()
    if name == f"attrec/{family}/specs.py"
}


@pytest.fixture(scope="module", autouse=True)
def _entered() -> Iterator[None]:
    """The rows are in the tables, and the models can be imported, while these tests run."""
    with pytest.MonkeyPatch.context() as patch:
        for module in MODULES.values():
            patch.setitem(sys.modules, module.__name__, module)
        for family, row in ROWS.items():
            patch.setitem(TABLES[family].rows, row.kind, row)
        yield


@pytest.mark.parametrize("family", TABLES)
def test_its_row_is_all_that_params_need(family: str) -> None:
    row = ROWS[family]
    spec = Table(row).spec(row.kind)
    assert spec.model is row.model
    assert spec.config() == row.model.config_class()
    [field] = row.model.config_class.model_fields
    assert Table(row).spec(row.kind, changes={field: [7]}).config() != spec.config()


def test_there_is_a_model_for_each_family() -> None:
    assert sum(key.startswith("Test") for key in globals()) == len(TABLES)
