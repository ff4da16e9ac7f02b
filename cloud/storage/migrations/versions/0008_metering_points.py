"""Metering points, the meters under them, and who changed what."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

from cloud.storage.schema import OPTIONS

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

BigInt = sa.BigInteger().with_variant(sa.INTEGER(), "sqlite")
LongText = sa.Text().with_variant(mysql.MEDIUMTEXT(), "mysql", "mariadb")


def upgrade() -> None:
    op.create_table(
        "metering_point",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("key", sa.String(length=48), nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("site_id", sa.Integer(), nullable=False),
        sa.Column("medium", sa.SmallInteger(), nullable=False),
        sa.Column("kind", sa.String(length=48), nullable=False),
        sa.Column("parent_id", sa.Integer(), nullable=True),
        sa.Column("created_at", BigInt, nullable=False),
        sa.ForeignKeyConstraint(
            ["site_id"], ["site.id"], name=op.f("fk_metering_point_site_id")
        ),
        sa.ForeignKeyConstraint(
            ["parent_id"], ["metering_point.id"], name=op.f("fk_metering_point_parent_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_metering_point")),
        sa.UniqueConstraint("key", name=op.f("uq_metering_point_key")),
        **OPTIONS,
    )
    op.create_table(
        "installation",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("point_id", sa.Integer(), nullable=False),
        sa.Column("register_id", sa.Integer(), nullable=False),
        sa.Column("serial", sa.String(length=64), nullable=False),
        sa.Column("multiplier", sa.String(length=40), nullable=False),
        sa.Column("start_at", BigInt, nullable=False),
        sa.Column("start_index", BigInt, nullable=False),
        sa.Column("end_at", BigInt, nullable=True),
        sa.Column("final_index", BigInt, nullable=True),
        sa.ForeignKeyConstraint(
            ["point_id"], ["metering_point.id"], name=op.f("fk_installation_point_id")
        ),
        sa.ForeignKeyConstraint(
            ["register_id"], ["register.id"], name=op.f("fk_installation_register_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_installation")),
        **OPTIONS,
    )
    op.create_table(
        "audit",
        sa.Column("id", BigInt, nullable=False),
        sa.Column("at", BigInt, nullable=False),
        sa.Column("by", sa.String(length=200), nullable=False),
        sa.Column("action", sa.String(length=48), nullable=False),
        sa.Column("subject", sa.String(length=64), nullable=False),
        sa.Column("reason", sa.String(length=2000), nullable=False),
        sa.Column("detail", LongText, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_audit")),
        **OPTIONS,
    )
    op.create_index(op.f("ix_audit_subject_at"), "audit", ["subject", "at"])


def downgrade() -> None:
    for name in ("audit", "installation", "metering_point"):
        op.drop_table(name)
