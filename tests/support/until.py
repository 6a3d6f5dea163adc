"""Waiting on a condition in a test that runs in an event loop."""

import asyncio
from collections.abc import Callable


async def until(condition: Callable[[], object], seconds: float = 30) -> None:
    """Returns once the condition holds; TimeoutError after that time, which only catches a hang."""
    async with asyncio.timeout(seconds):
        while not condition():
            await asyncio.sleep(0.01)
