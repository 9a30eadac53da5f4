"""A served model over HTTP, as MLflow's scoring server is asked and answers, with all that waits answered in one pass.

One thread answers. What has come while it was busy it takes together, so that many who ask at once share what a pass
costs however few ask; a request of many rows is taken alone.
"""

from __future__ import annotations

import asyncio
import csv
import io
import json
import logging
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Any

from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from attrec.errors import DataError
from attrec.serving.requests import Asking, Records
from attrec.serving.served import DEFAULT_K, Served

MOST_BYTES = 2**25
"""Of a request."""
ROWS_TOGETHER = 2_000
"""Of the requests that are answered in one pass."""
_HOW = 'send JSON such as {"dataframe_records": [{"item_id": 1}], "params": {"k": 5}}, or CSV with a line of names.'
_SHAPES = ("dataframe_records", "dataframe_split", "instances", "inputs")
_Waiting = tuple[Asking, "asyncio.Future[Records | DataError]"]
_log = logging.getLogger(__name__)


def application(served: Served) -> Starlette:
    """Answers `POST /invocations`; `GET /ping` and `GET /health` say that it does."""
    door = _Door(served)
    up = [Route(path, _up) for path in ("/ping", "/health")]
    return Starlette(routes=[Route("/invocations", door.invoke, methods=["POST"]), *up], lifespan=door.open)


def read_request(body: bytes, content_type: str) -> Asking:
    """What a request asks.

    Raises:
        DataError: it is no request.
    """
    kind = content_type.partition(";")[0].strip().lower()
    try:
        if kind == "text/csv":
            lines = csv.DictReader(io.StringIO(body.decode()), restkey="", strict=True)
            return Asking([_filled(row) for row in lines], DEFAULT_K)
        if kind in ("", "application/json"):
            return _asking(json.loads(body))
    except (csv.Error, UnicodeDecodeError, json.JSONDecodeError, RecursionError) as error:
        raise DataError(f"The request cannot be read ({str(error)[:200]}): {_HOW}") from None
    raise DataError(f"The request is of the type {kind[:100]!r}: {_HOW}")


def _filled(row: Mapping[str, str]) -> dict[str, Any]:
    if None in row.values() or "" in row:
        raise csv.Error("a line has more or fewer fields than the first one")
    return {name: value or None for name, value in row.items()}


def _asking(told: Any) -> Asking:
    if not isinstance(told, dict) or len(shapes := [name for name in _SHAPES if name in told]) != 1:
        raise DataError(f"The request says not what it asks: {_HOW}")
    params = told.get("params") or {}
    k = params.get("k") if isinstance(params, dict) else None
    if not isinstance(params, dict) or (k is not None and (not isinstance(k, int) or isinstance(k, bool))):
        raise DataError(
            f'The params are {json.dumps(params)[:100]}: give {{"k": 5}}, or another whole number.'
        )
    return Asking(_rows(told[shapes[0]], shapes[0]), DEFAULT_K if k is None else k)


def _rows(given: Any, shape: str) -> Records:
    if shape == "dataframe_split" and isinstance(given, dict):
        names, rows = given.get("columns", ()), given.get("data", ())
        tabular = isinstance(names, list) and isinstance(rows, list)
        if tabular and all(isinstance(row, list) and len(row) == len(names) for row in rows):
            return [dict(zip(map(str, names), row, strict=True)) for row in rows]
    elif shape == "inputs" and isinstance(given, dict):
        columns = list(given.values())
        if all(isinstance(column, list) and len(column) == len(columns[0]) for column in columns):
            return [dict(zip(given, row, strict=True)) for row in zip(*columns, strict=True)]
    elif (
        shape != "dataframe_split" and isinstance(given, list) and all(isinstance(row, dict) for row in given)
    ):
        return given
    raise DataError(f"What stands under {shape} is no table: {_HOW}")


class _Door:
    """Takes requests in, and has them answered by one thread in the order in which they come."""

    def __init__(self, served: Served) -> None:
        self._served = served
        self._waiting: asyncio.Queue[_Waiting]

    @asynccontextmanager
    async def open(self, _: Starlette) -> AsyncIterator[None]:
        """Answer while the server is up."""
        self._waiting = asyncio.Queue()
        answering = asyncio.create_task(self._answer_waiting())
        try:
            yield
        finally:
            answering.cancel()
            with suppress(asyncio.CancelledError):
                await answering

    async def invoke(self, request: Request) -> Response:
        """Answer a request."""
        try:
            body = await _body(request)
            asking = read_request(body, request.headers.get("content-type", ""))
            answer = asyncio.get_running_loop().create_future()
            self._waiting.put_nowait((asking, answer))
            told = await answer
            if isinstance(told, DataError):
                raise told
            return _json({"predictions": told}, 200)
        except DataError as error:
            return _json({"error_code": "BAD_REQUEST", "message": str(error)}, 400)
        except ClientDisconnect:
            return Response(status_code=400)
        except Exception:
            _log.exception("A request met a fault of this server.")
            fault = "The request met a fault of this server, which its log tells."
            return _json({"error_code": "INTERNAL_ERROR", "message": fault}, 500)

    async def _answer_waiting(self) -> None:
        left: _Waiting | None = None
        while True:
            together = [left or await self._waiting.get()]
            left, rows = None, len(together[0][0].rows)
            while left is None and not self._waiting.empty():
                next_one = self._waiting.get_nowait()
                rows += len(next_one[0].rows)
                if rows > ROWS_TOGETHER:
                    left = next_one
                else:
                    together.append(next_one)
            await self._answer([one for one in together if not one[1].done()])

    async def _answer(self, together: Sequence[_Waiting]) -> None:
        try:
            answers = await asyncio.to_thread(self._served.answer_all, [asking for asking, _ in together])
        except Exception as fault:
            for _, future in together:
                if not future.done():
                    future.set_exception(fault)
            return
        for (_, future), answer in zip(together, answers, strict=True):
            # Whoever has gone waits no more.
            if not future.done():
                future.set_result(answer)


async def _body(request: Request) -> bytes:
    parts, size = [], 0
    async for part in request.stream():
        size += len(part)
        if size > MOST_BYTES:
            raise DataError(
                f"The request has more than {MOST_BYTES // 2**20} MiB: send less at once, or ask for all in a file by"
                " `attrec export`."
            )
        parts.append(part)
    return b"".join(parts)


def _json(content: Mapping[str, Any], status: int) -> Response:
    text = json.dumps(content, allow_nan=False, separators=(",", ":"))
    return Response(text, status, media_type="application/json")


async def _up(_: Request) -> Response:
    return PlainTextResponse("")
