"""Transfers, quality and slow control; a logger's Runlog that takes rows of others, too."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

from stager.migrations import steps

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

_TABLES = ("slow_control", "quality_values", "quality", "transfers")
_EXACT = (("files", "path", 700, False), ("replicas", "object_key", 512, True))


def upgrade() -> None:
    """Make the tables, let the case of names count, and adopt the logger's Runlog."""
    moment, row_id = steps.moment(), steps.row_id()
    steps.create_table(
        "transfers",
        sa.Column("id", row_id, autoincrement=True, nullable=False),
        sa.Column("replica_id", row_id, nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("stager", sa.String(128), nullable=False),
        sa.Column("started_at", moment, nullable=False),
        sa.Column("ended_at", moment),
        sa.Column("duration_s", sa.Double()),
        sa.Column("bytes_sent", sa.BigInteger(), nullable=False),
        sa.Column("rate_bytes_s", sa.Double()),
        sa.Column("outcome", sa.String(16), nullable=False),
        sa.Column("reason", sa.Text()),
        sa.PrimaryKeyConstraint("id", name="pk_transfers"),
        sa.ForeignKeyConstraint(["replica_id"], ["replicas.id"], name="fk_transfers_replica_id"),
    )
    for column in ("replica_id", "started_at", "outcome"):
        steps.create_index(f"ix_transfers_{column}", "transfers", [column])
    steps.create_table(
        "quality",
        sa.Column("run_number", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("verdict", sa.String(16)),
        sa.Column("events", sa.BigInteger()),
        sa.Column("summary", sa.JSON(), nullable=False),
        sa.Column("file_sha256", sa.String(64), nullable=False),
        sa.Column("updated_at", moment, nullable=False),
        sa.PrimaryKeyConstraint("run_number", name="pk_quality"),
        sa.ForeignKeyConstraint(["run_number"], ["runs.run_number"], name="fk_quality_run_number"),
    )
    steps.create_index("ix_quality_verdict", "quality", ["verdict"])
    steps.create_table(
        "quality_values",
        sa.Column("run_number", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("quantity", sa.String(96), nullable=False),
        sa.Column("value", sa.Double()),
        sa.Column("text", sa.Text()),
        sa.PrimaryKeyConstraint("run_number", "quantity", name="pk_quality_values"),
        sa.ForeignKeyConstraint(
            ["run_number"], ["quality.run_number"], name="fk_quality_values_run_number"
        ),
    )
    numbers = ("first", "last", "lowest", "highest", "mean", "sigma")
    steps.create_table(
        "slow_control",
        sa.Column("run_number", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("subrun", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("equipment", sa.String(32), nullable=False),
        sa.Column("bank", sa.String(4), nullable=False),
        sa.Column("channel", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("name", sa.String(64), nullable=False),
        sa.Column("unit", sa.String(16)),
        sa.Column("readings", sa.BigInteger(), nullable=False),
        *(sa.Column(name, sa.Double()) for name in numbers),
        sa.Column("first_at", moment),
        sa.Column("last_at", moment),
        sa.PrimaryKeyConstraint(
            "run_number", "subrun", "equipment", "bank", "channel", name="pk_slow_control"
        ),
        sa.ForeignKeyConstraint(
            ["run_number"], ["runs.run_number"], name="fk_slow_control_run_number"
        ),
    )
    steps.create_index("ix_slow_control_name", "slow_control", ["name"])
    _let_case_count(True)
    _adopt_runlog()


def downgrade() -> None:
    """Drop the tables; what they told is lost. Runlog stays as it is."""
    for table in _TABLES:
        steps.drop_table(table)
    _let_case_count(False)


def _let_case_count(counts: bool) -> None:
    """MariaDB compares texts without their case, where nothing else is said; SQLite with it."""
    if steps.is_sqlite():
        return
    for table, column, length, nullable in _EXACT:
        kind = steps.exact_text(length) if counts else sa.String(length)
        op.alter_column(table, column, type_=kind, existing_nullable=nullable)


def _adopt_runlog() -> None:
    """Let columns be empty that the logger made ``NOT NULL``.

    It writes all of them in each of its rows; we cannot, where its ODB links to more than we know.
    Its types stay: it writes in them. Source: mlogger's ``sql_create_table`` (December 2022).
    """
    if steps.is_sqlite():
        return
    for column in steps.columns_of("Runlog").values():
        if not column["nullable"] and column["default"] is None and column["name"] != "run_number":
            kind = column["type"]
            if isinstance(kind, mysql.VARCHAR):
                kind = mysql.VARCHAR(kind.length, charset=kind.charset, collation=kind.collation)
            op.alter_column("Runlog", column["name"], existing_type=kind, nullable=True)
