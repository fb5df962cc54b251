"""What begin of run would say, before it is asked: for `cygno-frontend check` and `setup`.

Where the trigger frontend runs, it looks itself, since it has the devices open; else they are
opened here for the moment.
"""

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any, Self

from experiment.client import Client
from experiment.errors import ExperimentError
from experiment.settings import unknown_keys
from frontend.checks import buffer_bytes
from frontend.devices import Devices
from frontend.errors import FrontendError
from frontend.instance import Instance
from frontend.layout import EventLayout
from frontend.odb_setup import BUFFER_SECONDS, Change, changes_for
from frontend.preparation import Preparation
from frontend.settings import TriggerSettings
from frontend.setup import RunSetup
from hardware.errors import DeviceError

LOOK = "look ahead"
"""Name of the remote call that a trigger frontend answers; its argument is a JSON object."""
_ANSWER_CHARACTERS = 64_000
_SHORT_BUFFER_S = 1.0


class Verdict(StrEnum):
    """How something is found."""

    OK = "ok"
    WARNING = "warning"
    REFUSED = "refused"


@dataclass(frozen=True)
class Finding:
    """What one look found."""

    subject: str
    verdict: Verdict
    text: str = ""


@dataclass
class Readiness:
    """All that was found, and what the ODB needs."""

    findings: list[Finding] = field(default_factory=list)
    changes: list[Change] = field(default_factory=list)
    is_measured: bool = False
    """True if settings and devices were good enough to tell what the ODB needs."""

    @property
    def is_ready(self) -> bool:
        """True if nothing refuses the run."""
        return all(finding.verdict is not Verdict.REFUSED for finding in self.findings)

    def as_dict(self) -> dict[str, Any]:
        """Return it for machines."""
        return {
            "ready": self.is_ready,
            "findings": [asdict(finding) for finding in self.findings],
            "changes": [change.as_dict() for change in self.changes],
            "measured": self.is_measured,
        }

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Return what another program found."""
        content = json.loads(text)
        findings = [
            Finding(entry["subject"], Verdict(entry["verdict"]), entry["text"])
            for entry in content["findings"]
        ]
        changes = [Change(**entry) for entry in content["changes"]]
        return cls(findings, changes, content["measured"])


def look_ahead(
    client: Client,
    devices: Devices,
    instance: Instance,
    buffer_seconds: float = BUFFER_SECONDS,
) -> Readiness:
    """Take the steps of begin of run, and tell what each says; devices are ready, not started.

    :param buffer_seconds: time at the expected rate that the buffer should hold.
    """
    found = Readiness()
    buffer = _buffer_name(client, instance)
    run_number = int(client.odb_get("/Runinfo/Run number")) + 1
    preparation = Preparation(client, devices, instance, buffer, run_number)
    for subject, step in preparation.steps():
        try:
            step()
        except (ExperimentError, DeviceError, FrontendError, MemoryError) as error:
            found.findings.append(Finding(subject, Verdict.REFUSED, str(error)))
            if not preparation.is_whole:
                break
        else:
            found.findings.append(Finding(subject, Verdict.OK))
    for key in unknown_keys(client, instance.settings_path, TriggerSettings):
        text = f"{key} is no setting of mine; is it spelled wrong?"
        found.findings.append(Finding("settings", Verdict.WARNING, text))
    found.findings += _warnings(client, instance)
    if preparation.is_whole:
        setup, layout = preparation.setup, preparation.layout
        found.findings += _warnings_of_room(client, setup, layout, buffer)
        found.changes = changes_for(client, setup, layout, instance, buffer, buffer_seconds)
        found.is_measured = True
    return found


def ask_or_look(
    client: Client, instance: Instance, buffer_seconds: float = BUFFER_SECONDS
) -> Readiness:
    """Let the trigger frontend look ahead if it runs, else do it here.

    :raises FrontendError: if the frontend cannot look now, for one because a run goes on.
    """
    if instance.client_name in clients_of(client):
        return _ask(client, instance, buffer_seconds)
    devices = Devices()
    try:
        return look_ahead(client, devices, instance, buffer_seconds)
    finally:
        devices.ensure_stopped()


def answer(client: Client, devices: Devices, instance: Instance, arguments: str) -> str:
    """Answer `LOOK` in the frontend that has the devices; the devices are stopped afterwards."""
    buffer_seconds = float(json.loads(arguments or "{}").get("buffer_seconds", BUFFER_SECONDS))
    try:
        return json.dumps(look_ahead(client, devices, instance, buffer_seconds).as_dict())
    finally:
        devices.ensure_stopped()


def _ask(client: Client, instance: Instance, buffer_seconds: float) -> Readiness:
    arguments = json.dumps({"buffer_seconds": buffer_seconds})
    try:
        other = client.connect_to_other_client(instance.client_name)
        try:
            text = client.jrpc_client_call(other, LOOK, arguments, _ANSWER_CHARACTERS)
        finally:
            client.disconnect_from_other_client(other)
    except ExperimentError as error:
        raise FrontendError(f"{instance.client_name} cannot look ahead: {error}") from error
    return Readiness.from_json(text)


def clients_of(client: Client) -> list[str]:
    """Return the names of the programs that are connected."""
    entries = client.odb_get("/System/Clients").values()
    return [str(entry.get("Name")) for entry in entries if isinstance(entry, dict)]


def _buffer_name(client: Client, instance: Instance) -> str:
    key = f"{instance.path}/Common/Buffer"
    return (str(client.odb_get(key)) if client.odb_exists(key) else "") or "SYSTEM"


def _warnings(client: Client, instance: Instance) -> Iterator[Finding]:
    """Yield what no run is refused for, but an operator may not want."""
    if not client.odb_exists(instance.settings_path):
        text = f"{instance.settings_path} is not there: defaults were looked at, simulated devices"
        yield Finding("settings", Verdict.WARNING, f"{text} ({instance.client_name} makes it)")
    for subject, key, unwanted, text in (
        ("equipment", f"{instance.path}/Common/Enabled", False, "no event will be sent"),
        ("logger", "/Logger/Write data", False, "the run will not be written to disk"),
        ("alarms", "/Alarms/Alarm system active", False, "no alarm will sound"),
    ):
        if client.odb_exists(key) and client.odb_get(key) == unwanted:
            yield Finding(subject, Verdict.WARNING, f"{key} is n: {text}")
    history = f"{instance.path}/Common/Log history"
    if client.odb_exists(history) and client.odb_get(history):
        text = f"{history} is {client.odb_get(history)}; 0 is better: its events are too large"
        yield Finding("history", Verdict.WARNING, f"{text} (`cygno-frontend setup` sets it)")
    if "Logger" not in clients_of(client):
        yield Finding("logger", Verdict.WARNING, "no Logger is connected: start mlogger")
    elif not Path(folder := str(client.odb_get("/Logger/Data dir"))).is_dir():
        text = f"/Logger/Data dir is {folder}, no folder of this computer; its disk is not known"
        yield Finding("disk", Verdict.WARNING, text)


def _warnings_of_room(
    client: Client, setup: RunSetup, layout: EventLayout, buffer: str
) -> Iterator[Finding]:
    bytes_a_second = setup.expected_rate_hz * layout.typical_bytes()
    held_s = buffer_bytes(client, buffer) / bytes_a_second
    if held_s < _SHORT_BUFFER_S:
        text = f"it holds {held_s:.2f} s at {setup.expected_rate_hz:g} Hz"
        yield Finding("buffer", Verdict.WARNING, f"{text} (`cygno-frontend setup` makes it larger)")
    try:
        slots = setup.ring_slots(layout.max_bytes)
    except ExperimentError:
        return  # it is among the findings already
    ring_s = slots / setup.expected_rate_hz
    if ring_s < setup.trigger.ring_seconds:
        text = (
            f"it holds {ring_s:.2f} s at {setup.expected_rate_hz:g} Hz, not the"
            f" {setup.trigger.ring_seconds:g} s of {setup.path}/Ring seconds: raise"
            f" {setup.path}/Ring memory MB"
        )
        yield Finding("ring", Verdict.WARNING, text)
