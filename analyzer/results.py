"""Results files: ``run00042.reco.h5``, written as the run goes and renamed when it is whole.

The datasets `events`, `clusters` and `waveforms` are tables of the rows in `analyzer.dtypes`; each
has the attribute ``titles``, a JSON object of what its fields mean. The file's attributes say which
run it is, how it was analyzed and what was counted.
"""

import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

import h5py
import numpy as np
import numpy.typing as npt

import rawdata
from analyzer.dtypes import DATASETS, titles, untitled
from analyzer.errors import ResultsError
from analyzer.replace import publish

FORMAT: Final = "cygno-daq results 1"
PARTIAL: Final = ".partial"
"""Ending of a file that is still written, or whose writer died."""

CHUNK_BYTES: Final = 256 << 10
"""Rows go into the file a chunk of this size at a time: a chunk that grows bit by bit would be
compressed anew each time."""


def results_name(run: int) -> str:
    """Return the name of a run's results.

    >>> results_name(42)
    'run00042.reco.h5'
    """
    return f"run{run:05d}.reco.h5"


def chunk_rows(dtype: np.dtype[Any]) -> int:
    """Return how many rows make a chunk of the file.

    >>> chunk_rows(np.dtype([("a", np.uint8), ("b", np.float64, 127)]))
    257
    """
    return max(1, CHUNK_BYTES // dtype.itemsize)


class ResultsWriter:
    """Writes the results of a run; `close` gives the file its name, without it it stays partial.

    :param partial: name of the file while it is written; None adds ``.partial``.
    :raises ResultsError: here and in all methods, if the file cannot be written.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        attributes: Mapping[str, Any],
        partial: Path | None = None,
    ) -> None:
        self.path = Path(path)
        self.partial = partial or self.path.with_name(self.path.name + PARTIAL)
        self._pending: dict[str, list[bytes]] = {name: [] for name in DATASETS}
        self._chunk_rows = {name: chunk_rows(dtype) for name, dtype in DATASETS.items()}
        self._pending_rows = dict.fromkeys(DATASETS, 0)
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._file = h5py.File(self.partial, "w")
            self._file.attrs["format"] = FORMAT
            self._file.attrs["software_version"] = rawdata.__version__
            self._write_attributes(attributes)
            for name, dtype in DATASETS.items():
                dataset = self._file.create_dataset(
                    name,
                    (0,),
                    untitled(dtype),
                    maxshape=(None,),
                    chunks=(self._chunk_rows[name],),
                    compression="gzip",
                    compression_opts=1,
                    shuffle=True,
                )
                dataset.attrs["titles"] = json.dumps(titles(dtype))
            self._file.flush()
        except OSError as error:
            raise self._failed(error) from error

    def append(self, rows: Mapping[str, npt.NDArray[Any]]) -> None:
        """Add rows: dataset -> rows. They are in the file after `flush`, or with a full chunk."""
        for name, part in rows.items():
            if len(part):
                # Bytes are put together a hundred times faster than arrays with so many fields.
                self._pending[name].append(np.asarray(part, DATASETS[name]).tobytes())
                self._pending_rows[name] += len(part)
                if self._pending_rows[name] >= self._chunk_rows[name]:
                    self._write(name, whole_chunks=True)

    def flush(self) -> None:
        """Bring all rows into the file."""
        try:
            for name in self._pending:
                self._write(name, whole_chunks=False)
            self._file.flush()
        except OSError as error:
            raise self._failed(error) from error

    def _write(self, name: str, *, whole_chunks: bool) -> None:
        """Write what waits for a dataset, all of it or up to the end of its last whole chunk."""
        if not self._pending_rows[name]:
            return
        rows = np.frombuffer(b"".join(self._pending[name]), untitled(DATASETS[name]))
        try:
            dataset = self._file[name]
            begin = len(dataset)
            end = begin + len(rows)
            if whole_chunks:
                end -= end % self._chunk_rows[name]
            if end > begin:
                dataset.resize((end,))
                dataset[begin:] = rows[: end - begin]
        except OSError as error:
            raise self._failed(error) from error
        rest = rows[max(end - begin, 0) :]
        self._pending[name] = [rest.tobytes()]
        self._pending_rows[name] = len(rest)

    def close(self, attributes: Mapping[str, Any]) -> Path:
        """Write the last attributes and give the file its name."""
        self.flush()
        try:
            self._write_attributes(attributes)
            self._file.close()
            publish(self.partial, self.path)
        except OSError as error:
            raise self._failed(error) from error
        return self.path

    def abandon(self, *, keep: bool = False) -> None:
        """Let go of the file; remove it unless it is to be kept as it is, partial."""
        try:
            if keep and self._file:
                self.flush()
            self._file.close()
        except (OSError, ResultsError):
            pass
        if not keep:
            self.partial.unlink(missing_ok=True)

    def _write_attributes(self, attributes: Mapping[str, Any]) -> None:
        for name, value in attributes.items():
            self._file.attrs[name] = value

    def _failed(self, error: OSError) -> ResultsError:
        return ResultsError(f"results {self.partial} cannot be written: {error}")


class Results(Mapping[str, npt.NDArray[Any]]):
    """Results of a run: ``results["clusters"]`` is a structured array, read when asked for.

    :param attributes: the file's attributes, for instance ``run``, ``events_analyzed``.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        if not path.is_file():
            raise ResultsError(f"{path}: no such file")
        try:
            self._file = h5py.File(path, "r")
        except OSError as error:
            raise ResultsError(f"{path}: not a results file that can be read: {error}") from error
        self.attributes: dict[str, Any] = {
            name: value.item() if isinstance(value, np.generic) else value
            for name, value in self._file.attrs.items()
        }
        if self.attributes.get("format") != FORMAT:
            self._file.close()
            raise ResultsError(f"{path}: not a results file of this software ({FORMAT!r})")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def __getitem__(self, name: str) -> npt.NDArray[Any]:
        """Return a dataset's rows, with titles where this version knows them.

        :raises KeyError: if there is no such dataset.
        """
        if name not in self._file:
            raise KeyError(f"{self.path} has no dataset {name}; it has: {', '.join(self)}")
        rows: npt.NDArray[Any] = self._file[name][:]
        known = DATASETS.get(name)
        return rows.view(known) if known is not None and untitled(known) == rows.dtype else rows

    def __iter__(self) -> Iterator[str]:
        return iter(self._file)

    def __len__(self) -> int:
        return len(self._file)

    def close(self) -> None:
        """Close the file; arrays that were taken from it stay."""
        self._file.close()


def open_results(path: str | os.PathLike[str]) -> Results:
    """Open a results file to read.

    :raises ResultsError: if it is not one.
    """
    return Results(Path(path))
