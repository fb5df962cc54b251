"""Alarms: raised by programs, by conditions in the ODB, by time, and by programs that are missing.

Source: MIDAS ``src/alarm.cxx``, ``al_check`` and ``al_trigger_alarm`` (develop, December 2022).
"""

import time
from collections.abc import Callable
from typing import Any, Final

from experiment.constants import MT_ERROR, MT_INFO, MT_TALK, STATE_STOPPED
from experiment.errors import MidasError
from rawdata.tid import Tid
from sim.experiment import defaults
from sim.experiment.conditions import evaluate
from sim.experiment.key import NAME_BYTES
from sim.experiment.members import Members
from sim.experiment.odb import Odb

AT_INTERNAL: Final = 1
AT_PROGRAM: Final = 2
AT_EVALUATED: Final = 3
AT_PERIODIC: Final = 4
AL_INVALID_NAME: Final = 1002
_ALARMS: Final = "/Alarms/Alarms"
_CLASSES: Final = "/Alarms/Classes"
_NAME: Final = "Alarm"


class Alarms:
    """The alarm system of an experiment.

    :param stop_run: stops the run; it is given the reason.
    """

    def __init__(
        self,
        odb: Odb,
        members: Members,
        say: Callable[[str, int, str], None],
        system: Callable[[str], None],
        stop_run: Callable[[str], None],
    ) -> None:
        self._odb = odb
        self._members = members
        self._say = say
        self._system = system
        self._stop_run = stop_run

    @property
    def is_active(self) -> bool:
        """False while the operator has switched the alarm system off."""
        return bool(self._odb.get_or("/Alarms/Alarm system active", True))

    def define(self, name: str, condition: str, alarm_class: str, message: str) -> None:
        """Define an alarm that a condition in the ODB triggers (``al_define_odb_alarm``)."""
        _require_name(name)
        defaults.declare(self._odb, f"{_ALARMS}/{name}", defaults.ALARM)
        self._write(name, "Condition", condition)
        self._write(name, "Alarm Class", alarm_class)
        self._write(name, "Alarm Message", message)

    def define_class(self, name: str, command: str, interval_s: int, stop_run: bool) -> None:
        """Define what happens when an alarm of a class triggers; sets anew what is there."""
        values = {"Execute command": command, "Execute interval": interval_s, "Stop run": stop_run}
        for key, tid, default, size in defaults.ALARM_CLASS:
            self._odb.write(f"{_CLASSES}/{name}/{key}", tid, values.get(key, default), size)

    def trigger(
        self,
        name: str,
        message: str,
        alarm_class: str = "Alarm",
        condition: str = "",
        alarm_type: int = AT_INTERNAL,
    ) -> None:
        """Trigger an alarm; it is made where it is not, and only then takes the class.

        :raises MidasError: AL_INVALID_NAME.
        """
        _require_name(name)
        if not self._odb.exists(f"{_ALARMS}/{name}"):
            defaults.declare(self._odb, f"{_ALARMS}/{name}", defaults.ALARM)
            self._write(name, "Alarm Class", alarm_class)
            self._write(name, "Active", True)
        if alarm_type in (AT_INTERNAL, AT_PROGRAM):
            self._write(name, "Type", alarm_type)
            self._write(name, "Condition", condition)
        alarm = self._alarm(name)
        now = int(time.time())
        if alarm["Type"] in (AT_INTERNAL, AT_PROGRAM):
            waits = now - alarm["Checked last"] < alarm["Check interval"]
            if not self.is_active or not alarm["Active"] or waits:
                return
            self._write(name, "Alarm Message", message)
        for class_name in (alarm["Alarm Class"], "All"):
            if class_name and (class_name != "All" or self._odb.exists(f"{_CLASSES}/All")):
                self._trigger_class(class_name, message)
        when = time.strftime("%a %b %d %H:%M:%S %Y")
        if not alarm["Triggered"]:
            self._write(name, "Time triggered first", when)
        self._write(name, "Triggered", alarm["Triggered"] + 1)
        self._write(name, "Time triggered last", when)
        self._write(name, "Checked last", now)

    def _trigger_class(self, name: str, message: str) -> None:
        path = f"{_CLASSES}/{name}"
        if not self._odb.exists(path):
            self._say(_NAME, MT_ERROR, f'Alarm class "{name}" for alarm "{message}" not in the ODB')
            return
        defaults.declare(self._odb, path, defaults.ALARM_CLASS)
        settings, now = self._odb.get(path), int(time.time())
        text = f"{'General alarm' if name == 'All' else name}: {message}"
        due = now - settings["System message last"] >= settings["System message interval"]
        if settings["Write system message"] and due:
            self._say(_NAME, MT_TALK, text)
            self._odb.write(f"{path}/System message last", Tid.DWORD, now)
        command, interval = settings["Execute command"], settings["Execute interval"]
        if command and interval > 0 and now - settings["Execute last"] > interval:
            command = command.replace("%s", text)
            self._say(_NAME, MT_INFO, f"Execute: {command}")
            self._system(command)
            self._odb.write(f"{path}/Execute last", Tid.DWORD, now)
        if (
            settings["Stop run"]
            and self._odb.get_or("/Runinfo/State", STATE_STOPPED) != STATE_STOPPED
        ):
            self._stop_run(f"Stopping the run from alarm class '{name}', message '{message}'")

    def reset(self, name: str | None) -> None:
        """Reset (acknowledge) an alarm; None for all.

        :raises MidasError: AL_INVALID_NAME if there is none of this name.
        """
        if name is None:
            for each in self._odb.names(_ALARMS):
                self.reset(each)
            return
        if not name or not self._odb.exists(f"{_ALARMS}/{name}"):
            raise MidasError(AL_INVALID_NAME, f"there is no alarm {name!r}")
        alarm = self._alarm(name)
        if not alarm["Triggered"]:
            return
        for key, value in (
            ("Triggered", 0),
            ("Time triggered first", ""),
            ("Time triggered last", ""),
            ("Checked last", 0),
        ):
            self._write(name, key, value)
        for key in ("System message last", "Execute last"):
            path = f"{_CLASSES}/{alarm['Alarm Class']}/{key}"
            if self._odb.exists(path):
                self._odb.write(path, Tid.DWORD, 0)
        self._say(_NAME, MT_INFO, f'Alarm "{name}" reset')

    # check -------------------------------------------------------------------------------------
    def check(self) -> None:
        """Look for what should trigger an alarm; called every second."""
        if self._odb.get_or("/Runinfo/Online Mode", 1) and self.is_active:
            for name in self._odb.names(_ALARMS):
                self._check_alarm(name)
            for name, program in self._odb.get_or("/Programs", {}).items():
                if isinstance(program, dict):
                    self._check_program(name)

    def _check_alarm(self, name: str) -> None:
        alarm = self._alarm(name)
        now = int(time.time())
        interval = alarm["Check interval"]
        if not alarm["Active"] or interval <= 0 or now - alarm["Checked last"] <= interval:
            return
        if alarm["Type"] == AT_PERIODIC:
            if alarm["Checked last"] == 0:
                self._write(name, "Checked last", now)
            else:
                self.trigger(name, alarm["Alarm Message"], alarm_type=AT_PERIODIC)
        elif alarm["Type"] == AT_EVALUATED:
            try:
                holds, value = evaluate(self._odb, alarm["Condition"])
            except (KeyError, ValueError, TypeError, MidasError) as error:
                why = error.args[0] if isinstance(error, KeyError) else error
                self._say(_NAME, MT_ERROR, f'Alarm "{name}" cannot be evaluated: {why}')
                holds, value = False, ""
            if holds:
                message = alarm["Alarm Message"].replace("%s", value)
                self.trigger(name, message, alarm_type=AT_EVALUATED)
            else:
                self._write(name, "Checked last", now)

    def _check_program(self, name: str) -> None:
        path, now = f"/Programs/{name}", int(time.time())
        defaults.declare(self._odb, path, defaults.PROGRAM)
        program = self._odb.get(path)
        failed = program["First failed"]
        if self._members.named(name, unique=False) is not None:
            if failed:
                self._odb.write(f"{path}/First failed", Tid.DWORD, 0)
            return
        if not failed:
            failed = now
            self._odb.write(f"{path}/First failed", Tid.DWORD, now)
        if now - failed < program["Check interval"] / 1000:
            return
        if program["Alarm class"]:
            text = f"Program {name} is not running"
            self.trigger(name, text, program["Alarm class"], "Program not running", AT_PROGRAM)
        if program["Auto restart"] and program["Start command"]:
            self._system(program["Start command"])
            self._odb.write(f"{path}/First failed", Tid.DWORD, 0)
            self._say(_NAME, MT_TALK, f"Program {name} restarted")

    def _alarm(self, name: str) -> dict[str, Any]:
        defaults.declare(self._odb, f"{_ALARMS}/{name}", defaults.ALARM)
        alarm: dict[str, Any] = self._odb.get(f"{_ALARMS}/{name}")
        return alarm

    def _write(self, name: str, key: str, value: Any) -> None:
        tid, size = next((entry[1], entry[3]) for entry in defaults.ALARM if entry[0] == key)
        self._odb.write(f"{_ALARMS}/{name}/{key}", tid, value, size)


def _require_name(name: str) -> None:
    if not name or "/" in name or len(name.encode()) >= NAME_BYTES:
        raise MidasError(
            AL_INVALID_NAME,
            f'{name!r} cannot be the name of an alarm: 1 to {NAME_BYTES - 1} bytes, no "/"',
        )
