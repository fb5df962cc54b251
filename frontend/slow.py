"""``cygno-frontend slow``: high voltage and environment as periodic equipment with history.

Each device is polled by a thread of its own; the main thread sends what is new.
"""

import logging
import time
from collections.abc import Callable
from typing import Any

from experiment.client import Client, TransitionResult
from experiment.constants import EQ_PERIODIC, RO_ALWAYS, TR_START
from experiment.errors import ExperimentError, SettingsError
from experiment.settings import declare, load
from frontend.equipment import GREEN, RED, YELLOW, Common, Equipment, raise_alarm
from frontend.settings import EnvironmentSettings, HighVoltageSettings, options_for
from frontend.slow_banks import EnvironmentBanks, HighVoltageBanks, SlowBanks
from frontend.slow_devices import Poller, Sample, SlowDevice
from hardware.errors import DeviceError
from hardware.registry import open_device
from rawdata.build import EventBuilder
from rawdata.event import BankFormat

CLIENT_NAME = "cygno-frontend-slow"
SEQUENCE = 500
PERIOD_MS = 10_000
"""CYGNO reads every 60 s; its runs last minutes, simulated ones seconds."""
IDLE_MS = 50
_SEND_TIMEOUT_MS = 20
_EVENT_BYTES = 64 * 1024  # CYGNO's slow frontend: at most 10 000 bytes
_STATISTICS_PERIOD_S = 1.0

_log = logging.getLogger(__name__)


class SlowEquipment:
    """One equipment, its device and its poller.

    :param kind: the drivers' kind, of `hardware.registry.KINDS`.
    """

    def __init__(
        self,
        client: Client,
        name: str,
        kind: str,
        model: type[HighVoltageSettings],
        banks: SlowBanks[Any],
        buffers: dict[str, int],
    ) -> None:
        self._client = client
        self._banks = banks
        self._model = model
        declare(client, model.odb_path, model())
        self._settings: HighVoltageSettings | None = None
        self._refusal = ""
        self._load_settings()
        client.odb_watch(model.odb_path, self._load_settings)
        common = Common(banks.event_id, EQ_PERIODIC, RO_ALWAYS, PERIOD_MS, log_history=1)
        self._equipment = Equipment(client, name, common, buffers)
        self._kind = kind
        self._poller: Poller[Any] = Poller(name, self._open_driver, self._equipment.period_s)
        self._builder = EventBuilder(bytearray(_EVENT_BYTES), banks.event_id, BankFormat.BANK)
        self._first_bank = self._builder.mark
        self._names: tuple[str, ...] = ()
        self._seen = -1
        self._serial = 0
        self._failures = 0
        self._has_failed = False
        self._driver_name = ""
        self._equipment.set_status("connecting", YELLOW)

    def _load_settings(self, *_: object) -> None:
        """Read driver and options; they count until the driver is open, then at the next start."""
        try:
            self._settings = load(self._client, self._model.odb_path, self._model)
        except SettingsError as error:
            self._refusal = str(error)
            self._settings = None

    def _open_driver(self) -> SlowDevice:
        """Open the driver; called by the poller's thread.

        :raises DeviceError: if there is no such driver, or no good settings.
        """
        settings = self._settings
        if settings is None:
            raise DeviceError(self._refusal)
        options = options_for(settings.options, 0)
        device: SlowDevice = open_device(self._kind, settings.driver, **options)
        self._driver_name = settings.driver
        return device

    def start(self) -> None:
        """Begin to poll."""
        self._poller.start()

    def stop(self) -> None:
        """End polling and close the device."""
        self._poller.stop(timeout_s=2.0)

    def begin_run(self) -> None:
        """Count from zero, and read at once, so that each run has its conditions."""
        self._serial = 0
        self._equipment.reset_statistics()
        if self._equipment.is_enabled:
            self._poller.read_now()

    def work(self, run_state: int) -> None:
        """Send what is new; tell the operator how the device is."""
        self._poller.set_period(self._equipment.period_s)
        self._show_state()
        sample = self._poller.sample
        if sample is None or sample.number == self._seen:
            return
        is_wanted = self._equipment.is_enabled and self._is_read_in(run_state)
        if is_wanted and not self._send(sample):
            return
        self._seen = sample.number

    def write_statistics(self) -> None:
        """Write the statistics."""
        self._equipment.write_statistics()

    def _is_read_in(self, run_state: int) -> bool:
        bit = {1: 1 << 1, 2: 1 << 2, 3: 1 << 0}[run_state]  # RO_STOPPED, RO_PAUSED, RO_RUNNING
        return bool(self._equipment.reads_on & bit)

    def _show_state(self) -> None:
        failure, error = self._poller.failure, self._poller.error
        # A failure may be over before we look; one that hangs is an error without being one yet.
        reason = failure.reason if failure.number > self._failures else error
        if reason is not None and not self._has_failed:
            self._has_failed = True
            self._client.msg(f"{self._equipment.name}: {reason}; it is tried again", True)
            raise_alarm(self._client, f"{self._equipment.name} device failed", reason)
        self._failures = failure.number
        if error is not None:
            self._equipment.set_status(error, RED)
        elif self._poller.sample is not None:
            if self._has_failed:
                self._has_failed = False
                self._client.msg(f"{self._equipment.name}: {self._driver_name} answers again")
            self._equipment.set_status(f"Ok ({self._driver_name})", GREEN)

    def _send(self, sample: Sample[Any]) -> bool:
        self._builder.rewind(self._first_bank)
        self._banks.encode(self._builder, sample.reading)
        event = self._builder.finish(self._serial, int(sample.time_s))
        if not self._equipment.send(event, _SEND_TIMEOUT_MS):
            return False
        self._serial += 1
        if sample.names != self._names:
            self._names = sample.names
            key = f"{self._equipment.path}/Settings/{self._banks.names_key}"
            self._client.odb_set(key, list(sample.names))
        if self._equipment.keeps_history:
            self._equipment.set_variables(self._banks.variables(sample.reading))
        return True


class SlowFrontend:
    """The slow-control frontend in its experiment.

    :param client: connected, of this thread.
    """

    def __init__(self, client: Client) -> None:
        self._client = client
        buffers: dict[str, int] = {}
        self._equipment = [
            SlowEquipment(
                client, "HV", "high_voltage", HighVoltageSettings, HighVoltageBanks(), buffers
            ),
            SlowEquipment(
                client, "Environment", "sensors", EnvironmentSettings, EnvironmentBanks(), buffers
            ),
        ]
        self._run_state = int(client.odb_get("/Runinfo/State"))
        client.odb_watch("/Runinfo/State", self._run_state_changed)
        client.register_transition_callback(TR_START, SEQUENCE, self._start)

    def serve(self, is_over: Callable[[], bool]) -> None:
        """Serve the experiment until `is_over`.

        :raises ExperimentError: if the experiment is gone.
        """
        statistics_due_s = 0.0
        try:
            for equipment in self._equipment:
                equipment.start()
            while not is_over():
                for equipment in self._equipment:
                    equipment.work(self._run_state)
                if time.monotonic() >= statistics_due_s:
                    statistics_due_s = time.monotonic() + _STATISTICS_PERIOD_S
                    for equipment in self._equipment:
                        equipment.write_statistics()
                self._client.communicate(IDLE_MS)
        finally:
            for equipment in self._equipment:
                equipment.stop()

    def _run_state_changed(self, client: Client, path: str, value: Any) -> None:
        self._run_state = int(value)

    def _start(self, client: Client, run_number: int) -> TransitionResult:
        try:
            for equipment in self._equipment:
                equipment.begin_run()
        except ExperimentError as error:  # slow control holds no run back
            _log.warning("start of run %d: %s", run_number, error)
        return None
