"""Cost and statements: of one moment, exact, frozen; and what has changed since is told."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

import msgspec
import pytest

from cloud.domain.consumption import Step
from cloud.domain.retention import Retention
from cloud.domain.statements import Difference
from cloud.domain.tariffs import Fixed, PerUnit, Standing, Tariff, Version
from cloud.services import costs, installing, points, statements, tariffs
from cloud.services.installing import NewMeter
from cloud.services.points import Change, NewPoint
from cloud.services.retention import Keeper
from cloud.services.rollups import roll_up
from cloud.services.store import Store
from common.clock import to_ms
from common.errors import NotFound, Permanent
from common.registers import Kind, Medium
from tests.harness.masterdata import MasterData
from tests.harness.tables import rows_of

D = Decimal
ZONE = ZoneInfo("Europe/Bucharest")
OCTOBER, NOVEMBER = (datetime(2026, month, 1, tzinfo=ZONE).astimezone(UTC) for month in (10, 11))
HOURS = 31 * 24 + 1
"""Of October, in which the clocks go back."""
EXCHANGED = OCTOBER + timedelta(hours=100)
BY = Change("ana", to_ms(NOVEMBER + timedelta(days=1)), "as planned")
NET = Standing(name="Meter", amount=D("3.10"), per="month", tax_percent=D(0))


def tariff_of(
    price: str = "2.50", key: str = "water", unit: str = "m³", start: date = date(2026, 1, 1)
) -> Tariff:
    charges = (NET, PerUnit(name="Water", price=D(price)))
    version = Version(valid_from=start, charges=charges, tax_percent=D(9))
    return Tariff(key=key, name=key.title(), currency="RON", unit=unit, versions=(version,))


class Flat:
    """A flat that uses 0.012 m³ each hour of October; its meter is exchanged in the 100th hour.

    The old meter A1 stands at 500 m³ at the beginning, the new one B2 at 7 m³ when it comes.
    """

    def __init__(self, store: Store, data: MasterData, end: int = HOURS + 2) -> None:
        self.store, self.data = store, data
        device = data.add_device(data.add_gateway(data.add_site("mill", "Europe/Bucharest")))
        self.old = data.add_register(device, "old", interval_s=3600)
        self.new = data.add_register(device, "new", interval_s=3600)
        data.add_readings(self.old, [(self.at(n), 500_000 + 12 * n) for n in range(-2, 101)])
        data.add_readings(self.new, self.readings(end))
        wanted = NewPoint("flat-1", "Flat 1", "mill", Medium.COLD_WATER, Kind.VOLUME)
        self.point = points.create(store, wanted, BY).id
        meter = NewMeter(self.old, serial="A1")
        installing.install(store, self.point, meter, self.at(-2), BY)
        meter = NewMeter(self.new, D(7), "B2")
        installing.exchange(store, self.point, D("501.2"), meter, at=self.at(100), change=BY)

    @staticmethod
    def at(hours: float) -> int:
        return to_ms(OCTOBER + timedelta(hours=hours))

    def readings(self, end: int, start: int = 100) -> list[tuple[int, int | None]]:
        return [(self.at(n), 7_000 + 12 * (n - 100)) for n in range(start, end)]

    def price(self, tariff: Tariff, start: date = date(2026, 1, 1)) -> None:
        tariffs.put(self.store, tariff, BY)
        tariffs.assign(self.store, self.point, start, tariff.key, BY)

    def issue(self) -> statements.StatementView:
        return statements.issue(self.store, self.point, "2026-10", BY)


@pytest.fixture
def flat(store: Store, data: MasterData) -> Flat:
    found = Flat(store, data)
    roll_up(store)
    return found


@pytest.mark.parametrize("rolled_up", [False, True])
def test_a_month_with_an_exchange_and_a_change_of_the_clocks_adds_up(
    store: Store, data: MasterData, *, rolled_up: bool
) -> None:
    flat = Flat(store, data)
    flat.price(tariff_of())
    if rolled_up:
        roll_up(flat.store)
    view = flat.issue()
    content = view.content
    assert [
        (one.serial, one.start_index, one.end_index, one.start_estimated, one.end_estimated)
        for one in content.meters
    ] == [
        ("A1", D("500.000"), D("501.200"), False, False),
        ("B2", D("7.000"), D("14.740"), False, False),
    ]
    assert content.meters[0].end == content.meters[1].start == EXCHANGED
    assert (content.start, content.end) == (OCTOBER, NOVEMBER)
    turned = sum((one.end_index or D(0)) - (one.start_index or D(0)) for one in content.meters)
    assert content.quantity == turned == HOURS * D("0.012") == D("8.940")
    assert [one.quantity for one in content.days] == [D("0.288")] * 24 + [D("0.300")] + [
        D("0.288")
    ] * 6
    assert sum((one.quantity or D(0)) for one in content.days) == content.quantity
    quality = (content.measured_percent, content.estimated, content.missing_s)
    assert quality == (D(100), D(0), 0)
    [span] = content.priced.spans
    assert [(one.charge, one.quantity, one.net) for one in span.cost.lines] == [
        ("Meter", D(31), D("3.10")),
        ("Water", D("8.94"), D("22.35")),
    ]
    [total] = content.priced.totals
    assert (total.net, total.tax, total.gross) == (D("25.45"), D("2.01"), D("27.46"))
    assert not view.since.changed
    assert statements.statement(flat.store, view.issued.id) == view
    assert statements.statements(flat.store, flat.point) == [view.issued]
    newest = points.changes(flat.store, flat.point)[0]
    assert (newest.by, newest.action) == ("ana", "statement")
    assert newest.detail["hash"] == view.issued.hash


def test_a_late_reading_leaves_the_statement_and_is_told_as_a_difference(
    store: Store, data: MasterData
) -> None:
    flat = Flat(store, data, HOURS - 24)
    roll_up(store)
    flat.price(tariff_of())
    issued = flat.issue()
    assert issued.content.missing_s == 25 * 3600
    assert issued.content.meters[1].end_estimated
    assert issued.content.days[-1].quantity is None
    flat.data.add_readings(flat.new, flat.readings(HOURS + 2, HOURS - 24))
    now = statements.statement(flat.store, issued.issued.id)
    assert (now.content, now.issued) == (issued.content, issued.issued)
    assert Difference("quantity", D("8.640"), D("8.940"), D("0.300")) in now.since.totals
    assert Difference("missing_s", D(90_000), D(0), D(-90_000)) in now.since.totals
    assert Difference("gross RON", D("26.64"), D("27.46"), D("0.82")) in now.since.totals
    [line] = now.since.lines
    assert (line.tariff, line.charge) == ("water", "Water")
    assert line.figures[-1] == Difference("net", D("21.60"), D("22.35"), D("0.75"))
    assert [one.day for one in now.since.days] == [date(2026, 10, 30), date(2026, 10, 31)]
    assert now.since.meters[1].end_index == D("14.740")


def test_a_statement_has_not_changed_since_its_readings_are_no_longer_kept(
    sqlite_store: Store, sqlite_url: str
) -> None:
    """Of the next year's first days there are readings, too, and more flows then."""
    store, data = sqlite_store, MasterData(sqlite_url)
    flat = Flat(store, data)
    january = HOURS + 24 * 61
    data.add_readings(flat.new, [(flat.at(n), 20_000 + 99 * n) for n in range(january, 2400)])
    roll_up(store)
    flat.price(tariff_of())
    issued = flat.issue()
    kept = Retention(readings_months=1, rejected_days=0, quarantine_days=0)
    Keeper(store, kept).let_go(flat.at(24 * 120))
    assert rows_of(store, f"SELECT * FROM reading WHERE at < {flat.at(january)}") == []
    assert statements.statement(store, issued.issued.id) == issued
    again = replace(BY, now_ms=flat.at(24 * 120))
    later = statements.issue(store, flat.point, "2026-11", again).content
    assert later.meters[0].start_index == issued.content.meters[-1].end_index == D("14.740")
    data.close()


def test_a_tariff_that_is_changed_afterwards_is_told_as_a_difference(flat: Flat) -> None:
    flat.price(tariff_of())
    issued = flat.issue()
    tariffs.put(flat.store, tariff_of("3.00"), BY)
    now = statements.statement(flat.store, issued.issued.id)
    assert now.content == issued.content
    [line] = now.since.lines
    assert line.figures == (
        Difference("price", D("2.50"), D("3.00"), D("0.50")),
        Difference("net", D("22.35"), D("26.82"), D("4.47")),
    )
    assert [one.figure for one in now.since.totals] == ["net RON", "tax RON", "gross RON"]
    assert (now.since.days, now.since.meters) == ((), ())


def test_another_tariff_afterwards_takes_the_lines_of_the_first(flat: Flat) -> None:
    flat.price(tariff_of())
    issued = flat.issue()
    tariffs.assign(flat.store, flat.point, date(2026, 1, 1), None, BY)
    now = statements.statement(flat.store, issued.issued.id)
    gone = [one for one in now.since.totals if one.figure == "gross RON"]
    assert gone == [Difference("gross RON", D("27.46"), None, D("-27.46"))]
    assert [one.charge for one in now.since.lines] == ["Meter", "Water"]


def test_a_version_that_begins_later_changes_no_statement(flat: Flat) -> None:
    flat.price(tariff_of())
    issued = flat.issue()
    tariff = tariff_of()
    old = msgspec.structs.replace(tariff.versions[0], valid_until=date(2027, 1, 1))
    new = msgspec.structs.replace(tariff.versions[0], valid_from=date(2027, 1, 1))
    tariffs.put(flat.store, msgspec.structs.replace(tariff, versions=(old, new)), BY)
    assert not statements.statement(flat.store, issued.issued.id).since.changed


def test_a_month_that_cannot_be_issued_is_refused(flat: Flat) -> None:
    flat.price(tariff_of(), date(2026, 10, 1))
    for month, now, reason in (
        ("2026-10", NOVEMBER - timedelta(seconds=1), "is not over"),
        ("2026-11", NOVEMBER, "is not over"),
        ("2026-09", NOVEMBER, "no tariff"),
        ("2026-13", NOVEMBER, "write it as 2026-06"),
        ("10", NOVEMBER, "write it as 2026-06"),
        ("1066-10", NOVEMBER, "days are possible"),
    ):
        with pytest.raises(Permanent, match=reason):
            statements.issue(flat.store, flat.point, month, Change("ana", to_ms(now)))
    assert statements.statements(flat.store, flat.point) == []


def test_a_month_is_issued_when_it_is_over_and_once(flat: Flat) -> None:
    flat.price(tariff_of())
    change = Change("ana", to_ms(NOVEMBER))
    issued = statements.issue(flat.store, flat.point, "2026-10", change).issued
    with pytest.raises(Permanent, match=rf"was issued on .* by ana, as statement {issued.id}"):
        flat.issue()
    assert statements.statements(flat.store, flat.point) == [issued]


def test_a_statement_that_was_altered_in_the_database_is_not_shown(flat: Flat) -> None:
    flat.price(tariff_of())
    issued = flat.issue().issued
    flat.data.alter_statement(issued.id, "8.940", "8.941")
    with pytest.raises(Permanent, match="altered in the database"):
        statements.statement(flat.store, issued.id)
    with pytest.raises(NotFound):
        statements.statement(flat.store, issued.id + 1)


def test_the_cost_of_days_goes_by_the_tariff_of_each(flat: Flat) -> None:
    flat.price(tariff_of("1.00", "first"), date(2026, 10, 2))
    flat.price(tariff_of("2.00", "second"), date(2026, 10, 4))
    tariffs.assign(flat.store, flat.point, date(2026, 10, 5), None, BY)
    found = costs.cost(flat.store, flat.point, date(2026, 10, 1), date(2026, 10, 7)).priced
    assert [(one.tariff, one.start.day, one.end.day, one.cost.quantity) for one in found.spans] == [
        ("first", 2, 4, D("0.576")),
        ("second", 4, 5, D("0.288")),
    ]
    assert [(one.start.day, one.end.day, one.quantity) for one in found.without_tariff] == [
        (1, 2, D("0.288")),
        (5, 7, D("0.576")),
    ]
    assert [total.gross for total in found.totals] == [
        sum((one.cost.gross for one in found.spans), D(0))
    ]


def test_a_tariff_that_is_assigned_again_where_it_is_in_force_has_one_month(flat: Flat) -> None:
    fixed = Version(valid_from=date(2026, 1, 1), charges=(Fixed(name="Letter", amount=D(2)),))
    flat.price(msgspec.structs.replace(tariff_of(), versions=(fixed,)))
    tariffs.assign(flat.store, flat.point, date(2026, 10, 15), "water", BY)
    found = costs.cost(flat.store, flat.point, date(2026, 10, 1), date(2026, 11, 1)).priced
    assert [line.net for one in found.spans for line in one.cost.lines] == [D("2.00")]


def test_more_days_than_hours_of_one_question_are_the_same_as_their_parts(flat: Flat) -> None:
    flat.price(tariff_of())
    start, end = date(2026, 6, 1), date(2026, 11, 1)
    found = costs.cost(flat.store, flat.point, start, end).priced.spans[0].cost
    [whole] = points.consumption(flat.store, flat.point, Step.MONTH, OCTOBER, NOVEMBER)
    # Two hours of September, of which the meter was read in the last.
    assert found.quantity == (whole.value or D(0)) + D("0.024")
    assert found.missing_s == 122 * 86_400 - 2 * 3600


@pytest.mark.parametrize(
    ("start", "end", "reason"),
    [
        (date(2026, 10, 2), date(2026, 10, 2), "end must be later"),
        (date(2025, 1, 1), date(2026, 10, 2), "more than 400 days"),
        (date(1, 1, 1), date(1, 1, 2), "days are possible"),
        (date(9999, 12, 30), date(9999, 12, 31), "days are possible"),
    ],
)
def test_days_that_cannot_be_priced_are_refused(
    sqlite_store: Store, start: date, end: date, reason: str
) -> None:
    with pytest.raises(Permanent, match=reason):
        costs.cost(sqlite_store, 1, start, end)
