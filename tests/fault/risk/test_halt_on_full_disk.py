"""The kill switch works while the disk is full."""

import asyncio
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from vantixs.api.common.v1 import common_pb2
from vantixs.api.risk.v1 import risk_pb2, risk_pb2_grpc
from vantixs.runtime.errors import from_rpc_error
from vantixs.runtime.grpc_client import open_channel
from vantixs.testing.stack import wait_for

from tests.support.risk_processes import RiskProcesses


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 16 MiB."""
    path = tmp_path / "disk"
    path.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=16m", "tmpfs", str(path)], check=True)
    yield path
    subprocess.run(["umount", "--lazy", str(path)], check=True)


def fill(path: Path) -> None:
    """Until not one byte more fits."""
    with path.open("ab", buffering=0) as file:
        try:
            while True:
                file.write(bytes(4096))
        except OSError:
            pass


async def set_state(address: str, token: str, name: str) -> "common_pb2.TradingState":
    channel = open_channel(address, token=token)
    try:
        request = risk_pb2.SetTradingStateRequest(
            state=common_pb2.TradingState.Value(f"TRADING_STATE_{name}"), comment="x"
        )
        answer = await risk_pb2_grpc.RiskServiceStub(channel).SetTradingState(request, timeout=20)
        return answer.state.state
    finally:
        await channel.close()


@pytest.mark.long  # Mounts a small disk, which takes root.
def test_halt_and_reduce_work_while_the_disk_is_full(tmp_path: Path, disk: Path) -> None:
    home = tmp_path / "home"
    processes = RiskProcesses(home, f"sqlite:///{disk / 'risk.db'}", 1)
    reserve, filler = disk / "risk.db.reserve", disk / "filler"
    try:
        assert reserve.stat().st_blocks * 512 >= 8 << 20
        token = (home / "secrets" / "operator-token").read_text().strip()
        fill(filler)

        def refused() -> bool:
            """Whoever wants space takes all of it: no write succeeds any more."""
            fill(filler)
            try:
                asyncio.run(set_state(processes.addresses[0], token, "ACTIVE"))
            except Exception as error:
                return from_rpc_error(error).reason == "STORAGE_UNAVAILABLE"
            return False

        wait_for(refused, "the disk to be full")
        for name in ("HALTED", "REDUCING", "HALTED"):
            fill(filler)
            assert asyncio.run(set_state(processes.addresses[0], token, name)) == common_pb2.TradingState.Value(
                f"TRADING_STATE_{name}"
            )
        assert reserve.stat().st_size < 8 << 20
        filler.unlink()
        wait_for(lambda: reserve.stat().st_size == 8 << 20, "the reserve to be made again")
        assert asyncio.run(set_state(processes.addresses[0], token, "ACTIVE")) == common_pb2.TRADING_STATE_ACTIVE
    finally:
        processes.stop()
