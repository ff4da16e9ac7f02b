"""Tariffs, which of them a metering point has from when, and statements."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

from cloud.storage.schema import OPTIONS, Key

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

BigInt = sa.BigInteger().with_variant(sa.INTEGER(), "sqlite")
LongText = sa.Text().with_variant(mysql.MEDIUMTEXT(), "mysql", "mariadb")


def upgrade() -> None:
    op.create_table(
        "tariff",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("key", Key(), nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("definition", LongText, nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("changed_at", BigInt, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_tariff")),
        sa.UniqueConstraint("key", name=op.f("uq_tariff_key")),
        **OPTIONS,
    )
    op.create_table(
        "point_tariff",
        sa.Column("point_id", sa.Integer(), nullable=False),
        sa.Column("start", sa.Date(), nullable=False),
        sa.Column("tariff_id", sa.Integer(), nullable=True),
        sa.ForeignKeyConstraint(
            ["point_id"], ["metering_point.id"], name=op.f("fk_point_tariff_point_id")
        ),
        sa.ForeignKeyConstraint(
            ["tariff_id"], ["tariff.id"], name=op.f("fk_point_tariff_tariff_id")
        ),
        sa.PrimaryKeyConstraint("point_id", "start", name=op.f("pk_point_tariff")),
        **OPTIONS,
    )
    op.create_table(
        "statement",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("point_id", sa.Integer(), nullable=False),
        sa.Column("month", Key(7), nullable=False),
        sa.Column("issued_at", BigInt, nullable=False),
        sa.Column("issued_by", sa.String(length=200), nullable=False),
        sa.Column("content", LongText, nullable=False),
        sa.Column("hash", Key(64), nullable=False),
        sa.ForeignKeyConstraint(
            ["point_id"], ["metering_point.id"], name=op.f("fk_statement_point_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_statement")),
        sa.UniqueConstraint("point_id", "month", name=op.f("uq_statement_point_id_month")),
        **OPTIONS,
    )


def downgrade() -> None:
    for name in ("statement", "point_tariff", "tariff"):
        op.drop_table(name)
