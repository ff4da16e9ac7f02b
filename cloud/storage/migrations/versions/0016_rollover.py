"""At what index an installed register rolls over."""

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None


def upgrade() -> None:
    rollover = sa.BigInteger().with_variant(sa.INTEGER(), "sqlite")
    op.add_column("installation", sa.Column("rollover", rollover, nullable=True))


def downgrade() -> None:
    op.drop_column("installation", "rollover")
