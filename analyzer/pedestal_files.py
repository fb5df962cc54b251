"""Pedestal files: one a run, one group a camera; and finding the one that fits a run.

``run01101.pedestal.h5`` holds for each camera a group ``camera0`` with the datasets ``mean`` and
``sigma`` (float32, ADU) and ``defects`` (uint8, `analyzer.pedestal.Defect`), and as attributes what
is needed to see whether it fits: rows, columns, exposure_s, camera_name, frames, temperature_c, run
and valid_until, the last run it is for (0: until there is a newer one).
"""

import os
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import h5py
import numpy as np

import rawdata
from analyzer.errors import PedestalError
from analyzer.pedestal import Pedestal, same_exposure
from analyzer.replace import replaced_file

FORMAT: Final = "cygno-daq pedestal 1"

_NAME: Final = re.compile(r"run(\d{5,})\.pedestal\.h5")
_COMPRESSION: Final[Mapping[str, Any]] = {
    "compression": "gzip",
    "compression_opts": 1,
    "shuffle": True,
}


def pedestal_name(run: int) -> str:
    """Return the name of a run's pedestal file.

    >>> pedestal_name(1101)
    'run01101.pedestal.h5'
    """
    return f"run{run:05d}.pedestal.h5"


def write_pedestals(
    path: str | os.PathLike[str],
    pedestals: Mapping[int, Pedestal],
    attributes: Mapping[str, Any] | None = None,
) -> Path:
    """Write the pedestals of a run, camera index -> pedestal; the file appears when it is whole.

    :raises PedestalError: if it cannot be written.
    """
    target = Path(path)
    try:
        with replaced_file(target) as temporary, h5py.File(temporary, "w") as file:
            file.attrs["format"] = FORMAT
            file.attrs["software_version"] = rawdata.__version__
            for name, value in (attributes or {}).items():
                file.attrs[name] = value
            for camera, pedestal in pedestals.items():
                group = file.create_group(f"camera{camera}")
                group.create_dataset("mean", data=pedestal.mean, **_COMPRESSION)
                group.create_dataset("sigma", data=pedestal.sigma, **_COMPRESSION)
                group.create_dataset("defects", data=pedestal.defects, **_COMPRESSION)
                group["mean"].attrs["unit"] = group["sigma"].attrs["unit"] = "ADU"
                group.attrs["rows"], group.attrs["columns"] = pedestal.shape
                group.attrs["frames"] = pedestal.frames
                group.attrs["exposure_s"] = pedestal.exposure_s
                group.attrs["temperature_c"] = pedestal.temperature_c
                group.attrs["source"] = pedestal.source
                group.attrs["run"] = pedestal.run
                group.attrs["camera_name"] = pedestal.camera_name
                group.attrs["valid_until"] = pedestal.valid_until
    except OSError as error:
        raise PedestalError(f"{target}: the pedestal cannot be written: {error}") from error
    return target


def read_pedestals(path: str | os.PathLike[str]) -> dict[int, Pedestal]:
    """Read all pedestals of a file: camera index -> pedestal.

    :raises PedestalError: if it is no pedestal file, is damaged, or holds values that are not
        finite where no defect is flagged.
    """
    source = Path(path)
    if not source.is_file():
        raise PedestalError(f"{source}: no such pedestal file")
    try:
        with h5py.File(source, "r") as file:
            if file.attrs.get("format") != FORMAT:
                raise PedestalError(f"{source}: not a pedestal file of this software ({FORMAT!r})")
            return {
                int(name.removeprefix("camera")): _read_group(source, group)
                for name, group in file.items()
                if name.startswith("camera")
            }
    except (OSError, KeyError, ValueError) as error:
        raise PedestalError(f"{source}: the pedestal cannot be read: {error}") from error


def _read_group(source: Path, group: Any) -> Pedestal:
    mean = np.asarray(group["mean"], np.float32)
    sigma = np.asarray(group["sigma"], np.float32)
    defects = np.asarray(group["defects"], np.uint8)
    if mean.ndim != 2 or not mean.shape == sigma.shape == defects.shape:
        raise PedestalError(
            f"{source}: mean {mean.shape}, sigma {sigma.shape} and defects {defects.shape} "
            f"of {group.name} are not three maps of one shape"
        )
    bad = ~np.isfinite(mean + sigma) & (defects == 0)
    if bad.any():
        row, column = np.argwhere(bad)[0]
        raise PedestalError(
            f"{source}: {int(bad.sum())} pixels of {group.name} are not finite, the first at "
            f"row {row}, column {column}; make the pedestal again"
        )
    return Pedestal(
        mean,
        sigma,
        defects,
        frames=int(group.attrs["frames"]),
        exposure_s=float(group.attrs["exposure_s"]),
        temperature_c=float(group.attrs["temperature_c"]),
        source=str(group.attrs["source"]),
        run=int(group.attrs["run"]),
        camera_name=str(group.attrs.get("camera_name", "")),
        valid_until=int(group.attrs.get("valid_until", 0)),
    )


def pedestal_files(folders: Iterable[Path], before_run: int) -> Iterator[tuple[int, Path]]:
    """Yield (run, file) of the pedestal files of runs before `before_run`, nearest run first."""
    found: dict[int, Path] = {}
    for folder in folders:
        if folder.is_dir():
            for entry in folder.iterdir():
                match = _NAME.fullmatch(entry.name)
                if match and int(match[1]) < before_run:
                    found.setdefault(int(match[1]), entry)
    yield from sorted(found.items(), reverse=True)


@dataclass(frozen=True)
class Wanted:
    """What a pedestal is wanted for.

    :param before_run: it must be of an earlier run, and be valid for this one.
    :param exposure_s: of the frames; 0 if it is not known, and then any fits.
    :param camera_name: empty if it is not known, and then any fits.
    """

    before_run: int
    camera: int
    shape: tuple[int, int]
    exposure_s: float = 0.0
    camera_name: str = ""

    def is_met_but_for_exposure(self, attributes: Mapping[str, Any]) -> bool:
        """Tell whether a pedestal with these attributes is of such frames."""
        shape = int(attributes["rows"]), int(attributes["columns"])
        return shape == self.shape and self.is_camera(attributes)

    def is_camera(self, attributes: Mapping[str, Any]) -> bool:
        """Tell whether a pedestal with these attributes is of this camera, and valid."""
        name, until = str(attributes.get("camera_name", "")), int(attributes.get("valid_until", 0))
        is_same = not (name and self.camera_name) or name == self.camera_name
        is_valid = until == 0 or self.before_run <= until
        return is_same and is_valid


@dataclass
class Search:
    """What came of the search for a pedestal.

    :param pedestal: the nearest earlier one that fits, else the nearest that fits but for its
        exposure, else None.
    :param has_other_exposure: it does not fit in that.
    :param troubles: why files that are nearer could not be read.
    """

    pedestal: Pedestal | None = None
    has_other_exposure: bool = False
    troubles: list[str] = field(default_factory=list)


def nearest_shape(folders: Iterable[Path], wanted: Wanted) -> tuple[int, tuple[int, int]] | None:
    """Return run and shape of the nearest earlier pedestal of a camera, whatever its shape.

    Files that cannot be read are left out, as `find_pedestal` tells of them.
    """
    for run, path in pedestal_files(folders, wanted.before_run):
        try:
            with h5py.File(path, "r") as file:
                group = file.get(f"camera{wanted.camera}")
                if group is not None and wanted.is_camera(group.attrs):
                    return run, (int(group.attrs["rows"]), int(group.attrs["columns"]))
        except (OSError, KeyError, ValueError):
            continue
    return None


def find_pedestal(folders: Iterable[Path], wanted: Wanted) -> Search:
    """Find the nearest earlier pedestal that fits a camera's frames."""
    search = Search()
    second_best: list[Path] = []
    for _, path in pedestal_files(folders, wanted.before_run):
        try:
            with h5py.File(path, "r") as file:
                group = file.get(f"camera{wanted.camera}")
                fits = group is not None and wanted.is_met_but_for_exposure(group.attrs)
                has_exposure = fits and same_exposure(
                    float(group.attrs["exposure_s"]), wanted.exposure_s
                )
            if has_exposure:
                search.pedestal = read_pedestals(path)[wanted.camera]
                return search
            if fits:
                second_best.append(path)
        except (OSError, KeyError, ValueError, PedestalError) as error:
            search.troubles.append(str(error) if str(path) in str(error) else f"{path}: {error}")
    for path in second_best:
        try:
            search.pedestal = read_pedestals(path)[wanted.camera]
            search.has_other_exposure = True
            return search
        except PedestalError as error:
            search.troubles.append(str(error))
    return search
