"""Whether a tariff can be used: what is wrong, where, and what to do about it."""

import re
from collections.abc import Sequence
from decimal import Decimal
from itertools import pairwise
from typing import assert_never

import msgspec
from msgspec import Struct

from cloud.domain.cost import OTHER_TIMES
from cloud.domain.tariffs import (
    MONTHS,
    UNITS,
    WEEKDAYS,
    Band,
    Block,
    Blocks,
    Charge,
    Fixed,
    PerUnit,
    Standing,
    Tariff,
    TimeOfUse,
    Version,
    day_plan,
    day_spans,
)
from common.errors import ConfigError
from common.ids import check_key

MAX_VERSIONS = 100
MAX_CHARGES = 30
MAX_PARTS = 30
"""The most bands or blocks of a charge."""

_TIME = re.compile(r"([01][0-9]|2[0-3]):([0-5][0-9])|24:00", re.ASCII)
_CURRENCY = re.compile(r"[A-Z]{3}", re.ASCII)
_NAME = 100


def open_tariff(raw: bytes | str) -> Tariff:
    """The tariff in a JSON text, checked; raises ConfigError, with what is wrong and where."""
    try:
        tariff = msgspec.json.decode(raw, type=Tariff)
    except (msgspec.MsgspecError, UnicodeError, RecursionError) as error:
        raise ConfigError(f"this is not a tariff: {error}") from error
    check(tariff)
    return tariff


def check(tariff: Tariff) -> None:
    """Raises Permanent when the tariff cannot be used, with what is wrong, where, what to do."""
    check_key(tariff.key, "tariff")
    where = f"tariff {tariff.key}"
    _check_name(tariff.name, where)
    if not _CURRENCY.fullmatch(tariff.currency):
        raise ConfigError(
            f"{where}: currency {tariff.currency[:20]!r}; write its three capital letters, as EUR"
        )
    if not 0 <= tariff.decimals <= 4:
        raise ConfigError(f"{where}: {tariff.decimals} decimals; 0 to 4 are possible")
    if tariff.unit not in UNITS:
        raise ConfigError(f"{where}: unit {tariff.unit[:20]!r}; possible are {', '.join(UNITS)}")
    _check_count(tariff.versions, MAX_VERSIONS, "versions", where)
    for version in tariff.versions:
        _check_version(version, f"{where}, version of {version.valid_from}")
    for one, after in pairwise(sorted(tariff.versions, key=lambda v: v.valid_from)):
        if one.valid_from == after.valid_from:
            raise ConfigError(f"{where}: two versions of {one.valid_from}; take one of them out")
        if one.valid_until is None or one.valid_until > after.valid_from:
            until = f"until {one.valid_until}" if one.valid_until else "without an end"
            raise ConfigError(
                f"{where}: the version of {one.valid_from}, {until}, overlaps the version of "
                f"{after.valid_from}; let it end: valid_until {after.valid_from} or before"
            )


def _check_version(version: Version, where: str) -> None:
    if version.valid_until is not None and version.valid_until <= version.valid_from:
        raise ConfigError(
            f"{where}: valid_until {version.valid_until} is not after valid_from; it is the first "
            "day on which the version is no more in force"
        )
    _check_tax(version.tax_percent, where)
    _check_count(version.charges, MAX_CHARGES, "charges", where)
    _check_different([charge.name for charge in version.charges], "charges", where)
    for charge in version.charges:
        _check_charge(charge, f"{where}, charge {charge.name[:_NAME]!r}")


def _check_charge(charge: Charge, where: str) -> None:
    _check_name(charge.name, where)
    if charge.tax_percent is not None:
        _check_tax(charge.tax_percent, where)
    match charge:
        case Standing() | Fixed():
            _check_number(charge.amount, "amount", where)
        case PerUnit():
            _check_number(charge.price, "price", where)
        case Blocks():
            _check_blocks(charge.blocks, where)
        case TimeOfUse():
            _check_time_of_use(charge, where)
        case _:
            assert_never(charge)


def _check_blocks(blocks: Sequence[Block], where: str) -> None:
    _check_count(blocks, MAX_PARTS, "blocks", where)
    before = Decimal(0)
    for no, block in enumerate(blocks, 1):
        _check_number(block.price, f"price of block {no}", where)
        if block.up_to is None:
            if no < len(blocks):
                raise ConfigError(f"{where}: block {no} has no up_to; only the last one has none")
            continue
        _check_number(block.up_to, f"up_to of block {no}", where)
        if no == len(blocks):
            raise ConfigError(
                f"{where}: nothing is priced above {block.up_to}; add a last block without up_to"
            )
        if block.up_to <= before:
            raise ConfigError(
                f"{where}: block {no} is up to {block.up_to}; it has to be above {before}"
            )
        before = block.up_to


def _check_time_of_use(charge: TimeOfUse, where: str) -> None:
    if charge.price is not None:
        _check_number(charge.price, "price", where)
    _check_count(charge.bands, MAX_PARTS, "bands", where)
    rest = [] if charge.price is None else [OTHER_TIMES]
    _check_different([band.name for band in charge.bands] + rest, "bands", where)
    for band in charge.bands:
        _check_band(band, f"{where}, band {band.name[:_NAME]!r}")
    for month in MONTHS:
        for weekday, day in enumerate(WEEKDAYS):
            spans = day_spans(charge, month, weekday)
            for (_, end, one), (start, _, other) in pairwise(spans):
                if start < end:
                    raise ConfigError(
                        f"{where}: bands {one.name!r} and {other.name!r} overlap on {day} of month "
                        f"{month} from {_clock(start)}; change the times, weekdays or months of one"
                    )
            bare = next((at for at, band in day_plan(charge, month, weekday) if not band), None)
            if charge.price is None and bare is not None:
                raise ConfigError(
                    f"{where}: no band on {day} of month {month} from {_clock(bare)}; add one, or "
                    "a price for all that is in no band"
                )


def _check_band(band: Band, where: str) -> None:
    _check_name(band.name, where)
    _check_number(band.price, "price", where)
    for at in (band.start, band.end):
        if not _TIME.fullmatch(at):
            raise ConfigError(f"{where}: time {at[:20]!r}; write 00:00 to 24:00, as 06:30")
    if band.start in (band.end, "24:00"):
        raise ConfigError(
            f"{where}: from {band.start} to {band.end} is no time; the whole day is 00:00 to 24:00"
        )
    if not band.weekdays or not set(band.weekdays) <= set(WEEKDAYS):
        raise ConfigError(f"{where}: name its weekdays, of {', '.join(WEEKDAYS)}")
    if not band.months or not set(band.months) <= set(MONTHS):
        raise ConfigError(f"{where}: name its months, of 1 to 12")


def _check_name(name: str, where: str) -> None:
    if not (name.strip() and name.isprintable() and len(name) <= _NAME):
        raise ConfigError(f"{where}: name {name[:_NAME]!r}; 1 to {_NAME} printable characters")


def _check_different(names: Sequence[str], what: str, where: str) -> None:
    for one, other in pairwise(sorted(names)):
        if one == other:
            raise ConfigError(f"{where}: two {what} are named {one[:_NAME]!r}; rename one")


def _check_count(items: Sequence[Struct], most: int, what: str, where: str) -> None:
    if not 1 <= len(items) <= most:
        raise ConfigError(f"{where}: {len(items)} {what}; 1 to {most} are possible")


def _check_number(value: Decimal, what: str, where: str) -> None:
    exponent = value.as_tuple().exponent
    if not isinstance(exponent, int) or exponent < -8 or value.adjusted() >= 9:
        raise ConfigError(
            f"{where}: {what} {str(value)[:40]}; at most 9 digits and 8 decimals are possible"
        )


def _check_tax(percent: Decimal, where: str) -> None:
    _check_number(percent, "tax_percent", where)
    if not 0 <= percent <= 100:
        raise ConfigError(f"{where}: tax_percent {percent}; 0 to 100 are possible")


def _clock(second: int) -> str:
    return f"{second // 3600:02}:{second // 60 % 60:02}"
