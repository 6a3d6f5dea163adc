"""Settings of a service: defaults, then a file, then the environment.

A service declares a frozen dataclass on top of `ServiceSettings`; `load` fills it. `docs/reference/settings.md` is
generated from the same declarations.
"""

import difflib
import math
import os
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import MISSING, Field, dataclass, field, fields
from decimal import Decimal
from pathlib import Path
from typing import Any, TypeVar, get_type_hints

SERVICES = ("ingress", "risk", "router", "audit", "console")
REDACTED = "[redacted]"

T = TypeVar("T", bound="ServiceSettings")


class SettingsError(Exception):
    """A setting that cannot be used; the text is one line for the operator, without secrets."""


def setting(
    default: Any,
    *,
    doc: str,
    unit: str = "",
    minimum: float | None = None,
    maximum: float | None = None,
    choices: tuple[str, ...] = (),
    secret: bool = False,
) -> Any:
    """Declares one setting: its default, meaning, unit and range (both ends included).

    What is a duration needs a maximum: it is added to times and waited for, which fails where it is too long.
    """
    meta = {"doc": doc, "unit": unit, "minimum": minimum, "maximum": maximum, "choices": choices, "secret": secret}
    return field(default=default, metadata=meta, repr=not secret)


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceSettings:
    """What every service has."""

    home: Path = setting(Path("var"), doc="directory of data, secrets, logs and run files")
    instance: str = setting(
        "",
        doc="number of this process among those of its service; names its spool and run file; empty takes the next free one",
    )
    log_level: str = setting("info", doc="least level logged", choices=("debug", "info", "warning", "error"))
    log_format: str = setting("json", doc="form of log lines", choices=("json", "text"))
    log_file: str = setting(
        "", doc="file that output and log go to, rotated; empty is standard error; set by `vantixs up` for its services"
    )
    log_max_bytes: int = setting(
        16 << 20, doc="size at which a log file is put aside as NAME.1", unit="bytes", minimum=1 << 16
    )
    log_files: int = setting(3, doc="log files kept of each process, the current one included", minimum=2, maximum=100)
    nats_url: str = setting(
        "",
        doc="NATS servers, separated by commas; empty takes the home's broker, or nats://127.0.0.1:4222 where it has none",
    )
    nats_token: str = setting("", doc="token for NATS", secret=True)
    nats_tls_ca: str = setting(
        "", doc="file (PEM) with the authorities of the NATS servers' certificates; set, plain text is refused"
    )
    nats_tls_certificate: str = setting(
        "", doc="file (PEM) with the certificate shown to NATS servers that ask for one"
    )
    nats_tls_key: str = setting("", doc="file (PEM) with the key of nats_tls_certificate")
    grpc_listen: str = setting("127.0.0.1:0", doc="address of the gRPC server; port 0 takes a free one")
    grpc_tls_certificate: str = setting(
        "", doc="file (PEM) with this service's certificate: its server speaks TLS; shown by its clients too"
    )
    grpc_tls_key: str = setting("", doc="file (PEM) with the key of grpc_tls_certificate")
    grpc_tls_ca: str = setting(
        "", doc="file (PEM) with the authorities of the services' certificates: calls to them are made with TLS"
    )
    grpc_tls_client_ca: str = setting(
        "", doc="file (PEM) with the authorities of callers' certificates: calls without one of theirs are refused"
    )
    metrics_listen: str = setting("127.0.0.1:0", doc="address of the Prometheus page; empty turns it off")
    ingress_addresses: str = setting(
        "",
        doc="gRPC addresses of ingress, separated by commas; names are looked up again and again; empty finds those of the home",
    )
    risk_addresses: str = setting(
        "",
        doc="gRPC addresses of risk, separated by commas; names are looked up again and again; empty finds those of the home",
    )
    router_addresses: str = setting(
        "",
        doc="gRPC addresses of router, separated by commas; names are looked up again and again; empty finds those of the home",
    )
    audit_addresses: str = setting(
        "",
        doc="gRPC addresses of audit, separated by commas; names are looked up again and again; empty finds those of the home",
    )
    viewer_token: str = setting("", doc="bearer token that may read", secret=True)
    auditor_token: str = setting("", doc="bearer token that may read everything, payloads and proofs too", secret=True)
    operator_token: str = setting("", doc="bearer token that may read and command", secret=True)
    service_token: str = setting("", doc="bearer token between services", secret=True)
    database_url: str = setting(
        "", doc="SQLAlchemy URL; empty takes an SQLite file under the home directory", secret=True
    )
    database_batch: int = setting(
        256, doc="most units of work that share one transaction of the service's database", minimum=1, maximum=1000
    )
    journal_replicas: int = setting(1, doc="replicas of the journal and of KV buckets", minimum=1, maximum=5)
    journal_max_bytes: int = setting(
        0,
        doc="most the journal may hold, set by audit at its start; 0 leaves it as it is, sized to the disk at the first start",
        unit="bytes",
        minimum=0,
        maximum=1 << 60,
    )
    journal_first_bytes: int = setting(
        8 << 30, doc="most a new journal may hold where journal_max_bytes is 0; `vantixs up` sizes it to the disk",
        unit="bytes", minimum=1 << 20, maximum=1 << 60,
    )  # fmt: skip
    stop_grace_s: float = setting(3.0, doc="time for work in hand when stopping", unit="s", minimum=0, maximum=300)


def env_name(key: str, service: str = "") -> str:
    """Environment variable of a key, for every service or for one."""
    return f"VANTIXS_{service + '_' if service else ''}{key}".upper()


def load(
    service: str,
    cls: type[T],
    *,
    environ: Mapping[str, str] | None = None,
    overrides: Mapping[str, str] | None = None,
) -> T:
    """Fills a service's settings: defaults < {home}/settings.toml < environment < overrides.

    A secret that is still empty is read from {home}/secrets/<key with dashes>, where that file exists.

    Raises:
        SettingsError: an unknown key (naming the nearest), or a value that does not fit.
    """
    environ = os.environ if environ is None else environ
    known = {f.name: f for f in fields(cls)}
    types = get_type_hints(cls)
    home = Path((overrides or {}).get("home") or environ.get("VANTIXS_HOME") or str(known["home"].default))
    raw: dict[str, tuple[str, object]] = {}
    raw.update(_from_file(home / "settings.toml", service, known))
    raw.update(_from_environment(environ, service, known))
    raw.update({key: (f"option {key}", value) for key, value in (overrides or {}).items()})
    raw.setdefault("home", ("default", str(home)))
    values = {key: _convert(key, source, value, known[key], types[key]) for key, (source, value) in raw.items()}
    for key, declared in known.items():
        path = home / "secrets" / key.replace("_", "-")
        if declared.metadata.get("secret") and not values.get(key):
            try:
                if path.is_file():
                    values[key] = path.read_text().strip()
            except (OSError, UnicodeDecodeError) as error:
                reason = error.strerror if isinstance(error, OSError) else "was not UTF-8"
                detail = f"expected a text file that this user can read, {reason}; put it back from a copy"
                raise SettingsError(f"{path}: {detail}") from None
    return cls(**values)


def describe(cls: type[ServiceSettings]) -> Iterator[tuple[str, str, str, Mapping[str, Any]]]:
    """Yields (key, type, default as text, metadata) of each setting, in order of declaration."""
    types = get_type_hints(cls)
    for declared in fields(cls):
        default = "" if declared.default is MISSING else str(declared.default)
        yield declared.name, getattr(types[declared.name], "__name__", "str"), default, declared.metadata


def _from_file(path: Path, service: str, known: Mapping[str, "Field[Any]"]) -> dict[str, tuple[str, object]]:
    try:
        if not path.is_file():
            return {}
        content = tomllib.loads(path.read_text())
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingsError(f"{path.name}: expected TOML, was unreadable: {error}") from None
    except OSError as error:
        raise SettingsError(f"{path}: expected a file that this user can read, {error.strerror}") from None
    found: dict[str, tuple[str, object]] = {}
    for table, entries in content.items():
        if table not in ("common", *SERVICES) or not isinstance(entries, dict):
            raise _unknown(f"{path.name}: table [{table}]", table, ("common", *SERVICES))
    for table in ("common", service):
        for key, value in content.get(table, {}).items():
            if key not in known:
                raise _unknown(f"{path.name}: [{table}] {key}", key, known)
            found[key] = (f"{path.name}: [{table}] {key}", value)
    return found


def _from_environment(
    environ: Mapping[str, str], service: str, known: Mapping[str, "Field[Any]"]
) -> dict[str, tuple[str, object]]:
    base = {f.name for f in fields(ServiceSettings)}
    common: dict[str, tuple[str, object]] = {}
    own: dict[str, tuple[str, object]] = {}
    for name, value in environ.items():
        if not name.startswith("VANTIXS_"):
            continue
        key = name.removeprefix("VANTIXS_").lower()
        section, _, rest = key.partition("_")
        if key in base:
            common[key] = (name, value)
        elif section == service:
            if rest not in known:
                raise _unknown(name, name, [env_name(k, service) for k in known])
            own[rest] = (name, value)
        elif section not in SERVICES:
            raise _unknown(name, name, [env_name(k) for k in base] + [env_name(k, service) for k in known])
    return common | own


def _unknown(where: str, name: str, known: object) -> SettingsError:
    near = difflib.get_close_matches(name, list(known), n=1, cutoff=0)  # type: ignore[call-overload]
    return SettingsError(f"{where}: unknown setting, the nearest known one is {near[0]}")


def _convert(key: str, source: str, value: object, declared: "Field[Any]", kind: type) -> Any:
    meta = declared.metadata
    shown = REDACTED if meta["secret"] else repr(value)
    try:
        converted = kind(value) if kind is not bool else _BOOLEANS[str(value).lower()]
        # No range of ours excludes NaN, as nothing is below or above it, and few exclude infinity.
        if isinstance(converted, (float, Decimal)) and not math.isfinite(converted):
            raise SettingsError(f"{source}: expected a finite number, was {shown}")
    except (ArithmeticError, ValueError, TypeError, KeyError):
        raise SettingsError(f"{source}: expected {kind.__name__}, was {shown}") from None
    if meta["choices"] and converted not in meta["choices"]:
        raise SettingsError(f"{source}: expected one of {', '.join(meta['choices'])}, was {shown}")
    low, high = meta["minimum"], meta["maximum"]
    if (low is not None and not converted >= low) or (high is not None and not converted <= high):
        raise SettingsError(
            f"{source}: expected {low} to {'any' if high is None else high} {meta['unit']}, was {shown}"
        )
    return converted


_BOOLEANS = {"true": True, "1": True, "yes": True, "on": True, "false": False, "0": False, "no": False, "off": False}
