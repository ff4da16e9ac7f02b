"""Metering points from files: all of a file's new ones are made, or none.

A dry run does the same, and takes it back: it meets whatever making them would meet.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace

from cloud.importing import points as lines
from cloud.importing.cells import Wrong
from cloud.importing.files import open_table
from cloud.importing.points import CheckedPoints, Meter, PointLine
from cloud.importing.report import Fault, Report, make_report
from cloud.services import installing, points
from cloud.services.imports import File, ImportRefused, note
from cloud.services.installing import NewMeter
from cloud.services.points import Change, NewPoint
from cloud.storage.meters import PlacedRegister
from cloud.storage.points import InstalledRow, PointRow
from cloud.storage.unit_of_work import Store, UnitOfWork
from common.errors import Permanent
from common.reading import from_scaled

COLUMN_OF = {"at": "start_time", "register_id": "register"}
"""Where the checks' own words are not those of the file."""


def check(database: Store, file: File, now_ms: int) -> Report:
    """What ``store`` would do. Raises Unreadable."""
    read = _read(file)

    def work(uow: UnitOfWork) -> Report:
        raise _TakenBack(_make(uow, read, file, Change("", now_ms)))

    try:
        return database.run(work)
    except _TakenBack as done:
        return done.report


def store(database: Store, file: File, change: Change) -> Report:
    """Make the metering points that are not there yet, and install their meters.

    Raises Unreadable, or ImportRefused when there is a bad line.
    """
    read = _read(file)

    def work(uow: UnitOfWork) -> Report:
        report = _make(uow, read, file, change)
        if report.bad:
            raise ImportRefused(report)
        if not report.new:
            return report
        note(uow, "metering points", report, change)
        return replace(report, stored=True)

    return database.run(work)


class _TakenBack(Permanent):
    """It was tried, and nothing of it stays."""

    def __init__(self, report: Report) -> None:
        super().__init__(report.verdict())
        self.report = report


def _read(file: File) -> CheckedPoints:
    table = open_table(file.content, lines.COLUMNS)
    return lines.check(table, zone=file.zone, comma=file.comma)


def _make(uow: UnitOfWork, read: CheckedPoints, file: File, change: Change) -> Report:
    registers = {(one.gateway, one.device, one.key): one.id for one in _in_use_last(uow)}
    new, same = 0, 0
    conflicts: list[Fault] = []
    refusals = list(read.refusals)
    for one in _parents_first(read.points):
        try:
            meter = _meter(one.meter, registers) if one.meter else None
            found = uow.points.by_key(one.key)
            if found is None:
                _add(uow, one, meter, change)
                new += 1
            elif unlike := _unlike(uow, found, one, meter):
                wrong = f"there is a metering point {one.key!r} already, with another {unlike}"
                advice = "remove the line, or correct it: what is there is not overwritten"
                conflicts.append(Fault(one.line, unlike, wrong, advice))
            else:
                same += 1
        except Wrong as error:
            refusals.append(Fault(one.line, error.column, error.wrong, error.advice))
        except Permanent as error:
            refusals.append(_fault(one.line, str(error)))
    return make_report(
        file=file.name,
        sha256=file.sha256,
        comma=read.comma,
        new=new,
        already_there=same,
        conflicts=conflicts,
        refusals=refusals,
    )


def _in_use_last(uow: UnitOfWork) -> Sequence[PlacedRegister]:
    return sorted(uow.meters.placed(), key=lambda one: (one.active, one.id))


def _parents_first(all_: Sequence[PointLine]) -> Iterator[PointLine]:
    """Each after the one that it is a part of, if that is among them; a circle as it stands."""
    waiting = list(all_)
    while waiting:
        keys = {one.key for one in waiting}
        ready = [one for one in waiting if one.parent not in keys] or waiting
        yield from ready
        done = {one.key for one in ready}
        waiting = [one for one in waiting if one.key not in done]


def _meter(meter: Meter, registers: dict[tuple[str, str, str], int]) -> NewMeter:
    id_ = registers.get(meter.path)
    if id_ is None:
        raise Wrong(
            "register",
            f"there is no register {'/'.join(meter.path)!r}",
            "correct the keys, or have the gateway report the register first",
        )
    return NewMeter(id_, meter.start_index, meter.serial, meter.multiplier, meter.rollover)


def _add(uow: UnitOfWork, one: PointLine, meter: NewMeter | None, change: Change) -> None:
    wanted = NewPoint(one.key, one.name, one.site, one.medium, one.kind, one.parent)
    id_ = points.add(uow, wanted, change)
    if meter and one.meter:
        installing.put_in(uow, id_, meter, one.meter.start_at, change)


def _unlike(uow: UnitOfWork, found: PointRow, one: PointLine, meter: NewMeter | None) -> str:
    """The first column in which the line is not what is there; nothing where it is."""
    parent = uow.points.one(found.parent_id) if found.parent_id else None
    pairs: list[tuple[str, object, object]] = [
        ("name", one.name, found.name),
        ("site", one.site, found.site),
        ("medium", one.medium, found.medium),
        ("kind", one.kind, found.kind),
        ("parent", one.parent, parent.key if parent else None),
    ]
    if meter and one.meter:
        pairs += _of_meter(next(iter(uow.points.installed([found.id])), None), one.meter, meter)
    return next((column for column, wanted, there in pairs if wanted != there), "")


def _of_meter(
    row: InstalledRow | None, wanted: Meter, meter: NewMeter
) -> list[tuple[str, object, object]]:
    if row is None:
        return [("register", meter.register_id, None)]
    there = row.installation
    index = from_scaled(there.start_index, there.decimals)
    said = index if meter.start_index is None else meter.start_index
    rollover = None if there.rollover is None else from_scaled(there.rollover, there.decimals)
    return [
        ("register", meter.register_id, there.register_id),
        ("serial", meter.serial, row.serial),
        ("start_time", wanted.start_at, there.start_at),
        ("start_index", said, index),
        ("multiplier", meter.multiplier, there.multiplier),
        ("rollover", meter.rollover, rollover),
    ]


def _fault(line: int, said: str) -> Fault:
    """Of a check's words: ``column: what is wrong``."""
    word, _, rest = said.partition(": ")
    column = COLUMN_OF.get(word, word)
    known = rest and column in lines.COLUMNS
    return Fault(line, column if known else "", rest if known else said, "correct the line")
