"""What other programs see of the online analyzer: the stream of results, and answers by JRPC."""

from collections.abc import Callable
from typing import Any

from analyzer.analysis import RunAnalysis
from analyzer.answers import answer
from analyzer.consumer import Consumer
from analyzer.errors import AnalyzerError
from analyzer.finisher import Outcome
from analyzer.online_run import OnlineRun
from analyzer.publish import Publisher
from analyzer.questions import Shown
from analyzer.spectra import Spectra
from analyzer.stream import ResultStream, StreamedRun
from experiment.client import Client
from experiment.constants import STATUS


class Window:
    """Shows runs to other programs; main thread only.

    :param port: of the stream of results; 0 takes a free one, -1 opens none.
    :param facts: tells what the analyzer is like now.
    """

    def __init__(
        self, client: Client, publisher: Publisher, port: int, facts: Callable[[], dict[str, Any]]
    ) -> None:
        self._facts = facts
        self._shown = Shown()
        self._run: OnlineRun | None = None
        self._last: dict[str, Any] = {}
        self._stream: ResultStream | None = None
        if port >= 0:
            try:
                self._stream = ResultStream(port)
            except AnalyzerError as error:  # data taking and results do not need it
                client.msg(str(error), True)
        self._address = self._stream.address if self._stream else ""
        publisher.set_stream(self._address)
        client.register_jrpc_callback(self._answer)

    def consumers(self, analysis: RunAnalysis) -> list[Consumer]:
        """Return who takes the results of a run for us."""
        consumers: list[Consumer] = [Spectra(analysis)]
        if self._stream is not None:
            consumers.append(StreamedRun(analysis, self._stream))
        return consumers

    def open(self, run: OnlineRun) -> None:
        """Show a run that begins."""
        self._run = run
        self._shown.spectra = run.consumers.find(Spectra)
        if self._stream is not None:
            self._stream.send_run(run.run, "begin", joined=run.arrivals.joined)

    def conclude(self, outcome: Outcome) -> None:
        """Tell what came of a run."""
        self._last = {"run": outcome.run, **outcome.facts()}
        if self._stream is not None:
            self._stream.send_run(outcome.run, "end", **outcome.facts())

    def leave(self) -> None:
        """Note that the run is over; its last event stays to be seen."""
        if self._run is not None:
            self._shown.view = self._run.view or self._shown.view
        self._run = None

    def close(self) -> None:
        """End the stream."""
        if self._stream is not None:
            self._stream.close()

    def _answer(self, client: Client, verb: str, arguments: str, room: int) -> tuple[int, str]:
        """Answer a question; what is wrong with it stands in the answer. One byte ends the text."""
        run = self._run
        facts: dict[str, Any] = {"state": "no run", **self._last}
        if run is not None:
            self._shown.view = run.view or self._shown.view
            arrivals = run.arrivals
            facts = {
                "state": "running",
                "run": run.run,
                "seen": arrivals.seen,
                "analyzed": run.counts.analyzed,
                "missed": run.missed_of(None),
                "missed_by_reason": dict(arrivals.missed),
                "fraction_seen": arrivals.fraction_seen,
            }
        self._shown.status = {**self._facts(), **facts, "stream": self._address}
        return STATUS["SUCCESS"], answer(self._shown, verb, arguments, room - 1)
