"""Devices and registers, and the numbers by which streams name them."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Select, Table, func, insert, select, update

from cloud.storage.tables import device, gateway, register, stream_register
from common.messages.uplink import CatalogDevice
from common.registers import Register

Values = dict[str, object]


@dataclass(frozen=True, slots=True)
class Numbered:
    """A register as a stream's readings name it. What is here never changes.

    But for a number that was said to name two registers: it names none any more, ``spoilt``.
    """

    stream_id: int
    no: int
    register_id: int
    device: str
    register: str
    kind: str
    decimals: int

    @property
    def identity(self) -> tuple[str, str, str, int]:
        """What makes a register of a gateway the same register."""
        return (self.device, self.register, self.kind, self.decimals)

    @property
    def spoilt(self) -> bool:
        """Whether readings of this number can be of either of two registers."""
        return self.register_id == 0


@dataclass(frozen=True, slots=True)
class RegisterRow:
    """A register, its device and its gateway, as far as commands need them."""

    id: int
    register: str
    device: str
    gateway: str
    gateway_id: int
    kind: str
    state_0: str | None
    state_1: str | None
    writable: bool
    active: bool


_REGISTER: Select[*tuple[Any, ...]] = (
    select(
        register.c.id,
        register.c.key,
        device.c.key,
        gateway.c.key,
        gateway.c.id,
        register.c.kind,
        register.c.state_0,
        register.c.state_1,
        register.c.writable,
        register.c.active,
    )
    .join_from(register, device)
    .join(gateway)
)


Identity = tuple[int, str, str, int]
"""What makes a register this one, and no other: the columns _IDENTITY."""

_IDENTITY = ("device_id", "key", "kind", "decimals")


class Inventory:
    """Devices and registers in the database."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def numbered(self, stream_id: int) -> list[Numbered]:
        """All registers that the stream has a number for."""
        rows = self._connection.execute(
            select(
                stream_register.c.stream_id,
                stream_register.c.no,
                stream_register.c.register_id,
                func.coalesce(device.c.key, ""),
                func.coalesce(register.c.key, ""),
                func.coalesce(register.c.kind, ""),
                func.coalesce(register.c.decimals, 0),
            )
            .select_from(
                stream_register.outerjoin(
                    register, register.c.id == stream_register.c.register_id
                ).outerjoin(device, device.c.id == register.c.device_id)
            )
            .where(stream_register.c.stream_id == stream_id)
        )
        return [Numbered(*row) for row in rows]

    def spoil(self, stream_id: int, no: int) -> Numbered:
        """The stream's number, which is known, names no register from now on."""
        self._connection.execute(
            update(stream_register)
            .where(stream_register.c.stream_id == stream_id, stream_register.c.no == no)
            .values(register_id=0)
        )
        return Numbered(stream_id, no, 0, "", "", "", 0)

    def register(self, id_: int) -> RegisterRow | None:
        """The register with this id."""
        row = self._connection.execute(_REGISTER.where(register.c.id == id_)).first()
        return RegisterRow(*row) if row else None

    def find(self, gateway_key: str, device_key: str, register_key: str) -> RegisterRow | None:
        """The register of these names that is in use."""
        row = self._connection.execute(
            _REGISTER.where(
                gateway.c.key == gateway_key,
                device.c.key == device_key,
                register.c.key == register_key,
                register.c.active,
            ).limit(1)
        ).first()
        return RegisterRow(*row) if row else None

    def lock_register(self, id_: int) -> None:
        """Until the transaction ends, nobody else issues a command to this register."""
        self._connection.execute(
            select(register.c.id).where(register.c.id == id_).with_for_update()
        )

    def take_catalog(
        self,
        gateway_id: int,
        stream_id: int,
        devices: Sequence[CatalogDevice],
        numbers: frozenset[int],
        *,
        newest: bool,
        staying: frozenset[int] = frozenset(),
        others: frozenset[str] = frozenset(),
        at: int = 0,
    ) -> list[Numbered]:
        """Make devices and registers as the catalog has them, and return the registers.

        ``numbers`` has the stream already. A catalog that is not the ``newest`` adds what is
        missing, as inactive, and changes nothing; the newest also retires what it lacks, but for
        the registers ``staying`` and the devices ``others``, which stay as they are. New registers
        count as added ``at`` (ms).
        """
        known = self._put_devices(gateway_id, devices, newest)
        registers = self._put_registers(gateway_id, devices, known, at, newest)
        device_ids = {entry.key: known[entry.key][0] for entry in devices}
        result = []
        kept = set(staying)
        for entry in devices:
            for item in entry.registers:
                identity = _identity(device_ids[entry.key], item.register)
                id_, _ = registers[identity]
                kept.add(id_)
                result.append(Numbered(stream_id, item.no, id_, entry.key, *identity[1:]))
        if newest:
            gone = [id_ for key, (id_, _) in known.items() if key not in {*device_ids, *others}]
            left_alone = {id_ for key, (id_, _) in known.items() if key in others}
            unused = [
                id_
                for (device_id, *_), (id_, _) in registers.items()
                if id_ not in kept and device_id not in left_alone
            ]
            self._retire(gone, unused)
        new = [
            {"stream_id": stream_id, "no": row.no, "register_id": row.register_id}
            for row in result
            if row.no not in numbers
        ]
        if new:
            self._connection.execute(insert(stream_register), new)
        return result

    def _devices(self, gateway_id: int) -> dict[str, tuple[int, Values]]:
        rows = self._connection.execute(select(device).where(device.c.gateway_id == gateway_id))
        return {row["key"]: (row["id"], dict(row)) for row in rows.mappings()}

    def _registers(self, gateway_id: int) -> dict[Identity, tuple[int, Values]]:
        rows = self._connection.execute(
            select(register).join_from(register, device).where(device.c.gateway_id == gateway_id)
        )
        return {
            (row["device_id"], row["key"], row["kind"], row["decimals"]): (row["id"], dict(row))
            for row in rows.mappings()
        }

    def _put_devices(
        self, gateway_id: int, devices: Sequence[CatalogDevice], newest: bool
    ) -> dict[str, tuple[int, Values]]:
        """Add what is missing, bring up to date what is there; all of the gateway's, by key."""
        wanted: dict[str, Values] = {
            entry.key: {
                "name": entry.name,
                "driver": entry.driver,
                "model": entry.model,
                "active": newest,
            }
            for entry in devices
        }
        known = self._devices(gateway_id)
        new = [
            {"gateway_id": gateway_id, "key": key, **values}
            for key, values in wanted.items()
            if key not in known
        ]
        if new:
            self._connection.execute(insert(device), new)
            known = self._devices(gateway_id)
        if newest:
            self._update(device, [(*known[key], values) for key, values in wanted.items()])
        return known

    def _put_registers(
        self,
        gateway_id: int,
        devices: Sequence[CatalogDevice],
        known_devices: dict[str, tuple[int, Values]],
        at: int,
        newest: bool,
    ) -> dict[Identity, tuple[int, Values]]:
        """As ``_put_devices``, for the registers."""
        wanted: dict[Identity, Values] = {}
        for entry in devices:
            for item in entry.registers:
                one = item.register
                states = one.states or (None, None)
                wanted[_identity(known_devices[entry.key][0], one)] = {
                    "medium": int(one.medium),
                    "name": one.name,
                    "interval_s": one.interval_s,
                    "obis": one.obis,
                    "state_0": states[0],
                    "state_1": states[1],
                    "writable": one.writable,
                    "active": newest,
                }
        known = self._registers(gateway_id)
        new = [
            {**dict(zip(_IDENTITY, identity, strict=True)), "added_at": at, **values}
            for identity, values in wanted.items()
            if identity not in known
        ]
        if new:
            self._connection.execute(insert(register), new)
            known = self._registers(gateway_id)
        if newest:
            self._update(register, [(*known[key], values) for key, values in wanted.items()])
        return known

    def _update(self, table: Table, rows: Iterable[tuple[int, Values, Values]]) -> None:
        """Give each row its new values, where they differ from what it has."""
        for id_, row, values in rows:
            if any(row[name] != value for name, value in values.items()):
                self._connection.execute(update(table).where(table.c.id == id_).values(**values))

    def _retire(self, devices: Sequence[int], registers: Sequence[int]) -> None:
        for table, ids in ((device, devices), (register, registers)):
            if ids:
                self._connection.execute(
                    update(table).where(table.c.id.in_(ids), table.c.active).values(active=False)
                )


def _identity(device_id: int, definition: Register) -> Identity:
    return device_id, definition.key, definition.kind.value, definition.decimals
