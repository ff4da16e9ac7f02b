"""Which computer a gateway is, and which other one has claimed to be it."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0001"
branch_labels = None
depends_on = None

BigInt = sa.BigInteger().with_variant(sa.INTEGER(), "sqlite")


def upgrade() -> None:
    machine = sa.String(length=64)
    op.add_column("gateway", sa.Column("machine", machine, nullable=False, server_default=""))
    op.add_column("gateway", sa.Column("claimed_by", machine, nullable=False, server_default=""))
    op.add_column("gateway", sa.Column("claimed_at", BigInt, nullable=True))
