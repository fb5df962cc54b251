"""Fill a frame with pedestal and noise, and put light on it."""

import numpy as np
import numpy.typing as npt
from numba import njit

from sim.kernels.random import MASK_16, SHIFT_16, SHIFT_32, UNIT_32, mix

MAP_SCALE = 64
"""Counts of the uint16 pedestal and noise maps for one ADU; they hold up to 1023 ADU."""
NOISE_SCALE = 4096
"""Counts of the int16 noise table for one standard deviation; it holds up to 8 of them."""


@njit(nogil=True, cache=True)
def fill_with_noise(
    frame: npt.NDArray[np.uint16],
    pedestal: npt.NDArray[np.uint16],
    sigma: npt.NDArray[np.uint16],
    noise: npt.NDArray[np.int16],
    quantiles: npt.NDArray[np.float32],
    row_sigma: float,
    key: np.uint64,
) -> None:
    """Write one dark frame.

    Each row takes its noise from a random place of one long table, so pixels and frames are
    independent while pedestal and sigma stay with the pixel.

    :param frame: (rows, columns) uint16, written.
    :param pedestal: (rows, columns) uint16, in `MAP_SCALE`.
    :param sigma: (rows, columns) uint16, in `MAP_SCALE`.
    :param noise: (n,) int16 of standard normal values, in `NOISE_SCALE`; n > columns.
    :param quantiles: (65536,) float32, the quantiles of the standard normal distribution.
    :param row_sigma: spread of the level that all pixels of a row share in one frame [ADU].
    :param key: uint64, of this frame.
    """
    rows, columns = frame.shape
    from_map = np.float32(1.0 / MAP_SCALE)
    from_noise = np.float32(1.0 / (MAP_SCALE * NOISE_SCALE))
    places = np.uint64(noise.size - columns)
    for row in range(rows):
        random = mix(key, np.uint64(row))
        begin = np.int64((random >> SHIFT_16) % places)
        level = np.float32(row_sigma) * quantiles[random & MASK_16] + np.float32(0.5)
        noise_of_row = noise[begin : begin + columns]
        pedestal_of_row = pedestal[row]
        sigma_of_row = sigma[row]
        row_of_frame = frame[row]
        for column in range(columns):
            value = (
                np.float32(pedestal_of_row[column]) * from_map
                + np.float32(sigma_of_row[column]) * np.float32(noise_of_row[column]) * from_noise
                + level
            )
            row_of_frame[column] = np.uint16(np.int32(max(value, np.float32(0.0))))


@njit(nogil=True, cache=True)
def add_photons(
    frame: npt.NDArray[np.uint16],
    rows: npt.NDArray[np.float64],
    columns: npt.NDArray[np.float64],
    spreads: npt.NDArray[np.float64],
    photons: npt.NDArray[np.int64],
    counts: float,
    response: npt.NDArray[np.float64],
    radius_scale: float,
    full: int,
    quantiles: npt.NDArray[np.float32],
    key: np.uint64,
) -> tuple[float, float, float, float]:
    """Let photons of one track fall on a frame, one by one.

    :param frame: (rows, columns) uint16, added to; a pixel stops at `full`.
    :param rows: (n,) float64, place of each segment of the track [pixel].
    :param columns: (n,) float64, alike.
    :param spreads: (n,) float64, sigma of the transverse diffusion [pixel].
    :param photons: (n,) int64, photons of each segment.
    :param counts: ADU for one photon; its fraction is rounded at random.
    :param response: (m,) float64, response of optics and sensor (vignetting) against radius.
    :param radius_scale: bins of `response` for one pixel of radius.
    :returns: ADU before vignetting, ADU added, and of those the sums times row and column.
    """
    height, width = frame.shape
    middle_row, middle_column = (height - 1) / 2.0, (width - 1) / 2.0
    last_bin = response.size - 2
    total = 0
    added, sum_row, sum_column = 0.0, 0.0, 0.0
    index = np.uint64(0)
    for segment in range(rows.size):
        total += photons[segment]
        for _ in range(photons[segment]):
            random = mix(key, index)
            index += np.uint64(1)
            spread = spreads[segment]
            row = rows[segment] + spread * quantiles[random & MASK_16]
            column = columns[segment] + spread * quantiles[(random >> SHIFT_16) & MASK_16]
            i, j = int(np.floor(row + 0.5)), int(np.floor(column + 0.5))
            if i < 0 or j < 0 or i >= height or j >= width:
                continue
            radius = np.sqrt((row - middle_row) ** 2 + (column - middle_column) ** 2) * radius_scale
            bin_ = min(int(radius), last_bin)
            part = radius - bin_
            seen = response[bin_] * (1.0 - part) + response[bin_ + 1] * part
            chance = np.float64(random >> SHIFT_32) * UNIT_32
            if chance >= seen:
                continue
            before = int(frame[i, j])
            # chance / seen is again uniform between 0 and 1
            after = min(before + int(counts + chance / seen), full)
            frame[i, j] = after
            gain = after - before
            added += gain
            sum_row += gain * i
            sum_column += gain * j
    return total * counts, added, sum_row, sum_column
