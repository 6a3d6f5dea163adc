"""Where the services are: by a home directory, or by addresses that were given."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path

from vantixs.client.contracts import SERVICES
from vantixs.runtime.home import read_secret
from vantixs.runtime.settings import ServiceSettings, load

# Nothing runs in it, so that a service whose address was not given is not looked for where the program was started.
_NOWHERE = Path("/dev/null")


def read_endpoints(home: Path) -> dict[str, object]:
    """run/endpoints.json, empty where nothing runs."""
    path = home / "run" / "endpoints.json"
    return dict(json.loads(path.read_text())) if path.is_file() else {}


def home_settings(home: str | Path) -> ServiceSettings:
    """A home's settings that all services share, with its tokens.

    Raises:
        SettingsError: one of them cannot be used.
    """
    return load("", ServiceSettings, overrides={"home": str(home)})


def given_settings(
    addresses: Mapping[str, str], *, tls_ca: str | Path, tls_certificate: str | Path, tls_key: str | Path
) -> ServiceSettings:
    """Settings of addresses by service, each `host:port[,host:port]`.

    Raises:
        ValueError: there is no such service.
    """
    if unknown := sorted(addresses.keys() - set(SERVICES)):
        raise ValueError(f"addresses: expected {', '.join(SERVICES)}, was {unknown[0]!r}")
    files = {"ca": tls_ca, "certificate": tls_certificate, "key": tls_key}
    return ServiceSettings(
        home=_NOWHERE,
        **{f"grpc_tls_{part}": str(path or "") for part, path in files.items()},  # type: ignore[arg-type]
        **{f"{service}_addresses": listed for service, listed in addresses.items()},  # type: ignore[arg-type]
    )


def http_of(settings: ServiceSettings, given: str = "") -> Callable[[], str]:
    """Says where ingress takes signals: as given, or as the home has it at the time."""
    return lambda: given or str(read_endpoints(settings.home).get("http") or "")


def webhook_token(home: Path, webhook_id: str) -> str:
    """The token that a home keeps of a webhook, as of `demo`; empty where it keeps none.

    Raises:
        StartupError: it cannot be read.
    """
    path = home / "secrets" / f"webhook-{webhook_id}-token"
    return read_secret(path) if path.is_file() else ""
