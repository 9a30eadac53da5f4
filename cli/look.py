"""`attrec look`: what a strange file seems to be, and the section of params.yaml that reads it."""

from __future__ import annotations

import re
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from attrec.errors import DataError, ParamsError
from cli.tables import Form, FormatOption, say, show
from tasks.engine import environment

if TYPE_CHECKING:
    from attrec.datasets.look import Look
    from attrec.datasets.meanings import Role

NOTHING = "none"
PerhapsOption = Annotated[
    str | None,
    typer.Option(help=f"The column that is it, where it was guessed wrong; `{NOTHING}` where none is."),
]
ColumnOption = Annotated[str | None, typer.Option(help="The column that is it, where it was guessed wrong.")]


def look(
    file: Annotated[
        str,
        typer.Argument(
            help="Ratings or actions: delimited text of any dialect or JSON lines, plain or packed with gzip or "
            "zstandard, or Parquet; or, with --query, the SQLAlchemy address of a database.",
            show_default=False,
        ),
    ],
    items: Annotated[
        Path | None, typer.Option(help="A table of the items: titles and what describes them.")
    ] = None,
    users: Annotated[Path | None, typer.Option(help="A table of what describes the users.")] = None,
    name: Annotated[
        str | None, typer.Option(help="What to call the data; left out, after the file.", show_default=False)
    ] = None,
    user: ColumnOption = None,
    item: ColumnOption = None,
    rating: PerhapsOption = None,
    time: PerhapsOption = None,
    query: Annotated[str | None, typer.Option(help="What to ask the database: SELECT …")] = None,
    write: Annotated[
        bool,
        typer.Option("--write", help="Put the files into data/incoming and the section into params.yaml."),
    ] = False,
    form: FormatOption = Form.table,
) -> None:
    """Look at a strange file: say what it seems to be, and write the section `dataset` for params.yaml.

    All of it is read as the pipeline would, so what is odd is told before anything is computed. For example:
    `attrec look shop.csv.gz --items books.csv`, then the same with --write, then `attrec reproduce`; or
    `attrec look 'postgresql://me:$PASSWORD@host/shop' --name shop --query "SELECT user_id, item_id, stars FROM sales"`.
    """
    from tqdm import tqdm

    from attrec.datasets.look import STEPS
    from attrec.datasets.look import look as look_at

    given: dict[Role, str | None] = {"user": user, "item": item, "rating": rating, "time": time}
    meant = {role: None if said == NOTHING else said for role, said in given.items() if said is not None}
    called = _checked_name(name) if name is not None else _name_after(file, query)
    with tempfile.TemporaryDirectory(prefix="attrec-") as scratch:
        if query is None and "://" in file:
            raise DataError("Say what to ask the database: --query 'SELECT …'.")
        if query is None:
            path, source = Path(file), None
        else:
            from attrec.datasets.query import keep_answer

            path, source = Path(scratch) / f"{called}.parquet", {"url": file, "query": query}
            _check_address(called, source)
            keep_answer(file, query, path)
        with tqdm(total=len(STEPS), unit="step", desc="look", delay=1, leave=False, disable=None) as bar:

            def at(step: str) -> None:
                bar.set_description(f"look: {step}")
                bar.update(STEPS.index(step) - bar.n)

            found = look_at(path, called, items, users, meant, source, at)
        say(f"{file}: {found.form if query is None else 'the answer of a query'}, {found.rows:,} rows", form)
        show(found.table(), form, folds=("examples",))
        for sentence in found.odd:
            say(f"! {sentence}", form)
        if write:
            files = [one for one in (path if query is None else None, items, users) if one is not None]
            _write(found, files)
            say(f"params.yaml: dataset is now {called}. Next: attrec reproduce", form)
        else:
            say("For params.yaml, which --write puts there:", form)
            for line in as_yaml(found.section).splitlines():
                say(line, form)


def as_yaml(section: dict[str, Any]) -> str:
    """The section as it stands in params.yaml."""
    from io import StringIO

    from tasks.engine.params import commented_yaml

    stream = StringIO()
    commented_yaml().dump({"dataset": section}, stream)
    return stream.getvalue()


def _check_address(name: str, source: dict[str, str]) -> None:
    """Before anybody is asked: a password in it would be written into params.yaml."""
    from pydantic import ValidationError

    from attrec.datasets.own_data import OwnDataConfig
    from attrec.parameters import explain

    try:
        OwnDataConfig.model_validate({"name": name, **source})
    except ValidationError as error:
        raise ParamsError(explain(error, OwnDataConfig).removeprefix(": ")) from None


def _checked_name(name: str) -> str:
    from attrec.datasets.registry import REGISTRY

    if name in REGISTRY and name != "csv":
        raise DataError(f"{name} is a dataset that `attrec datasets` lists: give yours another name.")
    if not re.fullmatch("[A-Za-z0-9][A-Za-z0-9_-]{,59}", name):
        raise DataError(f"{name!r} cannot be a name: letters, digits, - and _ can, 60 at most.")
    return name


def _name_after(file: str, query: str | None) -> str:
    if query is not None:
        raise DataError("Say what to call the data of a database: --name shop.")
    from attrec.datasets.registry import REGISTRY

    name = re.sub(r"[^A-Za-z0-9_-]+", "-", Path(file).name.split(".")[0]).strip("-_") or "mine"
    return f"my-{name}" if name in REGISTRY else name


def _write(found: Look, files: list[Path]) -> None:
    from tasks.engine.params import edited_params, exchange_own_data

    # Before a file is copied that would be in nobody's way.
    exchange_own_data(found.section["name"])
    incoming = environment.CHECKOUT / "data" / "incoming"
    for file in files:
        target = incoming / file.name
        if target.exists() and not target.samefile(file):
            if target.stat().st_size != file.stat().st_size or target.read_bytes() != file.read_bytes():
                raise ParamsError(
                    f"data/incoming has another {file.name}: remove it, or give yours another name."
                )
        elif not target.exists():
            incoming.mkdir(parents=True, exist_ok=True)
            shutil.copy2(file, target)
    with edited_params() as values:
        values["dataset"] = found.section
