"""Register numbers, and the catalog entry that tells the cloud what they stand for."""

from collections.abc import Sequence
from dataclasses import dataclass

from common.messages.uplink import Catalog, CatalogDevice, CatalogRegister
from common.registers import Register
from edge_agent.store.journal import Journal, Transaction, latest_catalog

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
    Appends a catalog entry when it differs from the last one.
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
        newest = latest_catalog(transaction.connection)
        if newest is None or newest[1].devices != entries:
            transaction.append(Catalog(transaction.at, entries))
        return numbers

    return await journal.write(work)


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
