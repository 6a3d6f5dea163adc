"""The web page: the live list of signals, a signal's timeline, statistics and replays. It reads; it commands nothing yet."""

import asyncio
import hmac
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import grpc
import jinja2
from google.protobuf import json_format
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response, StreamingResponse
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles
from vantixs.api.audit.v1 import audit_pb2

from vantixs_console.clients import Clients
from vantixs_console.order_words import ORDER_COLUMNS, latest_orders, order_cells
from vantixs_console.replay_words import REPLAY_COLUMNS, RESULT_COLUMNS, replay_cells, replay_lines, result_cells
from vantixs_console.standing import read_restrictions
from vantixs_console.statistics_words import describe_statistics
from vantixs_console.timeline import describe_timeline, short_name

HERE = Path(__file__).parent
COOKIE = "vantixs_console"
TIMEOUT_S = 5.0
HEADERS = {
    "content-security-policy": "default-src 'self'; frame-ancestors 'none'",
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cache-control": "no-store",
}


# A row's value and the heading of its column; `page.js` makes the rows that come later the same way.
COLUMNS = (
    ("receive_time", "received (UTC)"),
    ("webhook_id", "webhook"),
    ("action", "action"),
    ("instrument", "instrument"),
    ("status", "status"),
    ("filled_quantity", "filled"),
    ("average_price", "at"),
    ("why", "why"),
)


# What an answer of audit is to a browser; every other one is 503.
_STATUS = {grpc.StatusCode.NOT_FOUND: 404, grpc.StatusCode.INVALID_ARGUMENT: 400}


class Page:
    """The page's routes. Whoever has the token gets a cookie by `/?token=...`."""

    def __init__(self, clients: Clients, token: str, stopping: asyncio.Event) -> None:
        self._clients = clients
        self._token = token
        # The cookie is no token: it opens this page alone, and who finds it in a browser cannot tell the token from it.
        self._session = hmac.digest(token.encode(), b"vantixs console session", "sha256").hex()
        self._stopping = stopping
        self._templates = jinja2.Environment(loader=jinja2.FileSystemLoader(HERE / "templates"), autoescape=True)

    def app(self) -> Starlette:
        """The ASGI application."""
        return Starlette(
            routes=[
                Route("/", self.signals),
                Route("/signals/{signal_id}", self.signal),
                Route("/statistics", self.statistics),
                Route("/replays", self.replays),
                Route("/replays/{replay_id}", self.replay),
                Route("/events", self.events),
                Route("/restrictions", self.restrictions),
                Route("/healthz", self.alive),
                Mount("/static", StaticFiles(directory=HERE / "static")),
            ]
        )

    async def alive(self, request: Request) -> Response:
        """200 as long as the process answers."""
        return Response("ok\n")

    async def signals(self, request: Request) -> Response:
        """The list."""
        given = request.query_params.get("token", "")
        if given and hmac.compare_digest(given.encode(), self._token.encode()):
            response = RedirectResponse("/", 303)
            response.set_cookie(COOKIE, self._session, httponly=True, samesite="strict", max_age=30 * 86_400)
            return response
        if not self._knows(request):
            return self._render("locked.html", 401)
        asked = request.query_params.get("filter", "").strip()
        page = request.query_params.get("page", "")
        ask = audit_pb2.ListSignalsRequest(page_size=100, page_token=page)
        ask.filter.expression = asked
        wrong = ""
        try:
            listed = await self._clients.audit.ListSignals(ask, timeout=TIMEOUT_S)
        except grpc.aio.AioRpcError as error:
            if error.code() != grpc.StatusCode.INVALID_ARGUMENT:
                return self._render("failed.html", 503, detail=error.details())
            wrong, listed = error.details() or "", audit_pb2.ListSignalsResponse()
        return self._render(
            "signals.html",
            400 if wrong else 200,
            columns=COLUMNS,
            rows=[row_of(signal) for signal in listed.signals],
            following=urlencode({"filter": asked, "page": listed.next_page_token}) if listed.next_page_token else "",
            restricted=await self._restrictions(),
            asked=asked,
            wrong=wrong,
            live=not (asked or page),
        )

    async def signal(self, request: Request) -> Response:
        """A timeline."""
        if not self._knows(request):
            return self._render("locked.html", 401)
        ask = audit_pb2.GetSignalRequest(signal_id=request.path_params["signal_id"])
        try:
            found = await self._clients.audit.GetSignal(ask, timeout=TIMEOUT_S)
        except grpc.aio.AioRpcError as error:
            return self._render("failed.html", _STATUS.get(error.code(), 503), detail=error.details())
        entries = [recorded.entry for recorded in found.timeline]
        return self._render(
            "signal.html",
            signal=row_of(found.signal),
            sentence=found.sentence,
            links=links_of(found),
            orders=[order_cells(order) for order in latest_orders(entries)],
            order_columns=ORDER_COLUMNS,
            steps=describe_timeline(entries),
            restricted=await self._restrictions(),
        )

    async def statistics(self, request: Request) -> Response:
        """Statistics of a day, by webhook."""
        if not self._knows(request):
            return self._render("locked.html", 401)
        ask = audit_pb2.GetStatisticsRequest(group=audit_pb2.STATISTICS_GROUP_WEBHOOK)
        try:
            found = await self._clients.audit.GetStatistics(ask, timeout=TIMEOUT_S)
        except grpc.aio.AioRpcError as error:
            return self._render("failed.html", 503, detail=error.details())
        return self._render(
            "statistics.html",
            statistics=[describe_statistics(one) for one in found.statistics],
            stragglers=[signal.signal_id for signal in found.stragglers],
            straggler_count=found.straggler_count,
            limit=f"{found.straggler_limit_s:g}",
            restricted=await self._restrictions(),
        )

    async def replays(self, request: Request) -> Response:
        """Replays, newest first."""
        if not self._knows(request):
            return self._render("locked.html", 401)
        ask = audit_pb2.ListReplaysRequest(page_size=50, page_token=request.query_params.get("page", ""))
        try:
            listed = await self._clients.audit.ListReplays(ask, timeout=TIMEOUT_S)
        except grpc.aio.AioRpcError as error:
            return self._render("failed.html", _STATUS.get(error.code(), 503), detail=error.details())
        return self._render(
            "replays.html",
            columns=REPLAY_COLUMNS,
            rows=[replay_cells(found) for found in listed.replays],
            following=urlencode({"page": listed.next_page_token}) if listed.next_page_token else "",
            restricted=await self._restrictions(),
        )

    async def replay(self, request: Request) -> Response:
        """A replay with a page of its results, and how each signal came out otherwise than before."""
        if not self._knows(request):
            return self._render("locked.html", 401)
        replay_id = request.path_params["replay_id"]
        ask = audit_pb2.GetReplayRequest(
            replay_id=replay_id, page_size=200, page_token=request.query_params.get("page", "")
        )
        try:
            found = await self._clients.audit.GetReplay(ask, timeout=TIMEOUT_S)
        except grpc.aio.AioRpcError as error:
            return self._render("failed.html", _STATUS.get(error.code(), 503), detail=error.details())
        links = (("repeats", found.replay.of_replay_id), ("goes back to", found.replay.root_replay_id))
        return self._render(
            "replay.html",
            replay_id=replay_id,
            lines=replay_lines(found.replay),
            links=[(what, other) for what, other in links if other not in ("", replay_id)],
            columns=RESULT_COLUMNS,
            rows=[result_cells(result) for result in found.replay.results],
            following=urlencode({"page": found.next_page_token}) if found.next_page_token else "",
            restricted=await self._restrictions(),
        )

    async def restrictions(self, request: Request) -> Response:
        """The trading states that are not ACTIVE, a line each, as JSON."""
        if not self._knows(request):
            return Response("", 401)
        return JSONResponse(await self._restrictions(), headers=HEADERS)

    async def _restrictions(self) -> list[str]:
        try:
            return [found.line for found in await read_restrictions(self._clients)]
        except grpc.aio.AioRpcError as error:
            return [f"Trading states are unknown: risk answers {error.code().name}"]

    async def events(self, request: Request) -> Response:
        """Changes as server-sent events."""
        if not self._knows(request):
            return Response("", 401)
        return StreamingResponse(self._changes(), media_type="text/event-stream", headers=HEADERS)

    async def _changes(self) -> AsyncIterator[str]:
        call = self._clients.audit.WatchSignals(audit_pb2.WatchSignalsRequest(), timeout=3600)
        stop = asyncio.create_task(self._stopping.wait())
        try:
            yield "retry: 1000\n\n"
            while True:
                read: asyncio.Future[Any] = asyncio.ensure_future(call.read())
                await asyncio.wait((read, stop), return_when=asyncio.FIRST_COMPLETED)
                if not read.done():
                    read.cancel()
                    return
                change = read.result()
                if change is grpc.aio.EOF:
                    return
                yield f"data: {json.dumps(row_of(change.signal))}\n\n"
        except grpc.aio.AioRpcError:
            return
        finally:
            stop.cancel()
            call.cancel()

    def _knows(self, request: Request) -> bool:
        return hmac.compare_digest(request.cookies.get(COOKIE, "").encode(), self._session.encode())

    def _render(self, template: str, status: int = 200, **values: Any) -> Response:
        text = self._templates.get_template(template).render(**values)
        return Response(text, status, HEADERS, "text/html")


def links_of(found: audit_pb2.GetSignalResponse) -> list[tuple[str, str, list[str]]]:
    """Signals and replays that belong to one, by what they are to it, and the path below which the page shows them."""
    signal, links = found.signal, found.links
    return [
        (what, path, ids)
        for what, path, ids in (
            ("repeats", "/signals", [signal.first_signal_id]),
            ("repeated by", "/signals", list(links.duplicate_signal_ids)),
            ("in replays", "/replays", list(links.replay_ids)),
            ("last run again by", "/replays", [signal.replay_id]),
            ("which repeats", "/replays", [signal.replay_of]),
            ("and goes back to", "/replays", [signal.replay_root if signal.replay_root != signal.replay_id else ""]),
        )
        if any(ids)
    ]


def row_of(signal: audit_pb2.SignalSummary) -> dict[str, str]:
    """A signal as the page shows it."""
    content = json_format.MessageToDict(signal, preserving_proto_field_name=True)
    row = {key: str(content.get(key, "")) for key in _SHOWN}
    row["replayed"] = "replayed" if row["status"] == "SIGNAL_STATUS_REPLAYED" else ""
    row["status"] = short_name(row.pop("original_status") if row["replayed"] else row["status"])
    row.pop("original_status", "")
    row["action"] = short_name(row["action"])
    row["instrument"] = row["instrument"] or row["symbol"]
    row["why"] = f"{row['reason']} {row['detail']}".strip()
    row["receive_time"] = row["receive_time"].replace("T", " ")[:19]
    return row


_SHOWN = (
    "signal_id", "receive_time", "webhook_id", "account_id", "action", "instrument", "symbol", "status", "original_status",
    "stage", "reason", "detail", "filled_quantity", "average_price", "duplicate_count",
)  # fmt: skip
