"""From the digitizer banks of an event to one row for each waveform, pulse and trigger."""

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from analyzer.drs4 import DIP_ADC, DIP_PART, Drs4Tables
from analyzer.dtypes import PULSE, TRIGGER, WAVEFORM, TriggerFlag, WaveformFlag
from analyzer.frames import as_frame
from analyzer.kernels.board import analyze_board, correct_trigger, least_of
from analyzer.kernels.channel import ROOM, SETUP
from analyzer.kernels.triggers import conclude_triggers
from analyzer.kernels.waveform import SCALE
from analyzer.rows import zeros
from analyzer.settings import AnalyzerSettings
from rawdata.layouts.digitizer import DRS4_MODEL, BoardHeader, DigitizerHeader

FULL_SCALE_MV: Final = {1742: 1000.0, 1720: 2000.0}
"""Input range of the boards (CAEN V1742 and V1720 manuals; ``cygno.md`` 7.7) [mV]."""

IMPEDANCE_OHM: Final = 50.0

TAG_BITS: Final = {1742: 30}
"""Bits of a time tag that is not extended; other boards have `OTHER_TAG_BITS` and in the highest
bit of the word whether they rolled over (CAEN UM4270, UM2784)."""
OTHER_TAG_BITS: Final = 31

Rows = npt.NDArray[Any]

_TRIGGER_FLAGS: Final = (
    int(TriggerFlag.INSIDE_EXPOSURE),
    int(TriggerFlag.PARTLY_EXPOSED),
    int(TriggerFlag.NOT_ON_ALL_BOARDS),
)
_NONE_CHOSEN: Final = np.zeros(64, np.bool_)
_NO_CELLS: Final = np.zeros(0, np.int32)
_NO_TABLE: Final = np.zeros((0, 1024), np.int32)


@dataclass(frozen=True)
class FrameTime:
    """When the frame of an event was exposed, as far as it is known.

    :param begin_ns: begin of the exposure since the begin of the run [ns]; nan if unknown.
    :param expected_ns: about that, from the clock of the host; nan if unknown.
    :param has_times: the event has the camera's time (bank TSP).
    """

    begin_ns: float = float("nan")
    expected_ns: float = float("nan")
    has_times: bool = False


UNKNOWN_TIME: Final = FrameTime()


class WaveformAnalysis:
    """Analyzes the digitizers' data of the events of one run; threads may share it.

    :param exposure_s: of the run; 0 if it is not known.
    :param tables: DRS4 tables, where a V1742 is to be corrected.
    """

    def __init__(
        self,
        settings: AnalyzerSettings,
        exposure_s: float = 0.0,
        tables: Drs4Tables | None = None,
    ) -> None:
        self._settings = settings
        self._exposure_ns = exposure_s * 1e9
        self._tables = tables
        self._setups: dict[tuple[int, ...], Rows] = {}

    def analyze(
        self,
        header: DigitizerHeader,
        waveforms: list[npt.NDArray[np.uint16]],
        time: FrameTime = UNKNOWN_TIME,
    ) -> tuple[Rows, Rows, Rows]:
        """Return rows of `WAVEFORM`, `PULSE` and `TRIGGER`: board for board, trigger, channel.

        :param waveforms: for each board (triggers, channels, samples) uint16 [ADC counts].
        :param time: of the event's frame.
        """
        boards = header.boards
        counts = [board.triggers * board.channels if board.samples > 1 else 0 for board in boards]
        n_rows = sum(counts)
        rows = zeros(WAVEFORM, n_rows + 1)
        room = bytearray(ROOM * n_rows * PULSE.itemsize)
        pulses = np.ndarray(ROOM * n_rows, PULSE, room)
        triggers = zeros(TRIGGER, sum([board.triggers for board in boards]))
        clock = self._settings.trigger_clock
        has_run_clock = time.has_times if clock == "auto" else clock == "run"
        row = n_pulses = n_triggers = 0
        for index, board in enumerate(boards):
            if counts[index]:
                n_pulses, n_triggers = analyze_board(
                    _frozen(waveforms[index]),
                    self._setup(index, board, has_run_clock),
                    board.extended_time_tags,
                    time.expected_ns,
                    time.begin_ns,
                    *self._correction(board),
                    rows,
                    row,
                    pulses,
                    n_pulses,
                    triggers,
                    n_triggers,
                )
                row += counts[index]
        conclude_triggers(
            triggers,
            n_triggers,
            (1 << len(boards)) - 1,
            self._exposure_ns,
            self._settings.readout_ms * 1e6,
            *_TRIGGER_FLAGS,
        )
        found = np.ndarray(n_pulses, PULSE, room[: n_pulses * PULSE.itemsize])
        return rows[:n_rows], found, triggers[:n_triggers]

    def correct(
        self, board: BoardHeader, waveforms: npt.NDArray[np.uint16]
    ) -> npt.NDArray[np.uint16]:
        """Return a copy of a board's waveforms as they are measured, without the DRS4's patterns.

        :param waveforms: (triggers, channels, samples) uint16 [ADC counts]; fewer triggers than the
            board has are its first.
        :returns: the same shape, rounded to whole counts.
        """
        corrected = np.array(waveforms)
        cells, chosen, cell_table, sample_table = self._correction(board)
        if not chosen.any():
            return corrected
        setup = self._setup(0, board, False)[0]
        least, dip = least_of(chosen, setup["least_part"]), setup["dip"]
        fixed = np.empty(waveforms.shape[1:], np.int32)
        for trigger, raw in enumerate(_frozen(waveforms)):
            if correct_trigger(
                raw,
                cells[trigger],
                chosen,
                cell_table,
                sample_table,
                setup["n_baseline"],
                least,
                dip,
                fixed,
            ):
                counts = np.rint(fixed[chosen] / SCALE)
                corrected[trigger, chosen] = np.clip(counts, 0, np.iinfo(np.uint16).max)
        return corrected

    def _correction(self, board: BoardHeader) -> tuple[Rows, Rows, Rows, Rows]:
        """Return start cells, chosen channels, and the tables by cell and by sample."""
        if self._tables is None or board.model != DRS4_MODEL or board.start_cells is None:
            return _NO_CELLS, _NONE_CHOSEN[: board.channels], _NO_TABLE, _NO_TABLE
        tables = self._tables
        cells = board.start_cells.astype(np.int32)
        return cells, tables.chosen(board.dc_offsets), tables.cell, tables.sample

    def _setup(self, index: int, board: BoardHeader, has_run_clock: bool) -> Rows:
        is_extended = board.high_time_tags is not None
        facts = (board.model, board.samples, board.resolution, board.sampling)
        key = (index, *facts, has_run_clock, is_extended)
        known = self._setups.get(key)
        if known is None:
            known = self._setups[key] = self._make_setup(index, board, has_run_clock, is_extended)
        return known

    def _make_setup(
        self, index: int, board: BoardHeader, has_run_clock: bool, is_extended: bool
    ) -> Rows:
        settings = self._settings
        is_drs4 = board.model == DRS4_MODEL
        wanted = settings.baseline_samples_fast if is_drs4 else settings.baseline_samples_slow
        millivolts = FULL_SCALE_MV.get(board.model, 1000.0) / board.resolution
        corrected = self._tables.channels if self._tables else 0
        content = {
            "index": index,
            "model": board.model,
            "top": board.resolution - 1,
            "n_baseline": min(wanted, max(2, board.samples // 2)),
            "sigmas": settings.pulse_sigma,
            "prominence": settings.pulse_prominence,
            "width": settings.pulse_width,
            "period_ns": board.sample_period_ns,
            "picocoulombs": millivolts * board.sample_period_ns / IMPEDANCE_OHM,
            "millivolts": millivolts,
            "pmts": np.uint64(sum(1 << c for c in set(settings.pmt_channels) if 0 <= c < 64)),
            "window_ns": settings.coincidence_ns,
            "low_mask": (1 << TAG_BITS.get(board.model, OTHER_TAG_BITS)) - 1,
            "is_extended": is_extended,
            "tick_ns": settings.tick_fast_ns if is_drs4 else settings.tick_slow_ns,
            "has_run_clock": has_run_clock,
            "least_part": DIP_PART if corrected else 0.0,
            "dip": round(DIP_ADC * SCALE),
            "saturated": int(WaveformFlag.SATURATED),
            "corrected": int(WaveformFlag.DRS4_CORRECTED),
            "pmt_saturated": int(TriggerFlag.SATURATED),
        }
        setup = np.zeros(1, SETUP)
        for name, value in content.items():
            setup[name] = value
        return setup


def _frozen(waveforms: npt.NDArray[np.uint16]) -> npt.NDArray[np.uint16]:
    """Return waveforms as the kernels take them; as `as_frame`, but quicker where it can be."""
    if waveforms.flags.c_contiguous and waveforms.flags.aligned:
        view = waveforms.view()
        view.setflags(write=False)
        return view
    return as_frame(waveforms)
