"""Views for reporting tools, so that these need not know the tables.

What they give is described in docs/reporting.md. Values are exact: decimals on MariaDB and MySQL;
on SQLite, which has none, text with all digits, and what a multiplier was applied to is REAL.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

HOUR_MS = 3_600_000
LONGEST_DAY_MS = 25 * HOUR_MS
PLACES = 9
UNITS = {"volume": "m³", "energy_import": "Wh", "energy_export": "Wh", "power": "W", "flow": "m³/h",
         "voltage": "V", "current": "A", "frequency": "Hz", "temperature": "°C"}
COUNTING = "('volume', 'energy_import', 'energy_export', 'pulses')"
MEDIA = {1: "oil", 2: "electricity", 3: "gas", 4: "heat", 5: "steam", 6: "hot water", 7: "water",
         8: "heat cost", 9: "compressed air", 10: "cooling", 11: "cooling inlet", 12: "heat inlet",
         13: "heat cooling", 21: "hot water 90", 22: "cold water", 23: "dual water",
         40: "waste water"}
QUALITIES = ("good", "estimated", "time uncertain", "not available", "device error", "overflow")


class Words(Protocol):
    """What the databases have no common words for."""

    def exact(self, scaled: str, decimals: str) -> str:
        """The exact value of an integer that is scaled by ``decimals``."""

    def difference(self, one: str, other: str) -> str:
        """Of two integers of 64 bits."""

    def times(self, exact: str, multiplier: str) -> str:
        """An exact value times a decimal that stands in text."""

    def time(self, ms: str) -> str:
        """Date and time (UTC) of epoch milliseconds."""

    def epoch(self, ms: str) -> str:
        """Whole epoch seconds of epoch milliseconds."""


class Server:
    """MariaDB and MySQL."""

    def exact(self, scaled: str, decimals: str) -> str:
        # Not POW(10, …): that is a binary float.
        cases = _whens(lambda n: f"{10**-n:.{PLACES}f}")
        return f"CAST({scaled} AS DECIMAL(20,0)) * CASE {decimals} {cases} END"

    def difference(self, one: str, other: str) -> str:
        return f"(CAST({one} AS DECIMAL(20,0)) - {other})"

    def times(self, exact: str, multiplier: str) -> str:
        return f"({exact}) * CAST({multiplier} AS DECIMAL(13,6))"

    def time(self, ms: str) -> str:
        # Not FROM_UNIXTIME: that goes by the session's time zone.
        return f"TIMESTAMPADD(MICROSECOND, {ms} * 1000, TIMESTAMP'1970-01-01 00:00:00')"

    def epoch(self, ms: str) -> str:
        return f"{ms} DIV 1000"


class Sqlite:
    """Its integers have 64 bits; of decimals it knows nothing."""

    def exact(self, scaled: str, decimals: str) -> str:
        power = f"CASE {decimals} {_whens(lambda n: 10**n)} END"
        rest = f"CASE {decimals} {_whens(lambda n: 10 ** (PLACES - n))} END"
        sign = f"CASE WHEN {scaled} < 0 AND {scaled} / ({power}) = 0 THEN '-' ELSE '' END"
        fraction = f"printf('%0{PLACES}d', abs({scaled} % ({power})) * ({rest}))"
        return f"{sign} || ({scaled} / ({power})) || '.' || {fraction}"

    def difference(self, one: str, other: str) -> str:
        return f"({one} - {other})"

    def times(self, exact: str, multiplier: str) -> str:
        return f"CAST({exact} AS REAL) * CAST({multiplier} AS REAL)"

    def time(self, ms: str) -> str:
        return f"strftime('%Y-%m-%d %H:%M:%f', {ms} / 1000.0, 'unixepoch')"

    def epoch(self, ms: str) -> str:
        return f"{ms} / 1000"


@dataclass(frozen=True)
class Spans:
    """A table of spans, and how a row finds the one before it, and its own end."""

    name: str
    before: str
    after: str
    ends: str


HOURS = Spans(
    "hourly",
    f"p.at = h.at - {HOUR_MS}",
    "",
    f"i.end_at <= h.at + {HOUR_MS}",
)
# How long a day of the site's calendar is, the next one tells; without one, 23 hours are sure.
DAYS = Spans(
    "daily",
    f"p.at >= h.at - {LONGEST_DAY_MS} AND p.at < h.at",
    f" LEFT JOIN daily n ON n.register_id = h.register_id AND n.at > h.at"
    f" AND n.at <= h.at + {LONGEST_DAY_MS}",
    f"(i.end_at <= h.last_at OR i.end_at <= COALESCE(n.at, h.at + {23 * HOUR_MS}))",
)


def _whens(of: Callable[[int], int | str]) -> str:
    return " ".join(f"WHEN {n} THEN {of(n)}" for n in range(PLACES + 1))


def _cases(column: str, texts: dict[str, str]) -> str:
    return f"CASE {column} " + " ".join(f"WHEN {k} THEN '{v}'" for k, v in texts.items())


def _medium(table: str) -> str:
    cases = _cases(f"{table}.medium", {str(k): v for k, v in MEDIA.items()})
    return f"{cases} ELSE 'other' END AS medium"


def _unit(table: str) -> str:
    return _cases(f"{table}.kind", {f"'{k}'": v for k, v in UNITS.items()}) + " ELSE '' END AS unit"


def _quality(column: str) -> str:
    return _cases(column, {str(n): text for n, text in enumerate(QUALITIES)}) + " END"


REGISTER = (
    "r.id AS register_id, s.`key` AS site, s.name AS site_name, g.`key` AS gateway,"
    " d.`key` AS device, d.name AS device_name, r.`key` AS register, r.name AS register_name,"
    f" {_medium('r')}, r.kind, {_unit('r')}"
)
PLACE = (
    " JOIN device d ON d.id = r.device_id JOIN gateway g ON g.id = d.gateway_id"
    " JOIN site s ON s.id = g.site_id"
)
POINT = (
    "m.id AS point_id, s.`key` AS site, s.name AS site_name, m.`key` AS point,"
    f" m.name AS point_name, {_medium('m')}, m.kind, {_unit('m')}"
)


def views(words: Words) -> dict[str, str]:
    """By name what they select; each of one SELECT without grouping, so that a condition on it is
    one on the tables, and found by their keys."""
    def when(ms: str) -> str:
        return f"{ms} AS at, {words.epoch(ms)} AS epoch, {words.time(ms)} AS `time`"

    def of_registers(spans: Spans) -> str:
        value = words.difference("h.last_value", "COALESCE(p.last_value, h.first_value)")
        counted = words.exact(value, "r.decimals")
        exact = ", ".join(
            f"{words.exact(f'h.{column}', 'r.decimals')} AS {name}"
            for column, name in (
                ("first_value", "first_reading"), ("last_value", "last_reading"),
                ("low", "lowest"), ("high", "highest"),
            )
        )
        return (
            f"SELECT {REGISTER}, {when('h.at')},"
            f" CASE WHEN r.kind IN {COUNTING} THEN {counted} END AS consumption, {exact},"
            f" h.readings, h.gap_ms FROM {spans.name} h JOIN register r ON r.id = h.register_id"
            f"{PLACE} LEFT JOIN {spans.name} p ON p.register_id = h.register_id AND {spans.before}"
        )

    def of_points(spans: Spans) -> str:
        start = (
            "CASE WHEN p.last_at >= i.start_at THEN p.last_value"
            " WHEN p.last_at IS NOT NULL OR h.at <= i.start_at THEN i.start_index"
            " ELSE h.first_value END"
        )
        end = f"CASE WHEN {spans.ends} THEN i.final_index ELSE h.last_value END"
        counted = words.exact(words.difference(end, start), "r.decimals")
        return (
            f"SELECT {POINT}, i.register_id, i.serial, {when('h.at')},"
            f" {words.times(counted, 'i.multiplier')} AS consumption"
            " FROM metering_point m JOIN site s ON s.id = m.site_id"
            " JOIN installation i ON i.point_id = m.id JOIN register r ON r.id = i.register_id"
            f" JOIN {spans.name} h ON h.register_id = i.register_id AND h.last_at >= i.start_at"
            " AND (i.end_at IS NULL OR h.at < i.end_at)"
            f" LEFT JOIN {spans.name} p ON p.register_id = h.register_id AND {spans.before}"
            f"{spans.after}"
        )

    return {
        "report_latest": (
            f"SELECT {REGISTER}, {when('l.at')}, {words.exact('l.value', 'r.decimals')} AS value,"
            f" {_quality('l.quality')} AS quality, r.active"
            f" FROM latest l JOIN register r ON r.id = l.register_id{PLACE}"
        ),
        "report_register_hourly": of_registers(HOURS),
        "report_register_daily": of_registers(DAYS),
        "report_point": (
            f"SELECT {POINT}, s.timezone, above.`key` AS parent, i.register_id,"
            " d.`key` AS device, d.name AS device_name, i.serial, i.multiplier,"
            f" i.start_at AS installed_at, {words.time('i.start_at')} AS installed_time"
            " FROM metering_point m JOIN site s ON s.id = m.site_id"
            " LEFT JOIN metering_point above ON above.id = m.parent_id"
            " LEFT JOIN installation i ON i.point_id = m.id AND i.end_at IS NULL"
            " LEFT JOIN register r ON r.id = i.register_id"
            " LEFT JOIN device d ON d.id = r.device_id"
        ),
        "report_point_hourly": of_points(HOURS),
        "report_point_daily": of_points(DAYS),
        "report_open_alarm": (
            f"SELECT s.`key` AS site, s.name AS site_name, g.`key` AS gateway, e.device,"
            f" {when('e.at')}, e.code, e.text"
            " FROM event e JOIN gateway g ON g.id = e.gateway_id JOIN site s ON s.id = g.site_id"
            " WHERE e.severity = 'alarm' AND e.acknowledged_at IS NULL"
        ),
    }


def upgrade() -> None:
    connection = op.get_bind()
    words: Words = Sqlite() if connection.dialect.name == "sqlite" else Server()
    for name, select in views(words).items():
        connection.exec_driver_sql(f"CREATE VIEW {name} AS {select}")


def downgrade() -> None:
    for name in views(Server()):
        op.execute(f"DROP VIEW {name}")
