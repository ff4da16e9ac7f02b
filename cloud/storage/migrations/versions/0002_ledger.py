"""The ledger knows since when something is missing, and what is lost and why.

What is missing when this runs counts as missing since then; a register counts as added with its
first reading.
"""

import time
from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

BigInt = sa.BigInteger().with_variant(sa.INTEGER(), "sqlite")
OPTIONS: dict[str, Any] = {
    "mariadb_charset": "utf8mb4",
    "mariadb_collate": "utf8mb4_bin",
    "mariadb_engine": "InnoDB",
    "mysql_charset": "utf8mb4",
    "mysql_collate": "utf8mb4_bin",
    "mysql_engine": "InnoDB",
}


def upgrade() -> None:
    now_ms = time.time_ns() // 1_000_000
    op.create_table(
        "loss",
        sa.Column("stream_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("first", BigInt, autoincrement=False, nullable=False),
        sa.Column("last", BigInt, nullable=True),
        sa.Column("reason", sa.String(length=200), nullable=False),
        sa.Column("start_at", BigInt, nullable=False),
        sa.Column("end_at", BigInt, nullable=False),
        sa.Column("received_at", BigInt, nullable=False),
        sa.PrimaryKeyConstraint("stream_id", "first", name=op.f("pk_loss")),
        **OPTIONS,
    )
    op.create_table(
        "gap",
        sa.Column("stream_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("first", BigInt, nullable=False),
        sa.Column("last", BigInt, nullable=False),
        sa.Column("waits_since", BigInt, nullable=False),
        sa.Column("asked", sa.Integer(), nullable=False),
        sa.Column("told", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("stream_id", name=op.f("pk_gap")),
        **OPTIONS,
    )
    op.add_column("stream", sa.Column("tail_since", BigInt, nullable=True))
    op.add_column("stream", sa.Column("closed_at", BigInt, nullable=True))
    op.add_column(
        "stream", sa.Column("lossy", sa.Boolean(), nullable=False, server_default=sa.text("0"))
    )
    op.add_column("ledger", sa.Column("since", BigInt, nullable=False, server_default="0"))
    op.add_column("register", sa.Column("added_at", BigInt, nullable=False, server_default="0"))
    ledger = sa.table("ledger", sa.column("since"))
    op.execute(sa.update(ledger).values(since=now_ms))
    stream = sa.table("stream", sa.column("tail_since"))
    op.execute(sa.update(stream).values(tail_since=now_ms))
    reading = sa.table("reading", sa.column("register_id"), sa.column("at"))
    register = sa.table("register", sa.column("id"), sa.column("added_at"))
    first = (
        sa.select(reading.c.at)
        .where(reading.c.register_id == register.c.id)
        .order_by(reading.c.at)
        .limit(1)
        .scalar_subquery()
    )
    op.execute(sa.update(register).values(added_at=sa.func.coalesce(first, now_ms)))


def downgrade() -> None:
    op.drop_column("register", "added_at")
    op.drop_column("ledger", "since")
    op.drop_column("stream", "lossy")
    op.drop_column("stream", "closed_at")
    op.drop_column("stream", "tail_since")
    op.drop_table("gap")
    op.drop_table("loss")
