"""Triggers to waveforms: photoelectrons, PMT pulses, baselines, DRS4 pattern, noise."""

from dataclasses import dataclass
from functools import cache, lru_cache
from importlib.resources import files
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from sim.detector.event import Run, Trigger
from sim.detector.randomness import key_of, normal_quantiles, normal_table, stream
from sim.detector.sensor import SensorModel
from sim.kernels.waveform import digitize, make_pulses, shape_pulses

PMTS = 4
FULL_COUNTS = 4095
PHOTOELECTRONS_PER_ADU = 0.019
"""On a PMT right above the light: 12 300 ADU of 55Fe give 240 photoelectrons, 35 ADC counts."""
PHOTOELECTRON_MV_NS = 5.1
"""Area of one photoelectron: 2.96 mV high, sigma 0.688 ns (digitization@pmt of CYGNO)."""
GAIN_SPREAD = 0.3
LIGHT_DECAY_NS = 4.8
DARK_SPREAD_NS = 2.0
RISE_NS, FALL_NS = 12.0, 75.0
PMT_PLACES = ((0.12, 0.12), (0.12, 0.88), (0.88, 0.88), (0.88, 0.12))
"""Rows and columns of the PMTs in the view: centres at 42 and 312 mm of 354 mm."""
PMT_REACH = 130.0 / 346.0
"""Sigma of a PMT's acceptance, in parts of the view (130 mm of 346 mm)."""
PMT_GAINS = (1.0, 0.92, 1.07, 0.97)
PULSE_BEFORE_TRIGGER_NS = 267.0
"""The coincidence is late: pulses begin 200 samples before the V1742's trigger."""
GATE_NS = (-160.0, -27.0)
GATE_COUNTS = 2900.0
"""The trigger's copy on channel 0 drops by so much, for this time around the trigger."""
LEVEL_AT_ZERO, LEVEL_PER_OFFSET = 2048.0, -6006.0
"""Baseline against DC offset: -0.3 is near 3850, -0.5 beyond the range (LNGS run 42901)."""


@dataclass(frozen=True, slots=True)
class Board:
    """A digitizer model.

    :param range_mv: input range [mV].
    :param pulse_scale: part of the PMT signal that its splitter leaves for this board.
    :param noise_counts: sigma of a sample [ADC counts].
    :param has_drs4: whether samples come from a ring of 1024 analog cells.
    """

    name: str
    channels: int
    range_mv: float
    pulse_scale: float
    noise_counts: float
    level_spread: float
    has_drs4: bool


BOARDS = {
    "V1742": Board("V1742", 32, 1000.0, 1.0, 2.3, 8.0, True),
    "V1720E": Board("V1720E", 8, 2000.0, 0.4, 0.9, 30.0, False),
}


@dataclass(frozen=True, slots=True)
class Recording:
    """How a board records: set once for a run.

    :param specimen: which board of its model it is; its baselines depend on it.
    :param has_pattern: False if the vendor's library has removed the DRS4 pattern.
    """

    board: Board
    specimen: int
    samples: int
    period_ns: float
    post_trigger_percent: int
    offsets: tuple[float, ...]
    has_pattern: bool

    @property
    def trigger_sample(self) -> float:
        """Sample at which the trigger comes."""
        return self.samples * (1.0 - self.post_trigger_percent / 100.0)


@lru_cache(maxsize=16)
def baselines(recording: Recording) -> npt.NDArray[np.float64]:
    """Return the baseline of each channel, (channels,) [ADC counts]; may be beyond the range."""
    random = stream("baselines", recording.board.name, recording.specimen)
    spread = random.normal(0.0, recording.board.level_spread, recording.board.channels)
    return LEVEL_AT_ZERO + LEVEL_PER_OFFSET * np.array(recording.offsets) + spread


@cache
def drs4_pattern() -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Return the V1742's pattern by cell and by sample, each (8, 1024) float64 [ADC counts].

    These are the correction tables of LNGS (``cygno`` 1.0, pmt_correction_tables); what the
    correction takes away, the simulation adds.
    """
    folder = files("analyzer") / "data"
    tables = []
    for name in ("cell", "nsample"):
        with (folder / f"table_{name}_LNGS.npy").open("rb") as stored:
            tables.append(np.load(stored).astype(np.float64))
    return tables[0], tables[1]


@cache
def _no_pattern() -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    return np.zeros((8, 1024)), np.zeros((8, 1024))


def start_cell(recording: Recording, run: Run, frame: int, trigger: Trigger) -> int:
    """Return the DRS4 cell of group 0 at which a waveform begins, 0 to 1023; else 0."""
    if not recording.board.has_drs4:
        return 0
    place = (recording.specimen, frame, trigger.number)
    return int(key_of(run.seed, "start cell", run.number, *place)) % 1024


def expected_photoelectrons(trigger: Trigger, model: SensorModel) -> npt.NDArray[np.float64]:
    """Return the mean photoelectrons on each PMT, (4,).

    A PMT sees light the less, the farther it is from it; dark pulses are seen by all alike.
    """
    gains = np.array(PMT_GAINS)
    nearby: npt.NDArray[np.float64] = trigger.light_adu * PHOTOELECTRONS_PER_ADU * gains
    if trigger.track is None:
        return 0.25 * nearby
    weights = trigger.track.light_adu / max(trigger.track.total_light_adu, 1e-9)
    row = float(weights @ trigger.track.rows) / model.rows
    column = float(weights @ trigger.track.columns) / model.columns
    distance2 = np.array([(row - r) ** 2 + (column - c) ** 2 for r, c in PMT_PLACES])
    acceptance = np.exp(-distance2 / (2 * PMT_REACH**2))
    return acceptance * nearby


def record(
    waveforms: npt.NDArray[np.uint16],
    recording: Recording,
    run: Run,
    frame: int,
    trigger: Trigger,
) -> None:
    """Write what a board records of a trigger, (channels, samples) uint16."""
    board = recording.board
    pulses = np.zeros((PMTS + 1, recording.samples))
    pulses[0] = _gate(recording)
    _add_pulses(pulses[1:], recording, run, frame, trigger)
    cells, samples = drs4_pattern() if recording.has_pattern else _no_pattern()
    first = start_cell(recording, run, frame, trigger)
    place = (board.name, recording.specimen, frame, trigger.number)
    groups = -(-board.channels // 8)
    digitize(
        waveforms,
        baselines(recording),
        pulses,
        cells,
        samples,
        (first + 341 * np.arange(groups)) % 1024,
        normal_table(),
        np.full(board.channels, board.noise_counts),
        FULL_COUNTS,
        key_of(run.seed, "samples", run.number, *place),
    )


@lru_cache(maxsize=16)
def _gate(recording: Recording) -> npt.NDArray[np.float64]:
    since_trigger = (np.arange(recording.samples) - recording.trigger_sample) * recording.period_ns
    return np.where((since_trigger >= GATE_NS[0]) & (since_trigger < GATE_NS[1]), GATE_COUNTS, 0.0)


def _add_pulses(
    pulses: npt.NDArray[np.float64], recording: Recording, run: Run, frame: int, trigger: Trigger
) -> None:
    light = _light_on_pmts(run, frame, trigger)
    window_start_ns = -recording.trigger_sample * recording.period_ns + PULSE_BEFORE_TRIGGER_NS
    area = PHOTOELECTRON_MV_NS * recording.board.pulse_scale * 4096 / recording.board.range_mv
    make_pulses(
        pulses,
        window_start_ns,
        recording.period_ns,
        light.times_ns,
        light.spreads_ns,
        light.electrons,
        LIGHT_DECAY_NS,
        GAIN_SPREAD,
        normal_quantiles(),
        light.key,
    )
    shape_pulses(pulses, RISE_NS, FALL_NS, recording.period_ns, area)


class _LightOnPmts(NamedTuple):
    """What the PMTs see of a trigger, whatever board records it."""

    times_ns: npt.NDArray[np.float64]
    spreads_ns: npt.NDArray[np.float64]
    electrons: npt.NDArray[np.int64]
    key: np.uint64


@lru_cache(maxsize=1024)
def _light_on_pmts(run: Run, frame: int, trigger: Trigger) -> _LightOnPmts:
    means = expected_photoelectrons(trigger, run.views[trigger.view].model)
    track = trigger.track
    if track is None:
        times, spreads, weights = np.zeros(1), np.full(1, DARK_SPREAD_NS), np.ones(1)
    else:
        times, spreads, weights = track.delays_ns, track.spreads_ns, track.light_adu
    share = weights / max(float(weights.sum()), 1e-9)
    place = (run.number, frame, trigger.number)
    electrons = stream(run.seed, "photoelectrons", *place).poisson(np.outer(means, share))
    return _LightOnPmts(times, spreads, electrons, key_of(run.seed, "pulses of PMTs", *place))
