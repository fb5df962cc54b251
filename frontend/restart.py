"""Start a run again that a failed device has ended: a few times, with growing patience.

CYGNO's frontend asks for that with two keys, ``/Configurations/RunControl/StopRequested`` and
``StopReason``, from which an alarm, *Run Autorestart*, stops and starts the run; begin of run
clears all three. They keep their meaning, so that an experiment with such an alarm goes on as it
did. Where ``Restart tries`` is set, the frontend itself starts the run again.
"""

import ctypes
from dataclasses import dataclass

from experiment.client import Client
from frontend.equipment import raise_alarm, string_value
from frontend.settings import TriggerSettings

ALARM = "Run Autorestart"
STOP_REQUESTED = "/Configurations/RunControl/StopRequested"
STOP_REASON = "/Configurations/RunControl/StopReason"
LONGEST_WAIT_S = 60.0
GOOD_RUN_S = 600.0
"""A run that lasted so long has proven the device: tries are counted from zero again."""
START_LIMIT_S = 60.0
"""Time after which a start that was asked for counts as failed."""
_REASON_BYTES = 256
_AT_EVALUATED = 3  # midas.h: an alarm with a condition, which MIDAS looks at by itself


@dataclass
class RestartPlan:
    """Whether and when a run is started again; knows no clock and no experiment.

    :param tries: automatic starts in a row so far.
    """

    allowed: int = 0
    wait_s: float = 1.0
    tries: int = 0
    reason: str = ""
    due_s: float | None = None
    """When to start, once the run has ended [s, monotonic]."""
    asked_s: float | None = None
    """Since when a start that we asked for is under way."""
    _is_wanted: bool = False

    @property
    def is_pending(self) -> bool:
        """True from the failure of a run until the next one is tried, or given up."""
        return self._is_wanted or self.due_s is not None

    @property
    def next_wait_s(self) -> float:
        """Time before the next try; doubled with each try."""
        return float(min(LONGEST_WAIT_S, self.wait_s * 2.0 ** min(self.tries, 10)))

    def run_failed(self, reason: str, lasted_s: float) -> bool:
        """Note that a device ends the run; return whether it will be started again."""
        if lasted_s >= GOOD_RUN_S:
            self.tries = 0
        self.reason = reason
        self._is_wanted = self.tries < self.allowed
        return self._is_wanted

    def run_ended(self, now_s: float) -> None:
        """Note that the run is over; a wanted start is due after the wait."""
        if self._is_wanted:
            self._is_wanted = False
            self.due_s = now_s + self.next_wait_s

    def is_due(self, now_s: float) -> bool:
        """Tell whether it is time to start."""
        return self.due_s is not None and now_s >= self.due_s

    def begin_try(self, now_s: float) -> None:
        """Note that the start is tried now."""
        self.due_s = None
        self.tries += 1
        self.asked_s = now_s

    def try_failed(self, reason: str, now_s: float) -> bool:
        """Note that the start did not work; return whether it will be tried again."""
        self.asked_s = None
        self.reason = reason
        if self.tries >= self.allowed:
            return False
        self.due_s = now_s + self.next_wait_s
        return True

    def run_begins(self, settings: TriggerSettings) -> None:
        """Note that a run begins; one that we did not ask for starts the count anew."""
        if self.asked_s is None:
            self.tries = 0
        self.due_s = None
        self._is_wanted = False
        self.reason = ""
        self.allowed, self.wait_s = settings.restart_tries, settings.restart_wait_s

    def run_goes_on(self) -> None:
        """Note that the run began for all programs: the start that we asked for has worked."""
        self.asked_s = None

    def call_off(self) -> None:
        """Start nothing any more."""
        self.due_s = self.asked_s = None
        self._is_wanted = False


class RunControlKeys:
    """CYGNO's keys for a run that is to be stopped and started again, and the alarm with them."""

    def __init__(self, client: Client) -> None:
        self._client = client
        if not client.odb_exists(STOP_REQUESTED):
            client.odb_set(STOP_REQUESTED, ctypes.c_int8(0))
        if not client.odb_exists(STOP_REASON):
            client.odb_set(STOP_REASON, string_value("", _REASON_BYTES))

    @property
    def is_requested(self) -> bool:
        """True if a stop is asked for."""
        return bool(self._client.odb_get(STOP_REQUESTED))

    @property
    def reason(self) -> str:
        """Why."""
        return str(self._client.odb_get(STOP_REASON))

    def request(self, reason: str) -> None:
        """Ask for a stop and a start."""
        self._client.odb_set(STOP_REASON, string_value(reason, _REASON_BYTES))
        self._client.odb_set(STOP_REQUESTED, 1)

    def raise_alarm(self, says: str) -> None:
        """Raise the alarm, unless the experiment has its own of that name, with a condition."""
        kind = f"/Alarms/Alarms/{ALARM}/Type"
        if not (self._client.odb_exists(kind) and self._client.odb_get(kind) == _AT_EVALUATED):
            raise_alarm(self._client, ALARM, says)

    def drop_request(self) -> None:
        """Ask for it no more; the reason stays."""
        self._client.odb_set(STOP_REQUESTED, 0)

    def clear(self) -> None:
        """Reset keys and alarm, as begin of run does."""
        if self.is_requested:
            self.drop_request()
        if self.reason:
            self._client.odb_set(STOP_REASON, string_value("", _REASON_BYTES))
        if ALARM in self._client.get_triggered_alarms():
            self._client.reset_alarm(ALARM)
