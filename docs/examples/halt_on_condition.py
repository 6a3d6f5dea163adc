"""Halts an account once so many of its signals in a row were rejected or failed."""

import asyncio
import sys

from vantixs.api.common.v1 import common_pb2
from vantixs.client import AsyncClient

BAD = (common_pb2.SIGNAL_STATUS_REJECTED, common_pb2.SIGNAL_STATUS_FAILED)


async def halt_after(home: str, account_id: str, most: int) -> None:
    """Watches the account until it is halted."""
    async with AsyncClient.from_home(home, operator="failure-guard") as client:
        in_a_row = 0
        print("watching", flush=True)
        async for signal in client.signals.watch(account_id=account_id):
            if signal.status == common_pb2.SIGNAL_STATUS_ACCEPTED or signal.first_signal_id:
                continue  # It has not ended, or repeats another one.
            in_a_row = in_a_row + 1 if signal.status in BAD else 0
            if in_a_row == most:
                break
        done = await client.trading.halt(f"{most} signals in a row failed", scope=f"account:{account_id}")
        print("halted; open orders:", done.open_orders)


asyncio.run(halt_after(sys.argv[1], "paper", 3))
