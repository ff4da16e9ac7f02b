"""The logs of messages and of telegrams, beside the tables of ``tables``."""

from sqlalchemy import Column, Index, Integer

from cloud.storage.schema import BigInt, Blob, Id, Key, Millis, new_table

message = new_table(
    "message",  # what gateways sent, as it came; in parts by day, and no key of another table
    Column("at", Millis, primary_key=True, autoincrement=False),  # when it was received
    Column("no", Integer, primary_key=True, autoincrement=False),  # tells those of one ms apart
    Column("gateway_id", Id, nullable=False),
    Column("kind", Key(16), nullable=False),  # the end of its topic: journal, hello
    Column("stream", Key(32), nullable=False),
    Column("first", BigInt),  # of a batch: its entries, first to last
    Column("last", BigInt),
    Column("outcome", Key(32), nullable=False),
    Column("size", Integer, nullable=False),
    Column("payload", Blob, nullable=False),
    # Rows go in at the end of both: what is of one gateway is looked for by few.
    Index(None, "gateway_id", "at", "no"),
)

telegram = new_table(
    "telegram",  # what devices answered gateways; in parts by day, and no key of another table
    Column("at", Millis, primary_key=True, autoincrement=False),  # as of the readings made of it
    Column("stream_id", Id, primary_key=True, autoincrement=False),
    Column("seq", BigInt, primary_key=True, autoincrement=False),  # its entry in the stream
    Column("gateway_id", Id, nullable=False),
    Column("device", Key(), nullable=False),
    Column("protocol", Key(16), nullable=False),
    Column("frame", Blob, nullable=False),
    Column("received_at", Millis, nullable=False),
    Index(None, "gateway_id", "device", "at", "stream_id", "seq"),
)
