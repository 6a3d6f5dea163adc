"""Settings of ingress."""

from dataclasses import dataclass

from vantixs.runtime.settings import ServiceSettings, setting


@dataclass(frozen=True, slots=True, kw_only=True)
class IngressSettings(ServiceSettings):
    """What ingress adds."""

    http_listen: str = setting("127.0.0.1:0", doc="address of the webhook server; port 0 takes a free one")
    public_url: str = setting("", doc="URL under which senders reach it; empty takes the address it listens on")
    body_max_bytes: int = setting(65536, doc="largest body", unit="bytes", minimum=64, maximum=1 << 20)
    body_timeout_s: float = setting(5.0, doc="time for a body to arrive", unit="s", minimum=0.1, maximum=60)
    connections_max: int = setting(1000, doc="most connections at once", minimum=1)
    spool_max_bytes: int = setting(1 << 30, doc="most the spool may hold", unit="bytes", minimum=1 << 16)
