"""Stage for ever: as a program of the experiment while that is up, and on its own while it is not.

No failure ends it: each is shown, alarmed, and tried again later.
"""

import logging
import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from experiment.client import Client
from experiment.errors import ExperimentError
from stager.attach import connect_if_up, current_run
from stager.catalog import Catalog
from stager.configuration import Configuration, configure
from stager.equipment import StagerEquipment, Tally
from stager.errors import CatalogError, StagerError, Stopped
from stager.ledger import Ledger
from stager.models import State
from stager.once import complaints
from stager.outcome import WAITING, Pass, Progress
from stager.worker import Worker

CLIENT_NAME: Final = "cygno-stager"
_SLICE_MS: Final = 100
_RETRY_S: Final = 10.0

log = logging.getLogger(__name__)


class Daemon:
    """The stager as a service.

    :param options: of the command, see `configure`.
    :param named: the experiment that the command was told.
    :param is_over: True once somebody asked us to end.
    """

    def __init__(
        self,
        options: dict[str, Any],
        named: str | None,
        folder: Path | None,
        config_file: Path | None,
        progress: Progress,
        is_over: Callable[[], bool],
    ) -> None:
        self._options = options
        self._named = named
        self._folder = folder
        self._config_file = config_file
        self._progress = progress
        self._is_over = is_over
        self._client: Client | None = None
        self._equipment: StagerEquipment | None = None
        self._catalog: Catalog | None = None
        self._catalog_url = ""
        self._tally = Tally()
        self._complaint = ""

    def serve(self) -> None:
        """Stage until it is over."""
        try:
            while not self._is_over():
                self._connect()
                self._rest(self._one_pass())
        except (Stopped, KeyboardInterrupt):
            pass
        finally:
            if self._catalog:
                self._catalog.close()
            self._with_experiment(lambda client: client.disconnect())

    def _one_pass(self) -> float:
        """Do all that can be done; return how long [s] to rest afterwards."""
        try:
            configuration = configure(self._options, self._folder, self._client, self._config_file)
            worker = Worker(
                configuration,
                Ledger(self._open_catalog(configuration), configuration.settings),
                self._pulse,
                self._progress,
            )
            run = self._ask_current_run()
            result = worker.run_pass(run, retry_all=False)
        except Stopped:
            raise
        except StagerError as error:
            if isinstance(error, CatalogError):
                self._close_catalog()
            self._complain(str(error))
            return _RETRY_S
        except ExperimentError as error:
            self._drop(error)
            return 0.0
        self._count(result)
        lines = complaints(result)
        self._complain("; ".join(lines))
        period = configuration.settings.scan_period_s
        return min(period, result.look_again_s or period)

    def _open_catalog(self, configuration: Configuration) -> Catalog:
        if self._catalog is None or self._catalog_url != configuration.catalog_url:
            self._close_catalog()
            self._catalog = Catalog(configuration.catalog_url)
            self._catalog.wait_s = math.inf
            self._catalog.on_wait = self._wait_for_catalog
            self._catalog_url = configuration.catalog_url
        return self._catalog

    def _wait_for_catalog(self, reason: str) -> None:
        if reason != self._complaint:
            self._complain(reason)
        self._pulse()

    def _close_catalog(self) -> None:
        if self._catalog:
            self._catalog.close()
        self._catalog = None

    def _count(self, result: Pass) -> None:
        for outcome in result.outcomes:
            if outcome.state == State.CATALOGUED:
                log.info("%s is in the cloud as %s", outcome.path, outcome.object_key)
                self._tally.files_staged += 1
                self._tally.bytes_staged += outcome.object_bytes or 0
                self._tally.last_run = max(self._tally.last_run, outcome.run)
        self._tally.files_waiting = result.count(WAITING)
        self._tally.files_failed = result.count(State.FAILED)

    def _complain(self, complaint: str) -> None:
        if complaint and complaint != self._complaint:
            log.error("%s", complaint)
        self._complaint = complaint
        self._tally.last_error = complaint or self._tally.last_error
        text, mood = f"{self._tally.files_staged} files staged", "ok"
        if self._tally.files_waiting:
            text, mood = f"{text}, {self._tally.files_waiting} waiting", "busy"
        if complaint:
            text, mood = complaint, "bad"
        tally = self._tally

        def show(client: Client) -> None:
            if self._equipment:
                self._equipment.show(text, mood, tally)
                self._equipment.raise_alarm(complaint)

        self._with_experiment(show)

    # the experiment ----------------------------------------------------------------------------
    def _connect(self) -> None:
        if self._client is not None:
            return
        self._client = connect_if_up(CLIENT_NAME, self._named, self._folder)
        if self._client is None:
            return
        log.info("connected to the experiment as %s", self._client.name)

        def prepare(client: Client) -> None:
            self._equipment = StagerEquipment(client)
            self._equipment.show("ready", "ok", self._tally)

        self._with_experiment(prepare)

    def _ask_current_run(self) -> int | None:
        return current_run(self._client)

    def _with_experiment(self, do: Callable[[Client], object]) -> None:
        if self._client is None:
            return
        try:
            do(self._client)
        except ExperimentError as error:
            self._drop(error)

    def _drop(self, error: ExperimentError) -> None:
        """Go on alone; the experiment is looked for again before the next pass."""
        log.warning("the experiment is gone: %s", error)
        client, self._client, self._equipment = self._client, None, None
        if client is not None:
            try:
                client.disconnect()
            except ExperimentError:
                pass

    def _pulse(self) -> None:
        if self._is_over():
            raise Stopped("asked to end")
        self._with_experiment(lambda client: client.communicate(1))

    def _rest(self, rest_s: float) -> None:
        """Wait for the next pass, which begins at once when a run has ended."""
        end = time.monotonic() + rest_s
        was_running = self._running()
        while time.monotonic() < end and not self._is_over():
            if self._client is None:
                time.sleep(_SLICE_MS / 1000)
                continue
            self._with_experiment(lambda client: client.communicate(_SLICE_MS))
            running = self._running()
            if was_running and not running:
                return
            was_running = running

    def _running(self) -> bool:
        running: list[int | None] = [None]

        def ask(client: Client) -> None:
            running[0] = current_run(client)

        self._with_experiment(ask)
        return running[0] is not None
