"""The routes of the webhook server, and how a request gets from ASGI to the door and back."""

from collections.abc import Callable, Coroutine, Mapping
from typing import Any

from starlette.middleware import Middleware
from starlette.routing import Route, Router
from vantixs.runtime.http_messages import FAILED, Receive, Request, Response, Scope, Send, read_request, send_response
from vantixs.runtime.logs import log

from vantixs_ingress.http import responses
from vantixs_ingress.http.content_encoding import decode_body
from vantixs_ingress.http.receive_signal import SignalReceiver, Target
from vantixs_ingress.http.responses import Rejection

Answer = Callable[[Request, Mapping[str, str]], Response | Coroutine[Any, Any, Response]]


def make_app(door: SignalReceiver, body_bytes: int) -> Router:
    """The ASGI application; `body_bytes` is what a body may hold after inflating."""

    def receive(request: Request, names: Mapping[str, str]) -> Response | Coroutine[Any, Any, Response]:
        coding = request.headers.get("content-encoding")
        if coding:
            try:
                request.body = decode_body(request.body, coding, body_bytes)
            except Rejection as refused:
                return door.refuse_as(refused)
        return door.receive(request, Target(names["webhook_id"], names.get("token", "")))

    def tell(request: Request, names: Mapping[str, str]) -> Response:
        return door.tell(request, Target(names["webhook_id"], signal_id=names["signal_id"]))

    def page(make: Callable[[], Response]) -> Endpoint:
        return Endpoint(door, ("GET", "HEAD"), lambda request, names: make())

    sending = Endpoint(door, ("POST",), receive)
    return Router(
        [
            Route("/hooks/{webhook_id}/{token}", sending),
            Route("/hooks/{webhook_id}", sending),
            Route("/hooks/{webhook_id}/signals/{signal_id}", Endpoint(door, ("GET", "HEAD"), tell)),
            Route("/healthz", page(door.alive)),
            Route("/readyz", page(door.ready)),
            Route("/openapi.json", page(door.describe)),
        ],
        redirect_slashes=False,
        default=Endpoint(door, (), _nothing),
        middleware=[Middleware(PlainSlashes)],
    )


class Endpoint:
    """An ASGI application for the methods of one route; no methods: for all.

    Starlette's own Request and JSONResponse do the same, and take half again as long for a signal (ADR 17).
    """

    def __init__(self, door: SignalReceiver, methods: tuple[str, ...], answer: Answer) -> None:
        self._door = door
        self._methods = methods
        self._answer = answer

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers a request. One whose sender hangs up meanwhile is answered all the same, to nobody."""
        request = await read_request(scope, receive)
        if request is None:
            return
        if self._methods and request.method not in self._methods:
            await send_response(responses.wrong_method(", ".join(self._methods)), send)
            return
        try:
            response = self._answer(request, scope.get("path_params", {}))
            if not isinstance(response, Response):
                response = await response
        except Exception as error:
            log.error("request.failed", exc_info=error)
            response = self._door.refuse(FAILED)
        await send_response(response, send)


class PlainSlashes:
    """Middleware that takes `//hooks/x/` for `/hooks/x`: URLs are pasted by hand, and a sender follows no redirect."""

    def __init__(self, app: Any) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Hands the request on."""
        path = scope["path"]
        if path.endswith("/") or "//" in path:
            scope["path"] = "/" + "/".join(part for part in path.split("/") if part)
        await self._app(scope, receive, send)


def _nothing(request: Request, names: Mapping[str, str]) -> Response:
    return responses.problem(Rejection("NOT_FOUND", "nothing is here"))
