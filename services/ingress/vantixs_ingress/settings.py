"""Settings of ingress."""

from dataclasses import dataclass

from vantixs.runtime.settings import ServiceSettings, setting


@dataclass(frozen=True, slots=True, kw_only=True)
class IngressSettings(ServiceSettings):
    """Settings of ingress beside those of every service."""

    http_listen: str = setting(
        "127.0.0.1:0",
        doc="address of the webhook server, an IPv6 one in brackets; `[::]` takes both; port 0: a free one",
    )
    public_url: str = setting("", doc="URL under which senders reach it; empty takes the address it listens on")
    accept: str = setting(
        "spool",
        doc="what a 202 waits for: the spool on this disk, or the journal's acknowledgement too (at most 1 s)",
        choices=("spool", "journal"),
    )
    body_max_bytes: int = setting(65536, doc="largest body", unit="bytes", minimum=64, maximum=1 << 20)
    body_timeout_s: float = setting(5.0, doc="time for a body to arrive", unit="s", minimum=0.1, maximum=60)
    head_timeout_s: float = setting(5.0, doc="time for the headers to arrive", unit="s", minimum=0.1, maximum=60)
    connections_max: int = setting(
        1000, doc="most connections at once; beyond that a new one closes an idle one", minimum=1
    )
    address_failures_per_minute: int = setting(
        60,
        doc="failed attempts of an address before it is answered 429; a valid token is accepted all the same; 0: no limit",
    )
    records_per_minute: int = setting(
        3000, doc="rejections of a webhook that are recorded; more are only counted", minimum=1
    )
    entries_per_minute: int = setting(
        6000,
        doc="entries of a webhook that has no rate_limit_per_minute of its own; exits are exempt; 0: no limit",
        minimum=0,
    )
    spool_max_bytes: int = setting(1 << 30, doc="most the spool may hold", unit="bytes", minimum=1 << 16)
    spool_reserve_bytes: int = setting(
        64 << 20, doc="free space that the spool's disk must have; with less, signals get 503", unit="bytes", minimum=0
    )
    key_retention_days: int = setting(
        90, doc="how long ingress answers a used key with 200 or 409; the router prevents a second run for ever", unit="d",
        minimum=1, maximum=36_500,
    )  # fmt: skip
    trusted_proxies: str = setting(
        "", doc="CIDRs, separated by commas, of proxies whose X-Forwarded-For or Forwarded is trusted"
    )
    certificate_subject_header: str = setting(
        "", doc="header in which a trusted proxy reports the subject of the client's certificate; empty: it is not read"
    )
    certificate_verify_header: str = setting(
        "", doc="header that is SUCCESS if the proxy verified the certificate; empty: it reports verified ones only"
    )
    certificate_subject: str = setting(
        "CN=TradingView Webhooks", doc="part of the subject, or mail address, that the client's certificate must have"
    )
    signing_key: str = setting(
        "", doc="32 bytes in URL-safe base64 that seal signing secrets; the same for every replica", secret=True
    )
    payload_key: str = setting(
        "", doc="32 bytes in URL-safe base64 that seal payloads; the same for ingress and audit", secret=True
    )
