"""Indexes of the times that dashboards ask for."""

from stager.migrations import steps

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

_TIMES = (("runs", "start_time"), ("replicas", "verified_at"))


def upgrade() -> None:
    """Make the indexes."""
    for table, column in _TIMES:
        steps.create_index(f"ix_{table}_{column}", table, [column])


def downgrade() -> None:
    """Drop the indexes."""
    for table, column in _TIMES:
        steps.drop_index(f"ix_{table}_{column}", table)
