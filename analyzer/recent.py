"""What the last events of a run were like, for operators: each second, to the ODB."""

from collections import deque
from collections.abc import Mapping
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from analyzer.dtypes import QUALITY
from analyzer.quality import NO_IMAGE

EVENTS: Final = 50
"""Events that are looked back at: at 1.7 Hz half a minute."""

_MEANS: Final = {
    "image_mean": "Image mean",
    "noise": "Noise",
    "pedestal_drift": "Pedestal drift ADU",
    "light_outside": "Light outside ADU",
    "saturated_pixels": "Saturated pixels",
    "n_clusters": "Clusters per frame",
}
"""Column of `QUALITY` -> variable that is its mean over frames."""


class RecentQuality:
    """The quality of the last events.

    :param exposure_s: of a frame [s]; 0 if it is not known.
    """

    def __init__(self, exposure_s: float) -> None:
        self._exposure_s = exposure_s
        self._rows: deque[npt.NDArray[Any]] = deque(maxlen=EVENTS)
        self._triggers: deque[tuple[int, int]] = deque(maxlen=EVENTS)
        self._pmt_baseline = float("nan")

    def add(self, rows: Mapping[str, npt.NDArray[Any]]) -> None:
        """Take note of an event: dataset -> rows."""
        self._rows.append(rows["quality"])
        events = rows["events"]
        self._triggers.append((int(events["timestamp"][0]), int(events["triggers"][0])))
        waveforms = rows.get("waveforms")
        if waveforms is not None and len(waveforms):
            self._pmt_baseline = float(waveforms["baseline"].mean(dtype=np.float64))

    def variables(self) -> dict[str, float]:
        """Return what is known: key of the ODB -> value, nan where nothing is."""
        rows = np.concatenate([np.zeros(0, QUALITY), *self._rows])
        known: dict[str, float] = {"PMT baseline": self._pmt_baseline}
        is_image = rows["flags"] & np.uint16(NO_IMAGE) == 0
        images = rows[is_image]
        if len(rows):
            known["Bad frames %"] = 100 * (1 - len(images) / len(rows))
        if len(images):
            for column, key in _MEANS.items():
                known[key] = float(images[column].mean(dtype=np.float64))
            known["Sparks %"] = 100 * float(images["is_spark"].mean())
            if self._exposure_s > 0:
                known["Cluster rate Hz"] = known["Clusters per frame"] / self._exposure_s
        known |= self._of_waveforms(rows)
        if len(self._triggers) > 1:
            passed_s = self._triggers[-1][0] - self._triggers[0][0]
            count = sum(triggers for _, triggers in self._triggers) - self._triggers[0][1]
            known["Trigger rate Hz"] = count / passed_s if passed_s > 0 else float("nan")
        return known

    def cameras(self) -> dict[int, dict[str, float]]:
        """Return what is known of each camera: camera -> key of the ODB -> value."""
        rows = np.concatenate([np.zeros(0, QUALITY), *self._rows])
        images = rows[rows["flags"] & np.uint16(NO_IMAGE) == 0]
        return {
            int(camera): {
                key: float(images[column][images["camera"] == camera].mean(dtype=np.float64))
                for column, key in _MEANS.items()
            }
            for camera in np.unique(images["camera"])
        }

    def _of_waveforms(self, rows: npt.NDArray[Any]) -> dict[str, float]:
        pmts = rows[rows["n_waveforms"] > 0]
        if not len(pmts):
            return {}
        saturated = pmts["n_saturated"].sum(dtype=np.int64)
        return {
            "PMT noise": float(pmts["pmt_noise"].mean(dtype=np.float64)),
            "PMT charge pC": float(pmts["pmt_charge"].mean(dtype=np.float64)),
            "PMT saturated %": 100 * float(saturated / pmts["n_waveforms"].sum(dtype=np.int64)),
        }
