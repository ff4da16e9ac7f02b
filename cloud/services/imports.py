"""Readings from files: all of a file's new ones are stored, or none, and nothing is overwritten."""

from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from itertools import groupby
from operator import attrgetter
from zoneinfo import ZoneInfo

import msgspec

from cloud.domain.consumption import HOUR_MS, Index
from cloud.importing import readings
from cloud.importing.files import open_table
from cloud.importing.growth import misfits
from cloud.importing.readings import Checked, NewReading, Place
from cloud.importing.report import Fault, Report, make_report
from cloud.services.points import Change
from cloud.storage.audit import AuditRow
from cloud.storage.meters import ReadingRow
from cloud.storage.unit_of_work import Store, UnitOfWork
from common.clock import to_datetime
from common.errors import Permanent, Retryable
from common.reading import Quality, from_scaled
from common.registers import KINDS, Kind

SUBJECT = "import"
"""Of the audit trail's lines about files."""

PAGE = 5_000
GROWS = "correct it; readings of a meter that was exchanged belong to another register"


@dataclass(frozen=True, slots=True)
class File:
    """What is imported, and how it is read.

    ``zone``: of times without an offset. ``comma``: before decimals; None: found out.
    """

    name: str
    content: bytes
    zone: ZoneInfo | None = None
    comma: bool | None = None

    @property
    def sha256(self) -> str:
        """Of the content, in hex."""
        return sha256(self.content).hexdigest()


class ImportRefused(Permanent):
    """Nothing of a file was stored; ``report`` says because of which lines."""

    def __init__(self, report: Report) -> None:
        super().__init__(report.verdict())
        self.report = report


class Overtaken(Retryable):
    """What was compared with is not there any more as it was."""


def check(database: Store, file: File, now_ms: int) -> Report:
    """What ``store`` would do. Raises Unreadable."""
    registers = Registers(database)
    read = registers.read(file, now_ms)
    with database.read() as uow:
        return _Comparison(uow, registers, read).report(file)


def store(database: Store, file: File, change: Change) -> Report:
    """Store the readings that are not there yet: all in one transaction.

    Raises Unreadable, or ImportRefused when there is a bad line.
    """
    registers = Registers(database)
    read = registers.read(file, change.now_ms)

    def work(uow: UnitOfWork) -> Report:
        compared = _Comparison(uow, registers, read)
        report = compared.report(file)
        if report.bad:
            raise ImportRefused(report)
        if not report.new:
            return report
        if uow.kept.hold().floor > registers.oldest_ms:
            raise Overtaken("old readings were let go meanwhile; import the file again")
        if uow.readings.add([one[1:] for one in compared.new], change.now_ms):
            raise Overtaken("other readings of the same instants came in meanwhile")
        uow.rollups.add_marks(
            {(one.register_id, one.at - one.at % HOUR_MS) for one in compared.new}
        )
        note(uow, "readings", report, change)
        return replace(report, stored=True)

    return database.run(work)


def note(uow: UnitOfWork, what: str, report: Report, change: Change) -> None:
    """Write down who imported which file."""
    detail = {
        "what": what,
        "file": report.file,
        "sha256": report.sha256,
        "new": str(report.new),
        "already_there": str(report.already_there),
    }
    text = msgspec.json.encode(detail).decode()
    row = AuditRow(change.now_ms, change.by, "imported", SUBJECT, change.reason, text)
    uow.audit.note(row)


class Registers:
    """The registers that there are: by their path, of several with one path that in use."""

    def __init__(self, database: Store) -> None:
        with database.read() as uow:
            found = uow.meters.placed()
            self.oldest_ms = uow.kept.since().floor
        found.sort(key=lambda one: (one.active, one.id))
        self.by_path = {
            (one.gateway, one.device, one.key): Place(
                one.id,
                one.site,
                KINDS[Kind(one.kind)].unit,
                one.decimals,
                KINDS[Kind(one.kind)].counting,
            )
            for one in found
        }

    def read(self, file: File, now_ms: int) -> Checked:
        """What the file itself tells."""
        table = open_table(file.content, readings.COLUMNS)
        return readings.check(
            table,
            self.by_path,
            now_ms,
            oldest_ms=self.oldest_ms,
            zone=file.zone,
            comma=file.comma,
        )

    def by_id(self) -> Mapping[int, Place]:
        return {place.id: place for place in self.by_path.values()}


@dataclass(frozen=True, slots=True)
class _Beside:
    """What is stored at an instant, and next to it what has a value."""

    exact: ReadingRow | None
    before: Index | None
    after: Index | None


class _Comparison:
    """What a file says, beside what is stored."""

    def __init__(self, uow: UnitOfWork, registers: Registers, read: Checked) -> None:
        self._uow = uow
        self._read = read
        self._same = 0
        self._conflicts: list[Fault] = []
        self._refusals = list(read.refusals)
        self.new: list[NewReading] = []
        places = registers.by_id()
        for id_, its in groupby(read.readings, attrgetter("register_id")):
            self._compare(places[id_], list(its))

    def report(self, file: File) -> Report:
        return make_report(
            file=file.name,
            sha256=file.sha256,
            comma=self._read.comma,
            new=len(self.new),
            already_there=self._same,
            conflicts=self._conflicts,
            refusals=self._refusals,
        )

    def _compare(self, place: Place, its: Sequence[NewReading]) -> None:
        growing: dict[Index | None, list[NewReading]] = {}
        times = [one.at for one in its]
        for one, beside in zip(its, _stored(self._uow, place.id, times), strict=True):
            if beside.exact is not None:
                self._meet(place, one, beside.exact)
            elif not place.counting or one.value is None:
                self.new.append(one)
            elif why := _against(place, one.value, beside):
                self._refuse(one, why)
            else:
                growing.setdefault(beside.before, []).append(one)
        for between in growing.values():
            self._grow(place, between)

    def _meet(self, place: Place, one: NewReading, stored: ReadingRow) -> None:
        same = (one.value, one.quality) == (stored.value, stored.quality)
        if same and (one.raw is None or one.raw == stored.raw):
            self._same += 1
            return
        value = _words(place, stored.value)
        wrong = f"{value} ({Quality(stored.quality).name.lower()}) is stored for this time"
        advice = "remove the line: what is stored is not overwritten"
        self._conflicts.append(Fault(one.line, "value", wrong, advice))

    def _grow(self, place: Place, its: Sequence[NewReading]) -> None:
        """Of those between the same two that are stored, take what grows."""
        values = [one.value for one in its if one.value is not None]
        wrong = set(misfits(values))
        last: NewReading | None = None
        after = iter([one for at, one in enumerate(its) if at not in wrong])
        coming = next(after, None)
        for at, one in enumerate(its):
            if at not in wrong:
                self.new.append(one)
                last, coming = one, next(after, None)
            elif last and one.value is not None and (last.value or 0) > one.value:
                said = f"{_words(place, last.value)} before it, in line {last.line}"
                self._refuse(one, f"the index is less than {said}")
            else:
                assert coming is not None  # noqa: S101  (else it would fit)
                said = f"{_words(place, coming.value)} after it, in line {coming.line}"
                self._refuse(one, f"the index is more than {said}")

    def _refuse(self, one: NewReading, wrong: str) -> None:
        self._refusals.append(Fault(one.line, "value", wrong, GROWS))


def _against(place: Place, value: int, beside: _Beside) -> str:
    """How an index contradicts what is stored next to it; nothing where that itself went back."""
    before, after = beside.before, beside.after
    if before and after and before.value > after.value:
        return ""
    if before and value < before.value:
        said = f"{_words(place, before.value)} that is stored for {_time(before.at)}"
        return f"the index is less than {said}"
    if after and value > after.value:
        said = f"{_words(place, after.value)} that is stored for {_time(after.at)}"
        return f"the index is more than {said}"
    return ""


def _stored(uow: UnitOfWork, register_id: int, times: Sequence[int]) -> Iterator[_Beside]:
    """What is beside each of the times, which are in order: a page at a time, no page twice."""
    done = 0
    while done < len(times):
        first, last = times[done], times[-1]
        page = uow.meters.readings(register_id, first, last + 1, PAGE)
        if len(page) == PAGE:
            last = page[-1].at
        below, above = uow.indexes.boundaries(register_id, [first - 1, last + 1])
        exact = {row.at: row for row in page}
        valued = [Index(row.at, row.value) for row in page if row.value is not None]
        instants = [one.at for one in valued]
        upto = bisect_right(times, last)
        for at in times[done:upto]:
            left, right = bisect_left(instants, at), bisect_right(instants, at)
            yield _Beside(
                exact.get(at),
                valued[left - 1] if left else below.before,
                valued[right] if right < len(valued) else above.after,
            )
        done = upto


def _words(place: Place, value: int | None) -> str:
    return "no value" if value is None else format(from_scaled(value, place.decimals), "f")


def _time(at: int) -> str:
    return to_datetime(at).isoformat(timespec="milliseconds")
