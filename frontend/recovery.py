"""After a device has failed: stop, connect again, start again; what the operator is told meanwhile.

Each try makes the devices ready before it asks for a start, so that a camera that is still away
costs no run number.
"""

import time

from experiment.client import Client
from experiment.constants import STATE_STOPPED
from experiment.errors import ExperimentError
from frontend.devices import Devices
from frontend.equipment import RED, YELLOW, Equipment
from frontend.instance import Instance
from frontend.restart import START_LIMIT_S, RestartPlan, RunControlKeys
from frontend.settings import TriggerSettings
from frontend.setup import load_setup
from hardware.errors import DeviceError


class Recovery:
    """Starts runs again for one trigger frontend; for the main thread alone."""

    def __init__(
        self, client: Client, instance: Instance, equipment: Equipment, devices: Devices
    ) -> None:
        self._client = client
        self._instance = instance
        self._equipment = equipment
        self._devices = devices
        self._keys = RunControlKeys(client)
        self._plan = RestartPlan()
        self.restarts = 0
        """Automatic starts in a row that led to the present run."""

    def run_begins(self, settings: TriggerSettings) -> None:
        """Begin a run: what was asked for before is over."""
        self._plan.run_begins(settings)
        self.restarts = self._plan.tries
        self._keys.clear()

    def run_goes_on(self) -> None:
        """Note that the run is running."""
        self._plan.run_goes_on()

    def run_failed(self, run_number: int, reason: str, lasted_s: float) -> None:
        """Ask for a stop and, as often as the settings allow, a start.

        :param lasted_s: how long the run went on.
        """
        is_wanted = self._plan.run_failed(reason, lasted_s)
        self._keys.request(reason)
        if is_wanted:
            self._keys.raise_alarm(f"run {run_number}: {reason}")
        elif self._plan.allowed:
            self._give_up()

    def run_ended(self) -> None:
        """Note that the run is over."""
        self._plan.run_ended(time.monotonic())
        self._show_wait()

    def start_aborted(self, run_number: int) -> None:
        """Note that a start did not become a run."""
        if self._plan.asked_s is not None:
            self._start_failed(self._plan.reason or f"start of run {run_number} was aborted")

    def call_off(self) -> None:
        """Start nothing any more."""
        self._plan.call_off()

    def work(self) -> None:
        """Start a run if one is due; to be called while none goes on."""
        now = time.monotonic()
        if self._plan.asked_s is not None and now > self._plan.asked_s + START_LIMIT_S:
            self._start_failed(f"no run began within {START_LIMIT_S:.0f} s")
        if self._plan.due_s is None or self._client.odb_get("/Runinfo/Transition in progress"):
            return
        if not self._keys.is_requested or self._client.odb_get("/Runinfo/State") != STATE_STOPPED:
            self._plan.call_off()
            self._client.msg(f"{self._instance.equipment}: the automatic start is called off")
            self._equipment.set_status("ready; the automatic start was called off", YELLOW)
            return
        if not self._plan.is_due(now):
            return
        self._plan.begin_try(now)
        tries = f"{self._plan.tries} of {self._plan.allowed}"
        self._client.msg(f"{self._instance.equipment}: automatic start, try {tries}")
        try:
            self._try_devices()
            self._client.start_run(async_flag=True)
        except (ExperimentError, DeviceError) as error:
            self._start_failed(str(error))

    def _try_devices(self) -> None:
        run_number = int(self._client.odb_get("/Runinfo/Run number")) + 1
        setup = load_setup(self._client, self._instance.settings_path)
        try:
            self._devices.ensure_ready(setup, run_number)
        finally:
            self._devices.ensure_stopped()

    def _start_failed(self, reason: str) -> None:
        text = f"{self._instance.equipment}: automatic start failed: {reason}"
        self._client.msg(text, is_error=True)
        if self._plan.try_failed(reason, time.monotonic()):
            self._show_wait()
        else:
            self._give_up()
            self._equipment.set_status(f"given up: {reason}", RED)

    def _give_up(self) -> None:
        tries, reason = self._plan.tries, self._plan.reason
        text = f"given up after {tries} automatic starts"
        self._client.msg(f"{self._instance.equipment}: {text}: {reason}", is_error=True)
        self._keys.raise_alarm(f"{text}: {reason}")
        self._keys.drop_request()

    def _show_wait(self) -> None:
        plan = self._plan
        if plan.due_s is not None:
            text = (
                f"starts again in {plan.next_wait_s:g} s, try {plan.tries + 1} of {plan.allowed}"
                f" (StopRequested = 0 calls it off): {plan.reason}"
            )
            self._equipment.set_status(text, YELLOW)
