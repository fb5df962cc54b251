"""The CameraStatus equipment: sensor temperatures, every ten seconds of a run.

The cameras live in the trigger frontend's process, so this equipment does too.
"""

import time

from experiment.client import Client
from experiment.constants import EQ_PERIODIC, RO_ODB, RO_RUNNING
from frontend.acquisition import Acquisition
from frontend.equipment import Common, Equipment
from frontend.instance import Instance
from rawdata.build import EventBuilder
from rawdata.event import BankFormat
from rawdata.layouts import slow

_SEND_TIMEOUT_MS = 20
_EVENT_BYTES = 256


class CameraStatus:
    """Sends event 7, bank TCAM: one double a camera [degrees Celsius]."""

    def __init__(self, client: Client, instance: Instance, buffers: dict[str, int]) -> None:
        event_id = instance.status_event_id
        common = Common(event_id, EQ_PERIODIC, RO_RUNNING | RO_ODB, period_ms=10_000)
        self._equipment = Equipment(client, instance.status_equipment, common, buffers)
        self._equipment.set_status("ready")
        self._builder = EventBuilder(bytearray(_EVENT_BYTES), event_id, BankFormat.BANK)
        self._first_bank = self._builder.mark
        self._serial = 0
        self._due_s = 0.0

    def reset(self) -> None:
        """Begin a run."""
        self._serial = 0
        self._due_s = 0.0
        self._equipment.reset_statistics()

    def work(self, acquisition: Acquisition) -> None:
        """Send the temperatures if they are due and known; if there is no room, try again later."""
        temperatures = [reader.temperature_c for reader in acquisition.camera_readers]
        known = [value for value in temperatures if value is not None]
        is_due = time.monotonic() >= self._due_s
        if not is_due or len(known) < len(temperatures) or not self._equipment.is_enabled:
            return
        self._builder.rewind(self._first_bank)
        slow.encode_camera_temperatures(self._builder, known)
        event = self._builder.finish(self._serial, int(time.time()))
        if not self._equipment.send(event, _SEND_TIMEOUT_MS):
            return
        self._serial += 1
        self._due_s = time.monotonic() + self._equipment.period_s
        self._equipment.write_statistics()
        self._equipment.set_variables({slow.CAMERA_TEMPERATURE_BANK: known})
