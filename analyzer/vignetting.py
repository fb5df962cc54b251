"""The response of lens and sensor over the frame, for the energies of clusters.

A map gives the relative response of blocks of pixels, 1 in the middle: CYGNO's ``normmap_lime`` has
288x288 blocks of 8x8 pixels. Light is divided by it. Only energies are corrected, as CYGNO does.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import h5py
import numpy as np
import numpy.typing as npt

from analyzer.errors import AnalyzerError

MIN_RESPONSE: Final = 0.05
"""Blocks of less response than this are not corrected: they would only blow up noise."""


class VignettingError(AnalyzerError):
    """A map of the response cannot be read or does not fit the frames."""


@dataclass(frozen=True)
class Vignetting:
    """What light of each macro-pixel is to be multiplied by.

    :param gain: (macro rows, macro columns) float32, 1 / response, read-only.
    :param source: where the map comes from; empty if there is none.
    :param unusable: blocks of the map that are NaN or have no response; their gain is 1.
    """

    gain: npt.NDArray[np.float32]
    source: str = ""
    unusable: int = 0

    @property
    def is_flat(self) -> bool:
        """Whether there is nothing to correct."""
        return not self.source


def flat_vignetting(macro_shape: tuple[int, int]) -> Vignetting:
    """Return the correction that changes nothing.

    >>> flat_vignetting((2, 3)).gain.sum()
    np.float32(6.0)
    """
    return _make(np.ones(macro_shape, np.float32), "", 0)


def load_vignetting(path: str, shape: tuple[int, int], rebin: int) -> Vignetting:
    """Load the map of a file for frames of `shape`; an empty path gives a flat one.

    :param path: ``.npy``, or HDF5 whose dataset is ``response`` or the only one; the map's rows and
        columns divide those of the frame, or exceed them by less than a block.
    :param shape: rows and columns of the frames [pixels].
    :param rebin: side of a macro-pixel [pixels].
    :raises VignettingError: if it cannot be read or does not fit.
    """
    macro_shape = (-(-shape[0] // rebin), -(-shape[1] // rebin))
    if not path:
        return flat_vignetting(macro_shape)
    response = _read(path)
    block = _block_sides(response.shape, shape, path)
    is_bad = ~np.isfinite(response) | (response < MIN_RESPONSE)
    gain = np.where(is_bad, 1, 1 / np.where(is_bad, 1, response))
    middles = [
        np.minimum((np.arange(n) * rebin + rebin / 2).astype(int), side - 1) // width
        for n, side, width in zip(macro_shape, shape, block, strict=True)
    ]
    return _make(gain[np.ix_(*middles)].astype(np.float32), path, int(is_bad.sum()))


def _make(gain: npt.NDArray[np.float32], source: str, unusable: int) -> Vignetting:
    gain.flags.writeable = False
    return Vignetting(gain, source, unusable)


def _read(path: str) -> npt.NDArray[np.float64]:
    try:
        values = np.load(path) if Path(path).suffix == ".npy" else _read_hdf5(path)
        response = np.asarray(values, np.float64)
    except (OSError, ValueError, TypeError, EOFError) as error:
        raise VignettingError(f"vignetting map {path} cannot be read: {error}") from error
    if response.ndim != 2 or not response.size:
        raise VignettingError(
            f"vignetting map {path} has shape {response.shape}; it must have rows and columns"
        )
    return response


def _read_hdf5(path: str) -> npt.NDArray[Any]:
    with h5py.File(path, "r") as file:
        names = [name for name in file if isinstance(file[name], h5py.Dataset)]
        name = "response" if "response" in names else names[0] if len(names) == 1 else None
        if name is None:
            raise ValueError(f"no dataset 'response' among: {' '.join(names) or 'none'}")
        return np.asarray(file[name][()])


def _block_sides(blocks: tuple[int, ...], shape: tuple[int, int], path: str) -> tuple[int, ...]:
    sides = tuple(-(-side // n) for side, n in zip(shape, blocks, strict=True))
    for side, n, width in zip(shape, blocks, sides, strict=True):
        if -(-side // width) != n:
            raise VignettingError(
                f"vignetting map {path} has {blocks[0]}x{blocks[1]} blocks, which do not divide "
                f"frames of {shape[0]}x{shape[1]} pixels; make it for this camera"
            )
    return sides
