"""Hours and days of readings summed up, and readings in parts by month.

Parting copies the table once. What is there is marked to be summed up.
"""

import time

import sqlalchemy as sa
from alembic import op

from cloud.storage.partitions import PARTITIONED, Partitions
from cloud.storage.schema import OPTIONS

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

BigInt = sa.BigInteger().with_variant(sa.INTEGER(), "sqlite")
HOUR_MS = 3_600_000


def upgrade() -> None:
    for name in ("hourly", "daily"):
        op.create_table(
            name,
            sa.Column("register_id", sa.Integer(), autoincrement=False, nullable=False),
            sa.Column("at", BigInt, autoincrement=False, nullable=False),
            sa.Column("first_at", BigInt, nullable=False),
            sa.Column("first_value", BigInt, nullable=False),
            sa.Column("first_quality", sa.SmallInteger(), nullable=False),
            sa.Column("last_at", BigInt, nullable=False),
            sa.Column("last_value", BigInt, nullable=False),
            sa.Column("last_quality", sa.SmallInteger(), nullable=False),
            sa.Column("readings", sa.Integer(), nullable=False),
            sa.Column("low", BigInt, nullable=False),
            sa.Column("high", BigInt, nullable=False),
            sa.Column("gap_ms", BigInt, nullable=False),
            sa.PrimaryKeyConstraint("register_id", "at", name=op.f(f"pk_{name}")),
            **OPTIONS,
        )
    op.create_table(
        "mark",
        sa.Column("register_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("at", BigInt, autoincrement=False, nullable=False),
        sa.Column("n", BigInt, nullable=False),
        sa.PrimaryKeyConstraint("register_id", "at", name=op.f("pk_mark")),
        **OPTIONS,
    )
    op.create_table(
        "turn",
        sa.Column("work", sa.String(length=48), nullable=False),
        sa.Column("n", BigInt, nullable=False),
        sa.PrimaryKeyConstraint("work", name=op.f("pk_turn")),
        **OPTIONS,
    )
    connection = op.get_bind()
    connection.execute(
        sa.text(
            f"INSERT INTO mark SELECT DISTINCT register_id, at - at % {HOUR_MS}, 1 FROM reading"
        )
    )
    now = int(time.time() * 1000)
    first = connection.execute(sa.text("SELECT MIN(at) FROM reading WHERE at > 0")).scalar()
    for table in PARTITIONED:
        Partitions(connection).begin(table, min(now, max(first or now, now - YEARS_MS)), now)


YEARS_MS = 10 * 365 * 86_400_000
"""What is older has a part together: a clock that was wrong must not make parts for decades."""


def downgrade() -> None:
    if op.get_bind().dialect.name != "sqlite":
        op.execute("ALTER TABLE reading REMOVE PARTITIONING")
    for name in ("turn", "mark", "daily", "hourly"):
        op.drop_table(name)
