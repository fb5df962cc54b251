"""Spectra of a run as it goes on: histograms that are small enough for a page."""

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from analyzer.analysis import EventResult, RunAnalysis
from analyzer.consumer import Consumer
from analyzer.dtypes import ClusterFlag

Floats = npt.NDArray[np.float64]


class Spectrum:
    """A histogram.

    :param edges: (bins + 1,) edges of the bins.
    :param counts: (bins,) entries.
    :param outside: entries below and above the edges.
    """

    def __init__(self, title: str, unit: str, edges: Floats) -> None:
        self.title = title
        self.unit = unit
        self.edges = edges
        self._all = np.zeros(len(edges) + 1, np.int64)

    @property
    def counts(self) -> npt.NDArray[np.int64]:
        """(bins,) entries of each bin, lower edge included."""
        return self._all[1:-1]

    @property
    def outside(self) -> tuple[int, int]:
        """Entries below the first and above the last edge."""
        return int(self._all[0]), int(self._all[-1])

    def fill(self, values: npt.NDArray[Any]) -> None:
        """Add entries; those that are not finite are left out.

        >>> spectrum = Spectrum("size", "pixel", np.array([0.0, 10.0, 20.0]))
        >>> spectrum.fill(np.array([-1, 0, 5, 10, 20, 30]))
        >>> spectrum.counts.tolist(), spectrum.outside
        ([2, 1], (1, 2))
        """
        finite = values[np.isfinite(values)]
        bins = np.searchsorted(self.edges, finite, side="right")
        self._all += np.bincount(bins, minlength=len(self._all))


@dataclass(frozen=True)
class Axis:
    """What is counted, and over which bins.

    :param is_log: bins of equal width in the logarithm.
    """

    title: str
    unit: str
    low: float
    high: float
    bins: int = 100
    is_log: bool = False

    def edges(self) -> Floats:
        """(bins + 1,) edges."""
        if self.is_log:
            return np.geomspace(self.low, self.high, self.bins + 1)
        return np.linspace(self.low, self.high, self.bins + 1)


AXES: Final[dict[str, Axis]] = {
    "light": Axis("light of clusters, sc_integral", "ADU", 100, 1e7, is_log=True),
    "spot_energy": Axis("energy of spots, sc_energy", "keV", 0, 20),
    "length": Axis("length of clusters, sc_length", "pixel", 1, 5000, is_log=True),
    "clusters": Axis("clusters in a frame", "", -0.5, 49.5, 50),
    "noise": Axis("noise of pixels without light", "ADU", 0, 10),
    "pulse_height": Axis("height of pulses", "ADC counts", 0, 4096, 128),
    "pulse_charge": Axis("charge of pulses", "pC", 0.1, 1e4, is_log=True),
}
"""The spectra, by name."""


class Spectra(Consumer):
    """The spectra of one run; `spectra` may be read at any time."""

    def __init__(self, analysis: RunAnalysis) -> None:
        super().__init__(analysis)
        self.spectra = {
            name: Spectrum(axis.title, axis.unit, axis.edges()) for name, axis in AXES.items()
        }
        self.events = 0

    def take(self, result: EventResult) -> None:
        """Count an event's clusters and pulses."""
        self.events += 1
        spectra = self.spectra
        events = result.rows["events"]
        spectra["clusters"].fill(events["n_clusters"])
        spectra["noise"].fill(events["noise"])
        clusters = result.rows.get("clusters")
        if clusters is not None and len(clusters):
            spectra["light"].fill(clusters["sc_integral"])
            spectra["length"].fill(clusters["sc_length"])
            is_spot = clusters["flags"] & np.uint16(ClusterFlag.SPOT) != 0
            spectra["spot_energy"].fill(clusters["sc_energy"][is_spot])
        pulses = result.rows.get("pulses")
        if pulses is not None and len(pulses):
            spectra["pulse_height"].fill(pulses["height"])
            spectra["pulse_charge"].fill(pulses["charge"])
