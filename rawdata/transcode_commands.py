"""Commands ``cygno-rawdata expand`` and ``shrink``: rewrite run files."""

from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from rawdata.errors import RawDataError
from rawdata.recode import expand_event, shrink_event
from rawdata.terminal import AsJson, Files, errors, print_json, progress, results
from rawdata.transcode import Recode, Transcoded, transcode_file


class Compression(StrEnum):
    """How a run file is compressed as a whole."""

    NONE = "none"
    GZIP = "gzip"
    LZ4 = "lz4"
    BZIP2 = "bzip2"
    ZSTD = "zstd"


class Method(StrEnum):
    """How frames are compressed."""

    DENSE = "dense"
    FAST = "fast"


NewCompression = Annotated[
    Compression | None,
    typer.Option("--compress", help="Of the new file as a whole.", show_default="as the old file"),
]


def expand(
    files: Files,
    output: Annotated[
        Path | None,
        typer.Option(
            "-o",
            "--output",
            metavar="DIR",
            help="Folder of the new files.",
            show_default="expanded, beside each file",
        ),
    ] = None,
    compress: NewCompression = None,
    as_json: AsJson = False,
) -> None:
    """Expand compressed frames (CZ<i>) to CAM<i> in new files, bit for bit.

    All else stays: events, order, headers, other banks, ODB dumps. Every frame is compared with its
    checksum, and the new file is read back before it gets its name; no file is overwritten. The
    exit status is 1 if any file could not be rewritten. With --json one object is printed for each
    file, on a line of its own.

    Examples:

      cygno-rawdata expand run00042.mid

      cygno-rawdata expand data/run*.mid* -o plain --compress gzip
    """
    _transcode_all(files, output, "expanded", expand_event, compress, as_json)


def shrink(
    files: Files,
    output: Annotated[
        Path | None,
        typer.Option(
            "-o",
            "--output",
            metavar="DIR",
            help="Folder of the new files.",
            show_default="shrunk, beside each file",
        ),
    ] = None,
    columns: Annotated[
        int,
        typer.Option(min=0, help="Of frames that are neither square nor of a Quest; 0: none are."),
    ] = 0,
    method: Annotated[
        Method, typer.Option(help="dense: smallest; fast: a third of the time, 15 % more bytes.")
    ] = Method.DENSE,
    compress: NewCompression = None,
    as_json: AsJson = False,
) -> None:
    """Compress frames (CAM<i>) to CZ<i> in new files, without loss.

    The reverse of expand, with the same guarantees; expanding gives the same bytes again. A frame
    that would not become smaller, or whose shape does not follow from its size, stays as it is.

    Examples:

      cygno-rawdata shrink run00042.mid.gz --compress none

      cygno-rawdata shrink data/run*.mid* -o archive --columns 2304 --json
    """
    recode = partial(shrink_event, columns=columns, method=method.value)
    _transcode_all(files, output, "shrunk", recode, compress, as_json)


def _transcode_all(
    files: list[Path],
    folder: Path | None,
    done: str,
    recode: Recode,
    compress: Compression | None,
    as_json: bool,
) -> None:
    failed = False
    for path in files:
        try:
            with progress(path, done) as on_progress:
                result = transcode_file(
                    path, folder or path.parent / done, recode, compress, on_progress
                )
        except (RawDataError, OSError) as error:
            failed = True
            if as_json:
                print_json({"source": str(path), "error": str(error)})
            errors.print(f"cygno-rawdata: {error}", style="red", markup=False, soft_wrap=True)
            continue
        if as_json:
            print_json(result.as_dict())
        else:
            _print_transcoded(result, done)
    if failed:
        raise typer.Exit(1)


def _print_transcoded(result: Transcoded, done: str) -> None:
    kept = f", {result.frames_kept} frames kept as they were" if result.frames_kept else ""
    results.print(
        f"{result.source} -> {result.output}: {result.events} events, {result.frames} frames "
        f"{done}{kept}, {result.file_bytes_before / 1e6:.1f} -> "
        f"{result.file_bytes_after / 1e6:.1f} MB",
        soft_wrap=True,
    )
    if not result.complete:
        errors.print(
            f"{result.source}: there is no end-of-run dump: the run was not ended, or the file "
            "is cut",
            style="yellow",
            soft_wrap=True,
        )
