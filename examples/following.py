"""Follow a file in asyncio while another task of the program, or another process, writes to it.

Run it as it is: it makes its own file in a temporary folder.
"""

from __future__ import annotations

import asyncio
from pathlib import Path
from tempfile import TemporaryDirectory

import capturefile
import capturefile.aio


async def write(path: Path) -> None:
    """Commits an order from time to time."""
    with capturefile.open(path, "a", sync="none") as cf:
        for number in range(1, 6):
            cf.add_record(f"order {number}")
            cf.commit()
            await asyncio.sleep(0.02)


async def print_orders(path: Path) -> None:
    """Prints each order as soon as it is committed, and stops after half a second without one."""
    async for record in capturefile.aio.follow(path, start=1, timeout=0.5):
        print(record)


async def count_orders(path: Path) -> int:
    """Counts orders in batches until it is cancelled, and prints the count."""
    count = 0
    async with capturefile.aio.follow(path, start=1) as orders:
        try:
            async with asyncio.timeout(0.2):
                async for batch in orders.batches():
                    count += len(batch)
        except TimeoutError:
            pass
        print(f"{count} orders counted, {orders.lag()} to come")
    return count


async def main() -> None:
    """Writes and follows at the same time."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / "orders.capture"
        capturefile.open(path, "w").close()
        await asyncio.gather(write(path), print_orders(path))
        await count_orders(path)


if __name__ == "__main__":
    asyncio.run(main())
