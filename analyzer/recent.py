"""What the last events of a run looked like, for operators."""

from collections import deque
from collections.abc import Mapping
from typing import Any, Final

import numpy as np

from analyzer.analysis import EventResult, RunAnalysis
from analyzer.consumer import Consumer
from analyzer.dtypes import EventFlag

_RECENT: Final = 50
_NO_IMAGE: Final = EventFlag.NO_CAMERA | EventFlag.BAD_FRAME | EventFlag.FAILED


class RecentEvents(Consumer):
    """Image level, noise, clusters a frame and PMT baseline [ADC counts] of the last events."""

    def __init__(self, analysis: RunAnalysis) -> None:
        super().__init__(analysis)
        self._known: dict[str, float] = {}
        self._clusters: deque[int] = deque(maxlen=_RECENT)

    def take(self, result: EventResult) -> None:
        """Take note of an event."""
        events = result.rows["events"]
        images = events[(events["flags"] & np.uint16(_NO_IMAGE)) == 0]
        if len(images):
            self._known["Image mean"] = float(images["image_mean"].mean())
            self._known["Noise"] = float(images["noise"].mean())
            self._clusters.extend(int(n) for n in images["n_clusters"])
            self._known["Clusters per frame"] = sum(self._clusters) / len(self._clusters)
        waveforms = result.rows.get("waveforms")
        if waveforms is not None and len(waveforms):
            self._known["PMT baseline"] = float(waveforms["baseline"].mean(dtype=np.float64))

    def variables(self) -> Mapping[str, Any]:
        """Return what is known."""
        return self._known
