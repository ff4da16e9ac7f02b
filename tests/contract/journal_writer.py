"""A process that appends to a journal for ever and says what is durable: to be killed."""

import asyncio
import sys
from pathlib import Path

from common.clock import SystemClock
from edge_agent.store.database import Database
from edge_agent.store.journal import Journal
from tests.unit.edge_parts import event


async def main(path: Path) -> None:
    journal = await Journal.open(Database(path), SystemClock())

    async def write() -> None:
        while True:
            first, last = await journal.append(event("one"), event("two"))
            print(first, last, flush=True)

    async with asyncio.TaskGroup() as group:
        for _ in range(4):
            group.create_task(write())


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1])))
