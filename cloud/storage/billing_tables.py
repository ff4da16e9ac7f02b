"""The tables of tariffs and statements, as ``cloud.storage.tables``."""

from sqlalchemy import Column, Date, ForeignKey, Integer, String, UniqueConstraint

from cloud.storage.schema import Id, Key, LongText, Millis, new_table

tariff = new_table(
    "tariff",
    Column("id", Id, primary_key=True),
    Column("key", Key(), nullable=False, unique=True),
    Column("name", String(200), nullable=False),
    Column("definition", LongText, nullable=False),  # cloud.domain.tariffs.Tariff, JSON
    Column("revision", Integer, nullable=False),  # 1, and one more with every change
    Column("changed_at", Millis, nullable=False),
)

point_tariff = new_table(
    "point_tariff",  # by which tariff a metering point is priced from a local day on
    Column("point_id", ForeignKey("metering_point.id"), primary_key=True),
    Column("start", Date, primary_key=True),
    Column("tariff_id", ForeignKey("tariff.id")),  # null: by none
)

statement = new_table(
    "statement",  # written once, never altered
    Column("id", Id, primary_key=True),
    Column("point_id", ForeignKey("metering_point.id"), nullable=False),
    Column("month", Key(7), nullable=False),  # 2026-06
    Column("issued_at", Millis, nullable=False),
    Column("issued_by", String(200), nullable=False),
    Column("content", LongText, nullable=False),  # cloud.domain.statements.Statement, JSON
    Column("hash", Key(64), nullable=False),  # SHA-256 of the content
    UniqueConstraint("point_id", "month"),
)

definition = new_table(
    "definition",  # what figures are derived by: of gas areas, and of metering points
    Column("what", Key(16), primary_key=True),
    Column("subject", Key(), primary_key=True),  # an area's key, a point's id
    Column("text", LongText, nullable=False),  # JSON
    Column("revision", Integer, nullable=False),  # 1, and one more with every change
    Column("changed_at", Millis, nullable=False),
)
