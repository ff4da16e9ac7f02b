"""What is watched of metering points, and what was found."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

from cloud.storage.schema import OPTIONS

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

BigInt = sa.BigInteger().with_variant(sa.INTEGER(), "sqlite")
LongText = sa.Text().with_variant(mysql.MEDIUMTEXT(), "mysql", "mariadb")


def upgrade() -> None:
    op.create_table(
        "watch",
        sa.Column("point_id", sa.Integer(), nullable=False),
        sa.Column("analyses", LongText, nullable=False),
        sa.Column("looked_at", BigInt, nullable=False),
        sa.ForeignKeyConstraint(
            ["point_id"], ["metering_point.id"], name=op.f("fk_watch_point_id")
        ),
        sa.PrimaryKeyConstraint("point_id", name=op.f("pk_watch")),
        **OPTIONS,
    )
    op.create_table(
        "finding",
        sa.Column("point_id", sa.Integer(), nullable=False),
        sa.Column("code", sa.String(length=48), nullable=False),
        sa.Column("since", BigInt, autoincrement=False, nullable=False),
        sa.Column("until", BigInt, nullable=True),
        sa.Column("severity", sa.String(length=16), nullable=False),
        sa.Column("text", LongText, nullable=False),
        sa.Column("evidence", LongText, nullable=False),
        sa.Column("told_at", BigInt, nullable=False),
        sa.Column("closed_at", BigInt, nullable=True),
        sa.ForeignKeyConstraint(
            ["point_id"], ["metering_point.id"], name=op.f("fk_finding_point_id")
        ),
        sa.PrimaryKeyConstraint("point_id", "code", "since", name=op.f("pk_finding")),
        **OPTIONS,
    )


def downgrade() -> None:
    for name in ("finding", "watch"):
        op.drop_table(name)
