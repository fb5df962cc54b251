"""The benchmarks of waveforms and pedestals give their figures."""

from benchmarks import pedestal
from benchmarks.waveforms import measure_waveforms


def test_waveforms_are_measured_beside_scipy():
    figures = measure_waveforms(2)
    assert set(figures) == {
        "waveform_us",
        "waveform_corrected_us",
        "waveform_quiet_us",
        "over_find_peaks",
    }
    assert all(value > 0 for value in figures.values())


def test_pedestals_are_measured_from_memory_and_from_files(monkeypatch):
    monkeypatch.setattr(pedestal, "SIDE", 64)
    figures = pedestal.measure(20, 1)
    assert {"pedestal_frames_per_s", "file_frames_per_s", "gz_frames_per_s"} <= set(figures)
    assert all(value > 0 for value in figures.values())
