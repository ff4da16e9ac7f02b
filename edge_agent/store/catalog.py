"""Register numbers, and the catalog entry that tells the cloud what they stand for."""

from collections.abc import Sequence
from dataclasses import dataclass

from common.messages.envelope import encode
from common.messages.uplink import Catalog, CatalogDevice, CatalogRegister
from common.registers import Register
from edge_agent.store.journal import Journal
from edge_agent.store.tables import latest_catalogs
from edge_agent.store.tail import Transaction

PART_BYTES = 200_000
"""The devices of one catalog, encoded; a message may have a megabyte, and the keys of ten thousand
others go beside them."""

Numbers = dict[str, dict[str, int]]
"""Device key → register key → register number."""


@dataclass(frozen=True, slots=True)
class Described:
    """A configured device as the catalog shows it."""

    key: str
    name: str
    driver: str
    registers: tuple[Register, ...]
    model: str = ""


async def number_registers(journal: Journal, devices: Sequence[Described]) -> Numbers:
    """The numbers of all registers: the same ones for ever, new ones for new registers.

    A register whose kind or decimals have changed is a new one: what was measured before keeps
    its number and its scale.
    Appends catalog entries, together all devices, when they differ from the last ones.
    """

    def work(transaction: Transaction) -> Numbers:
        numbers: Numbers = {}
        entries = []
        for device in devices:
            registers = []
            for register in device.registers:
                no = _number(transaction, device.key, register)
                numbers.setdefault(device.key, {})[register.key] = no
                registers.append(CatalogRegister(no, register))
            entries.append(
                CatalogDevice(device.key, device.name, device.driver, registers, device.model)
            )
        newest = [part for _, part in latest_catalogs(transaction.connection)]
        if not newest or [device for part in newest for device in part.devices] != entries:
            transaction.append(*_parts(transaction.at, entries))
        return numbers

    return await journal.write(work)


def _parts(at: int, devices: list[CatalogDevice]) -> list[Catalog]:
    """One catalog, or as many as it takes for each to fit into a message."""
    parts: list[list[CatalogDevice]] = [[]]
    size = 0
    for device in devices:
        size += len(encode(device))
        if parts[-1] and size > PART_BYTES:
            parts.append([])
            size = len(encode(device))
        parts[-1].append(device)
    keys = [device.key for device in devices]
    catalogs = []
    for part in parts:
        own = {device.key for device in part}
        catalogs.append(Catalog(at, part, [key for key in keys if key not in own]))
    return catalogs


def _number(transaction: Transaction, device: str, register: Register) -> int:
    """The register's number. Looked up first: a full disk must not keep a gateway from starting."""
    connection = transaction.connection
    identity = (device, register.key, str(register.kind), register.decimals)
    row = connection.execute(
        "SELECT no FROM register WHERE device = ? AND key = ? AND kind = ? AND decimals = ?",
        identity,
    ).fetchone()
    if row is None:
        row = connection.execute(
            "INSERT INTO register (device, key, kind, decimals) VALUES (?, ?, ?, ?) RETURNING no",
            identity,
        ).fetchone()
    return int(row[0])
