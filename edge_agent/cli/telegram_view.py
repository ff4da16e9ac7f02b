"""An M-Bus telegram for a person and for a program."""

from decimal import Decimal

from common.registers import Medium
from edge_agent.cli.table import table
from edge_agent.protocols.mbus.header import Header
from edge_agent.protocols.mbus.record import Record
from edge_agent.protocols.mbus.registers import obis_of, register_of
from edge_agent.protocols.mbus.telegram import Telegram
from edge_agent.protocols.mbus.values import Value

ENCRYPTED = "encrypted"


def as_json(telegram: Telegram) -> dict[str, object]:
    """Fit for JSON: values are strings, bytes are hex. Every key is always there."""
    medium = telegram.header.medium if telegram.header else None
    blob = telegram.manufacturer_data
    return {
        "header": _header(telegram.header),
        "records": [_record(record, medium) for record in telegram.records],
        "more_follows": telegram.more_follows,
        "manufacturer_data": None if blob is None else blob.hex(),
        "state": ENCRYPTED if telegram.encrypted else None,
        "errors": list(telegram.errors),
    }


def as_text(telegram: Telegram, address: int | None) -> str:
    """A head, a table of the records, and what follows them."""
    header = telegram.header
    medium = header.medium if header else None
    rows = [_row(record, medium) for record in telegram.records]
    head = ["function", "storage", "tariff", "subunit", "quantity", "value", "unit", "OBIS"]
    parts = [_title(header, address)]
    if rows:
        parts.append(table(head, rows))
    if telegram.encrypted:
        parts.append("encrypted: the meter's key (--key) is needed")
    if telegram.manufacturer_data:
        parts.append(f"manufacturer's data: {telegram.manufacturer_data.hex(' ')}")
    if telegram.more_follows:
        parts.append("more follows in the next telegram")
    return "\n".join(parts)


def value_text(value: Value) -> str | None:
    """Digits without an exponent, a date or text as it is, bytes in hex."""
    if isinstance(value, Decimal):
        return f"{value if value else abs(value):f}"
    return value.hex() if isinstance(value, bytes) else value


def _header(header: Header | None) -> dict[str, object]:
    if header is None:
        header = Header(0, 0)
        access = status = configuration = None
    else:
        access, status = header.access, header.status
        configuration = None if header.fixed else header.configuration
    return {
        "identification": header.identification,
        "manufacturer": header.manufacturer,
        "version": header.version,
        "medium": header.medium,
        "access_number": access,
        "status": status,
        "status_words": list(header.status_words),
        "configuration": configuration,
    }


def _record(record: Record, medium: int | None) -> dict[str, object]:
    register = register_of(record, medium)
    return {
        "function": record.function.value,
        "storage": record.storage,
        "tariff": record.tariff,
        "subunit": record.subunit,
        "quantity": record.quantity,
        "qualifiers": list(record.qualifiers),
        "unit": record.unit,
        "value": value_text(record.value),
        "state": record.state.value if record.state else None,
        "raw": record.raw.hex(),
        "register": register.key if register else None,
        "obis": register.obis if register else obis_of(record, medium),
    }


def _row(record: Record, medium: int | None) -> list[str]:
    value = value_text(record.value)
    told = [_printable(value)] if value is not None else []
    if record.state is not None:
        told.append(f"({record.state.value})")
    return [
        record.function.value,
        str(record.storage),
        str(record.tariff),
        str(record.subunit),
        _printable(", ".join([record.quantity, *record.qualifiers])),
        " ".join(told),
        _printable(record.unit),
        obis_of(record, medium) or "",
    ]


def _title(header: Header | None, address: int | None) -> str:
    where = "" if address is None else f", primary address {address}"
    if header is None:
        return f"a meter that does not name itself{where}"
    who = "a meter that does not name itself"
    if header.identification is not None:
        maker = f"{_printable(header.manufacturer)} " if header.manufacturer else ""
        version = "" if header.version is None else f", version {header.version}"
        who = f"{maker}{header.identification}{version}, {_medium(header.medium)}"
    status = ", ".join(header.status_words) or "no error"
    return f"{who}{where}, access number {header.access}, status {header.status:02X}: {status}"


def _medium(code: int | None) -> str:
    try:
        return Medium(code or 0).label
    except ValueError:
        return f"medium {code:02X}"


def _printable(text: str) -> str:
    """A meter's text cannot command the terminal."""
    return "".join(
        letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in text
    )
