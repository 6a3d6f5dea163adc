"""Memory that was freed after a flood goes back to the system.

glibc keeps what is freed below something that is still in use: after a flood of calls a service kept 60 MB that it had no
use for. Fewer arenas (MALLOC_ARENA_MAX) changed nothing of that.
"""

import asyncio
import ctypes
import resource
from pathlib import Path

EVERY_S = 60.0
GROWTH_BYTES = 32 << 20
_STATM = Path("/proc/self/statm")


def resident_bytes() -> int:
    """Memory of this process that is in RAM; 0 where the system has no /proc.

    Source: proc_pid_statm(5).
    """
    try:
        return int(_STATM.read_text().split()[1]) * resource.getpagesize()
    except OSError:
        return 0


async def give_back(every_s: float = EVERY_S) -> None:
    """Looks every minute whether the process grew by 32 MiB, and gives back what of it is free.

    Not more often: who needs memory of the same arena meanwhile waits for the milliseconds it takes.
    """
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is None:
        return
    before = resident_bytes()
    while True:
        await asyncio.sleep(every_s)
        if resident_bytes() > before + GROWTH_BYTES:
            await asyncio.to_thread(trim, 0)
            before = resident_bytes()
