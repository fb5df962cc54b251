"""Faults that simulated devices have on request; which frame or trigger has one, the seed tells."""

from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from sim.detector.randomness import key_of

Chance = Annotated[float, Field(ge=0.0, le=1.0)]


def _numbers(value: Any) -> Any:
    """Accept ``3``, ``[3, 7]`` and, from compact strings, ``3+7``."""
    if isinstance(value, str):
        return tuple(part for part in value.split("+") if part)
    return (value,) if isinstance(value, int) else value


Numbers = Annotated[tuple[int, ...], BeforeValidator(_numbers)]


class Faults(BaseModel):
    """What goes wrong, as ``{"lose": 0.01}`` or as ``"lose=0.01,hang_at=20"``.

    ``hang_at``, ``disconnect_at`` and their like happen once in a device's life, so that whoever
    recovers from them can go on; with `again` they happen in every run.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    lose: Chance = Field(default=0.0, description="camera: chance of a frame to be lost")
    lose_frames: Numbers = Field(default=(), description="camera: numbers of frames that are lost")
    skip_frames: Numbers = Field(
        default=(), description="camera: frames that it neither takes nor counts (missed triggers)"
    )
    drift_ppm: float = Field(
        default=0.0,
        ge=-10_000,
        le=10_000,
        description="camera, digitizer: how much too fast its clock runs [ppm]",
    )
    late: Chance = Field(
        default=1.0, description="camera: chance of a frame to be late, if late_ms is set"
    )
    late_ms: float = Field(default=0.0, ge=0, description="camera: how late frames come [ms]")
    hang_at: int | None = Field(default=None, ge=0, description="camera: no frame from this one on")
    disconnect_at: int | None = Field(
        default=None, ge=0, description="camera: gone before this frame"
    )
    counter_start: int = Field(
        default=0,
        ge=0,
        lt=1 << 32,
        description="camera: number of the first frame; it rolls over at 2**32",
    )
    stuck_pixels: int = Field(default=0, ge=0, description="camera: pixels that never change")
    lose_triggers: Chance = Field(
        default=0.0, description="digitizer: chance of a trigger to be lost"
    )
    busy_frames: Numbers = Field(
        default=(), description="digitizer: frames in which the board is busy and refuses triggers"
    )
    hang_triggers_at: int | None = Field(
        default=None, ge=0, description="digitizer: nothing from this frame on"
    )
    disconnect_triggers_at: int | None = Field(
        default=None, ge=0, description="digitizer: gone from this frame on"
    )
    time_tag_start: int = Field(
        default=0,
        ge=0,
        lt=1 << 46,
        description="digitizer: first count of the time tag, to see it roll over",
    )
    trip_channel: int | None = Field(
        default=None, ge=0, description="high voltage: channel that trips"
    )
    trip_after_s: float = Field(default=0.0, ge=0, description="high voltage: when it trips [s]")
    silent_after: int | None = Field(
        default=None,
        ge=0,
        description="high voltage, sensors: readings after which it answers no more",
    )
    again: bool = Field(default=False, description="hang and disconnect in every run")

    @classmethod
    def parse(cls, given: Any) -> "Faults":
        """Return faults from a dict, a compact string, `Faults` or None.

        >>> Faults.parse("lose=0.01,lose_frames=3+7,hang_at=20").lose_frames
        (3, 7)

        :raises ValueError: naming what is wrong.
        """
        if isinstance(given, Faults):
            return given
        if isinstance(given, str):
            parts = [part.strip() for part in given.split(",") if part.strip()]
            pairs = [part.partition("=") for part in parts]
            given = {name.strip(): value.strip() or "true" for name, _, value in pairs}
        return cls.model_validate(given or {})

    def without(self, spent: set[str]) -> "Faults":
        """Return the faults of the next run: those that happen once are not among them again."""
        return self if self.again else self.model_copy(update=dict.fromkeys(spent))

    def on_own_clock(self, time_ns: int) -> int:
        """Return what the device's clock shows at a time [ns].

        >>> Faults.parse("drift_ppm=-20").on_own_clock(1_000_000_000)
        999980000
        """
        return time_ns + time_ns * round(self.drift_ppm * 1000) // 1_000_000_000

    def loses_frame(self, seed: int, run: int, view: int, frame: int) -> bool:
        """Tell whether a frame is lost."""
        if frame in self.lose_frames or frame in self.skip_frames:
            return True
        return self.lose > 0 and happens(self.lose, seed, "lost frame", run, view, frame)

    def delay_ns(self, seed: int, run: int, view: int, frame: int) -> int:
        """Return how late a frame comes [ns]."""
        if self.late_ms > 0 and happens(self.late, seed, "late frame", run, view, frame):
            return round(self.late_ms * 1e6)
        return 0

    def loses_trigger(self, seed: int, run: int, board: int, frame: int, trigger: int) -> bool:
        """Tell whether a trigger is lost on one board."""
        if frame in self.busy_frames:
            return True
        chance = self.lose_triggers
        return chance > 0 and happens(chance, seed, "lost trigger", run, board, frame, trigger)


def happens(chance: float, *path: int | str) -> bool:
    """Decide by a stream's first number whether something of a given chance happens."""
    return float(key_of(*path)) / 2.0**64 < chance
