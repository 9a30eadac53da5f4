"""`attrec snapshot`: ask the database that params.yaml names anew."""

from __future__ import annotations

from attrec.errors import ParamsError
from cli.tables import say


def snapshot() -> None:
    """Ask the database of params.yaml anew, and keep its answer in data/incoming, where DVC sees whether it changed.

    `attrec reproduce` asks by itself the first time, and when the query is another; what it was answered stays until
    this command. For example: `attrec snapshot && attrec reproduce`.
    """
    from flows.prepare_params import PrepareParams
    from tasks.data.ingest import snapshot as keep
    from tasks.engine.params import load_params

    own = load_params(PrepareParams).own_data
    rows = None if own is None else keep(own, anew=True)
    if own is None or rows is None:
        raise ParamsError("dataset in params.yaml is no query: give it a url and a query.")
    say(f"{own.name}: {rows:,} rows in data/incoming/{own.file}; `attrec reproduce` goes on from them.")
