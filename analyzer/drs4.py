"""The DRS4 tables of a site: offsets of each cell and sample of the V1742's first channels.

The tables are CYGNO's (``cygno/pmt_correction_tables/table_{cell,nsample}_<site>.npy``, (8, 1024)):
they were taken at a DC offset of -0.3 and hold for channels near it, with the board's own
correction off.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from analyzer.errors import AnalyzerError
from analyzer.kernels.waveform import correct_cells, remove_dips

OFFSET_RANGE: Final = (-0.35, -0.25)
"""DC offsets, as fraction of the range, for which the tables hold (``cygno/__init__.py``)."""

DIP_ADC: Final = 30.0
"""Depth of a common dip (``cygno/__init__.py: PeakCorrection``) [ADC counts]."""

DIP_PART: Final = 7 / 8
"""Part of the channels that show a dip (recopp asks for 7 of 8)."""


@dataclass(frozen=True)
class Drs4Tables:
    """Correction tables.

    :param cell: (channels, 1024) float32, offset of each cell [ADC counts].
    :param sample: (channels, 1024) float32, offset of each sample [ADC counts].
    """

    cell: npt.NDArray[np.float32]
    sample: npt.NDArray[np.float32]

    @property
    def channels(self) -> int:
        """How many channels, from the first, the tables know."""
        return len(self.cell)

    def correct(
        self,
        waveforms: npt.NDArray[np.uint16],
        start_cell: int,
        offsets: npt.NDArray[np.float64],
    ) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.bool_]]:
        """Correct the waveforms of one trigger of a V1742.

        :param waveforms: (channels, samples) uint16 [ADC counts].
        :param start_cell: DRS4 start index cell, 0 to 1023.
        :param offsets: (channels,) DC offsets as fraction of the range.
        :returns: (channels, samples) float32, and which channels were corrected.
        """
        chosen = (offsets > OFFSET_RANGE[0]) & (offsets < OFFSET_RANGE[1])
        chosen[self.channels :] = False
        corrected = np.empty(waveforms.shape, np.float32)
        correct_cells(waveforms, start_cell, self.cell, self.sample, chosen, corrected)
        if count := int(chosen.sum()):
            remove_dips(corrected, chosen, max(2, int(np.ceil(DIP_PART * count))), DIP_ADC)
        return corrected, chosen


def read_tables(folder: str | Path, site: str) -> Drs4Tables:
    """Read the two tables of a site.

    :raises AnalyzerError: if they are missing or not of the right shape.
    """
    tables = []
    for kind in ("cell", "nsample"):
        path = Path(folder) / f"table_{kind}_{site}.npy"
        try:
            table: npt.NDArray[Any] = np.load(path, allow_pickle=False)
        except (OSError, ValueError) as error:
            raise AnalyzerError(
                f"DRS4 table {path} cannot be read: {error}; mend the settings "
                "DRS4 tables and DRS4 site, or leave DRS4 tables empty"
            ) from error
        if table.ndim != 2 or table.shape[1] != 1024 or not np.isfinite(table).all():
            raise AnalyzerError(f"DRS4 table {path} is {table.shape}, wanted (channels, 1024)")
        tables.append(np.ascontiguousarray(table, np.float32))
    if tables[0].shape != tables[1].shape:
        raise AnalyzerError(f"DRS4 tables of {site} in {folder} differ in shape")
    return Drs4Tables(*tables)
