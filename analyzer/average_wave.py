"""The average waveform of the PMTs of a trigger, as CYGNO's ``PMT_Avg_Events`` has it.

Each PMT counts as its amplitude over its noise (``reconstruction.py``: weights are signal to noise
over the highest of them). Its time over threshold is the use of it, not its heights.
"""

from dataclasses import replace
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from analyzer.dtypes import PULSE, WAVEFORM
from analyzer.settings import AnalyzerSettings
from analyzer.waveforms import WaveformAnalysis
from rawdata.layouts.digitizer import BoardHeader, DigitizerHeader

AVERAGE_CHANNEL: Final = 9
"""Channel that stands for the average in CYGNO's tree."""

Rows = npt.NDArray[Any]
Waves = npt.NDArray[np.uint16]


class AverageWaves:
    """Averages and analyzes the waveforms of PMTs; threads may share it.

    :param waveforms: what analyzed the run's waveforms: it knows the DRS4's patterns.
    """

    def __init__(self, settings: AnalyzerSettings, waveforms: WaveformAnalysis) -> None:
        self._channels = sorted({channel for channel in settings.pmt_channels if channel >= 0})
        self._waveforms = waveforms
        self._plain = WaveformAnalysis(settings.model_copy(update={"pmt_channels": (0,)}))

    def analyze(
        self, header: DigitizerHeader, samples: list[Waves], rows: Rows
    ) -> tuple[Rows, Rows]:
        """Return rows of `WAVEFORM` and `PULSE` of the averages, of `AVERAGE_CHANNEL`.

        :param samples: for each board (triggers, channels, samples) uint16 [ADC counts].
        :param rows: of `WAVEFORM`, of all waveforms of the event.
        """
        boards, averages, numbers = [], [], []
        for number, (board, waves) in enumerate(zip(header.boards, samples, strict=True)):
            average = self._average(board, waves, rows[rows["board"] == number])
            if average is not None:
                boards.append(replace(board, channels=1, dc_offsets=board.dc_offsets[:1]))
                averages.append(average)
                numbers.append(number)
        if not boards:
            return np.zeros(0, WAVEFORM), np.zeros(0, PULSE)
        alone = replace(header, boards=tuple(boards))
        made, pulses, _ = self._plain.analyze(alone, averages)
        for part in (made, pulses):
            part["board"] = np.array(numbers, np.uint8)[part["board"]]
            part["channel"] = AVERAGE_CHANNEL
        return made, pulses

    def _average(self, board: BoardHeader, waves: Waves, rows: Rows) -> Waves | None:
        """Return (triggers, 1, samples), None where there are no two PMTs."""
        chosen = [channel for channel in self._channels if channel < board.channels]
        if len(chosen) < 2 or len(rows) != board.triggers * board.channels or not len(rows):
            return None
        facts = rows.reshape(board.triggers, board.channels)[:, chosen]
        noise = facts["noise"].astype(np.float64)
        weights = np.divide(facts["amplitude"], noise, out=np.zeros_like(noise), where=noise > 0)
        weights = np.where(weights.sum(axis=1, keepdims=True) > 0, weights, 1.0)
        weights /= weights.sum(axis=1, keepdims=True)
        fixed = self._waveforms.correct(board, waves)[:, chosen].astype(np.float64)
        average: Waves = np.rint(np.einsum("tc,tcs->ts", weights, fixed)).astype(np.uint16)
        return average[:, np.newaxis]
