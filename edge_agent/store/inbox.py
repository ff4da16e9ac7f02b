"""Every command that was taken in, written down before it is acted on.

A row is ``accepted`` until there is a result; the row and the report of it are one transaction.
"""

from dataclasses import dataclass

import msgspec

from common.messages.downlink import Command
from common.messages.uplink import Body, CommandReport
from edge_agent.store.journal import Journal
from edge_agent.store.tail import Transaction

ACCEPTED = "accepted"
OVERTAKEN = "a newer order for this output has come before it"
KEPT_MS = 30 * 86_400_000
"""How long after its expiry a command is remembered; unknown by then, it is expired anyway."""


@dataclass(frozen=True, slots=True)
class Order:
    """A command that was accepted and has no result yet."""

    id: str
    device: str
    register: str
    value: int
    expires_at: int


class Inbox:
    """The commands in the journal's file."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal

    async def take(self, command: Command, report: CommandReport) -> CommandReport | None:
        """Write down a new command with ``report``, durably; returns the report, as written.

        An older order than one that was taken in for the same output is ``rejected`` instead:
        messages may overtake each other, and what was ordered last has to stand.
        None for a known command: it is only answered again, and not even that while its last
        report is unsettled.
        """

        def work(transaction: Transaction) -> CommandReport | None:
            known = transaction.connection.execute(
                "SELECT report_seq, report FROM inbox WHERE id = ?", (command.id,)
            ).fetchone()
            if known is None:
                first = report
                if report.state == ACCEPTED and _is_overtaken(transaction, command):
                    first = msgspec.structs.replace(report, state="rejected", detail=OVERTAKEN)
                # The result mostly follows within milliseconds, and both can go in one message.
                transaction.urgent = first.state != ACCEPTED
                self._insert(transaction, command, first)
                return first
            seq, body = known
            if transaction.is_settled(seq):
                last = msgspec.json.decode(body, type=CommandReport)
                self._update(transaction, msgspec.structs.replace(last, at=report.at))
            return None

        return await self._journal.write(work)

    async def record(self, report: CommandReport, *others: Body) -> None:
        """Write down how far a known command is, and append the report and ``others``."""

        def work(transaction: Transaction) -> None:
            self._update(transaction, report)
            if others:
                transaction.append(*others)

        await self._journal.write(work)

    async def unfinished(self) -> list[Order]:
        """The accepted commands without a result."""

        def work(transaction: Transaction) -> list[Order]:
            rows = transaction.connection.execute(
                "SELECT id, device, register, value, expires_at FROM inbox"
                " WHERE state = ? ORDER BY report_seq",
                (ACCEPTED,),
            )
            return [Order(*row) for row in rows]

        return await self._journal.write(work)

    async def prune(self, now_ms: int) -> None:
        """Forget commands that expired long ago."""

        def work(transaction: Transaction) -> None:
            transaction.connection.execute(
                "DELETE FROM inbox WHERE expires_at < ? AND state <> ?",
                (now_ms - KEPT_MS, ACCEPTED),
            )

        await self._journal.write(work)

    @staticmethod
    def _insert(transaction: Transaction, command: Command, report: CommandReport) -> None:
        seq, _ = transaction.append(report)
        transaction.connection.execute(
            "INSERT INTO inbox (id, device, register, value, issued_at, expires_at, state,"
            " report_seq, report) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                command.id,
                command.device,
                command.register,
                command.value,
                command.issued_at,
                command.expires_at,
                report.state,
                seq,
                msgspec.json.encode(report),
            ),
        )

    @staticmethod
    def _update(transaction: Transaction, report: CommandReport) -> None:
        seq, _ = transaction.append(report)
        transaction.connection.execute(
            "UPDATE inbox SET state = ?, report_seq = ?, report = ? WHERE id = ?",
            (report.state, seq, msgspec.json.encode(report), report.id),
        )


def _is_overtaken(transaction: Transaction, command: Command) -> bool:
    """Whether a later order for the same output was taken in; one that was rejected is none."""
    row = transaction.connection.execute(
        "SELECT 1 FROM inbox WHERE device = ? AND register = ? AND (issued_at, id) > (?, ?)"
        " AND state <> 'rejected' LIMIT 1",
        (command.device, command.register, command.issued_at, command.id),
    ).fetchone()
    return row is not None
