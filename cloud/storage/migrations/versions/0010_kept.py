"""From when on readings and hours are kept; rejected entries are found by their age."""

import sqlalchemy as sa
from alembic import op

from cloud.storage.schema import OPTIONS, Key

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

BigInt = sa.BigInteger().with_variant(sa.INTEGER(), "sqlite")


def upgrade() -> None:
    kept = op.create_table(
        "kept",
        sa.Column("data", Key(16), nullable=False),
        sa.Column("since", BigInt, nullable=False),
        sa.PrimaryKeyConstraint("data", name=op.f("pk_kept")),
        **OPTIONS,
    )
    # There from the beginning: ingest holds the rows, and what is not there cannot be held.
    op.bulk_insert(kept, [{"data": "readings", "since": 0}, {"data": "hours", "since": 0}])
    op.create_index(op.f("ix_rejected_received_at"), "rejected", ["received_at"])


def downgrade() -> None:
    op.drop_index(op.f("ix_rejected_received_at"), "rejected")
    op.drop_table("kept")
