"""The first catalog: Runlog, runs, files, replicas."""

from typing import Any

import sqlalchemy as sa
from alembic import op

from stager.migrations import steps

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

_RUNLOG: tuple[tuple[str, Any], ...] = (
    ("run_description", sa.Text()),
    ("start_time", sa.DateTime()),
    ("exposure_sec", sa.Double()),
    *((f"{name}_V", sa.Double()) for name in ("GEM3", "GEM2", "GEM1", "T2", "T1", "DRIFT")),
    *((f"{name}_V", sa.Double()) for name in ("OFFSET", "PMT1", "PMT2", "PMT3", "PMT4")),
    ("HV_STATE", sa.Integer()),
    ("sequencer_running", sa.Boolean()),
    ("sequence_filename", sa.Text()),
    ("pmt_acquisition", sa.Boolean()),
    ("pedestal_run", sa.Boolean()),
    ("source_type", sa.Integer()),
    ("source_position", sa.Double()),
    ("discrimination_threshold", sa.Integer()),
    ("trigger_veto_time", sa.Integer()),
    ("trigger_logic", sa.Integer()),
    ("run_type", sa.Integer()),
    ("drs4_correction_active", sa.Boolean()),
    ("shielding_configuration", sa.Integer()),
    ("stop_time", sa.DateTime()),
    ("number_of_events", sa.Double()),
    ("storage_local_status", sa.Integer()),
    ("storage_cloud_status", sa.Integer()),
    ("storage_tape_status", sa.Integer()),
    ("total_gas_flow", sa.Double()),
    ("file_size", sa.BigInteger()),
    ("file_checksum", sa.String(32)),
    ("file_s3_tag", sa.String(64)),
    ("online_reco_status", sa.Integer()),
)


def upgrade() -> None:
    """Make the tables; a Runlog that MIDAS's logger made before only gets what it lacks."""
    moment, row_id = steps.moment(), steps.row_id()
    columns: list[sa.Column[Any]] = [sa.Column(name, kind, nullable=True) for name, kind in _RUNLOG]
    if sa.inspect(op.get_bind()).has_table("Runlog"):
        for column in columns:
            steps.add_column("Runlog", column)
    else:
        steps.create_table(
            "Runlog",
            sa.Column("run_number", sa.Integer(), autoincrement=False, nullable=False),
            *columns,
            sa.PrimaryKeyConstraint("run_number", name="pk_Runlog"),
        )
    steps.create_table(
        "runs",
        sa.Column("run_number", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("tag", sa.String(64), nullable=False),
        sa.Column("description", sa.Text()),
        sa.Column("source", sa.Text()),
        sa.Column("start_time", moment),
        sa.Column("stop_time", moment),
        sa.Column("is_complete", sa.Boolean()),
        sa.Column("events", sa.BigInteger()),
        sa.Column("trigger_events", sa.BigInteger()),
        sa.Column("events_sent", sa.BigInteger()),
        sa.Column("frames_lost", sa.BigInteger()),
        sa.Column("note", sa.Text()),
        sa.Column("created_at", moment, nullable=False),
        sa.Column("updated_at", moment, nullable=False),
        sa.PrimaryKeyConstraint("run_number", name="pk_runs"),
    )
    steps.create_table(
        "files",
        sa.Column("id", row_id, autoincrement=True, nullable=False),
        sa.Column("run_number", sa.Integer(), nullable=False),
        sa.Column("subrun", sa.Integer(), nullable=False),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("path", sa.String(700), nullable=False),
        sa.Column("name", sa.String(255), nullable=False),
        sa.Column("size_bytes", sa.BigInteger(), nullable=False),
        sa.Column("mtime_ns", sa.BigInteger(), nullable=False),
        sa.Column("sha256", sa.String(64)),
        sa.Column("crc32c", sa.String(8)),
        sa.Column("md5", sa.String(32)),
        sa.Column("events", sa.BigInteger()),
        sa.Column("trigger_events", sa.BigInteger()),
        sa.Column("truncated", sa.Boolean(), nullable=False),
        sa.Column("checked_against", sa.String(255)),
        sa.Column("discovered_at", moment, nullable=False),
        sa.Column("hashed_at", moment),
        *_claimed(moment),
        sa.PrimaryKeyConstraint("id", name="pk_files"),
        sa.ForeignKeyConstraint(["run_number"], ["runs.run_number"], name="fk_files_run_number"),
        sa.UniqueConstraint("path", name="uq_files_path"),
    )
    steps.create_index("ix_files_run_number", "files", ["run_number"])
    steps.create_index("ix_files_state", "files", ["state"])
    steps.create_table(
        "replicas",
        sa.Column("id", row_id, autoincrement=True, nullable=False),
        sa.Column("file_id", row_id, nullable=False),
        sa.Column("place", sa.String(64), nullable=False),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("location", sa.String(255)),
        sa.Column("object_key", sa.String(512)),
        sa.Column("object_bytes", sa.BigInteger()),
        sa.Column("checksum_algorithm", sa.String(32)),
        sa.Column("checksum", sa.String(64)),
        sa.Column("verified_by", sa.String(32)),
        sa.Column("sha256", sa.String(64)),
        sa.Column("upload_id", sa.String(1024)),
        sa.Column("part_size_bytes", sa.BigInteger()),
        sa.Column("verified_at", moment),
        sa.Column("catalogued_at", moment),
        *_claimed(moment),
        sa.PrimaryKeyConstraint("id", name="pk_replicas"),
        sa.ForeignKeyConstraint(["file_id"], ["files.id"], name="fk_replicas_file_id"),
        sa.UniqueConstraint("file_id", "place", name="uq_replicas_file_id"),
    )
    steps.create_index("ix_replicas_file_id", "replicas", ["file_id"])
    steps.create_index("ix_replicas_state", "replicas", ["state"])
    steps.create_index("ix_replicas_place_object_key", "replicas", ["place", "object_key"])


def downgrade() -> None:
    """Drop the tables but `Runlog`, which may be the logger's, and tells of years of data."""
    for table in ("replicas", "files", "runs"):
        steps.drop_table(table)


def _claimed(moment: sa.types.TypeEngine[Any]) -> list[sa.Column[Any]]:
    return [
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("reason", sa.Text()),
        sa.Column("tries", sa.Integer(), nullable=False),
        sa.Column("next_try_at", moment),
        sa.Column("owner", sa.String(128)),
        sa.Column("lease_until", moment),
        sa.Column("updated_at", moment, nullable=False),
    ]
