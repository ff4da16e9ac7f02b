"""Rows for tests of what reads the database: sites, gateways, devices, registers, readings."""

from collections.abc import Iterable
from typing import Any

from sqlalchemy import Table, func, insert, select

from cloud.domain.consumption import HOUR_MS
from cloud.storage import billing_tables, message_tables, tables
from cloud.storage.engine import open_engine
from cloud.storage.rollups import Rollups
from common.messages.envelope import encode
from common.messages.uplink import DeviceStatus, Status
from common.registers import Kind, Medium

STREAM = "0123456789abcdef0123456789abcdef"


class MasterData:
    """Writes rows as they stand in the tables; every ``add_…`` returns the new row's id."""

    def __init__(self, url: str) -> None:
        self._engine = open_engine(url)

    def close(self) -> None:
        self._engine.dispose()

    def add_site(self, key: str = "mill", timezone: str = "Europe/Bucharest") -> int:
        return self._add(tables.site, key=key, name=key.title(), timezone=timezone)

    def add_gateway(
        self,
        site_id: int,
        key: str = "gw-1",
        *,
        online: bool = True,
        seen_at: int | None = None,
        queued: int = 0,
        devices: Iterable[DeviceStatus] = (),
        status: Status | None = None,
    ) -> int:
        """``status`` is the whole last one; without it, one with ``queued`` and ``devices``."""
        status = status or Status(
            stream=STREAM,
            online=online,
            boot=1,
            session=1,
            at=1000,
            queued=queued,
            devices=list(devices),
        )
        return self._add(
            tables.gateway,
            site_id=site_id,
            key=key,
            name=key.upper(),
            agent="inmetter 0.1",
            online=online,
            boot=1,
            session=1,
            seen_at=seen_at,
            status_at=seen_at,
            status=encode(status).decode(),
        )

    def add_device(self, gateway_id: int, key: str = "water-1", *, active: bool = True) -> int:
        return self._add(
            tables.device,
            gateway_id=gateway_id,
            key=key,
            name=key.title(),
            driver="c11do1eth",
            model="C11DO1ETH",
            active=active,
        )

    def add_register(
        self,
        device_id: int,
        key: str = "volume",
        *,
        kind: Kind = Kind.VOLUME,
        decimals: int = 3,
        interval_s: int = 0,
        medium: Medium = Medium.COLD_WATER,
        active: bool = True,
        added_at: int = 0,
    ) -> int:
        output = kind is Kind.OUTPUT
        return self._add(
            tables.register,
            device_id=device_id,
            key=key,
            kind=kind.value,
            decimals=decimals,
            medium=int(medium),
            name=key.title(),
            interval_s=interval_s,
            obis=None,
            state_0="closed" if output else None,
            state_1="open" if output else None,
            writable=output,
            active=active,
            added_at=added_at,
        )

    def add_readings(
        self, register_id: int, readings: Iterable[tuple[int, int | None]], quality: int = 0
    ) -> None:
        """(at, scaled value) each, in order of time; the last one becomes the latest, if it is."""
        found = list(readings)
        rows = [
            {"register_id": register_id, "at": at, "value": value, "quality": quality, "raw": 7}
            for at, value in found
        ]
        with self._engine.begin() as connection:
            for start in range(0, len(rows), 5000):
                connection.execute(insert(tables.reading), rows[start : start + 5000])
            latest = tables.latest
            its = latest.c.register_id == register_id
            newest = connection.scalar(select(latest.c.at).where(its))
            if newest is None or newest <= rows[-1]["at"]:
                connection.execute(latest.delete().where(its))
                connection.execute(insert(latest).values(**rows[-1], received_at=rows[-1]["at"]))
            Rollups(connection).add_marks({(register_id, at - at % HOUR_MS) for at, _ in found})

    def alter_statement(self, statement_id: int, old: str, new: str) -> None:
        """As somebody may who gets into the database."""
        table = billing_tables.statement
        with self._engine.begin() as connection:
            connection.execute(
                table.update()
                .where(table.c.id == statement_id)
                .values(content=func.replace(table.c.content, old, new))
            )

    def add_stream(
        self, gateway_id: int, ranges: Iterable[tuple[int, int]] = (), stream: str = STREAM
    ) -> int:
        stream_id = self._add(tables.stream, gateway_id=gateway_id, stream=stream, created_at=1000)
        for first, last in ranges:
            self._insert(tables.ledger, stream_id=stream_id, first=first, last=last)
        return stream_id

    def add_rejected(self, stream_id: int, seq: int) -> None:
        self._insert(
            tables.rejected,
            stream_id=stream_id,
            seq=seq,
            reason="no such register",
            body=b"{}",
            received_at=1000,
        )

    def add_loss(self, stream_id: int, first: int, last: int, start_at: int, end_at: int) -> None:
        self._insert(
            tables.loss,
            stream_id=stream_id,
            first=first,
            last=last,
            reason="drop_oldest",
            start_at=start_at,
            end_at=end_at,
            received_at=end_at,
        )
        stream = tables.stream
        with self._engine.begin() as connection:
            connection.execute(stream.update().where(stream.c.id == stream_id).values(lossy=True))

    def add_quarantined(self, topic: str, payload: bytes, reason: str) -> None:
        self._insert(
            tables.quarantine,
            topic=topic,
            payload=payload,
            reason=reason,
            size=len(payload),
            received_at=1000,
        )

    def add_message(self, gateway_id: int, at: int) -> None:
        self._insert(
            message_tables.message,
            at=at,
            no=1,
            gateway_id=gateway_id,
            kind="journal",
            stream=STREAM,
            first=1,
            last=1,
            outcome="stored",
            size=2,
            payload=b"{}",
        )

    def add_telegram(
        self, gateway_id: int, device: str, at: int, stream_id: int = 1, seq: int = 1
    ) -> None:
        frame = bytes.fromhex("6815156808057278563412931533072a0000000c13652501004916")
        self._insert(
            message_tables.telegram,
            at=at,
            stream_id=stream_id,
            seq=seq,
            gateway_id=gateway_id,
            device=device,
            protocol="mbus",
            frame=frame,
            received_at=at + seq,
        )

    def add_event(
        self,
        stream_id: int,
        seq: int,
        gateway_id: int,
        *,
        at: int,
        severity: str = "alarm",
        code: str = "leak",
    ) -> None:
        self._insert(
            tables.event,
            stream_id=stream_id,
            seq=seq,
            gateway_id=gateway_id,
            device="water-1",
            at=at,
            received_at=at,
            code=code,
            severity=severity,
            text="It drips",
            data="{}",
        )

    def forget_status(self, gateway_id: int) -> None:
        """The gateway has said nothing yet: also not that it takes no configurations."""
        gateway = tables.gateway
        with self._engine.begin() as connection:
            connection.execute(
                gateway.update().where(gateway.c.id == gateway_id).values(status=None)
            )

    def disable_account(self, account_id: int) -> None:
        self._change_account(account_id, disabled=True)

    def give_role(self, account_id: int, role: str) -> None:
        self._change_account(account_id, role=role)

    def _change_account(self, account_id: int, **values: Any) -> None:
        account = tables.account
        with self._engine.begin() as connection:
            connection.execute(account.update().where(account.c.id == account_id).values(**values))

    def _add(self, table: Table, **values: Any) -> int:
        with self._engine.begin() as connection:
            return int(connection.execute(insert(table).values(**values)).lastrowid)

    def _insert(self, table: Table, **values: Any) -> None:
        with self._engine.begin() as connection:
            connection.execute(insert(table).values(**values))
