"""What virtual metering points are made of, and billing periods of one's own."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

from cloud.storage.schema import OPTIONS

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None

LongText = sa.Text().with_variant(mysql.MEDIUMTEXT(), "mysql", "mariadb")


def upgrade() -> None:
    op.create_table(
        "point_term",
        sa.Column("point_id", sa.Integer(), nullable=False),
        sa.Column("of_point_id", sa.Integer(), nullable=False),
        sa.Column("factor", sa.String(length=40), nullable=False),
        sa.ForeignKeyConstraint(
            ["point_id"], ["metering_point.id"], name=op.f("fk_point_term_point_id")
        ),
        sa.ForeignKeyConstraint(
            ["of_point_id"], ["metering_point.id"], name=op.f("fk_point_term_of_point_id")
        ),
        sa.PrimaryKeyConstraint("point_id", "of_point_id", name=op.f("pk_point_term")),
        **OPTIONS,
    )
    op.create_table(
        "billing",
        sa.Column("point_id", sa.Integer(), nullable=False),
        sa.Column("definition", LongText, nullable=False),
        sa.ForeignKeyConstraint(
            ["point_id"], ["metering_point.id"], name=op.f("fk_billing_point_id")
        ),
        sa.PrimaryKeyConstraint("point_id", name=op.f("pk_billing")),
        **OPTIONS,
    )


def downgrade() -> None:
    for name in ("billing", "point_term"):
        op.drop_table(name)
