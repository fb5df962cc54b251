"""Analyze a run from its file."""

import functools
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any

from analyzer.analysis import EventResult, RunAnalysis
from analyzer.changes import with_changes
from analyzer.conditions import conditions_of, settings_of
from analyzer.consumer import Rows
from analyzer.consumers import Consumers
from analyzer.drs4 import Drs4Tables, own_tables, read_tables
from analyzer.errors import PedestalError, RunDataError
from analyzer.lookup import PedestalLookup, Tell
from analyzer.pedestal_files import pedestal_name
from analyzer.pedestal_run import PedestalRun
from analyzer.pipeline import Pipeline
from analyzer.record import Counts, begin_attributes, end_attributes
from analyzer.results import ResultsWriter
from analyzer.root_file import RootWriter
from analyzer.run_files import run_number_of
from analyzer.settings import AnalyzerSettings
from analyzer.slow_control import is_slow_event
from rawdata.check import stream_problem
from rawdata.checksum import crc32c
from rawdata.datamodel import is_trigger_event
from rawdata.errors import RawDataError
from rawdata.event import END_OF_RUN, Event
from rawdata.odbdump import parse_dump
from rawdata.runfile import RunFile, RunFileError


class Format(StrEnum):
    """Formats of results."""

    HDF5 = "hdf5"
    ROOT = "root"
    """CYGNO's trees, with the pixels of clusters."""


Progress = Callable[[int, float], object]
"""``progress(events, part)``: told how many events are analyzed and the part of the file read."""


@dataclass
class RunSummary:
    """What came of a run.

    :param variables: what the run's consumers know for the ODB.
    :param is_written: whether the results were wanted, and written.
    :param damage: where and why its file is damaged, or that it is not what the logger's checksum
        says; empty if nothing is wrong.
    :param has_end: whether the file has the ODB dump at end of run.
    """

    run: int
    source: Path
    output: Path
    counts: Counts = field(default_factory=Counts)
    pedestals: dict[int, dict[str, Any]] = field(default_factory=dict)
    pedestal_file: Path | None = None
    variables: dict[str, Any] = field(default_factory=dict)
    is_written: bool = False
    damage: str = ""
    has_end: bool = False
    duration_s: float = 0.0


def tables_of(settings: AnalyzerSettings) -> Drs4Tables | None:
    """Return the DRS4 tables that the settings name, None if there are none for their site.

    :raises AnalyzerError: if they cannot be read.
    """
    if settings.drs4_tables:
        return read_tables(settings.drs4_tables, settings.drs4_site)
    return own_tables(settings.drs4_site)


def analyze_run(
    source: Path,
    output: Path,
    lookup: PedestalLookup,
    *,
    settings: AnalyzerSettings | None = None,
    workers: int = 1,
    tell: Tell = lambda *_: None,
    progress: Progress = lambda *_: None,
    makes_pedestal: bool = True,
    partial: Path | None = None,
    accept: Callable[[Counts], bool] = lambda _: True,
    format: Format = Format.HDF5,
    changes: Mapping[str, str] | None = None,
) -> RunSummary:
    """Analyze a run file; the results appear at `output` when they are whole.

    A damaged file gives the results of its whole events. Its bytes are compared with the checksum
    that MIDAS's logger left beside it. A pedestal run also gives its pedestal file, beside
    `output`.

    :param settings: None takes those in the file's ODB dump, or else the defaults.
    :param tell: told what a person should know, one line each.
    :param partial: name of the results while they are written; None adds ``.partial``.
    :param accept: asked with the run's counts whether the results shall be kept.
    :param format: of the results.
    :param changes: settings that differ: key of the ODB -> value.
    :raises RunDataError: if the file cannot be read at all.
    :raises AnalyzerError: if its pedestal, its settings or the output are no good.
    """
    began = time.monotonic()
    try:
        with RunFile(source) as file:
            if not file.file_bytes:
                raise RunDataError(
                    f"{source}: the file is empty (0 bytes): nothing was written, or it was not "
                    "copied whole"
                )
            reader = _Reader(file, source, output, settings, format, changes or {})
            summary = reader.run(lookup, workers, tell, progress, makes_pedestal, partial, accept)
    except RunFileError as error:
        hint = "; is it a MIDAS run file?" if source.is_file() else ""
        raise RunDataError(f"{error}{hint}") from error
    summary.duration_s = time.monotonic() - began
    return summary


class _Reader:
    """One run file on its way through the analysis."""

    def __init__(
        self,
        file: RunFile,
        source: Path,
        output: Path,
        settings: AnalyzerSettings | None,
        format: Format,
        changes: Mapping[str, str],
    ) -> None:
        odb = file.odb_begin or {}
        self.file = file
        self.conditions = conditions_of(odb, run_number_of(source, file))
        chosen = settings or settings_of(odb, str(source)) or AnalyzerSettings()
        chosen = with_changes(chosen, changes)
        if format is Format.ROOT:
            chosen = chosen.model_copy(update={"keep_pixels": True})
        self.format = format
        self.analysis = RunAnalysis(self.conditions, chosen, tables_of(chosen))
        self.summary = RunSummary(self.conditions.run, source, output)
        self.end_time = 0
        self.crc = self.bytes = 0

    def run(
        self,
        lookup: PedestalLookup,
        workers: int,
        tell: Tell,
        progress: Progress,
        makes_pedestal: bool,
        partial: Path | None,
        accept: Callable[[Counts], bool],
    ) -> RunSummary:
        summary, conditions = self.summary, self.conditions
        settings = self.analysis.settings
        pedestal = None
        if conditions.is_pedestal and makes_pedestal:
            pedestal = PedestalRun(conditions, settings, workers)
        attributes = begin_attributes(conditions, settings, summary.source.name)
        writer: ResultsWriter | RootWriter
        if self.format is Format.ROOT:
            writer = RootWriter(
                summary.output,
                attributes,
                partial,
                pmt_channels=settings.pmt_channels,
                gem_channels=settings.gem_channels,
                readout_ms=settings.readout_ms,
                slow_control=self.analysis.slow.at_begin,
            )
        else:
            writer = ResultsWriter(summary.output, attributes, partial)
        consumers = Consumers(self.analysis, tell)
        try:
            with Pipeline[EventResult](workers) as pipeline:
                self._read(pipeline, writer, consumers, lookup, pedestal, tell, progress)
            lookup.require_use(self.analysis)
            summary.variables = consumers.variables()
            if not accept(summary.counts):
                writer.abandon()
                return summary
            writer.append(consumers.finish())
            for camera, used in self.analysis.pedestals().items():
                summary.pedestals[camera] = used.summary()
            writer.close(
                end_attributes(self.analysis, summary.counts, self.end_time, summary.damage)
            )
        except BaseException:
            writer.abandon()
            raise
        summary.is_written = True
        if self.format is Format.HDF5:  # what lies beside the results is made from them
            consumers.conclude(summary.output)
        if not summary.counts.seen:
            tell(f"{summary.source}: run {summary.run} has no trigger events", True)
        if pedestal is not None:
            self._write_pedestal(pedestal, tell)
        return summary

    def _read(
        self,
        pipeline: Pipeline[EventResult],
        writer: ResultsWriter | RootWriter,
        consumers: Consumers,
        lookup: PedestalLookup,
        pedestal: PedestalRun | None,
        tell: Tell,
        progress: Progress,
    ) -> None:
        counts = self.summary.counts
        triggers = self._triggers(pedestal, tell)

        def take(result: EventResult) -> None:
            for problem in result.problems:
                tell(f"run {self.summary.run}, event {result.index}: {problem}", True)
            counts.add(result)
            consumers.take(result)
            writer.append(result.rows)
            progress(counts.analyzed, self.file.bytes_read / max(self.file.file_bytes, 1))

        for event, index, slow in lookup.equipped(self.analysis, triggers, tell):
            for result in pipeline.make_room():
                take(result)
            pipeline.submit(functools.partial(self._analyze, event, index, slow))
        for result in pipeline.rest():
            take(result)

    def _triggers(
        self, pedestal: PedestalRun | None, tell: Tell
    ) -> Iterator[tuple[Event, int, Rows]]:
        """Yield trigger events with their index and the slow control before them.

        All other events are taken note of; a damage ends the file and is kept.
        """
        counts = self.summary.counts
        try:
            for event in self.file:
                self.crc = crc32c(event.raw, self.crc)
                self.bytes += len(event.raw)
                if pedestal is not None:
                    pedestal.add(event)
                if event.event_id == END_OF_RUN:
                    self.summary.has_end = True
                    self.end_time = event.timestamp
                    self._end(event, tell)
                if is_slow_event(event.event_id):
                    trouble = self.analysis.slow.note(event)
                    if trouble:
                        tell(f"run {self.summary.run}: {trouble}", True)
                if not is_trigger_event(event.event_id):
                    continue
                counts.seen += 1
                self.end_time = event.timestamp
                index = counts.seen - 1
                yield event, index, self.analysis.slow.rows_before(index)
            self.summary.damage = stream_problem(self.summary.source, self.crc, self.bytes)
        except RunFileError as error:
            self.summary.damage = str(error)
        except RawDataError as error:  # the sidecar is no good, which says nothing of the file
            tell(str(error), True)

    def _end(self, event: Event, tell: Tell) -> None:
        """Take the ODB dump at end of run."""
        try:
            self.analysis.odb_end = parse_dump(event.text)
        except RawDataError as error:
            tell(f"{self.summary.source}: ODB dump at end of run: {error}", True)

    def _analyze(self, event: Event, index: int, slow: Rows) -> EventResult:
        """Analyze an event, in one of the threads."""
        result = self.analysis.analyze(event, index, slow)
        if self.format is Format.ROOT:
            result.rows.update(RootWriter.measure(self.analysis, event, result))
        return result

    def _write_pedestal(self, pedestal: PedestalRun, tell: Tell) -> None:
        path = self.summary.output.with_name(pedestal_name(self.summary.run))
        try:
            pedestal.write(path, self.summary.source)
            self.summary.pedestal_file = path
        except PedestalError as error:
            tell(str(error), True)
