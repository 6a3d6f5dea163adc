"""Settings of every service that are numbers: what is none, or too long a time, is refused with one line."""

from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from vantixs.runtime.settings import SERVICES, SettingsError, describe, env_name, load
from vantixs_audit.settings import AuditSettings
from vantixs_console.settings import ConsoleSettings
from vantixs_ingress.settings import IngressSettings
from vantixs_risk.settings import RiskSettings
from vantixs_router.settings import RouterSettings

CLASSES: dict[str, Any] = {
    "ingress": IngressSettings,
    "risk": RiskSettings,
    "router": RouterSettings,
    "audit": AuditSettings,
    "console": ConsoleSettings,
}
SECONDS = {"ms": 0.001, "s": 1, "h": 3600, "d": 86_400}
UNITS = {"_ms": "ms", "_s": "s", "_hours": "h", "_days": "d"}
LONGEST_S = 36_500 * 86_400
NO_NUMBERS = ("inf", "-inf", "nan", "1e400", "sNaN", "soon", "", "1" * 5000 + "e")


def numbers() -> Iterator[tuple[str, str, str, Any]]:
    """Service, key, type and metadata of every setting that is a number."""
    for service, cls in CLASSES.items():
        for key, kind, _, meta in describe(cls):
            if kind in ("int", "float", "Decimal"):
                yield service, key, kind, meta


def unit_of(key: str, meta: Any) -> str:
    """The unit that the name says, or else the one that is declared."""
    if key.endswith("_per_s"):
        return "/s"
    return next((unit for suffix, unit in UNITS.items() if key.endswith(suffix)), str(meta["unit"]))


NUMBERS = list(numbers())
COMMON = {key for _, key, _, _ in NUMBERS if all((service, key) in {n[:2] for n in NUMBERS} for service in SERVICES)}


def refusal(service: str, key: str, value: object, tmp_path: Path) -> str:
    environment = {
        "VANTIXS_HOME": str(tmp_path),
        env_name(key, "" if key in COMMON else service): str(value),
    }
    with pytest.raises(SettingsError) as caught:
        load(service, CLASSES[service], environ=environment)
    return str(caught.value)


def test_every_service_is_looked_at() -> None:
    assert set(CLASSES) == set(SERVICES)
    assert {key for _, key, _, _ in NUMBERS} > {"stop_grace_s", "straggler_s", "park_after_s", "max_mark_age_s"}


@pytest.mark.parametrize(("service", "key", "kind"), [number[:3] for number in NUMBERS])
def test_number_that_is_none_or_infinite_is_refused(service: str, key: str, kind: str, tmp_path: Path) -> None:
    for value in NO_NUMBERS:
        if value == "1e400" and kind == "Decimal":
            continue  # It is a number there, and beyond the range if there is one.
        assert "expected" in refusal(service, key, value, tmp_path)


@pytest.mark.parametrize("value", ["inf", "-inf", "nan"])
def test_infinite_number_of_a_file_is_refused(value: str, tmp_path: Path) -> None:
    (tmp_path / "settings.toml").write_text(f"[common]\nlog_files = {value}\n")
    with pytest.raises(SettingsError, match="log_files: expected"):
        load("audit", AuditSettings, environ={"VANTIXS_HOME": str(tmp_path)})


@pytest.mark.parametrize(("service", "key", "kind", "meta"), [n for n in NUMBERS if unit_of(n[1], n[3]) in SECONDS])
def test_duration_has_a_range(service: str, key: str, kind: str, meta: Any, tmp_path: Path) -> None:
    named = unit_of(key, meta)
    assert named == meta["unit"], "the name says another unit, or none is declared"
    assert meta["minimum"] is not None
    assert meta["minimum"] >= 0
    assert meta["maximum"] is not None
    assert meta["maximum"] * SECONDS[named] <= LONGEST_S
    over = meta["maximum"] + (1 if kind == "int" else Decimal("0.1"))
    for value in (over, 10**15, "9" * 300, *(("1e308", "1e15") if kind != "int" else ())):
        text = refusal(service, key, value, tmp_path)
        assert "\n" not in text
        assert f"to {meta['maximum']}" in text or "finite" in text


@pytest.mark.parametrize(("key", "value"), [("history_keep_days", "3000000"), ("straggler_s", "1e15")])
def test_time_beyond_the_calendar_is_refused(key: str, value: str, tmp_path: Path) -> None:
    assert refusal("audit", key, value, tmp_path).endswith(f"was {value!r}")
