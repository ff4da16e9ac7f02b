"""The tables of what is watched of metering points, beside those of ``tables``."""

from sqlalchemy import Column, ForeignKey

from cloud.storage.schema import Key, LongText, Millis, new_table

watch = new_table(
    "watch",  # metering points that were looked at, or whose analyses somebody has set
    Column("point_id", ForeignKey("metering_point.id"), primary_key=True),
    Column("analyses", LongText, nullable=False),  # JSON object: settings by analysis
    Column("looked_at", Millis, nullable=False),  # 0: not yet, with these settings
)

finding = new_table(
    "finding",  # what was found and told of a metering point, lasting or over
    Column("point_id", ForeignKey("metering_point.id"), primary_key=True),
    Column("code", Key(), primary_key=True),
    Column("since", Millis, primary_key=True, autoincrement=False),
    Column("until", Millis),  # null: it lasts
    Column("severity", Key(16), nullable=False),
    Column("text", LongText, nullable=False),
    Column("evidence", LongText, nullable=False),  # JSON object
    Column("told_at", Millis, nullable=False),
    Column("closed_at", Millis),  # when it was found to be over
)
