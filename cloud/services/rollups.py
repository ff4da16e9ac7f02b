"""Keeps hours and days of readings summed up, after whatever readings came, however late."""

from collections.abc import Iterator, Sequence
from functools import partial
from itertools import groupby
from operator import attrgetter, itemgetter

from cloud.domain.consumption import tolerance_ms
from cloud.domain.entries import EARLIEST_MS
from cloud.domain.spans import Span, merged, stretches
from cloud.services.boundaries import Stretch, by_stretch, days_of, is_told, is_whole
from cloud.storage.rollups import Calendar, Mark, Marked
from cloud.storage.unit_of_work import Store, UnitOfWork

MARKS = 5_000
"""Hours that are rolled up in one transaction."""


def roll_up(store: Store) -> int:
    """Bring the hours that are marked now, and their days, up to date. How many hours it were.

    MARKS in one transaction; what is marked again meanwhile stays for the next time.
    """
    done, after = 0, (0, 0)
    while True:
        with store.read() as uow:
            if not uow.rollups.marks(after, 1):
                return done
        marks = store.run(partial(_roll_up, after=after))
        if not marks:
            return done
        done += len(marks)
        after = marks[-1].register_id, marks[-1].at


def forget_days(uow: UnitOfWork, gateway_id: int, timezone: str) -> None:
    """The gateway's days begin at other times from now on: sum them up anew, from the hours; where
    those of ``timezone`` are no hours of UTC, from the readings. What is no longer kept stays as
    it was summed up."""
    kept = uow.kept.since()
    days = days_of(max(kept.hours, EARLIEST_MS), kept.readings, timezone) if kept.readings else ()
    since = kept.hours if all(is_whole(*day) for day in days) else kept.readings
    uow.rollups.forget_days(gateway_id, since)


def _roll_up(uow: UnitOfWork, after: Marked) -> list[Mark]:
    uow.rollups.take_turn()
    marks = uow.rollups.marks(after, MARKS)
    kept = uow.kept.since()
    calendars = uow.rollups.calendars({one.register_id for one in marks})
    known = [one for one in marks if one.register_id in calendars]
    changed = [one for one in known if one.at >= kept.floor]
    for (start, end), ids in by_stretch(_hours(changed)):
        uow.rollups.sum_up_hours(ids, start, end)
    for (start, end), ids in by_stretch(_days(known, calendars)):
        if is_told((start, end), kept):
            days = list(_sum_up(uow, ids, start, end, calendars))
            uow.rollups.save_days(ids, start, days)
    uow.rollups.remove_marks(marks)
    return marks


def _hours(marks: Sequence[Mark]) -> Iterator[tuple[int, Stretch]]:
    """Of each register the stretches of marked hours, in order."""
    for register_id, its in groupby(marks, attrgetter("register_id")):
        for stretch in stretches(one.at for one in its):
            yield register_id, stretch


def _days(marks: Sequence[Mark], calendars: dict[int, Calendar]) -> Iterator[tuple[int, Stretch]]:
    """Of each register the local days that have to do with a marked hour."""
    hours = groupby(_hours(marks), itemgetter(0))
    for register_id, its in hours:
        timezone = calendars[register_id].timezone
        for day in {day for _, (start, end) in its for day in days_of(start, end, timezone)}:
            yield register_id, day


def _sum_up(
    uow: UnitOfWork, ids: Sequence[int], start: int, end: int, calendars: dict[int, Calendar]
) -> Iterator[Span]:
    """A day of each register. Where it does not begin with an hour of UTC, of its readings."""
    look = uow.rollups.hours if is_whole(start, end) else uow.rollups.of_readings
    for register_id, spans in groupby(look(ids, start, end), itemgetter(0)):
        yield merged(start, list(spans), tolerance_ms(calendars[register_id].interval_s))
