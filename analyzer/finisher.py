"""What is done after a run: results closed, completed from the run file, and the pedestal made.

All of it happens in one thread beside the main one, a run after the other, while the next run may
go on already.
"""

import threading
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from analyzer.errors import AnalyzerError, ResultsError
from analyzer.lookup import PedestalLookup
from analyzer.online_run import OnlineRun
from analyzer.pedestal_files import pedestal_name
from analyzer.pedestal_run import make_pedestal
from analyzer.record import Counts, end_attributes
from analyzer.runs import analyze_run
from rawdata.runfile import RunFile, RunFileError

COMPLETED: Final = ".completed"
"""Ending of the results from the file, until they are whole."""


class Cancelled(Exception):  # noqa: N818 - it is a request, not an error
    """The program ends: what is done for a run is given up."""


@dataclass
class Outcome:
    """What came of a run, for operators and the ODB.

    :param sent: events that the frontend sent, None if it did not say.
    :param output: the results file, None if there is none.
    :param variables: the last of what the consumers know, for the ODB.
    :param wants_report: whether a picture report is to be drawn.
    :param missed: why not all events came from the buffer; empty if all did.
    :param completed: whether the results were made from the run file.
    :param messages: what to tell: (text, is_error).
    """

    run: int
    counts: Counts
    seen_online: int
    sent: int | None
    output: Path | None = None
    missed: str = ""
    completed: bool = False
    wants_report: bool = False
    pedestal: Path | None = None
    variables: dict[str, Any] = field(default_factory=dict)
    messages: list[tuple[str, bool]] = field(default_factory=list)

    def tell(self, text: str, is_error: bool) -> None:
        """Keep a message for the main thread, which alone may send it."""
        self.messages.append((text, is_error))

    def facts(self) -> dict[str, Any]:
        """Return what other programs are told of it."""
        return {
            "seen": self.seen_online,
            "analyzed": self.counts.analyzed,
            "lost": self.counts.lost,
            "missed": self.missed,
            "output": str(self.output or ""),
        }

    def summary(self) -> str:
        """Return one line for the message log."""
        total = self.counts.seen + self.counts.lost
        text = f"run {self.run}: {self.counts.analyzed} of {total} events analyzed"
        if self.completed:
            text += f", from the run file; missed online: {self.missed}"
        elif self.missed:
            text += f"; missed: {self.missed}"
        if self.counts.troubled:
            text += f"; {self.counts.troubled} with problems"
        return text


class Finisher:
    """Finishes runs in the background, in their order."""

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="finish")
        self._tasks: list[tuple[OnlineRun, Future[Outcome]]] = []
        self._cancel = threading.Event()

    def submit(self, run: OnlineRun, sent: int | None, file: Path | None) -> None:
        """Begin to finish a run.

        :param sent: events that the frontend sent, None if it did not say.
        :param file: the run file, None if none was written.
        """
        self._tasks.append((run, self._pool.submit(self._finish, run, sent, file)))

    @property
    def is_busy(self) -> bool:
        """Tell whether runs are being finished."""
        return bool(self._tasks)

    @property
    def makes_pedestal(self) -> bool:
        """Tell whether a pedestal is being made, for which the next run should wait."""
        return any(run.analysis.conditions.is_pedestal for run, _ in self._tasks)

    def done(self) -> list[Outcome]:
        """Return what came of the runs that are finished since the last call."""
        outcomes = []
        while self._tasks and self._tasks[0][1].done():
            _, task = self._tasks.pop(0)
            with suppress(Cancelled):
                outcomes.append(task.result())
        return outcomes

    def close(self) -> None:
        """Give up what is under way; partial files stay."""
        self._cancel.set()
        self._pool.shutdown(wait=True, cancel_futures=True)

    def _finish(self, run: OnlineRun, sent: int | None, file: Path | None) -> Outcome:
        outcome = Outcome(run.run, run.counts, run.counts.seen, sent)
        try:
            run.finish_work()
            outcome.variables = run.consumers.variables()
            outcome.messages.extend(run.messages)
            run.messages.clear()
            outcome.seen_online = run.counts.seen
            outcome.missed = run.missed_of(sent)
            settings = run.analysis.settings
            if outcome.missed and settings.complete_from_file:
                self._complete(run, file, outcome)
            if not outcome.completed:
                self._close(run, outcome)
            enough = 0 < settings.report_from <= outcome.counts.analyzed
            outcome.wants_report = enough and outcome.output is not None
            if run.analysis.conditions.is_pedestal:
                self._make_pedestal(run, file, outcome)
        except Cancelled:
            run.writer.abandon(keep=True)
            raise
        except Exception as error:
            outcome.tell(f"run {run.run}: {type(error).__name__}: {error}", True)
            run.writer.abandon(keep=True)
        return outcome

    def _close(self, run: OnlineRun, outcome: Outcome) -> None:
        """Close the results that came from the buffer."""
        counts = run.counts
        if outcome.sent is not None:
            counts.lost = max(0, outcome.sent - counts.seen)
        else:
            counts.lost = run.arrivals.total_missed
        outcome.counts = counts
        run.writer.append(run.consumers.finish())
        attributes = end_attributes(run.analysis, counts, run.end_time, outcome.missed)
        try:
            outcome.output = run.writer.finish(attributes)
            run.consumers.conclude(outcome.output)
        except ResultsError as error:
            outcome.tell(str(error), True)
        outcome.messages.extend(run.messages)

    def _complete(self, run: OnlineRun, file: Path | None, outcome: Outcome) -> None:
        """Analyze the run again from its file; the better of the two results stays."""
        if file is None:
            outcome.tell(f"run {run.run} has no run file: {outcome.missed}", True)
            return
        try:
            with RunFile(file) as opened:
                if opened.run_number not in (None, run.run):
                    raise RunFileError(file, f"it is of run {opened.run_number}")
            summary = analyze_run(
                file,
                run.output,
                PedestalLookup(run.lookup_folders),
                settings=run.analysis.settings,
                workers=run.workers,
                tell=outcome.tell,
                progress=self._check_cancelled,
                makes_pedestal=False,
                partial=run.output.with_name(run.output.name + COMPLETED),
                accept=lambda counts: counts.analyzed >= run.counts.analyzed,
            )
        except (AnalyzerError, RunFileError, OSError) as error:
            outcome.tell(f"run {run.run} is not completed from its file: {error}", True)
            return
        if summary.damage:
            outcome.tell(summary.damage, True)
        if not summary.is_written:
            return
        run.writer.abandon()
        outcome.output = run.output
        outcome.counts = summary.counts
        outcome.variables = summary.variables
        outcome.completed = True

    def _make_pedestal(self, run: OnlineRun, file: Path | None, outcome: Outcome) -> None:
        if file is None:
            outcome.tell(f"run {run.run} has no run file: no pedestal is made of it", True)
            return
        try:
            path, pedestals, problems = make_pedestal(
                file,
                run.output.with_name(pedestal_name(run.run)),
                run.analysis.settings,
                self._check_cancelled,
            )
        except (AnalyzerError, RunFileError, OSError) as error:
            outcome.tell(f"run {run.run}: no pedestal: {error}", True)
            return
        for problem in problems:
            outcome.tell(f"run {run.run}: {problem}", True)
        outcome.pedestal = path
        for camera, pedestal in pedestals.items():
            facts = pedestal.summary()
            outcome.tell(
                f"pedestal of camera {camera} from run {run.run}: {facts['frames']} frames, "
                f"mean {facts['mean_adu']} ADU, noise {facts['noise_adu']} ADU, "
                f"{facts['defects']} defects",
                False,
            )

    def _check_cancelled(self, *_: object) -> None:
        if self._cancel.is_set():
            raise Cancelled
