"""A data file that came to another computer, moved or copied."""

from pathlib import Path

from edge_agent.store.catalog import Described, number_registers
from edge_agent.store.machine import settle_in
from tests.unit.edge_parts import NOW, event, everything, opened, texts


async def test_on_another_computer_the_journal_is_another_stream_without_what_the_cloud_has(
    tmp_path: Path,
) -> None:
    async with opened(tmp_path) as journal:
        await number_registers(journal, [Described("m", "M", "modbus", ())])
        await journal.append(event("known"), event("new"))
        await journal.settle(journal.stream, 1, 2)
        assert await settle_in(journal, "one", NOW) is None
        assert await settle_in(journal, "one", NOW) is None
        assert await settle_in(journal, "", NOW) is None
        stream = journal.stream
    async with opened(tmp_path) as journal:
        assert journal.stream == stream
        moved = await settle_in(journal, "two", NOW)
        assert moved is not None
        assert journal.stream != stream
        assert await texts(journal) == ["new"]
        await journal.resume(journal.stream, [])
        assert [(one.first, one.last) for one in (await everything(journal)).lost] == [(2, 2)]
    async with opened(tmp_path) as journal:
        assert await settle_in(journal, "two", NOW) is None
        assert journal.queued() == 3
