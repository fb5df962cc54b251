"""Rows as the analysis makes them, by hand."""

import numpy as np

from analyzer.dtypes import CLUSTER, EVENT, WAVEFORM, ClusterFlag, EventFlag, WaveformFlag
from analyzer.quality import quality_rows
from analyzer.settings import AnalyzerSettings

PIXELS = 1000


def make_rows(index, *, camera=0, light=0.0, flags=0, spots=(), waveforms=(), **values):
    """Rows of one event: spots are light [ADU], waveforms (channel, noise, charge)."""
    events = np.zeros(1, EVENT)
    events["event"], events["camera"], events["flags"] = index, camera, flags
    events["timestamp"] = 1_700_000_000 + index
    events["light"], events["n_clusters"] = light, len(spots)
    events["cluster_light"] = sum(spots)
    for name, value in values.items():
        events[name] = value
    clusters = np.zeros(len(spots), CLUSTER)
    clusters["camera"] = camera
    clusters["flags"] = ClusterFlag.SPOT
    clusters["sc_integral"] = clusters["sc_corrintegral"] = spots
    waves = np.zeros(len(waveforms), WAVEFORM)
    for row, (channel, noise, charge) in zip(waves, waveforms, strict=True):
        row["channel"], row["noise"], row["charge"] = channel, noise, charge
        row["amplitude"], row["n_pulses"] = 10 * noise, 2
        row["flags"] = WaveformFlag.SATURATED if charge > 100 else 0
    rows = {"events": events, "clusters": clusters, "waveforms": waves}
    rows["quality"] = quality_rows(rows, {camera: PIXELS}, AnalyzerSettings())
    for part in rows.values():
        part["event"] = index
    return rows


def bad_event(index):
    """Rows of an event without a frame."""
    return make_rows(index, camera=255, flags=int(EventFlag.NO_CAMERA))
