"""The web site: JSON-RPC at ``POST /?mjsonrpc``, static pages below ``/``."""

import asyncio
import logging
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import FileResponse, PlainTextResponse, Response
from starlette.routing import Route

from experiment.errors import ExperimentError
from experiment.standalone.client import StandaloneClient
from sim.web import odb_calls, run_calls
from sim.web.desk import Desk, SideDesk
from sim.web.envelope import INTERNAL_ERROR, METHOD_NOT_FOUND, RpcError, answer, encode, optional
from sim.web.event_calls import POLL_S, EventWindows, EventWish

METHODS: Final = {**odb_calls.METHODS, **run_calls.METHODS}
PAGE_SUFFIXES: Final = {".html", ".css", ".js", ".json", ".svg", ".png", ".ico", ".gif", ".mp3"}
MOST_BYTES: Final = 16 << 20
OWN_HOSTS: Final = ("localhost", "127.0.0.1", "::1")
_LOG: Final = logging.getLogger(__name__)


class Site:
    """Answers HTTP requests.

    :param desk: where the client is.
    :param client: only its folder is used here; work goes through the desk.
    :param pages: folders of static files, the first that has a file wins.
    """

    def __init__(self, desk: Desk, client: StandaloneClient, pages: Sequence[Path]) -> None:
        self._desk = desk
        self._side = SideDesk("cygno-web-call", client.folder)
        self._windows = EventWindows(client)
        self._pages = [folder.resolve() for folder in pages]

    def application(self) -> Starlette:
        """Return the ASGI application."""
        route = Route("/{path:path}", self._serve, methods=["GET", "POST"])
        return Starlette(routes=[route])

    def close(self) -> None:
        """End what runs beside."""
        self._side.close()

    async def _serve(self, request: Request) -> Response:
        refusal = foreign(request)
        if refusal:
            return PlainTextResponse(refusal, status_code=403)
        if request.method == "POST":
            if "mjsonrpc" not in request.query_params:
                return PlainTextResponse("POST goes to ?mjsonrpc only\n", status_code=405)
            return await self._serve_rpc(request)
        return self._serve_page(request.path_params["path"])

    # JSON-RPC ----------------------------------------------------------------------------------
    async def _serve_rpc(self, request: Request) -> Response:
        body = bytearray()
        async for chunk in request.stream():
            body += chunk
            if len(body) > MOST_BYTES:
                text = f"a request has at most {MOST_BYTES} bytes\n"
                return PlainTextResponse(text, status_code=413)
        try:
            reply = await answer(bytes(body), self._handle)
        except asyncio.CancelledError:  # uvicorn, when it ends and nobody serves the desk any more
            return PlainTextResponse("the server ends\n", status_code=503)
        if isinstance(reply, bytes):
            return Response(reply, media_type="application/octet-stream")
        return Response(encode(reply), media_type="application/json")

    async def _handle(self, method: str, params: Any) -> Any:
        try:
            if method == "bm_receive_event":
                return await self._receive_event(EventWish.read(params))
            if method == "jrpc":
                return await self._side.ask(partial(_with_params, run_calls.jrpc, params))
            if method == "cm_transition" and optional(params, "async_flag", 0) == run_calls.TR_SYNC:
                call = partial(run_calls.cm_transition, wait=True)
                return await self._side.ask(partial(_with_params, call, params))
            if method not in METHODS:
                raise RpcError(METHOD_NOT_FOUND, "Method not found", f"unknown method: {method}")
            return await self._desk.ask(partial(_with_params, METHODS[method], params))
        except RpcError:
            raise
        except (ExperimentError, ValueError, TypeError) as error:
            raise RpcError(INTERNAL_ERROR, "Internal error", str(error)) from error
        except Exception as error:
            _LOG.exception("method %s failed", method)
            raise RpcError(INTERNAL_ERROR, "Internal error", repr(error)) from error

    async def _receive_event(self, wish: EventWish) -> Any:
        loop = asyncio.get_running_loop()
        end = loop.time() + wish.timeout_s
        event = await self._desk.ask(lambda _: self._windows.look(wish))
        while event == _NOTHING and not wish.newest and loop.time() < end:
            await asyncio.sleep(POLL_S)
            event = await self._desk.ask(lambda _: self._windows.look(wish))
        if event == _NOTHING:
            event = await self._desk.ask(lambda _: self._windows.last(wish))
        return {"status": event} if isinstance(event, int) else event

    # pages -------------------------------------------------------------------------------------
    def _serve_page(self, path: str) -> Response:
        for folder in self._pages:
            file = (folder / (path or "index.html")).resolve()
            if file.is_relative_to(folder) and file.suffix in PAGE_SUFFIXES and file.is_file():
                return FileResponse(file, headers={"Cache-Control": "no-cache"})
        return PlainTextResponse(f"there is no page /{path}\n", status_code=404)


_NOTHING: Final = 209  # BM_ASYNC_RETURN


def _with_params(call: Any, params: Any, client: StandaloneClient) -> Any:
    return call(client, params)


def foreign(request: Request) -> str:
    """Say why a request is refused: it comes from another site's page, or is for another host.

    Without this any page in the operator's browser could control the run: it cannot read our
    answers, but a POST of plain text reaches every local server.
    """
    host = request.headers.get("host", "")
    name = urlsplit(f"//{host}").hostname or ""
    if name not in OWN_HOSTS:
        return f"this server is for {', '.join(OWN_HOSTS)}, not for {name!r}\n"
    origin = request.headers.get("origin")
    if origin is not None and urlsplit(origin).netloc != host:
        return f"pages of {origin} may not use this server\n"
    return ""
