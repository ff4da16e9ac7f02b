"""What figures of metering points are derived by."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

from cloud.storage.schema import OPTIONS, Key

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None

BigInt = sa.BigInteger().with_variant(sa.INTEGER(), "sqlite")
LongText = sa.Text().with_variant(mysql.MEDIUMTEXT(), "mysql", "mariadb")


def upgrade() -> None:
    op.create_table(
        "definition",
        sa.Column("what", Key(16), nullable=False),
        sa.Column("subject", Key(), nullable=False),
        sa.Column("text", LongText, nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("changed_at", BigInt, nullable=False),
        sa.PrimaryKeyConstraint("what", "subject", name=op.f("pk_definition")),
        **OPTIONS,
    )


def downgrade() -> None:
    op.drop_table("definition")
