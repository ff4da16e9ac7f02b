"""Configurations that are pushed to gateways."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

from cloud.storage.schema import OPTIONS, Key

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

BIG = sa.BigInteger().with_variant(sa.INTEGER(), "sqlite")
LONG_TEXT = (
    sa.Text().with_variant(mysql.MEDIUMTEXT(), "mariadb").with_variant(mysql.MEDIUMTEXT(), "mysql")
)


def upgrade() -> None:
    op.create_table(
        "configuration",
        sa.Column("gateway_id", sa.Integer(), nullable=False),
        sa.Column("version", BIG, autoincrement=False, nullable=False),
        sa.Column("toml", LONG_TEXT, nullable=False),
        sa.Column("set_by", sa.String(length=200), nullable=False),
        sa.Column("reason", sa.String(length=2000), nullable=False),
        sa.Column("set_at", BIG, nullable=False),
        sa.Column("state", Key(16), nullable=False),
        sa.Column("detail", sa.String(length=2000), nullable=False),
        sa.Column("state_at", BIG, nullable=False),
        sa.Column("send_at", BIG, nullable=True),
        sa.Column("sent_at", BIG, nullable=True),
        sa.ForeignKeyConstraint(
            ["gateway_id"], ["gateway.id"], name=op.f("fk_configuration_gateway_id")
        ),
        sa.PrimaryKeyConstraint("gateway_id", "version", name=op.f("pk_configuration")),
        **OPTIONS,
    )
    op.create_index(op.f("ix_configuration_send_at"), "configuration", ["send_at"])


def downgrade() -> None:
    op.drop_table("configuration")
