"""The response of lens and sensor over the frame, for the energies of clusters.

A map gives the relative response of blocks of pixels, 1 in the middle. Light is divided by it. Only
energies are corrected, as CYGNO does.

CYGNO's own maps are histograms in ROOT files: ``normmap_lime`` of
``vignette_runs03930to03932.root`` has 287x287 bins over 2304x2304 pixels. They belong to frames as
CYGNO turns them, and are turned back here: its second axis is our row, its first our column from
the other side (``cameraChannel.py``: loadVignettingMap).
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


ROOT_MAP: Final = "normmap_lime"
"""Histogram that CYGNO takes for all its detectors, unless ``file.root:name`` says another."""


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
        columns divide those of the frame, or exceed them by less than a block. Or a ROOT file of
        CYGNO's, ``file.root`` or ``file.root:histogram``, whose bins spread over the frame evenly.
    :param shape: rows and columns of the frames [pixels].
    :param rebin: side of a macro-pixel [pixels].
    :raises VignettingError: if it cannot be read or does not fit.
    """
    macro_shape = (-(-shape[0] // rebin), -(-shape[1] // rebin))
    if not path:
        return flat_vignetting(macro_shape)
    response = _read(path)
    is_bad = ~np.isfinite(response) | (response < MIN_RESPONSE)
    gain = np.where(is_bad, 1, 1 / np.where(is_bad, 1, response))
    middles = [
        np.minimum((np.arange(n) * rebin + rebin / 2).astype(int), side - 1)
        for n, side in zip(macro_shape, shape, strict=True)
    ]
    if _root_parts(path):
        blocks = [
            (2 * middle + 1) * n // (2 * side)  # of the pixel's middle
            for middle, n, side in zip(middles, gain.shape, shape, strict=True)
        ]
    else:
        sides = _block_sides(response.shape, shape, path)
        blocks = [m // width for m, width in zip(middles, sides, strict=True)]
    return _make(gain[np.ix_(*blocks)].astype(np.float32), path, int(is_bad.sum()))


def _make(gain: npt.NDArray[np.float32], source: str, unusable: int) -> Vignetting:
    gain.flags.writeable = False
    return Vignetting(gain, source, unusable)


def _read(path: str) -> npt.NDArray[np.float64]:
    try:
        values: npt.NDArray[Any]
        if root := _root_parts(path):
            values = _read_root(*root)
        else:
            values = np.load(path) if Path(path).suffix == ".npy" else _read_hdf5(path)
        response = np.asarray(values, np.float64)
    except (OSError, ValueError, TypeError, EOFError) as error:
        raise VignettingError(f"vignetting map {path} cannot be read: {error}") from error
    if response.ndim != 2 or not response.size:
        raise VignettingError(
            f"vignetting map {path} has shape {response.shape}; it must have rows and columns"
        )
    return response


def _root_parts(path: str) -> tuple[str, str] | None:
    """Return file and histogram if a path is of a ROOT file.

    >>> _root_parts("/maps/v.root:normmap_lemon"), _root_parts("/maps/v.h5")
    (('/maps/v.root', 'normmap_lemon'), None)
    """
    file, colon, name = path.rpartition(":")
    if colon and file.endswith(".root"):
        return file, name
    return (path, ROOT_MAP) if path.endswith(".root") else None


def _read_root(path: str, name: str) -> npt.NDArray[Any]:
    """Return a histogram of a ROOT file as rows and columns of the raw frame."""
    try:
        import uproot
    except ImportError as error:
        raise ValueError("ROOT files need: pip install 'cygno-daq[root]'") from error
    with uproot.open(path) as file:
        known = [key for key, kind in file.classnames(cycle=False).items() if kind[:3] == "TH2"]
        if name not in known:
            raise ValueError(f"no histogram '{name}' among: {' '.join(known) or 'none'}")
        return np.asarray(file[name].values()[::-1].T)


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
