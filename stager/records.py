"""Tables of the run catalog that tell what happened: transfers, quality, slow control.

They stand beside those of `stager.models`, whose rules they follow.
"""

from datetime import datetime
from enum import StrEnum

from sqlalchemy import JSON, BigInteger, Double, ForeignKey, Integer, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from stager.models import TABLE, Base, UtcDateTime, row_id


class TransferOutcome(StrEnum):
    """How one try to bring a file to a place ended."""

    RUNNING = "running"
    """It has not ended."""
    VERIFIED = "verified"
    """The place, asked afterwards, has the same bytes."""
    FAILED = "failed"
    """`reason` says why."""
    INTERRUPTED = "interrupted"
    """The stager was asked to end, or died; the next try goes on where this one ended."""


class Transfer(Base):
    """One try to bring a file to a place."""

    __tablename__ = "transfers"
    __table_args__ = TABLE

    id: Mapped[int] = mapped_column(row_id, primary_key=True, autoincrement=True)
    """Number of the row."""
    replica_id: Mapped[int] = mapped_column(ForeignKey("replicas.id"), index=True)
    """The copy that was to be made."""
    number: Mapped[int] = mapped_column(Integer)
    """1 for the first try of this replica, and so on."""
    stager: Mapped[str] = mapped_column(String(128))
    """Which process tried; see `stager.claims`."""
    started_at: Mapped[datetime] = mapped_column(UtcDateTime, index=True)
    """When it began."""
    ended_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    """None while it goes on, and where the stager died in it."""
    duration_s: Mapped[float | None] = mapped_column(Double)
    """From start to end [s], verification included."""
    bytes_sent: Mapped[int] = mapped_column(BigInteger, default=0)
    """What this try sent; parts that were there already are not in it."""
    rate_bytes_s: Mapped[float | None] = mapped_column(Double)
    """`bytes_sent` over `duration_s` [B/s]."""
    outcome: Mapped[str] = mapped_column(String(16), index=True)
    """running, verified, failed or interrupted."""
    reason: Mapped[str | None] = mapped_column(Text)
    """Why it failed."""


class Quality(Base):
    """The analyzer's summary of one run."""

    __tablename__ = "quality"
    __table_args__ = TABLE

    run_number: Mapped[int] = mapped_column(
        ForeignKey("runs.run_number"), primary_key=True, autoincrement=False
    )
    """Its run."""
    verdict: Mapped[str | None] = mapped_column(String(16), index=True)
    """How the analyzer judged the run as a whole, where it did."""
    events: Mapped[int | None] = mapped_column(BigInteger)
    """Trigger events that were analyzed."""
    summary: Mapped[dict[str, object]] = mapped_column(JSON)
    """All of it, as it was written."""
    file_sha256: Mapped[str] = mapped_column(String(64))
    """SHA-256 of the file that it was read from."""
    updated_at: Mapped[datetime] = mapped_column(UtcDateTime)
    """When this row last changed."""


class QualityValue(Base):
    """One quantity of that summary, for queries and dashboards."""

    __tablename__ = "quality_values"
    __table_args__ = TABLE

    run_number: Mapped[int] = mapped_column(
        ForeignKey("quality.run_number"), primary_key=True, autoincrement=False
    )
    """Its run."""
    quantity: Mapped[str] = mapped_column(String(96), primary_key=True)
    """Its name in the summary; parts of objects with dots between them."""
    value: Mapped[float | None] = mapped_column(Double)
    """None where the run does not tell, or where it is a text."""
    text: Mapped[str | None] = mapped_column(Text)
    """Of quantities that are texts."""


class SlowControl(Base):
    """One slow-control channel over one file of a run, as the events in the file tell it."""

    __tablename__ = "slow_control"
    __table_args__ = TABLE

    run_number: Mapped[int] = mapped_column(ForeignKey("runs.run_number"), primary_key=True)
    """Its run."""
    subrun: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    """Number of the file in its run."""
    equipment: Mapped[str] = mapped_column(String(32), primary_key=True)
    """Of the event: ``Environment``, ``HV``, ``CameraStatus``, ..."""
    bank: Mapped[str] = mapped_column(String(4), primary_key=True)
    """``INPT``, ``DMND``, ``MSRD``, ``CRNT``, ``TPTR``, ``TCAM``, ``TMOD``."""
    channel: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    """Index in the bank."""
    name: Mapped[str] = mapped_column(String(64), index=True)
    """Of the channel, as the ODB at begin of run names it."""
    unit: Mapped[str | None] = mapped_column(String(16))
    """Its unit, where that is known."""
    readings: Mapped[int] = mapped_column(BigInteger)
    """Readings that are numbers."""
    first: Mapped[float | None] = mapped_column(Double)
    """First reading."""
    last: Mapped[float | None] = mapped_column(Double)
    """Last reading."""
    lowest: Mapped[float | None] = mapped_column(Double)
    """Lowest reading."""
    highest: Mapped[float | None] = mapped_column(Double)
    """Highest reading."""
    mean: Mapped[float | None] = mapped_column(Double)
    """Mean of the readings."""
    sigma: Mapped[float | None] = mapped_column(Double)
    """Standard deviation of the readings about their mean."""
    first_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    """Time of the first event."""
    last_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    """Time of the last event."""
