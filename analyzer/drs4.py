"""The DRS4 tables of a site: offsets of each cell and sample of the V1742's first channels.

The tables are CYGNO's (``cygno/pmt_correction_tables/table_{cell,nsample}_<site>.npy``, (8, 1024)):
they were taken at a DC offset of -0.3 and hold for channels near it, with the board's own
correction off. Where they would make the noise of a trigger larger, they belong to another board,
and the waveforms stay as they are.
"""

from dataclasses import dataclass, field
from functools import cache
from importlib.resources import as_file, files
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from analyzer.errors import AnalyzerError
from analyzer.kernels.waveform import SCALE
from rawdata.layouts.digitizer import dc_offset_fractions

OFFSET_RANGE: Final = (-0.35, -0.25)
"""DC offsets, as fraction of the range, for which the tables hold (``cygno/__init__.py``)."""

DIP_ADC: Final = 30.0
"""Depth of a common dip (``cygno/__init__.py: PeakCorrection``) [ADC counts]."""

DIP_PART: Final = 7 / 8
"""Part of the channels that show a dip (recopp asks for 7 of 8)."""


@dataclass(frozen=True)
class Drs4Tables:
    """Correction tables.

    :param cell: (channels, 1024) int32, offset of each cell [1/32 ADC count].
    :param sample: (channels, 1024) int32, offset of each sample [1/32 ADC count].
    """

    cell: npt.NDArray[np.int32]
    sample: npt.NDArray[np.int32]
    _chosen: dict[bytes, npt.NDArray[np.bool_]] = field(default_factory=dict, repr=False)

    @property
    def channels(self) -> int:
        """How many channels, from the first, the tables know."""
        return len(self.cell)

    def chosen(self, offset_words: npt.NDArray[np.uint32]) -> npt.NDArray[np.bool_]:
        """Tell which channels the tables hold for, (channels,) bool.

        :param offset_words: (channels,) DC offsets as bank DGH0 has them.
        """
        key = offset_words.tobytes()
        known = self._chosen.get(key)
        if known is None:
            offsets = dc_offset_fractions(offset_words)
            known = (offsets > OFFSET_RANGE[0]) & (offsets < OFFSET_RANGE[1])
            known[self.channels :] = False
            self._chosen[key] = known
        return known


def make_tables(cell: npt.NDArray[Any], sample: npt.NDArray[Any]) -> Drs4Tables:
    """Return tables whose offsets are given in ADC counts; they are rounded to 1/32 of one."""
    fixed = [np.rint(np.asarray(table) * SCALE).astype(np.int32) for table in (cell, sample)]
    return Drs4Tables(fixed[0], fixed[1])


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
        if table.ndim != 2 or table.shape[1] != 1024:
            raise AnalyzerError(f"DRS4 table {path} is {table.shape}, wanted (channels, 1024)")
        bad = np.argwhere(~np.isfinite(table))
        if len(bad):
            raise AnalyzerError(
                f"DRS4 table {path}: {len(bad)} values are not finite, the first at channel "
                f"{bad[0][0]}, cell {bad[0][1]}; make the table again, or leave the setting DRS4 "
                "tables empty"
            )
        tables.append(table)
    if tables[0].shape != tables[1].shape:
        raise AnalyzerError(f"DRS4 tables of {site} in {folder} differ in shape")
    return make_tables(*tables)


@cache
def own_tables(site: str) -> Drs4Tables | None:
    """Return the tables of a site that come with the software, None if there are none.

    >>> own_tables("LNGS").cell.shape, own_tables("nowhere")
    ((8, 1024), None)
    """
    folder = files("analyzer") / "data"
    if not (folder / f"table_cell_{site}.npy").is_file():
        return None
    with as_file(folder) as path:
        return read_tables(path, site)
