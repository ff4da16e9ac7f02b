"""By which clock entries were dated, and when the gateway appended an event.

Of what came before this nothing is known, and nothing is said.
"""

import sqlalchemy as sa
from alembic import op

from cloud.storage.schema import OPTIONS

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

BigInt = sa.BigInteger().with_variant(sa.INTEGER(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "clock_span",
        sa.Column("stream_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("first", BigInt, autoincrement=False, nullable=False),
        sa.Column("boot", BigInt, nullable=True),
        sa.Column("ahead_ms", BigInt, nullable=True),
        sa.Column("quality", sa.SmallInteger(), nullable=True),
        sa.PrimaryKeyConstraint("stream_id", "first", name=op.f("pk_clock_span")),
        **OPTIONS,
    )
    op.add_column("stream", sa.Column("clock_changes", BigInt, nullable=False, server_default="0"))
    op.add_column("event", sa.Column("appended_at", BigInt, nullable=True))


def downgrade() -> None:
    op.drop_column("event", "appended_at")
    op.drop_column("stream", "clock_changes")
    op.drop_table("clock_span")
