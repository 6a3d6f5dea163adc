"""The routes of the webhook server, and the way of a request from ASGI to its handler and back."""

from collections.abc import Callable, Coroutine, Mapping
from typing import Any

from starlette.middleware import Middleware
from starlette.routing import Route, Router
from vantixs.runtime.health import Health
from vantixs.runtime.http_messages import FAILED, Receive, Request, Response, Scope, Send, read_request, send_response
from vantixs.runtime.logs import log

from vantixs_ingress.http import responses
from vantixs_ingress.http.authentication import Target
from vantixs_ingress.http.health_pages import alive, ready
from vantixs_ingress.http.openapi import DOCUMENT
from vantixs_ingress.http.receive_signal import SignalReceiver
from vantixs_ingress.http.responses import Rejection
from vantixs_ingress.http.signal_status import SignalStatus

Answer = Callable[[Request, Mapping[str, str]], Response | Coroutine[Any, Any, Response]]


def make_app(
    receiver: SignalReceiver, status: SignalStatus, health: Health, refuse: Callable[[str], Response]
) -> Router:
    """The ASGI application; `refuse` answers a request that failed, as the server's own failures are answered."""

    def receive(request: Request, names: Mapping[str, str]) -> Response | Coroutine[Any, Any, Response]:
        return receiver.receive(request, Target(names["webhook_id"], names.get("token", "")))

    def get_status(request: Request, names: Mapping[str, str]) -> Response:
        return status.get_status(request, Target(names["webhook_id"], signal_id=names["signal_id"]))

    def endpoint(methods: tuple[str, ...], answer: Answer) -> Endpoint:
        return Endpoint(methods, answer, refuse)

    def page(make: Callable[[], Response]) -> Endpoint:
        return endpoint(("GET", "HEAD"), lambda request, names: make())

    sending = endpoint(("POST",), receive)
    return Router(
        [
            Route("/hooks/{webhook_id}/{token}", sending),
            Route("/hooks/{webhook_id}", sending),
            Route("/hooks/{webhook_id}/signals/{signal_id}", endpoint(("GET", "HEAD"), get_status)),
            Route("/healthz", page(alive)),
            Route("/readyz", page(lambda: ready(health))),
            Route("/openapi.json", page(lambda: Response(200, DOCUMENT))),
        ],
        redirect_slashes=False,
        default=endpoint((), _nothing),
        middleware=[Middleware(PlainSlashes)],
    )


class Endpoint:
    """An ASGI application for the methods of one route; no methods: for all.

    Starlette's own Request and JSONResponse do the same, and take half again as long for a signal (ADR 17).
    """

    def __init__(self, methods: tuple[str, ...], answer: Answer, refuse: Callable[[str], Response]) -> None:
        self._refuse = refuse
        self._methods = methods
        self._answer = answer

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers a request; it is handled to its end also where the sender disconnects."""
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
            response = self._refuse(FAILED)
        await send_response(response, send)


class PlainSlashes:
    """Middleware that takes `//hooks/x/` for `/hooks/x`: URLs are pasted by hand, and senders follow no redirect."""

    def __init__(self, app: Any) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Passes the request on with the path normalised."""
        path = scope["path"]
        if path.endswith("/") or "//" in path:
            scope["path"] = "/" + "/".join(part for part in path.split("/") if part)
        await self._app(scope, receive, send)


def _nothing(request: Request, names: Mapping[str, str]) -> Response:
    return responses.problem(Rejection("NOT_FOUND", "nothing is here"))
