"""Counts of requests by what was answered."""

from prometheus_client import Counter
from vantixs.runtime.http_messages import Response

from vantixs_ingress.http.responses import Rejection, incomplete, problem

REQUESTS = Counter("vantixs_ingress_requests_total", "webhook requests answered", ["outcome", "reason"])
ACCEPTED = REQUESTS.labels("accepted", "")
UNRECORDED = Counter("vantixs_ingress_unrecorded_total", "rejections and repeats that are counted only", ["reason"])


def refuse(rejection: Rejection) -> Response:
    """The answer to a request whose sender is not identified, or that is no request: it is counted and not recorded."""
    REQUESTS.labels("refused", rejection.reason).inc()
    return problem(rejection)


def refuse_incomplete(what: str, body_max_bytes: int) -> Response:
    """The answer to what is no complete request; `what` is one of the constants of `http_messages`."""
    return refuse(incomplete(what, body_max_bytes))
