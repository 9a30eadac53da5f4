"""Run a Prefect server on 127.0.0.1 that answers neither pages of other sites nor other names of this machine.

Whoever may speak to it has code run here. Prefect asks for the secret in `PREFECT_SERVER_API_AUTH_STRING`; this keeps
away what a browser could be led to send.
"""

from __future__ import annotations

import atexit
import gc
import sys
from urllib.parse import urlsplit

import uvicorn
from starlette.datastructures import Headers
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send

HOST = "127.0.0.1"


class OwnPages:
    """Passes on what is sent to an expected host by a page of an expected origin, or by no page; refuses the rest."""

    def __init__(self, app: ASGIApp, origins: frozenset[str]) -> None:
        self._app = app
        self._origins = origins
        self._hosts = {HOST, *(urlsplit(origin).hostname for origin in origins)}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, HTTP or WebSocket."""
        if scope["type"] in ("http", "websocket") and not self._expects(Headers(scope=scope)):
            # Before a WebSocket is accepted, such an answer is its refusal.
            await PlainTextResponse("Refused: another host or origin.", status_code=403)(scope, receive, send)
        else:
            await self._app(scope, receive, send)

    def _expects(self, headers: Headers) -> bool:
        origin = headers.get("origin")
        try:
            host = urlsplit(f"//{headers.get('host', '')}").hostname
        except ValueError:
            return False
        return host in self._hosts and (origin is None or origin in self._origins)


def main(port: int) -> None:
    """Serve until a signal comes."""
    # What is imported stays: to look for garbage meanwhile takes a fifth of the start.
    gc.disable()
    atexit.register(gc.freeze)
    from prefect.server.api.server import create_app
    from prefect.settings import PREFECT_SERVER_CORS_ALLOWED_ORIGINS

    app = create_app(final=True)
    gc.freeze()
    gc.enable()
    origins = frozenset(PREFECT_SERVER_CORS_ALLOWED_ORIGINS.value().split(","))
    uvicorn.run(OwnPages(app, origins), host=HOST, port=port, log_level="warning")


if __name__ == "__main__":
    main(int(sys.argv[1]))
