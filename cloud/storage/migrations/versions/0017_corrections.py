"""What people say against the readings of a register."""

import sqlalchemy as sa
from alembic import op

from cloud.storage.schema import OPTIONS

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None

BigInt = sa.BigInteger().with_variant(sa.INTEGER(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "correction",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("register_id", sa.Integer(), nullable=False),
        sa.Column("start_at", BigInt, nullable=False),
        sa.Column("end_at", BigInt, nullable=False),
        sa.Column("value", BigInt, nullable=True),
        sa.Column("made_at", BigInt, nullable=False),
        sa.Column("made_by", sa.String(length=200), nullable=False),
        sa.Column("reason", sa.String(length=2000), nullable=False),
        sa.Column("withdrawn_at", BigInt, nullable=True),
        sa.Column("withdrawn_by", sa.String(length=200), nullable=True),
        sa.Column("withdrawn_reason", sa.String(length=2000), nullable=True),
        sa.ForeignKeyConstraint(
            ["register_id"], ["register.id"], name=op.f("fk_correction_register_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_correction")),
        **OPTIONS,
    )
    op.create_index(
        op.f("ix_correction_register_id_start_at"), "correction", ["register_id", "start_at"]
    )


def downgrade() -> None:
    op.drop_table("correction")
