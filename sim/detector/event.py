"""What happens in the detector during one frame; made from seed, run and frame number alone."""

from dataclasses import dataclass, field
from functools import lru_cache

from sim.detector.randomness import stream
from sim.detector.sensor import SensorModel
from sim.detector.tracks import KINDS, Rates, Track, make_track

TRIGGER_THRESHOLD_ADU = 1500.0
"""Light of a track that triggers two PMTs, about 0.7 keV."""
EDGE_NS = 1000
"""Nothing happens so close to begin and end of a frame, where clocks could put it elsewhere."""


Pulse = tuple[int, int, Track | None, float]
"""Time [ns], position of the view, track if there is one, light [ADU]."""


@dataclass(frozen=True, slots=True)
class View:
    """What one camera sees of the detector: its own part, with particles of its own.

    :param index: number of the camera.
    """

    index: int
    model: SensorModel
    rates: Rates


@dataclass(frozen=True, slots=True)
class Run:
    """What all devices must agree on to see the same events.

    :param period_ns: time from the start of one exposure to the start of the next [ns].
    :param veto_ns: triggers come no closer than this [ns]; LNGS: 10 to 100 us.
    """

    seed: int
    number: int
    views: tuple[View, ...]
    exposure_ns: int
    period_ns: int
    veto_ns: int = 10_000


@dataclass(frozen=True, slots=True)
class Trigger:
    """What makes the digitizers record.

    :param time_ns: since the start of the frame's exposure [ns].
    :param view: index in `Run.views` whose PMTs see it.
    :param track: None for a pulse without light in any frame.
    :param light_adu: light of the pulse, in the camera's unit [ADU].
    """

    number: int
    time_ns: int
    view: int
    track: Track | None
    light_adu: float


@dataclass(frozen=True, slots=True)
class FrameEvent:
    """All that happens between the start of one exposure and the next.

    :param tracks: for each view, the particles whose light the frame has.
    :param triggers: in time order, also of the time between two exposures.
    """

    frame: int
    tracks: tuple[tuple[Track, ...], ...]
    triggers: tuple[Trigger, ...] = field(repr=False)


@lru_cache(maxsize=256)
def make_event(run: Run, frame: int) -> FrameEvent:
    """Make what happens during one frame."""
    tracks = tuple(_tracks_in_exposure(run, view, frame) for view in run.views)
    pulses: list[Pulse] = [
        (track.time_ns, position, track, track.total_light_adu)
        for position, seen in enumerate(tracks)
        for track in seen
        if track.total_light_adu >= TRIGGER_THRESHOLD_ADU
    ]
    for position, view in enumerate(run.views):
        pulses += _pulses_beside(run, position, view, frame)
    triggers: list[Trigger] = []
    for time_ns, position, seen_track, light in sorted(pulses, key=lambda pulse: pulse[:2]):
        if triggers and time_ns - triggers[-1].time_ns < run.veto_ns:
            continue
        triggers.append(Trigger(len(triggers), time_ns, position, seen_track, light))
    return FrameEvent(frame, tracks, tuple(triggers))


def _tracks_in_exposure(run: Run, view: View, frame: int) -> tuple[Track, ...]:
    random = stream(run.seed, "tracks", run.number, view.index, frame)
    tracks = []
    for kind in KINDS:
        for _ in range(random.poisson(getattr(view.rates, kind))):
            time_ns = int(random.uniform(EDGE_NS, run.exposure_ns - 2 * EDGE_NS))
            tracks.append(make_track(kind, view.model, random, time_ns))
    return tuple(sorted(tracks, key=lambda track: track.time_ns))


def _pulses_beside(run: Run, position: int, view: View, frame: int) -> list[Pulse]:
    """Make pulses without light in the frame: dark ones, and tracks while no pixel is exposed."""
    random = stream(run.seed, "pulses", run.number, view.index, frame)
    pulses: list[Pulse] = []
    for _ in range(random.poisson(view.rates.dark)):
        time_ns = int(random.uniform(EDGE_NS, run.period_ns - 2 * EDGE_NS))
        pulses.append((time_ns, position, None, 1000.0 + random.exponential(1500.0)))
    unexposed_ns = run.period_ns - run.exposure_ns
    for kind in KINDS:
        mean = getattr(view.rates, kind) * unexposed_ns / run.exposure_ns
        for _ in range(random.poisson(mean)):
            since = int(random.uniform(EDGE_NS, max(unexposed_ns - 2 * EDGE_NS, EDGE_NS + 1)))
            track = make_track(kind, view.model, random, run.exposure_ns + since)
            if track.total_light_adu >= TRIGGER_THRESHOLD_ADU:
                pulses.append((track.time_ns, position, track, track.total_light_adu))
    return pulses
