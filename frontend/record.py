"""The record of a run: every count that leaves a stage, compared with the one that enters the next.

It goes to the ODB, ``/Equipment/Trigger/Run``, and in one line to the message log.
"""

import ctypes
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from frontend.acquisition import Acquisition
from frontend.compression import FrameCounts


@dataclass
class SendCounts:
    """What the main thread sent."""

    events: int = 0
    bytes: int = 0
    retries: int = 0
    """Tries to send that found no room in time."""
    unsent_events: int = 0
    """Whole events that were still in the ring when the end of the run could wait no longer."""
    unsent_frames: int = 0
    frames: FrameCounts = field(default_factory=FrameCounts)
    """In which form frames were sent; empty unless they shall be compressed."""


@dataclass(frozen=True)
class RunRecord:
    """The counts of one run so far."""

    run_number: int
    frames_acquired: int
    frames_lost: int
    frames_lost_by_camera: int
    frames_lost_by_ring: int
    frames_late: int
    frames_unsent: int
    frames_without_trigger: int
    frames_paused: int
    frames_surplus: int
    frames_in_events: int
    events_built: int
    events_incomplete: int
    events_sent: int
    events_unsent: int
    bytes_sent: int
    send_retries: int
    triggers_read: int
    triggers_in_events: int
    triggers_outside_frames: int
    triggers_lost: int
    triggers_lost_by_boards: int
    live_time_s: float
    dead_time_s: float
    triggers_read_by_board: tuple[int, ...] = ()
    triggers_lost_by_board: tuple[int, ...] = ()
    compresses: bool = False
    compression: FrameCounts = field(default_factory=FrameCounts)

    @property
    def is_whole(self) -> bool:
        """True if no frame, no part of an event and no trigger was lost."""
        return not (self.frames_lost or self.events_incomplete or self.triggers_lost)

    def as_odb(self) -> dict[str, Any]:
        """Return what goes to the ODB: key -> value, counts as DWORD."""
        counts = {
            "Run number": self.run_number,
            "Frames acquired": self.frames_acquired,
            "Frames lost": self.frames_lost,
            "Frames lost by camera": self.frames_lost_by_camera,
            "Frames lost by ring": self.frames_lost_by_ring,
            "Frames late": self.frames_late,
            "Frames unsent": self.frames_unsent,
            "Frames without trigger": self.frames_without_trigger,
            "Frames paused": self.frames_paused,
            "Frames surplus": self.frames_surplus,
            "Events built": self.events_built,
            "Events incomplete": self.events_incomplete,
            "Events sent": self.events_sent,
            "Events logged": 0,
            "Send retries": self.send_retries,
            "Triggers read": self.triggers_read,
            "Triggers in events": self.triggers_in_events,
            "Triggers outside frames": self.triggers_outside_frames,
            "Triggers lost": self.triggers_lost,
            "Frames compressed": self.compression.compressed,
            "Frames raw incompressible": self.compression.incompressible,
            "Frames raw pool busy": self.compression.busy,
            "Frames raw pool failed": self.compression.failed,
        }
        return {
            **{key: ctypes.c_uint32(count) for key, count in counts.items()},
            **self._of_boards(),
            "Bytes sent": float(self.bytes_sent),
            "Compression ratio": self.compression.ratio,
            "Live time s": self.live_time_s,
            "Dead time s": self.dead_time_s,
        }

    def _of_boards(self) -> dict[str, Any]:
        """Return each board's own counts, in bank order; one 0 where none is read."""
        read, lost = self.triggers_read_by_board or (0,), self.triggers_lost_by_board or (0,)
        return {
            "Triggers read by board": [*map(ctypes.c_uint32, read)],
            "Triggers lost by board": [*map(ctypes.c_uint32, lost)],
        }

    def compression_variables(self) -> dict[str, Any]:
        """Return what pages show of compression while the run goes on; nothing if it is off."""
        if not self.compresses:
            return {}
        return {
            "Frames compressed": self.compression.compressed,
            "Frames raw": self.compression.frames - self.compression.compressed,
            "Compression ratio": self.compression.ratio,
        }

    def contradictions(self) -> list[str]:
        """Return what does not add up; to be asked when the run is over and all is stopped."""
        return list(self._contradictions())

    def _contradictions(self) -> Iterator[str]:
        seen = (
            self.frames_in_events
            + self.frames_without_trigger
            + self.frames_paused
            + self.frames_surplus
            + self.frames_lost_by_ring
            + self.frames_late
        )
        if self.frames_acquired != seen:
            yield f"cameras gave {self.frames_acquired} frames, {seen} were accounted for"
        if self.events_built != self.events_sent + self.events_unsent:
            yield f"{self.events_built} events built, {self.events_sent} sent"
        sent = self.frames_in_events - self.frames_unsent
        if self.compresses and self.compression.frames != sent:
            yield f"{sent} frames sent, {self.compression.frames} compressed or raw"
        used = (
            self.triggers_in_events
            + self.triggers_outside_frames
            + self.triggers_lost
            - self.triggers_lost_by_boards
        )
        if self.triggers_read != used:
            yield f"digitizers gave {self.triggers_read} triggers, {used} were accounted for"

    def _triggers(self) -> str:
        boards = self.triggers_read_by_board
        each = f" ({' + '.join(map(str, boards))})" if len(boards) > 1 else ""
        return f"{self.triggers_read} triggers{each}"

    @property
    def live_percent(self) -> float:
        """Live time over live and dead time [%], 0 if nothing was taken yet."""
        return 100 * self.live_time_s / ((self.live_time_s + self.dead_time_s) or 1.0)

    def summary(self) -> str:
        """Return the one line for the message log."""
        parts = [
            f"Run {self.run_number}: {self.events_sent} events sent of"
            f" {self.frames_acquired} frames, {self._triggers()}",
            f"live {self.live_time_s:.1f} s, dead {self.dead_time_s:.1f} s",
            f"lost {self.frames_lost} frames, {self.triggers_lost} triggers",
        ]
        for count, what in (
            (self.events_incomplete, "incomplete events"),
            (self.frames_without_trigger, "frames without trigger"),
            (self.frames_paused, "frames while paused"),
            (self.frames_surplus, "frames after the last event"),
            (self.compression.incompressible, "incompressible frames raw"),
            (self.compression.busy, "frames raw since compression was busy"),
            (self.compression.failed, "frames raw since compression failed"),
        ):
            if count:
                parts.append(f"{count} {what}")
        if self.compresses:
            parts.append(
                f"{self.compression.compressed} frames compressed, ratio"
                f" {self.compression.ratio:.2f}"
            )
        return "; ".join(parts)


def make_record(run_number: int, acquisition: Acquisition, sent: SendCounts) -> RunRecord:
    """Collect what all stages counted so far."""
    cameras = acquisition.ring.counts
    boards = [store.counts for store in acquisition.stores]
    frames = acquisition.assembler.counts
    by_camera = sum(camera.lost_by_camera for camera in cameras)
    by_ring = sum(camera.lost_by_ring for camera in cameras)
    late = sum(camera.late for camera in cameras)
    # A camera that went silent gives no frame whose time could tell that none was taken.
    span_ns = frames.span_ns + acquisition.assembler.silence_ns(time.time_ns())
    return RunRecord(
        run_number=run_number,
        frames_acquired=sum(camera.acquired for camera in cameras),
        frames_lost=by_camera + by_ring + late + sent.unsent_frames,
        frames_lost_by_camera=by_camera,
        frames_lost_by_ring=by_ring,
        frames_late=late,
        frames_unsent=sent.unsent_frames,
        frames_without_trigger=frames.frames_without_trigger,
        frames_paused=frames.frames_paused,
        frames_surplus=frames.frames_surplus,
        frames_in_events=frames.frames_in_events,
        events_built=frames.events,
        events_incomplete=frames.events_incomplete,
        events_sent=sent.events,
        events_unsent=sent.unsent_events,
        bytes_sent=sent.bytes,
        send_retries=sent.retries,
        triggers_read=sum(board.read for board in boards),
        triggers_in_events=sum(board.in_events for board in boards),
        triggers_outside_frames=sum(board.outside_frames for board in boards),
        triggers_lost=sum(board.lost for board in boards),
        triggers_lost_by_boards=sum(board.lost_by_board for board in boards),
        triggers_read_by_board=tuple(board.read for board in boards),
        triggers_lost_by_board=tuple(board.lost for board in boards),
        live_time_s=round(frames.live_ns / 1e9, 6),
        dead_time_s=round(max(0, span_ns - frames.live_ns) / 1e9, 6),
        compresses=acquisition.outbox.compresses,
        compression=sent.frames,
    )
