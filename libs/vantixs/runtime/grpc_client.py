"""gRPC channels: deadlines required, frozen peers noticed, replicas in turn, retries of idempotent methods only."""

import json
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import grpc

from vantixs.runtime import trace
from vantixs.runtime.tls import Tls

# A frozen peer is noticed after keepalive time + ping timeout: under 5 s. `grpc.keepalive_timeout_ms` alone is not
# honoured by grpcio 1.85; `grpc.http2.ping_timeout_ms` is what counts.
OPTIONS = (
    ("grpc.keepalive_time_ms", 2000),
    ("grpc.keepalive_timeout_ms", 2000),
    ("grpc.http2.ping_timeout_ms", 2000),
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.http2.max_pings_without_data", 0),
    ("grpc.initial_reconnect_backoff_ms", 100),
    # In spite of its name the time that one attempt to connect is given: at 100 ms a new connection to a busy service failed,
    # and `vantixs halt` with it. How soon the next attempt follows is the two others' to say.
    ("grpc.min_reconnect_backoff_ms", 2000),
    ("grpc.max_reconnect_backoff_ms", 1000),
    ("grpc.enable_retries", 1),
)


def open_channel(
    addresses: str,
    *,
    token: str,
    idempotent: Sequence[str] = (),
    operator: str = "",
    tls: Tls | None = None,
    host: str = "",
) -> grpc.aio.Channel:
    """A channel to `host:port[,host:port]`, calls spread round robin, or to one `unix:PATH`.

    `idempotent` names methods ("/pkg.Service/Method") that are retried, up to four times, while UNAVAILABLE.
    A call without `timeout` raises ValueError. With `tls` a server's certificate has to name `host`, or the host of the
    address where that is empty; of several hosts gRPC checks one name, the first one's. A socket of this machine has none.
    """
    policy = {"maxAttempts": 4, "initialBackoff": "0.1s", "maxBackoff": "1s", "backoffMultiplier": 2}
    names = [dict(zip(("service", "method"), m.strip("/").split("/"), strict=True)) for m in idempotent]
    config: dict[str, Any] = {"loadBalancingConfig": [{"round_robin": {}}]}
    if names:
        config["methodConfig"] = [{"name": names, "retryPolicy": policy | {"retryableStatusCodes": ["UNAVAILABLE"]}}]
    target, credentials, options = _peer(addresses, tls, host, config)
    if credentials:
        channel = grpc.aio.secure_channel(target, credentials, options=options)
    else:
        channel = grpc.aio.insecure_channel(target, options=options)
    equip(channel, token=token, operator=operator)
    return channel


def open_blocking_channel(
    address: str, *, token: str, operator: str = "", tls: Tls | None = None, host: str = ""
) -> grpc.Channel:
    """As `open_channel` for programs without an event loop; nothing is tried again."""
    target, credentials, options = _peer(address, tls, host, {"loadBalancingConfig": [{"round_robin": {}}]})
    if credentials:
        channel = grpc.secure_channel(target, credentials, options=options)
    else:
        channel = grpc.insecure_channel(target, options=options)
    equip(channel, token=token, operator=operator)
    return channel


def _peer(
    addresses: str, tls: Tls | None, host: str, config: dict[str, Any]
) -> tuple[str, grpc.ChannelCredentials | None, list[tuple[str, Any]]]:
    """What a channel is made with: target, credentials where there is TLS, options."""
    options = [*OPTIONS, ("grpc.service_config", json.dumps(config))]
    local = addresses.startswith("unix:")
    first = addresses.split(",", maxsplit=1)[0].rpartition(":")[0]
    numeric = bool(first) and all(c.isdigit() or c == "." for c in first)
    target = f"ipv4:{addresses}" if numeric else addresses if local else f"dns:///{addresses}"
    if not tls or local:
        return target, None, options
    if name := host or (first.strip("[]") if "," in addresses else ""):
        options.append(("grpc.ssl_target_name_override", name))
    return target, tls.channel_credentials(), options


def equip(channel: Any, *, token: str, operator: str = "") -> None:
    """Has every call of a channel, of either kind, need a timeout and carry the token and who asks."""
    metadata = (("authorization", f"Bearer {token}"),) + ((("x-operator", operator),) if operator else ())
    for kind in ("unary_unary", "unary_stream", "stream_unary"):
        setattr(channel, kind, _equipped(getattr(channel, kind), metadata))


def _equipped(make: Callable[..., Any], own: tuple[tuple[str, str], ...]) -> Callable[..., Any]:
    """Makes calls that need a timeout and carry our metadata and the running trace.

    Not by interceptors: in grpc.aio each costs a task and a call object more, about 90 microseconds.
    """

    def equip(method: str, *arguments: Any, **options: Any) -> Callable[..., Any]:
        call = make(method, *arguments, **options)

        def invoke(
            request: Any, *, timeout: float | None = None, metadata: Iterable[tuple[str, str]] = (), **more: Any
        ) -> Any:
            if timeout is None:
                raise ValueError(f"{method!r}: expected a timeout on the call, was none")
            parent = trace.current()
            traced = (("traceparent", parent),) if parent else ()
            return call(request, timeout=timeout, metadata=(*metadata, *own, *traced), **more)

        return invoke

    return equip
