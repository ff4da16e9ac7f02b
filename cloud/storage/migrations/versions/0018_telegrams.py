"""Telegrams of devices as they came."""

import time

import sqlalchemy as sa
from alembic import op

from cloud.storage.partitions import Partitions
from cloud.storage.schema import OPTIONS, Blob, Key

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None

BigInt = sa.BigInteger().with_variant(sa.INTEGER(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "telegram",
        sa.Column("at", BigInt, autoincrement=False, nullable=False),
        sa.Column("stream_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("seq", BigInt, autoincrement=False, nullable=False),
        sa.Column("gateway_id", sa.Integer(), nullable=False),
        sa.Column("device", Key(48), nullable=False),
        sa.Column("protocol", Key(16), nullable=False),
        sa.Column("frame", Blob, nullable=False),
        sa.Column("received_at", BigInt, nullable=False),
        sa.PrimaryKeyConstraint("at", "stream_id", "seq", name=op.f("pk_telegram")),
        **OPTIONS,
    )
    op.create_index(
        op.f("ix_telegram_gateway_id_device_at_stream_id_seq"),
        "telegram",
        ["gateway_id", "device", "at", "stream_id", "seq"],
        unique=False,
    )
    now = int(time.time() * 1000)
    Partitions(op.get_bind()).begin("telegram", now, now)


def downgrade() -> None:
    op.drop_table("telegram")
