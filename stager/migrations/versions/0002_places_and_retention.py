"""Several places for each file, transcoded objects, conflicts, and deletion of local files."""

from typing import Any

import sqlalchemy as sa

from stager.migrations import steps

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


_REPLICAS: tuple[tuple[str, Any, dict[str, Any]], ...] = (
    ("required", sa.Boolean(), {"nullable": False, "server_default": sa.true()}),
    ("conflict", sa.Boolean(), {"nullable": False, "server_default": sa.false()}),
    ("transcoded", sa.String(64), {}),
    ("content_bytes", sa.BigInteger(), {}),
    ("content_sha256", sa.String(64), {}),
    ("content_crc32c", sa.String(8), {}),
    ("checked_at", steps.moment(), {}),
)


def upgrade() -> None:
    """Add the columns; rows that are there are of the one required place, as they are."""
    steps.add_column("files", sa.Column("deleted_at", steps.moment()))
    for name, kind, more in _REPLICAS:
        steps.add_column("replicas", sa.Column(name, kind, **more))


def downgrade() -> None:
    """Drop the columns; what they said is lost."""
    for name, _, _ in reversed(_REPLICAS):
        steps.drop_column("replicas", name)
    steps.drop_column("files", "deleted_at")
