"""A served model over HTTP, as MLflow's scoring server is asked and answers, with all that waits answered in one pass.

One thread answers. What has come while it was busy it takes together, so that many who ask at once share what a pass
costs; a request that asks for much is taken alone.
"""

from __future__ import annotations

import asyncio
import csv
import io
import json
import logging
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any

from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from attrec.errors import DataError
from attrec.serving.requests import Asking, Records, check_length
from attrec.serving.served import DEFAULT_K, Served

MOST_BYTES = 2**24
"""Of a request."""
ANSWERS_TOGETHER = 20_000
"""Rows times items that are asked for, of the requests that are answered in one pass."""
MOST_WAITING = 1_000
"""Requests; who comes then is told to come again."""
_LARGE = 2**16
"""A body of more bytes is read beside what else is answered."""
_HOW = 'send JSON such as {"dataframe_records": [{"item_id": 1}], "params": {"k": 5}}, or CSV with a line of names.'
_SHAPES = ("dataframe_records", "dataframe_split", "instances", "inputs")
_MORE = "\0"
"""The name of what stands in a line behind its last field, which no field has."""
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
            lines = csv.DictReader(io.StringIO(body.decode("utf-8-sig")), restkey=_MORE, strict=True)
            return Asking([_filled(row) for row in lines], DEFAULT_K)
        if kind in ("", "application/json"):
            return _asking(json.loads(body))
    except DataError:
        raise
    except RecursionError:
        raise DataError(f"The request cannot be read (it is nested too deep): {_HOW}") from None
    # Of bytes that are no text, text that is no JSON, and numbers longer than Python reads, which says how it would.
    except (csv.Error, ValueError) as error:
        reason = str(error).partition(";")[0][:200]
        raise DataError(f"The request cannot be read ({reason}): {_HOW}") from None
    raise DataError(f"The request is of the type {kind[:100]!r}: {_HOW}")


def _filled(row: Mapping[str, str]) -> dict[str, Any]:
    if None in row.values() or _MORE in row:
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
    if isinstance(given, list):
        check_length(given)
    if shape == "dataframe_split" and isinstance(given, dict):
        names, rows = given.get("columns", ()), given.get("data", ())
        tabular = isinstance(names, list) and isinstance(rows, list)
        check_length(rows if tabular else ())
        if tabular and all(isinstance(row, list) and len(row) == len(names) for row in rows):
            return [dict(zip(map(str, names), row, strict=True)) for row in rows]
    elif shape == "inputs" and isinstance(given, dict):
        columns = list(given.values())
        if all(isinstance(column, list) and len(column) == len(columns[0]) for column in columns):
            check_length(columns[0] if columns else ())
            return [dict(zip(given, row, strict=True)) for row in zip(*columns, strict=True)]
    elif (
        shape != "dataframe_split" and isinstance(given, list) and all(isinstance(row, dict) for row in given)
    ):
        return given
    raise DataError(f"What stands under {shape} is no table: {_HOW}")


@dataclass(frozen=True)
class _Waiting:
    """A request that has come."""

    asking: Asking
    request: Request
    answer: asyncio.Future[Records | DataError | Exception]

    @property
    def size(self) -> int:
        """How much an answer can be."""
        return len(self.asking.rows) * max(self.asking.k, 1)


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
            kind = request.headers.get("content-type", "")
            large = len(body) > _LARGE
            asking = await asyncio.to_thread(read_request, body, kind) if large else read_request(body, kind)
            if self._waiting.qsize() >= MOST_WAITING:
                return _json(
                    {"error_code": "BUSY", "message": "Too many wait already: ask again later."}, 503
                )
            waiting = _Waiting(asking, request, asyncio.get_running_loop().create_future())
            self._waiting.put_nowait(waiting)
            told = await waiting.answer
            # Not raised: this frame would be in its traceback, a cycle likewise.
            return _refusal(told) if isinstance(told, Exception) else _json({"predictions": told}, 200)
        except Exception as error:
            return _refusal(error)

    async def _answer_waiting(self) -> None:
        left: _Waiting | None = None
        while True:
            together = [left or await self._waiting.get()]
            left, size = None, together[0].size
            while left is None and not self._waiting.empty():
                next_one = self._waiting.get_nowait()
                size += next_one.size
                if size > ANSWERS_TOGETHER:
                    left = next_one
                else:
                    together.append(next_one)
            here = []
            for one in together:
                if await one.request.is_disconnected() and not one.answer.done():
                    one.answer.set_result(ClientDisconnect())
                elif not one.answer.done():
                    here.append(one)
            answers = await asyncio.to_thread(self._answers, [one.asking for one in here])
            for one, answer in zip(here, answers, strict=True):
                if isinstance(answer, DataError):
                    # Frames of its traceback hold the requests, and one of them this error: a cycle.
                    answer.with_traceback(None)
                if not one.answer.done():
                    one.answer.set_result(answer)

    def _answers(self, together: Sequence[Asking]) -> Sequence[Records | DataError | Exception]:
        """One pass; where it fails each alone, so that nobody has another one's fault."""
        try:
            return self._served.answer_all(together) if together else []
        except Exception as fault:
            return [fault] if len(together) == 1 else [self._answers([one])[0] for one in together]


def _refusal(error: Exception) -> Response:
    """What is said in the place of an answer."""
    if isinstance(error, DataError):
        return _json({"error_code": "BAD_REQUEST", "message": str(error)}, 400)
    if isinstance(error, ClientDisconnect):
        return Response(status_code=400)
    _log.error("A request met a fault of this server.", exc_info=error)
    fault = "The request met a fault of this server, which its log tells."
    return _json({"error_code": "INTERNAL_ERROR", "message": fault}, 500)


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
