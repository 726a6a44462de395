"""Drop the labels of routes: an engine names those of its answers."""

from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    with op.batch_alter_table("routes", schema=None) as batch_op:
        batch_op.drop_column("labels")
