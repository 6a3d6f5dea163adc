"""The status of one signal, for its sender."""

from datetime import UTC, datetime

from vantixs.runtime.http_messages import Request, Response

from vantixs_ingress.http import responses
from vantixs_ingress.http.authentication import NO_TOKEN, Authenticator, Target
from vantixs_ingress.http.authorization import authorize_status_query
from vantixs_ingress.http.responses import Rejection
from vantixs_ingress.http.signal_outcomes import SignalOutcomes


class SignalStatus:
    """Answers with the status of a signal; asking needs the same credential as sending to its webhook."""

    def __init__(self, authenticator: Authenticator, outcomes: SignalOutcomes, body_max_bytes: int) -> None:
        self._authenticator = authenticator
        self._outcomes = outcomes
        self._body_max_bytes = body_max_bytes
        self._unknown = responses.problem(Rejection("TOKEN_INVALID", NO_TOKEN))

    def get_status(self, request: Request, target: Target) -> Response:
        """The status of the signal that the path names; 404 where the webhook has none such among the newest signals."""
        now = datetime.now(UTC)
        try:
            sender = self._authenticator.identify(request, target, now)
            authorize_status_query(sender, request, self._body_max_bytes, now)
        except Rejection as rejection:
            return self._unknown if rejection.reason == "TOKEN_INVALID" else responses.problem(rejection)
        found = self._outcomes.get(target.webhook_id, target.signal_id)
        if found is None:
            return responses.problem(Rejection("NOT_FOUND", "this webhook has no such signal, or it is long ago"))
        return responses.document(200, {"signal_id": target.signal_id, **found})
