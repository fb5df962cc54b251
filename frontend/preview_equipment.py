"""The Preview equipment: once or twice a second what an event looks like, in a buffer of its own.

So no page ever has to ask for a full frame, and no reader of full frames sees a preview.
"""

import logging
import time
from collections.abc import Mapping
from typing import Any

from experiment.client import Client
from experiment.constants import EQ_POLLED, RO_RUNNING
from experiment.errors import ExperimentError
from frontend.equipment import RED, Common, Equipment
from frontend.instance import Instance
from frontend.layout import EventLayout
from frontend.preview import CHANNELS, MAX_POINTS, image_shape, write_preview
from frontend.settings import MAX_PREVIEW_RATE_HZ
from rawdata.build import EventBuilder
from rawdata.event import parse_event

BUFFER = "PREVIEW"
BUFFER_BYTES = 8 << 20
"""Some ten previews of one camera, or three of six."""
_SEND_TIMEOUT_MS = 2
_MARGIN_BYTES = 4096

_log = logging.getLogger(__name__)


class Preview:
    """Sends previews of the events that it is shown, at the rate that the settings say now.

    A preview that finds no room, or cannot be sent, is dropped: no frame waits for it.
    """

    def __init__(self, client: Client, instance: Instance, buffers: dict[str, int]) -> None:
        common = Common(
            instance.preview_event_id, EQ_POLLED, RO_RUNNING, period_ms=100, buffer=BUFFER
        )
        if BUFFER not in buffers:
            buffers[BUFFER] = client.open_event_buffer(BUFFER, BUFFER_BYTES)
        self._event_id = instance.preview_event_id
        self._client = client
        self._equipment = Equipment(client, instance.preview_equipment, common, buffers)
        self._equipment.set_status("ready")
        self._key = f"{instance.settings_path}/Preview rate Hz"
        self._rate_hz = 0.0
        self._read_rate(client)
        client.odb_watch(self._key, self._read_rate)
        self._shapes: Mapping[int, tuple[int, int]] = {}
        self._memory = memoryview(b"")
        self._run_number = 0
        self._serial = 0
        self._due_s = 0.0

    def _read_rate(self, client: Client, path: str = "", value: Any = None) -> None:
        rate = float(client.odb_get(self._key))
        self._rate_hz = min(rate, MAX_PREVIEW_RATE_HZ) if rate > 0 else 0.0
        self._due_s = 0.0

    def begin(self, run_number: int, layout: EventLayout) -> None:
        """Begin a run: there is no more memory to be taken then."""
        self._shapes = layout.shapes
        sides = [image_shape(shape) for shape in self._shapes.values()]
        image_bytes = sum(rows * columns + _MARGIN_BYTES for rows, columns in sides)
        waveform_bytes = 2 * MAX_POINTS * CHANNELS * len(layout.boards)
        self._memory = memoryview(bytearray(image_bytes + waveform_bytes + _MARGIN_BYTES))
        self._run_number, self._serial, self._due_s = run_number, 0, 0.0
        self._equipment.reset_statistics()
        self._equipment.set_status(f"run {run_number}")

    def show(self, content: memoryview) -> None:
        """Send a preview of this event if one is due."""
        now = time.monotonic()
        if not self._rate_hz or now < self._due_s or not self._equipment.is_enabled:
            return
        self._due_s = now + 1 / self._rate_hz
        builder = EventBuilder(self._memory, self._event_id)
        write_preview(builder, parse_event(content), self._shapes, self._run_number)
        event = builder.finish(self._serial, int(time.time()))
        try:
            if self._equipment.send(event, _SEND_TIMEOUT_MS):
                self._serial += 1
            self._equipment.write_statistics()
        except ExperimentError as error:  # a run does not end for want of its preview
            self._equipment.set_status(f"preview cannot be sent: {error}", RED)
            _log.warning("preview: %s", error)
