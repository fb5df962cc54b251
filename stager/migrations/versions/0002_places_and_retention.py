"""Several places for each file, transcoded objects, conflicts, and deletion of local files."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the columns; rows that are there are of the one required place, as they are."""
    moment = sa.DateTime().with_variant(mysql.DATETIME(fsp=6), "mysql", "mariadb")
    op.add_column("files", sa.Column("deleted_at", moment))
    for column in (
        sa.Column("required", sa.Boolean(), nullable=False, server_default=sa.true()),
        sa.Column("conflict", sa.Boolean(), nullable=False, server_default=sa.false()),
        sa.Column("transcoded", sa.String(64)),
        sa.Column("content_bytes", sa.BigInteger()),
        sa.Column("content_sha256", sa.String(64)),
        sa.Column("content_crc32c", sa.String(8)),
        sa.Column("checked_at", moment),
    ):
        op.add_column("replicas", column)
