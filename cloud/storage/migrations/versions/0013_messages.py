"""The log of messages."""

import time

import sqlalchemy as sa
from alembic import op

from cloud.storage.partitions import Partitions
from cloud.storage.schema import OPTIONS, Blob, Key

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None

BigInt = sa.BigInteger().with_variant(sa.INTEGER(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "message",
        sa.Column("at", BigInt, autoincrement=False, nullable=False),
        sa.Column("no", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("gateway_id", sa.Integer(), nullable=False),
        sa.Column("kind", Key(16), nullable=False),
        sa.Column("stream", Key(32), nullable=False),
        sa.Column("first", BigInt, nullable=True),
        sa.Column("last", BigInt, nullable=True),
        sa.Column("outcome", Key(32), nullable=False),
        sa.Column("size", sa.Integer(), nullable=False),
        sa.Column("payload", Blob, nullable=False),
        sa.PrimaryKeyConstraint("at", "no", name=op.f("pk_message")),
        **OPTIONS,
    )
    op.create_index(
        op.f("ix_message_gateway_id_at_no"), "message", ["gateway_id", "at", "no"], unique=False
    )
    now = int(time.time() * 1000)
    Partitions(op.get_bind()).begin("message", now, now)


def downgrade() -> None:
    op.drop_table("message")
