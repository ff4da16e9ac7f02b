"""What a token may be used for; those that there are go on with all that their role allows."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("token", sa.Column("scopes", sa.String(length=200), nullable=True))


def downgrade() -> None:
    op.drop_column("token", "scopes")
