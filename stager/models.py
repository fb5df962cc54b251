"""Tables of the run catalog.

`Runlog` is CYGNO's own table, column for column and number for number, so that today's tools and
dashboards go on; runs, files and replicas say the same and more in proper types, and the tables of
`stager.records` what happened to them. Changes of these tables are migrations in
``stager/migrations/versions``.
"""

from datetime import UTC, datetime
from enum import IntEnum, StrEnum
from typing import Any, Final

from sqlalchemy import (
    BigInteger,
    Boolean,
    DateTime,
    Double,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Text,
    UniqueConstraint,
)
from sqlalchemy.dialects import mysql
from sqlalchemy.engine import Dialect
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship
from sqlalchemy.types import TypeDecorator

NAMING: Final = {
    "ix": "ix_%(table_name)s_%(column_0_name)s",
    "uq": "uq_%(table_name)s_%(column_0_name)s",
    "fk": "fk_%(table_name)s_%(column_0_name)s",
    "pk": "pk_%(table_name)s",
}


class UtcDateTime(TypeDecorator[datetime]):
    """A moment with microseconds, kept as UTC, given back as an aware datetime."""

    impl = DateTime
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> Any:
        """Ask MariaDB for microseconds, which its DATETIME lacks by default."""
        if dialect.name in ("mysql", "mariadb"):
            return dialect.type_descriptor(mysql.DATETIME(fsp=6))
        return dialect.type_descriptor(DateTime())

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Strip the zone; a naive datetime would be ambiguous and is refused."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError(f"{value} has no time zone")
        return value.astimezone(UTC).replace(tzinfo=None)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Put the zone back."""
        return None if value is None else value.replace(tzinfo=UTC)


def exact_text(length: int) -> String:
    """Return a text whose case counts: MariaDB would take ``/data/A`` and ``/data/a`` as equal."""
    exact = mysql.VARCHAR(length, charset="utf8mb4", collation="utf8mb4_bin")
    return String(length).with_variant(exact, "mysql", "mariadb")


row_id: Final = BigInteger().with_variant(Integer, "sqlite")
"""Of rows that number themselves; SQLite does that for INTEGER alone."""

TABLE: Final = {"mysql_engine": "InnoDB", "mysql_charset": "utf8mb4"}


class State(StrEnum):
    """How far a file, or one replica of it, has come."""

    DISCOVERED = "discovered"
    """Seen; may still be written to."""
    HASHED = "hashed"
    """Closed, read once; its checksums agree with the logger's. A copy: not begun."""
    UPLOADING = "uploading"
    """Being sent; what arrived is kept."""
    VERIFIED = "verified"
    """The server, asked afterwards, has the same bytes."""
    CATALOGUED = "catalogued"
    """And the run log says so: nothing is left to do. A file: every place that must have it has."""
    REPLICATED = "replicated"
    """A file with several places: all of them have it, the optional ones too."""
    DELETABLE = "deletable"
    """A local file that is being deleted: every required place was just asked again."""
    DELETED = "deleted"
    """The local file is gone, on purpose; `reason` says why. Its replicas stay."""
    KEPT = "kept"
    """A replica: a person settled a conflict for what is there; the local file stays here."""
    FAILED = "failed"
    """The last try failed; `reason` says why, `next_try_at` when it is tried again."""


class Storage(IntEnum):
    """Numbers of Runlog's ``storage_*_status`` columns.

    Source: CYGNO's ``midas2cloud.py``, ``fileCompressor.py`` and ``cloud2tape_v3.py``.
    """

    UNKNOWN = -1
    """Not yet, or not known; what the logger writes at begin of run."""
    WRITTEN = 0
    """Local: written and closed, metadata not filled in yet; or deleted later."""
    STORED = 1
    """There, and its metadata are filled in."""
    REMOVED = 2
    """Cloud: too large to upload, or removed on purpose."""


class Base(DeclarativeBase):
    """Base of all tables."""

    metadata = MetaData(naming_convention=NAMING)


class Runlog(Base):
    """CYGNO's run log: one row a run; times are local times of the DAQ computer.

    Source: columns of ``runlog_LNGS_auto.csv`` and ``runlog_LNF_auto.csv`` of CYGNO.
    """

    __tablename__ = "Runlog"
    __table_args__ = TABLE

    run_number: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    run_description: Mapped[str | None] = mapped_column(Text)
    start_time: Mapped[datetime | None] = mapped_column(DateTime)
    exposure_sec: Mapped[float | None] = mapped_column(Double)
    GEM3_V: Mapped[float | None] = mapped_column(Double)
    GEM2_V: Mapped[float | None] = mapped_column(Double)
    GEM1_V: Mapped[float | None] = mapped_column(Double)
    T2_V: Mapped[float | None] = mapped_column(Double)
    T1_V: Mapped[float | None] = mapped_column(Double)
    DRIFT_V: Mapped[float | None] = mapped_column(Double)
    OFFSET_V: Mapped[float | None] = mapped_column(Double)
    PMT1_V: Mapped[float | None] = mapped_column(Double)
    PMT2_V: Mapped[float | None] = mapped_column(Double)
    PMT3_V: Mapped[float | None] = mapped_column(Double)
    PMT4_V: Mapped[float | None] = mapped_column(Double)
    HV_STATE: Mapped[int | None] = mapped_column(Integer)
    sequencer_running: Mapped[bool | None] = mapped_column(Boolean)
    sequence_filename: Mapped[str | None] = mapped_column(Text)
    pmt_acquisition: Mapped[bool | None] = mapped_column(Boolean)
    pedestal_run: Mapped[bool | None] = mapped_column(Boolean)
    source_type: Mapped[int | None] = mapped_column(Integer)
    source_position: Mapped[float | None] = mapped_column(Double)
    discrimination_threshold: Mapped[int | None] = mapped_column(Integer)
    trigger_veto_time: Mapped[int | None] = mapped_column(Integer)
    trigger_logic: Mapped[int | None] = mapped_column(Integer)
    run_type: Mapped[int | None] = mapped_column(Integer)
    drs4_correction_active: Mapped[bool | None] = mapped_column(Boolean)
    shielding_configuration: Mapped[int | None] = mapped_column(Integer)
    stop_time: Mapped[datetime | None] = mapped_column(DateTime)
    number_of_events: Mapped[float | None] = mapped_column(Double)
    storage_local_status: Mapped[int | None] = mapped_column(Integer, default=-1)
    storage_cloud_status: Mapped[int | None] = mapped_column(Integer, default=-1)
    storage_tape_status: Mapped[int | None] = mapped_column(Integer, default=-1)
    total_gas_flow: Mapped[float | None] = mapped_column(Double, default=-1.0)
    file_size: Mapped[int | None] = mapped_column(BigInteger)
    file_checksum: Mapped[str | None] = mapped_column(String(32))
    file_s3_tag: Mapped[str | None] = mapped_column(String(64))
    online_reco_status: Mapped[int | None] = mapped_column(Integer, default=-1)


class Run(Base):
    """One run as its own file tells it."""

    __tablename__ = "runs"
    __table_args__ = TABLE

    run_number: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    """Run number."""
    tag: Mapped[str] = mapped_column(String(64))
    """Site; the folder of its objects."""
    description: Mapped[str | None] = mapped_column(Text)
    """Free text of the operator, as in Runlog."""
    source: Mapped[str | None] = mapped_column(Text)
    """Where its events came from, if they were replayed."""
    start_time: Mapped[datetime | None] = mapped_column(UtcDateTime, index=True)
    """By the ODB dump at its begin; UTC."""
    stop_time: Mapped[datetime | None] = mapped_column(UtcDateTime)
    """By the ODB dump at its end; UTC."""
    is_complete: Mapped[bool | None] = mapped_column(Boolean)
    """True: its file ends with the end-of-run dump; False: truncated; None: not known yet."""
    events: Mapped[int | None] = mapped_column(BigInteger)
    """Whole events in the file, without ODB dumps."""
    trigger_events: Mapped[int | None] = mapped_column(BigInteger)
    """Those of them that hold frames."""
    events_sent: Mapped[int | None] = mapped_column(BigInteger)
    """What the trigger frontend says it sent in this run; must equal `trigger_events`."""
    frames_lost: Mapped[int | None] = mapped_column(BigInteger)
    """What the trigger frontends say they lost in this run."""
    note: Mapped[str | None] = mapped_column(Text)
    """What is not as it should be: truncated where, counts that differ."""
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    """When the stager first saw a file of it."""
    updated_at: Mapped[datetime] = mapped_column(UtcDateTime)
    """When this row last changed."""

    files: Mapped[list["File"]] = relationship(back_populates="run")


class Claimed:
    """Columns of rows that one stager at a time works on, and that may fail and be tried again."""

    state: Mapped[str] = mapped_column(String(16), index=True)
    """How far it has come; see the states."""
    reason: Mapped[str | None] = mapped_column(Text)
    """Why the last try failed, or what is waited for."""
    tries: Mapped[int] = mapped_column(Integer, default=0)
    """Failures in a row."""
    next_try_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    """When it is tried again."""
    owner: Mapped[str | None] = mapped_column(String(128))
    """Which process works on it; see `stager.claims`."""
    lease_until: Mapped[datetime | None] = mapped_column(UtcDateTime)
    """When its claim ends, if it is not renewed."""
    updated_at: Mapped[datetime] = mapped_column(UtcDateTime)
    """When this row last changed."""


class File(Claimed, Base):
    """One local file of a run."""

    __tablename__ = "files"
    __table_args__ = TABLE

    id: Mapped[int] = mapped_column(row_id, primary_key=True, autoincrement=True)
    """Number of the row."""
    run_number: Mapped[int] = mapped_column(ForeignKey("runs.run_number"), index=True)
    """Its run."""
    subrun: Mapped[int] = mapped_column(Integer, default=0)
    """Number of the file in its run, where a run has several."""
    kind: Mapped[str] = mapped_column(String(16))
    """raw, reco, sidecar, odb, summary, report or truth."""
    path: Mapped[str] = mapped_column(exact_text(700), unique=True)
    """Where it is, or was."""
    name: Mapped[str] = mapped_column(String(255))
    """Its name without folder."""
    size_bytes: Mapped[int] = mapped_column(BigInteger)
    """Size [B]."""
    mtime_ns: Mapped[int] = mapped_column(BigInteger)
    """Modification time [ns] of the content that was hashed, or last seen."""
    sha256: Mapped[str | None] = mapped_column(String(64))
    """SHA-256, hexadecimal; None until it was read."""
    crc32c: Mapped[str | None] = mapped_column(String(8))
    """CRC32C, hexadecimal, as the logger has it in its sidecar."""
    md5: Mapped[str | None] = mapped_column(String(32))
    """MD5, hexadecimal, for Runlog; of large files it is computed while they are sent."""
    adler32: Mapped[str | None] = mapped_column(String(8))
    """The checksum that grid storage and tape know."""
    stream_bytes: Mapped[int | None] = mapped_column(BigInteger)
    """Raw files that can be read to their end: size of their uncompressed events [B]."""
    stream_crc32c: Mapped[str | None] = mapped_column(String(8))
    """CRC32C of these events."""
    events: Mapped[int | None] = mapped_column(BigInteger)
    """Raw files: whole events in it, without ODB dumps."""
    trigger_events: Mapped[int | None] = mapped_column(BigInteger)
    """Raw files: those that hold frames."""
    truncated: Mapped[bool] = mapped_column(Boolean, default=False)
    """Raw files: no end-of-run event, or damaged; `events` whole events can be read."""
    checked_against: Mapped[str | None] = mapped_column(String(255))
    """The logger's sidecar files that the content was compared with."""
    discovered_at: Mapped[datetime] = mapped_column(UtcDateTime)
    """When it was first seen."""
    hashed_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    """When it was read."""
    deleted_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    """When the local file was deleted, or found to be gone."""

    run: Mapped[Run] = relationship(back_populates="files")
    replicas: Mapped[list["Replica"]] = relationship(back_populates="file")


class Replica(Claimed, Base):
    """One copy of a file somewhere else."""

    __tablename__ = "replicas"
    __table_args__ = (
        UniqueConstraint("file_id", "place"),
        Index("ix_replicas_place_object_key", "place", "object_key"),
        TABLE,
    )

    id: Mapped[int] = mapped_column(row_id, primary_key=True, autoincrement=True)
    """Number of the row."""
    file_id: Mapped[int] = mapped_column(ForeignKey("files.id"), index=True)
    """The file that it is a copy of."""
    place: Mapped[str] = mapped_column(String(64))
    """Name of the place; "cloud" is the S3 bucket."""
    kind: Mapped[str] = mapped_column(String(16))
    """How copies get there: "s3", "folder" or "command"."""
    required: Mapped[bool] = mapped_column(Boolean, default=True)
    """The local file stays until this replica is verified."""
    conflict: Mapped[bool] = mapped_column(Boolean, default=False)
    """Another content is there under this name; a person decides with ``cygno-stager retry``."""
    transcoded: Mapped[str | None] = mapped_column(String(64))
    """How the object differs from the file: its compression, "expanded" frames."""
    content_bytes: Mapped[int | None] = mapped_column(BigInteger)
    """Size of the object [B], where it was transcoded."""
    content_sha256: Mapped[str | None] = mapped_column(String(64))
    """SHA-256 of the object, where it was transcoded."""
    content_crc32c: Mapped[str | None] = mapped_column(String(8))
    """CRC32C of the object, where it was transcoded; else it is that of the file."""
    stream_crc32c: Mapped[str | None] = mapped_column(String(8))
    """Where it was transcoded: of its uncompressed events, which were read back."""
    checked_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    """When the place was last asked again, and still had it."""
    location: Mapped[str | None] = mapped_column(String(255))
    """For S3: the bucket; for folders: the folder."""
    object_key: Mapped[str | None] = mapped_column(exact_text(512))
    """Its name at the place: ``<TAG>/<file>``."""
    object_bytes: Mapped[int | None] = mapped_column(BigInteger)
    """Size that the server reported."""
    checksum_algorithm: Mapped[str | None] = mapped_column(String(32))
    """Which checksum was compared."""
    checksum: Mapped[str | None] = mapped_column(String(64))
    """What the server reported, or what was computed from the object read back; hexadecimal."""
    verified_by: Mapped[str | None] = mapped_column(String(32))
    """How it was verified: server checksum, composite, read back."""
    sha256: Mapped[str | None] = mapped_column(String(64))
    """SHA-256 of the local content that was verified there."""
    upload_id: Mapped[str | None] = mapped_column(String(1024))
    """Of an upload in parts that has begun, to go on with it."""
    part_size_bytes: Mapped[int | None] = mapped_column(BigInteger)
    """Size of its parts [B]."""
    verified_at: Mapped[datetime | None] = mapped_column(UtcDateTime, index=True)
    """When it was first found there, whole."""
    catalogued_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    """When the run log said so."""

    file: Mapped[File] = relationship(back_populates="replicas")


def now() -> datetime:
    """Return the present moment in UTC."""
    return datetime.now(UTC)
