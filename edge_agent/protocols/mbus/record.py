"""The records of a variable data structure: EN 13757-3, clause 6."""

from typing import Final

from msgspec import Struct

from common.errors import Undecodable

from . import dif, vif
from .dates import decode_date
from .dif import Coding, DataInformation, Function
from .state import State
from .values import (
    Decoded,
    Value,
    decode_bcd,
    decode_integer,
    decode_real,
    decode_variable,
    variable_length,
)
from .vif import Meaning
from .vif_tables import DataType

SUMMER_TIME: Final = "summer time"
_NO_DATA: Final = Decoded(None, State.NO_DATA)
_INVALID: Final = Decoded(None, State.INVALID)


class Record(Struct, frozen=True):
    """One value of a telegram.

    ``value`` is in ``unit``; numbers are exact, dates and texts are str, long binaries bytes.
    ``state`` says why there is none.
    ``qualifiers`` are what VIFEs add to the quantity: ``L1``, ``upper limit``, ``per hour``.
    ``count`` is the integer before scaling. ``dib``, ``vib`` and ``data`` are the bytes as sent,
    ``raw`` all of them, with the length byte of data of variable length.
    """

    function: Function
    storage: int
    tariff: int
    subunit: int
    quantity: str
    unit: str
    value: Value
    state: State | None
    qualifiers: tuple[str, ...]
    count: int | None
    dib: bytes
    vib: bytes
    data: bytes
    raw: bytes


class Body(Struct, frozen=True):
    """What follows the header: good records, and what is wrong with the rest."""

    records: tuple[Record, ...] = ()
    more_follows: bool = False
    manufacturer_data: bytes | None = None
    errors: tuple[str, ...] = ()


def decode_body(body: bytes, high_first: bool = False, offset: int = 0) -> Body:
    """All records that can be read. What is cut off or reserved ends the reading, flagged.

    Errors name the record's first byte: its index in ``body`` plus ``offset``.
    """
    records: list[Record] = []
    more_follows = False
    manufacturer_data = None
    errors: tuple[str, ...] = ()
    at, end = 0, len(body)
    while at < end:
        first = body[at]
        if first == dif.IDLE_FILLER:
            at += 1
            continue
        if first & 0x0F == 0x0F:
            if first in {dif.MANUFACTURER_DATA, dif.MORE_FOLLOWS}:
                more_follows = first == dif.MORE_FOLLOWS
                manufacturer_data = body[at + 1 :]
            else:
                errors = (_fault(records, at + offset, f"reserved DIF {first:02X}"),)
            break
        try:
            record, at = _decode_record(body, at, high_first)
        except Undecodable as error:
            errors = (_fault(records, at + offset, str(error)),)
            break
        records.append(record)
    return Body(tuple(records), more_follows, manufacturer_data, errors)


def _fault(records: list[Record], at: int, reason: str) -> str:
    return f"record {len(records) + 1} at byte {at}: {reason}"


def _decode_record(body: bytes, start: int, high_first: bool) -> tuple[Record, int]:
    end = len(body)
    at = start + 1
    if body[start] & 0x80:
        at = _end_of_dib(body, at)
    dib = body[start:at]
    information = dif.interpret(dib)
    behind = vif.end_of_vib(body, at)
    vib = body[at:behind]
    meaning = vif.interpret(vib, not high_first)
    length = information.length
    lvar = -1
    if information.coding is Coding.VARIABLE:
        if behind >= end:
            raise Undecodable("cut off before its length")
        lvar = body[behind]
        behind += 1
        length = variable_length(lvar)
    at = behind + length
    if at > end:
        raise Undecodable(f"cut off: {end - behind} of {length} bytes of data")
    data = body[behind:at]
    decoded, qualifiers = _decode_value(data, lvar, information, meaning, high_first)
    return Record(
        information.function,
        information.storage,
        information.tariff,
        information.subunit,
        meaning.quantity,
        meaning.unit,
        decoded.value,
        decoded.state,
        qualifiers,
        decoded.count,
        dib,
        vib,
        data,
        body[start:at],
    ), at


def _end_of_dib(body: bytes, start: int) -> int:
    for end in range(start, min(len(body), start + dif.MAX_DIFE)):
        if not body[end] & 0x80:
            return end + 1
    if len(body) >= start + dif.MAX_DIFE:
        raise Undecodable(f"more than {dif.MAX_DIFE} DIFEs")
    raise Undecodable("cut off in its DIFEs")


def _decode_value(
    data: bytes, lvar: int, information: DataInformation, meaning: Meaning, high_first: bool
) -> tuple[Decoded, tuple[str, ...]]:
    coding = information.coding
    # Text comes last character first in mode 1, first character first in mode 2.
    is_text = 0 <= lvar <= 0xBF
    sent = data
    if high_first != is_text:
        data = data[::-1]
    if meaning.state is not None:
        decoded = Decoded(None, meaning.state)
    elif coding is Coding.NONE:
        decoded = _NO_DATA
    elif meaning.data_type is DataType.BYTES and not is_text:
        decoded = Decoded(sent)
    elif coding is Coding.VARIABLE:
        decoded = decode_variable(lvar, data, meaning)
    elif meaning.data_type is DataType.DATE:
        return _decode_date(data, coding, meaning)
    elif coding is Coding.INTEGER:
        decoded = decode_integer(data, meaning, meaning.data_type is DataType.UNSIGNED)
    elif coding is Coding.BCD:
        decoded = decode_bcd(data, meaning)
    else:
        decoded = decode_real(data, meaning)
    return decoded, meaning.qualifiers


def _decode_date(data: bytes, coding: Coding, meaning: Meaning) -> tuple[Decoded, tuple[str, ...]]:
    dated = decode_date(data) if coding is Coding.INTEGER else None
    if dated is None:
        return _INVALID, meaning.qualifiers
    text, state, summer = dated
    words = (*meaning.qualifiers, SUMMER_TIME) if summer else meaning.qualifiers
    return Decoded(text, state), words
