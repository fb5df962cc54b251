"""Checksums of event streams, which survive transcoding, and the one that tape knows."""

from typing import Any

import sqlalchemy as sa

from stager.migrations import steps

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

_COLUMNS: tuple[tuple[str, str, Any], ...] = (
    ("files", "adler32", sa.String(8)),
    ("files", "stream_bytes", sa.BigInteger()),
    ("files", "stream_crc32c", sa.String(8)),
    ("replicas", "stream_crc32c", sa.String(8)),
)


def upgrade() -> None:
    """Add the columns; files that were hashed before have none of them."""
    for table, name, kind in _COLUMNS:
        steps.add_column(table, sa.Column(name, kind))


def downgrade() -> None:
    """Drop the columns; what they said is lost."""
    for table, name, _ in reversed(_COLUMNS):
        steps.drop_column(table, name)
