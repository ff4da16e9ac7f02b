"""The tables, the same on MariaDB/MySQL and on SQLite. Migrations are checked against them.

Times are epoch milliseconds (UTC); values are integers scaled by their register's decimals.
"""

from sqlalchemy import (
    Boolean,
    Column,
    ForeignKey,
    Index,
    Integer,
    SmallInteger,
    String,
    Text,
    UniqueConstraint,
)
from sqlalchemy.schema import SchemaItem

from cloud.storage.schema import BigInt, Blob, Id, Key, LongText, Millis
from cloud.storage.schema import new_table as _table

site = _table(
    "site",
    Column("id", Id, primary_key=True),
    Column("key", Key(), nullable=False, unique=True),
    Column("name", String(200), nullable=False),
    Column("timezone", String(64), nullable=False),
)

gateway = _table(
    "gateway",
    Column("id", Id, primary_key=True),
    Column("site_id", ForeignKey("site.id"), nullable=False),
    Column("key", Key(), nullable=False, unique=True),
    Column("name", String(200), nullable=False),
    Column("agent", String(200), nullable=False, default=""),
    Column("online", Boolean, nullable=False, default=False),
    Column("boot", BigInt, nullable=False, default=0),
    Column("session", BigInt, nullable=False, default=0),
    Column("seen_at", Millis),
    Column("status_at", Millis),
    Column("status", LongText),  # the last status message, JSON
    Column("machine", Key(64), nullable=False, default=""),  # the computer that is the gateway
    Column("claimed_by", Key(64), nullable=False, default=""),  # another one that was refused
    Column("claimed_at", Millis),
)

stream = _table(
    "stream",
    Column("id", Id, primary_key=True),
    Column("gateway_id", ForeignKey("gateway.id"), nullable=False),
    Column("stream", Key(32), nullable=False),
    Column("first_kept", BigInt, nullable=False, default=0),  # of the last hello; 0: none yet
    Column("next_seq", BigInt, nullable=False, default=1),
    Column("catalog_seq", BigInt, nullable=False, default=0),  # of the newest catalog taken
    Column("created_at", Millis, nullable=False),
    Column("tail_since", Millis),  # since when a hello says that there is more than the ledger has
    Column("closed_at", Millis),  # since when it is known that nothing is appended any more
    Column("lossy", Boolean, nullable=False, default=False),  # whether there is a loss of it
    Column("clock_changes", BigInt, nullable=False, default=0),  # how often clock_span has changed
    UniqueConstraint("gateway_id", "stream"),
)

ledger = _table(
    "ledger",  # ranges of sequence numbers that are dealt with; disjoint, never adjacent
    Column("stream_id", Id, primary_key=True, autoincrement=False),
    Column("first", BigInt, primary_key=True, autoincrement=False),
    Column("last", BigInt, nullable=False),
    Column("since", Millis, nullable=False, default=0),  # known: something is missing before it
)

loss = _table(
    "loss",  # dealt with, but not in the database, and why: disjoint parts of the ledger
    Column("stream_id", Id, primary_key=True, autoincrement=False),
    Column("first", BigInt, primary_key=True, autoincrement=False),
    Column("last", BigInt),  # null: all from first on, also what the ledger does not know of
    Column("reason", String(200), nullable=False),
    Column("start_at", Millis, nullable=False),  # measured between these two times, as far as
    Column("end_at", Millis, nullable=False),  # can be told from what is beside it
    Column("received_at", Millis, nullable=False),
)

clock_span = _table(
    "clock_span",  # by which clock the entries from first on, until the next row, were dated
    Column("stream_id", Id, primary_key=True, autoincrement=False),
    Column("first", BigInt, primary_key=True, autoincrement=False),
    Column("boot", BigInt),  # null: it is not known by which
    Column("ahead_ms", BigInt),  # how far the wall clock was ahead of that boot's monotonic clock
    Column("quality", SmallInteger),  # common.messages.batch.ClockQuality
)

gap = _table(
    "gap",  # of each stream that lacks something: what it lacks first, and how often it was asked
    Column("stream_id", Id, primary_key=True, autoincrement=False),
    Column("first", BigInt, nullable=False),
    Column("last", BigInt, nullable=False),
    Column("waits_since", Millis, nullable=False),  # nothing of it has come since then
    Column("asked", Integer, nullable=False, default=0),
    Column("told", Boolean, nullable=False, default=False),  # there is an alarm
)

rejected = _table(
    "rejected",  # entries that can never be stored, and why
    Column("stream_id", Id, primary_key=True, autoincrement=False),
    Column("seq", BigInt, primary_key=True, autoincrement=False),
    Column("reason", String(2000), nullable=False),
    Column("body", Blob, nullable=False),
    Column("received_at", Millis, nullable=False),
    Index(None, "received_at"),
)

quarantine = _table(
    "quarantine",  # messages that could not be taken apart
    Column("id", BigInt, primary_key=True),
    Column("topic", String(300), nullable=False),
    Column("reason", String(2000), nullable=False),
    Column("size", BigInt, nullable=False),
    Column("payload", Blob, nullable=False),  # its beginning, at most 64 KiB
    Column("received_at", Millis, nullable=False),
)

device = _table(
    "device",
    Column("id", Id, primary_key=True),
    Column("gateway_id", ForeignKey("gateway.id"), nullable=False),
    Column("key", Key(), nullable=False),
    Column("name", String(200), nullable=False),
    Column("driver", Key(), nullable=False),
    Column("model", String(200), nullable=False, default=""),
    Column("active", Boolean, nullable=False, default=True),
    UniqueConstraint("gateway_id", "key"),
)

register = _table(
    "register",  # a register whose kind or decimals change becomes another register
    Column("id", Id, primary_key=True),
    Column("device_id", ForeignKey("device.id"), nullable=False),
    Column("key", Key(), nullable=False),
    Column("kind", Key(), nullable=False),
    Column("decimals", SmallInteger, nullable=False),
    Column("medium", SmallInteger, nullable=False),
    Column("name", String(200), nullable=False),
    Column("interval_s", Integer, nullable=False, default=0),
    Column("obis", String(48)),
    Column("state_0", String(48)),
    Column("state_1", String(48)),
    Column("writable", Boolean, nullable=False, default=False),
    Column("active", Boolean, nullable=False, default=True),
    Column("added_at", Millis, nullable=False, default=0),  # when a catalog first had it
    UniqueConstraint("device_id", "key", "kind", "decimals"),
)

stream_register = _table(
    "stream_register",  # the number by which a stream names a register; never changes
    Column("stream_id", Id, primary_key=True, autoincrement=False),
    Column("no", BigInt, primary_key=True, autoincrement=False),
    Column("register_id", Id, nullable=False),
)

reading = _table(
    "reading",
    Column("register_id", Id, primary_key=True, autoincrement=False),
    Column("at", Millis, primary_key=True, autoincrement=False),
    Column("value", BigInt),
    Column("quality", SmallInteger, nullable=False),
    Column("raw", BigInt),
)

correction = _table(
    "correction",  # readings that do not count, and values in their place; never altered
    Column("id", Id, primary_key=True),
    Column("register_id", ForeignKey("register.id"), nullable=False),
    Column("start_at", Millis, nullable=False),  # what was read from then to before end_at
    Column("end_at", Millis, nullable=False),
    Column("value", BigInt),  # what it stood at, at start_at
    Column("made_at", Millis, nullable=False),
    Column("made_by", String(200), nullable=False),
    Column("reason", String(2000), nullable=False),
    Column("withdrawn_at", Millis),  # it counts no more
    Column("withdrawn_by", String(200)),
    Column("withdrawn_reason", String(2000)),
    Index(None, "register_id", "start_at"),
)

latest = _table(
    "latest",  # of each register, the reading with the greatest time that had come
    Column("register_id", Id, primary_key=True, autoincrement=False),
    Column("at", Millis, nullable=False),
    Column("value", BigInt),
    Column("quality", SmallInteger, nullable=False),
    Column("raw", BigInt),
    Column("received_at", Millis, nullable=False),
)


def _span_columns() -> list[SchemaItem]:
    """Of what the readings of a span of time say: cloud.domain.spans.Span."""
    return [
        Column("register_id", Id, primary_key=True, autoincrement=False),
        Column("at", Millis, primary_key=True, autoincrement=False),  # when the span begins
        Column("first_at", Millis, nullable=False),
        Column("first_value", BigInt, nullable=False),
        Column("first_quality", SmallInteger, nullable=False),
        Column("last_at", Millis, nullable=False),
        Column("last_value", BigInt, nullable=False),
        Column("last_quality", SmallInteger, nullable=False),
        Column("readings", Integer, nullable=False),  # that have a value
        Column("low", BigInt, nullable=False),
        Column("high", BigInt, nullable=False),
        Column("gap_ms", BigInt, nullable=False),
    ]


# Derived from the readings, but for the spans that have a mark. A span without readings has no row.
hourly = _table("hourly", *_span_columns())  # hours of UTC
daily = _table("daily", *_span_columns())  # days of the site's calendar

mark = _table(
    "mark",  # readings of this hour came since it was rolled up; n counts how often
    Column("register_id", Id, primary_key=True, autoincrement=False),
    Column("at", Millis, primary_key=True, autoincrement=False),
    Column("n", BigInt, nullable=False),
)

kept = _table(
    "kept",  # from when on readings, and hours, are kept: what was before is gone, or goes
    Column("data", Key(16), primary_key=True),
    Column("since", Millis, nullable=False),
)

metering_point = _table(
    "metering_point",  # what is billed: a place of consumption; meters come and go under it
    Column("id", Id, primary_key=True),
    Column("key", Key(), nullable=False, unique=True),
    Column("name", String(200), nullable=False),
    Column("site_id", ForeignKey("site.id"), nullable=False),
    Column("medium", SmallInteger, nullable=False),
    Column("kind", Key(), nullable=False),  # of the registers that count for it
    Column("parent_id", ForeignKey("metering_point.id")),
    Column("created_at", Millis, nullable=False),
)

installation = _table(
    "installation",  # a register that counts for a metering point, from when to when
    Column("id", Id, primary_key=True),
    Column("point_id", ForeignKey("metering_point.id"), nullable=False),
    Column("register_id", ForeignKey("register.id"), nullable=False),
    Column("serial", String(64), nullable=False, default=""),
    Column("multiplier", String(40), nullable=False, default="1"),  # an exact decimal
    Column("start_at", Millis, nullable=False),
    Column("start_index", BigInt, nullable=False),
    Column("end_at", Millis),
    Column("final_index", BigInt),
    Column("rollover", BigInt),  # after the largest index comes 0; null: nobody has said
)

point_term = _table(
    "point_term",  # what a virtual metering point is made of: other points, each times a factor
    Column("point_id", ForeignKey("metering_point.id"), primary_key=True),
    Column("of_point_id", ForeignKey("metering_point.id"), primary_key=True),
    Column("factor", String(40), nullable=False),  # an exact decimal
)

billing = _table(
    "billing",  # metering points that have billing periods of their own
    Column("point_id", ForeignKey("metering_point.id"), primary_key=True),
    Column("definition", LongText, nullable=False),  # cloud.domain.billing.Billing, JSON
)

audit = _table(
    "audit",  # who changed what that consumption and money depend on
    Column("id", BigInt, primary_key=True),
    Column("at", Millis, nullable=False),
    Column("by", String(200), nullable=False),
    Column("action", Key(), nullable=False),
    Column("subject", Key(64), nullable=False),  # what it was done to: point:12
    Column("reason", String(2000), nullable=False, default=""),
    Column("detail", LongText, nullable=False),  # JSON object
    Index(None, "subject", "at"),
)

turn = _table(
    "turn",  # work that one process does at a time, however many run: whoever writes its row
    Column("work", Key(), primary_key=True),
    Column("n", BigInt, nullable=False),
)

event = _table(
    "event",
    Column("stream_id", Id, primary_key=True, autoincrement=False),
    Column("seq", BigInt, primary_key=True, autoincrement=False),
    Column("gateway_id", Id, nullable=False),
    Column("device", Key(), nullable=False, default=""),
    Column("at", Millis, nullable=False),  # when it happened, by the device or the gateway
    Column("appended_at", Millis),  # by the gateway; null: of the cloud's own, or salvaged
    Column("received_at", Millis, nullable=False),
    Column("code", Key(), nullable=False),
    Column("severity", Key(16), nullable=False),
    Column("text", String(2000), nullable=False),
    Column("data", LongText, nullable=False),  # JSON object
    Column("acknowledged_at", Millis),
    Column("acknowledged_by", String(200)),
    Index(None, "at"),
    Index(None, "severity", "acknowledged_at"),
)

command = _table(
    "command",  # also the outbox: pending rows are what is still to be sent
    Column("id", Key(32), primary_key=True),
    Column("gateway_id", Id, nullable=False),  # a foreign key would wait for the gateway's lock
    Column("register_id", ForeignKey("register.id"), nullable=False),
    Column("value", SmallInteger, nullable=False),
    Column("state", Key(16), nullable=False),
    Column("issued_by", String(200), nullable=False),
    Column("rule_id", Id),
    Column("reason", String(2000), nullable=False, default=""),
    Column("issued_at", Millis, nullable=False),
    Column("expires_at", Millis, nullable=False),
    Column("send_at", Millis),  # when to publish (again); null when there is nothing to publish
    Column("sends", Integer, nullable=False, default=0),
    Column("readback", SmallInteger),
    Column("detail", String(2000), nullable=False, default=""),
    Column("done_at", Millis),
    Index(None, "send_at"),
    Index(None, "state", "expires_at"),
    Index(None, "gateway_id", "send_at"),
    Index(None, "register_id", "issued_at"),
)

command_step = _table(
    "command_step",  # the life line of a command
    Column("command_id", ForeignKey("command.id"), primary_key=True),
    Column("n", SmallInteger, primary_key=True, autoincrement=False),
    Column("state", Key(16), nullable=False),
    Column("at", Millis, nullable=False),
    Column("detail", String(2000), nullable=False, default=""),
)

rule = _table(
    "rule",
    Column("id", Id, primary_key=True),
    Column("name", String(200), nullable=False, unique=True),
    Column("enabled", Boolean, nullable=False, default=True),
    Column("definition", Text, nullable=False),  # common.rules.Rule, JSON
    Column("state", Text, nullable=False),  # common.rules.RuleState, JSON
    Column("changed_at", Millis, nullable=False),
)

configuration = _table(
    "configuration",  # each version ever wanted of a gateway; also the outbox: what has a send_at
    Column("gateway_id", ForeignKey("gateway.id"), primary_key=True),
    Column("version", BigInt, primary_key=True, autoincrement=False),
    Column("toml", LongText, nullable=False),
    Column("set_by", String(200), nullable=False),
    Column("reason", String(2000), nullable=False, default=""),
    Column("set_at", Millis, nullable=False),
    Column("state", Key(16), nullable=False),
    Column("detail", String(2000), nullable=False, default=""),
    Column("state_at", Millis, nullable=False),
    Column("send_at", Millis),
    Column("sent_at", Millis),
    Index(None, "send_at"),
)

account = _table(
    "account",
    Column("id", Id, primary_key=True),
    Column("name", String(190), nullable=False, unique=True),
    Column("password", String(300), nullable=False),  # argon2 hash
    Column("role", Key(16), nullable=False),
    Column("disabled", Boolean, nullable=False, default=False),
    Column("created_at", Millis, nullable=False),
)

token = _table(
    "token",
    Column("id", Id, primary_key=True),
    Column("account_id", ForeignKey("account.id"), nullable=False),
    Column("name", String(200), nullable=False),
    Column("hash", Key(64), nullable=False, unique=True),  # SHA-256 of the token
    Column("created_at", Millis, nullable=False),
    Column("expires_at", Millis),
    Column("scopes", String(200)),  # spaces between them; null: all that the account's role has
)
