"""Settings of the console."""

from dataclasses import dataclass

from vantixs.runtime.settings import ServiceSettings, setting


@dataclass(frozen=True, slots=True, kw_only=True)
class ConsoleSettings(ServiceSettings):
    """What the console adds."""

    http_listen: str = setting("127.0.0.1:0", doc="address of the web page; port 0 takes a free one")
    ingress_url: str = setting("", doc="HTTP address at which commands reach ingress; empty takes run/endpoints.json")
    token: str = setting("", doc="token that opens the web page; empty takes secrets/console-token", secret=True)
