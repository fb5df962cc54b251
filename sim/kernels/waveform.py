"""Turn photoelectrons into waveforms, and waveforms into ADC counts."""

import numpy as np
import numpy.typing as npt
from numba import njit

from sim.kernels.frame import NOISE_SCALE
from sim.kernels.random import MASK_16, SHIFT_16, SHIFT_32, UNIT_32, mix


@njit(nogil=True, cache=True)
def make_pulses(
    pulses: npt.NDArray[np.float64],
    start_ns: float,
    period_ns: float,
    times_ns: npt.NDArray[np.float64],
    spreads_ns: npt.NDArray[np.float64],
    electrons: npt.NDArray[np.int64],
    decay_ns: float,
    gain_spread: float,
    quantiles: npt.NDArray[np.float32],
    key: np.uint64,
) -> None:
    """Add photoelectrons to histograms of charge against time, one for each PMT.

    :param pulses: (PMTs, samples) float64 [photoelectrons], added to.
    :param start_ns: time of the first sample's begin [ns].
    :param times_ns: (n,) float64, when the light of each segment of the track comes [ns].
    :param spreads_ns: (n,) float64, sigma of that time [ns].
    :param electrons: (PMTs, n) int64, photoelectrons of each segment.
    :param decay_ns: time constant of the light [ns].
    :param gain_spread: relative spread of the PMT's gain for one photoelectron.
    """
    index = np.uint64(0)
    for pmt in range(pulses.shape[0]):
        for segment in range(times_ns.size):
            for _ in range(electrons[pmt, segment]):
                random = mix(key, index)
                index += np.uint64(1)
                late = -decay_ns * np.log(1.0 - np.float64(random >> SHIFT_32) * UNIT_32)
                time = times_ns[segment] + spreads_ns[segment] * quantiles[random & MASK_16] + late
                sample = int(np.floor((time - start_ns) / period_ns))
                if 0 <= sample < pulses.shape[1]:
                    gain = 1.0 + gain_spread * quantiles[(random >> SHIFT_16) & MASK_16]
                    pulses[pmt, sample] += max(gain, 0.0)


@njit(nogil=True, cache=True)
def shape_pulses(
    pulses: npt.NDArray[np.float64], rise_ns: float, fall_ns: float, period_ns: float, area: float
) -> None:
    """Pass charge through the electronics, in place.

    The response to a unit charge is ``exp(-t / fall) - exp(-t / rise)`` of area `area`.

    :param pulses: (PMTs, samples) float64; photoelectrons before, ADC counts after.
    :param area: ADC counts times ns for one photoelectron.
    """
    slow, fast = np.exp(-period_ns / fall_ns), np.exp(-period_ns / rise_ns)
    norm = area / period_ns / (1.0 / (1.0 - slow) - 1.0 / (1.0 - fast))
    for pmt in range(pulses.shape[0]):
        high, low = 0.0, 0.0
        for sample in range(pulses.shape[1]):
            high = high * slow + pulses[pmt, sample]
            low = low * fast + pulses[pmt, sample]
            pulses[pmt, sample] = (high - low) * norm


@njit(nogil=True, cache=True)
def digitize(
    waveforms: npt.NDArray[np.uint16],
    levels: npt.NDArray[np.float64],
    pulses: npt.NDArray[np.float64],
    cells: npt.NDArray[np.float64],
    samples: npt.NDArray[np.float64],
    start_cells: npt.NDArray[np.int64],
    noise: npt.NDArray[np.int16],
    sigmas: npt.NDArray[np.float64],
    full: int,
    key: np.uint64,
) -> None:
    """Write what the board records of one trigger.

    :param waveforms: (channels, samples) uint16, written.
    :param levels: (channels,) float64, baselines [ADC counts]; may lie beyond the range.
    :param pulses: (pulse channels, samples) float64, subtracted from the first channels.
    :param cells: (8, 1024) float64, DRS4 pattern by cell [ADC counts]; zeros for other boards.
    :param samples: (8, 1024) float64, DRS4 pattern by sample number.
    :param start_cells: (channels / 8,) int64, start cell of each group of 8 channels.
    :param noise: int16 table of standard normal values in `sim.kernels.frame.NOISE_SCALE`.
    :param sigmas: (channels,) float64, noise [ADC counts].
    :param full: largest value of the ADC.
    """
    channels, length = waveforms.shape
    places = np.uint64(noise.size - length)
    for channel in range(channels):
        begin = np.int64(mix(key, np.uint64(channel)) % places)
        scale = sigmas[channel] / NOISE_SCALE
        start = start_cells[channel // 8]
        row = channel % 8
        for sample in range(length):
            value = levels[channel] + noise[begin + sample] * scale + 0.5
            value += cells[row, (sample + start) & 1023] + samples[row, sample & 1023]
            if channel < pulses.shape[0]:
                value -= pulses[channel, sample]
            waveforms[channel, sample] = np.uint16(min(max(value, 0.0), full))
